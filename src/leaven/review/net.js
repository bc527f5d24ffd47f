/* Questions to the page's own server; the key stands behind the # of the address, and is sent nowhere else. */
const by = (id) => document.getElementById(id);
const make = (tag, kind, text) => {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
};
let key = location.hash.slice(1);
class Gone extends Error {}
class Stranger extends Error {}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { "X-Leaven-Key": key, ...options.headers }, cache: "no-store" });
  } catch {
    throw new Gone("the server is gone");
  }
  if (answer.status === 403) throw new Stranger("another key");
  if (answer.status === 422) {
    const said = await answer.json();
    throw new Error(`${said.error} ${said.fix}`);
  }
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer;
}
const asked = async (path, options) => (await ask(path, options)).json();
const send = (path, what) => asked(path, { method: "POST", body: JSON.stringify(what) });
const blobs = new Map();
/* An image or a sound as an address within this page; the last few are kept. */
async function media(own, column, large) {
  const path = `/api/media?${new URLSearchParams({ id: own, column, large: large ? "1" : "0" })}`;
  if (!blobs.has(path)) {
    const answer = await ask(path);
    const [width, height] = (answer.headers.get("X-Size") || "0x0").split("x").map(Number);
    blobs.set(path, { url: URL.createObjectURL(await answer.blob()), width, height });
    if (blobs.size > 120) {
      const [first] = blobs.keys();
      URL.revokeObjectURL(blobs.get(first).url);
      blobs.delete(first);
    }
  }
  return blobs.get(path);
}
const count = (n) => n.toLocaleString("en-US");
const some = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

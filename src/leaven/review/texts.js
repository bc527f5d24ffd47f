/* Texts of records, as text: what could act on a page or hide in it is shown by its number. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/u;
const EACH = /([\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}])/u;
const HARMLESS = new Set(["\n", "\t", "\u200c", "\u200d"]);
const FIRST = 2000, CHUNK = 4000;
const code = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

function put(node, text) {
  if (!HIDDEN.test(text)) {
    node.append(text);
    return node;
  }
  for (const part of text.split(EACH)) {
    if (part && HIDDEN.test(part) && !HARMLESS.has(part)) node.append(make("span", "hidden-char", code(part)));
    else if (part) node.append(part);
  }
  return node;
}
/* The same for long texts, without a node for each mark. */
const plain = (text) => text.replace(new RegExp(EACH.source, "gu"), (c) => (HARMLESS.has(c) ? c : `[${code(c)}]`));
const line = (text) => plain(text).replace(/\s+/g, " ");

/* A text of which the first characters came with the record, and the rest comes when it is asked for. */
function paragraph(field, owner, shown) {
  const box = make("div", "text");
  box.dir = "auto";
  for (const [kind, text] of field.pieces) {
    const inner = text.trimEnd();
    if (kind && inner) {
      box.append(put(make(kind), inner));
      put(box, text.slice(inner.length));
    } else put(box, text);
  }
  if (field.none) box.append(make("span", "soft", "nothing"));
  if (field.length > FIRST) {
    const more = make("button", "all", `show all ${count(field.length)}`);
    more.type = "button";
    more.addEventListener("click", async () => {
      more.disabled = true;
      const query = new URLSearchParams({ id: owner, column: field.column });
      const whole = await (await ask(`/api/text?${query}`)).text();
      box.replaceChildren();
      for (let at = 0, to; at < whole.length; at = to) {  /* in blocks, of which only those that are seen are laid out */
        const blank = whole.indexOf(" ", at + CHUNK);
        to = blank >= 0 && blank < at + 2 * CHUNK ? blank + 1 : at + CHUNK;
        box.append(make("div", "block", plain(whole.slice(at, to))));
      }
      more.remove();
    });
    shown.append(box, more);
  } else shown.append(box);
}

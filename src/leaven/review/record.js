/* A record beside its parent. */
const records = new Map();
let current = null, wanted = -1;

async function fetched(n) {
  if (!records.has(n)) {
    const said = await asked(`/api/record/${n}`);
    numberOf.set(said.id, n);
    records.set(n, said);
    if (records.size > 400) records.delete(records.keys().next().value);
  }
  return records.get(n);
}

async function show(n) {
  wanted = n;
  current = null;
  let said = records.get(n);  /* one that is there already is shown at once */
  try {
    said ||= await fetched(n);
  } catch (error) {
    if (wanted !== n) return;
    held.length = 0;
    const text = error instanceof Gone ? "The server is gone: leaven review starts it again." : error.message;
    by("record").replaceChildren(make("p", "empty", text));
    if (error instanceof Gone) setTimeout(() => { if (wanted === n && !current) show(n); }, 1000);
    return;
  }
  if (wanted !== n) return;
  render(said);
  catchUp();
  for (let i = 1; i <= AHEAD && cursor + i < queue.length; i++) fetched(queue[cursor + i]).catch(() => {});
}

function render(said) {
  current = said;
  const box = by("record"), parent = said.parent, texts = newTexts.get(said.n) || {};
  const parts = [];
  if (parent) {
    const above = make("article", "parent");
    above.append(head("parent", parent.set, parent.label));
    for (const field of parent.fields) paragraphOf(field, parent.id, above, parent.fields.length > 1);
    pictures(parent, above);
    parts.push(above);
  }
  const below = make("article", "child");
  const label = newLabel.has(said.n) ? newLabel.get(said.n) : said.label;
  below.append(head(parent ? "child" : "record", state[said.n] === KEPT ? "kept" : "refused", label));
  for (const field of said.fields) {
    if (field.column in texts) {
      const now = { column: field.column, pieces: [["", texts[field.column].slice(0, 100000)]], length: 0 };
      paragraphOf(now, said.id, below, said.fields.length > 1, "as you wrote it");
      const before = make("div", "before");
      paragraphOf({ ...field, pieces: field.pieces.filter(([k]) => k !== "del").map(([, t]) => ["", t]) }, said.id, before);
      below.append(before);
    } else paragraphOf(field, said.id, below, said.fields.length > 1);
  }
  pictures(said, below);
  parts.push(below);
  box.replaceChildren(...parts);
  box.scrollTop = 0;
  tell(said);
}

function head(word, what, label) {
  const node = make("p", "head");
  node.append(make("strong", "", word), make("span", "soft", what));
  if (label !== null && label !== undefined) node.append(put(make("span", "label"), label));
  return node;
}

function paragraphOf(field, owner, into, named, extra) {
  if (named || extra) into.append(make("p", "column", [named ? line(field.column) : "", extra || ""].filter(Boolean).join(", ")));
  paragraph(field, owner, into);
}

/* What the page says of the record beside its texts; drawn again when something is decided about it. */
function tell(said) {
  const told = [], mark = decided[said.n];
  if (said.state === REFUSED) {
    const why = make("p", "why");
    put(why, said.reason);
    why.append(make("span", "soft", ` by ${line(said.step)}`));
    told.push(why);
    if (said.detail) told.push(put(make("p", "soft"), said.detail));
  } else told.push(make("p", "why kept", "kept"));
  const chips = make("dl", "scores");
  for (const [name, value] of Object.entries(said.scores)) {
    if (name === "in_sample") continue;
    const pair = make("div");
    pair.append(make("dt", "", name.replaceAll("_", " ")), make("dd", "", Number(value).toFixed(3)));
    chips.append(pair);
  }
  told.push(chips);
  if (mark === STALE) told.push(make("p", "wrong", "It was decided about, and holds something else since: decide again."));
  else if (mark) told.push(make("p", `decision m${mark}`, `You ${WORDS[stack(said.id).at(-1).action]} it.`));
  by("told").replaceChildren(...told);
  const empty = !said.fields.some((f) => !f.none) && !said.media.length;
  for (const button of document.querySelectorAll("#deciding button")) {
    const k = button.dataset.key;
    button.disabled = (k === "a" && empty) || (k === "l" && !run.known.length) ||
      (k === "e" && !said.fields.some((f) => f.editable)) || (k === "U" && !redo.length);
  }
  const likely = run.known.length ? said.likely : [];
  by("likely").replaceChildren(...likely.map((name, i) => {
    const button = make("button", labelNow(said.n) === run.labels.indexOf(name) ? "is" : "");
    button.type = "button";
    put(button, name.slice(0, 60));
    button.append(" ", make("kbd", "", String(i + 1)));
    button.addEventListener("click", () => relabel(name));
    return button;
  }));
  const past = said.steps.map((step) => put(make("li"), step.slice(0, 300)));
  const ol = make("ol");
  ol.append(...past);
  const rest = [make("p", "soft", "history"), ol, make("code", "id", line(said.id))];
  by("history").replaceChildren(...rest);
}

const SVG = "http://www.w3.org/2000/svg";
const shape = (tag, attributes) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

function pictures(row, into) {
  for (const one of row.media) {
    const figure = make("figure");
    into.append(figure);
    media(row.id, one.column, false).then(async (found) => {
      if (one.kind === "audio") {
        const player = make("audio");
        player.controls = true;
        player.src = found.url;
        figure.append(player);
        return;
      }
      const image = make("img");
      image.src = found.url;
      image.alt = `${line(one.column)}, ${found.width} x ${found.height} pixels`;
      image.addEventListener("click", () => zoom(row.id, one.column));
      figure.append(image);
      for (const mask of one.masks) {
        const veil = make("img", "veil");
        veil.src = (await media(row.id, mask, false)).url;
        veil.alt = "";
        figure.append(veil);
      }
      if (one.marks.boxes || one.marks.points) figure.append(drawn(one.marks, found));
    }).catch((error) => figure.append(make("p", "soft", error.message.includes("404") ? "" : error.message)));
    if (one.marks.segments) {
      figure.append(...one.marks.segments.slice(0, 60).map((s) => (
        put(make("p", "soft"), `${s.label ?? "segment"}: ${s.start.toFixed(2)} to ${s.end.toFixed(2)} s`))));
    }
  }
}

function drawn(marks, size) {
  const svg = shape("svg", { viewBox: `0 0 ${size.width} ${size.height}`, class: "over", "aria-hidden": "true" });
  for (const box of (marks.boxes || []).slice(0, 200)) {
    const title = shape("title", {});
    title.textContent = box.label ?? "";
    for (const flat of box.polygons || []) {
      const corners = [];
      for (let i = 0; i + 1 < flat.length; i += 2) corners.push(`${flat[i]},${flat[i + 1]}`);
      svg.append(shape("polygon", { points: corners.join(" ") }));
    }
    const rect = shape("rect", { x: box.x, y: box.y, width: Math.max(0, box.w), height: Math.max(0, box.h) });
    rect.append(title);
    svg.append(rect);
  }
  for (const point of (marks.points || []).slice(0, 200)) {
    svg.append(shape("circle", { cx: point.x, cy: point.y, r: Math.max(size.width, size.height) / 80 }));
  }
  return svg;
}

async function zoom(id, column) {
  const found = await media(id, column, true);
  by("large-image").src = found.url;
  by("large").showModal();
}

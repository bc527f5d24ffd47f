/* What each key does, and how the page begins. */
const typing = (node) => node instanceof HTMLElement && node.matches("input, select, textarea, [contenteditable]");

function act(action, value) {
  const chosen = action === "accept" || action === "reject"
    ? [...marked].map((n) => records.get(n)).filter(Boolean) : [];
  const those = chosen.length ? chosen : [current];
  const word = { accept: "kept", reject: "refused" }[action];
  redo = [];
  decide(action, those.map((r) => ({
    n: r.n, id: r.id, content: r.content, new: word ?? value.new,
    old: word ? (state[r.n] === KEPT ? "kept" : "refused") : value.old,
  })));
  aloud(`${WORDS[action]} ${those.length > 1 ? some(those.length, "record", "records") : current.id.slice(0, 6)}`);
  marked = new Set();
  if (cursor + 1 < queue.length) go(cursor + 1);
  else {
    draw();
    render(current);
    if (queue.every((r) => decided[r])) ended();
  }
}

/* After the last record of a queue: the next one is offered below it. */
function ended() {
  const next = OTHER[by("queue").value], button = make("button", "", `Every record here is decided. Look at the queue ${next}`);
  button.type = "button";
  button.addEventListener("click", () => { by("queue").value = next; filter(); list().focus(); });
  by("record").append(button);
}

function relabel(name) {
  if (!current || !run.known.includes(name)) return;
  closeRelabel();
  act("relabel", { old: newLabel.get(current.n) ?? current.label, new: name });
}

function openRelabel() {
  if (!current || !run.known.length) return;
  by("relabel").hidden = false;
  by("new-label").value = "";
  offer();
  by("new-label").focus();
}
function closeRelabel() {
  if (by("relabel").hidden) return;
  by("relabel").hidden = true;
  list().focus();
}
const offered = () => {
  const words = by("new-label").value.trim().toLowerCase();
  const all = words ? run.known.filter((name) => name.toLowerCase().includes(words)) : current.likely;
  return [...all].sort((a, b) => Number(b.toLowerCase() === words) - Number(a.toLowerCase() === words) ||
    Number(b.toLowerCase().startsWith(words)) - Number(a.toLowerCase().startsWith(words))).slice(0, 8);
};
function offer() {
  const names = offered();
  by("choices").replaceChildren(...names.map((name) => {
    const item = put(make("li"), name.slice(0, 80));
    item.addEventListener("click", () => relabel(name));
    return item;
  }));
  if (!names.length) by("choices").append(make("li", "soft", "no such label"));
}

/* Fields that are edited: their whole texts, asked for where only the beginning came. */
async function openEdit() {
  if (!current || document.querySelector("textarea")) return;
  const said = current, fields = said.fields.filter((f) => f.editable), now = newTexts.get(said.n) || {};
  if (!fields.length) return;
  const box = make("form", "edit"), areas = [];
  for (const field of fields) {
    const before = field.length > FIRST
      ? await (await ask(`/api/text?${new URLSearchParams({ id: said.id, column: field.column })}`)).text()
      : field.pieces.filter(([kind]) => kind !== "del").map(([, text]) => text).join("");
    const area = make("textarea");
    area.value = field.column in now ? now[field.column] : before;
    area.rows = Math.min(16, Math.max(3, Math.ceil(area.value.length / 60)));
    area.dir = "auto";
    areas.push([field.column, area, area.value]);
    const label = make("label", "", fields.length > 1 ? line(field.column) : "");
    label.append(area);
    box.append(label);
  }
  const save = make("button", "main", "Save ");
  save.append(make("kbd", "", "Ctrl-Enter"));
  save.type = "submit";
  const leave = make("button", "", "Leave ");
  leave.append(make("kbd", "", "Esc"));
  leave.type = "button";
  const row = make("div", "buttons");
  row.append(save, leave);
  box.append(row);
  const close = () => { box.remove(); list().focus(); };
  const store = (event) => {
    event.preventDefault();
    const changed = areas.filter(([, area, before]) => area.value !== before);
    close();
    if (!changed.length || current !== said) return;
    act("edit", {
      old: Object.fromEntries(changed.map(([column, , before]) => [column, before])),
      new: Object.fromEntries(changed.map(([column, area]) => [column, area.value])),
    });
  };
  box.addEventListener("submit", store);
  leave.addEventListener("click", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) store(event);
    else return;
    event.stopPropagation();
  });
  if (current !== said) return;
  by("record").append(box);
  areas[0][1].focus();
}

/* Back to the record that was decided about last. */
function taken(found, word) {
  if (!found) return aloud(word === "undone" ? "nothing to undo" : "nothing to redo");
  const n = numberOf.get(found.id), place = queue.indexOf(n);
  aloud(`${word} ${found.id.slice(0, 6)}`);
  if (place >= 0) go(place);
  else if (current) render(current);
  draw();
}

function mark() {
  if (!current) return;
  if (marked.has(current.n)) marked.delete(current.n);
  else marked.add(current.n);
  aloud(some(marked.size, "record marked", "records marked"));
  go(cursor + 1);
}

function play() {
  const player = by("record").querySelector(".child audio") || by("record").querySelector("audio");
  if (player) return player.paused ? player.play() : player.pause();
  const shown = current && current.media.find((m) => m.kind !== "audio");
  if (shown) zoom(current.id, shown.column).catch((error) => aloud(error.message));
}

const DOES = {
  j: () => go(cursor + 1), ArrowDown: () => go(cursor + 1), k: () => go(cursor - 1), ArrowUp: () => go(cursor - 1),
  PageDown: () => go(cursor + 10), PageUp: () => go(cursor - 10), Home: () => go(0), End: () => go(queue.length - 1),
  a: () => { if (!by("deciding").querySelector("[data-key=a]").disabled) act("accept"); }, r: () => act("reject"),
  l: openRelabel, e: openEdit, u: () => taken(undo(), "undone"), U: () => taken(again(), "done again"), x: mark,
  "/": () => by("find").focus(), f: () => by("queue").focus(), " ": play, "?": () => by("help").showModal(),
  "[": () => cuts.length && move(cut - stepSize), "]": () => cuts.length && move(cut + stepSize),
};
const LISTED = [
  ["j k", "next, previous record; arrows too"], ["a", "accept: keep it"], ["r", "reject: refuse it"],
  ["l", "another label: type, Enter"], ["1-9", "one of the likeliest labels"],
  ["e", "edit the text; Ctrl-Enter saves, Esc leaves"], ["u", "undo"], ["Shift-u", "redo"],
  ["x", "mark, then a or r for all marked"], ["/", "find"], ["f", "filters"], ["[ ]", "move the threshold"],
  ["space", "play the sound, or enlarge the image"], ["?", "this list"],
];

addEventListener("keydown", (event) => {
  const on = event.target;
  if (event.key === "Escape" && typing(on)) {
    closeRelabel();
    list().focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(on) || document.querySelector("dialog[open]")) return;
  if (on instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
  if (on instanceof HTMLAudioElement && event.key === " ") return;
  if (!run || !(event.key in DOES || /^[1-9]$/.test(event.key))) return;
  event.preventDefault();
  if ((!current && ABOUT.test(event.key)) || held.length) held.push(event.key);
  else press(event.key);
});

/* Keys about a record that is still on its way are done when it is there, in their order. */
const ABOUT = /^[arlex1-9 ]$/, held = [];
function press(name) {
  if (DOES[name]) DOES[name]();
  else if (run.known.length && current.likely[Number(name) - 1] !== undefined) relabel(current.likely[Number(name) - 1]);
}
function catchUp() {
  while (held.length && (current || !ABOUT.test(held[0]))) press(held.shift());
}

/* Where one was is found again after a reload; another window has a place of its own. */
function remember() {
  if (!queue.length) return;
  const n = queue[cursor], said = records.get(n);
  const what = { n, id: said && said.id, queue: by("queue").value, reason: by("reason").value, label: by("label").value,
    find: by("find").value, at, cut: cuts.length ? cut : null };
  try { sessionStorage.setItem(`leaven ${run.id}`, JSON.stringify(what)); } catch { /* nothing can be kept here */ }
}
function remembered() {
  try { return JSON.parse(sessionStorage.getItem(`leaven ${run.id}`)) || {}; } catch { return {}; }
}

const THEMES = ["auto", "light", "dark"];
function theme(name) {
  document.documentElement.dataset.theme = name;
  by("theme").textContent = `theme: ${name}`;
  try { localStorage.setItem("leaven-theme", name); } catch { /* nothing can be kept here */ }
}

function options() {
  const option = (value, text) => Object.assign(make("option", "", text), { value });
  by("queue").replaceChildren(...["refused", "kept", "decided"].map((name) => option(name, name)));
  const pairs = new Map();
  for (let r = 0; r < run.rows; r++) {
    if (own[r] === REFUSED) {
      const pair = `${stepOf[r]} ${reasonOf[r]}`;
      pairs.set(pair, (pairs.get(pair) || 0) + 1);
    }
  }
  const sorted = [...pairs].sort((a, b) => b[1] - a[1]);
  by("reason").replaceChildren(option("", "all"), ...sorted.map(([pair, n]) => {
    const [step, reason] = pair.split(" ").map(Number);
    return option(pair, `${line(run.reasons[reason])} (${line(run.steps[step])}), ${count(n)}`.slice(0, 100));
  }));
  by("label").replaceChildren(option("", "all"), ...run.labels.map((name) => option(name, line(name).slice(0, 60))));
  by("label").parentElement.hidden = !run.labels.length;
}

async function begin() {
  run = await asked("/api/run");
  const bytes = await (await ask("/api/columns")).arrayBuffer(), n = run.rows;
  let offset = 0;
  const next = (kind) => {
    const found = new kind(bytes.slice(offset, offset + n * kind.BYTES_PER_ELEMENT));
    offset += n * kind.BYTES_PER_ELEMENT;
    return found;
  };
  for (const name of run.scores) scores[name] = next(Float64Array);
  labelOf = next(Int32Array);
  stepOf = next(Uint16Array);
  reasonOf = next(Uint16Array);
  own = next(Uint8Array);
  met = run.thresholds.map(() => next(Uint8Array));
  state = own.slice();
  decided = new Uint8Array(n);
  by("title").textContent = `${line(run.name)}, ${line(run.recipe)}`;
  document.title = `${line(run.name)}: leaven review`;
  options();
  const before = remembered();
  await sync();
  adopt();
  sayState();
  prepareThreshold();
  if (cuts.length && before.cut !== null && before.cut !== undefined && cuts[before.at]) choose(before.at, before.cut);
  for (const name of ["queue", "reason", "label", "find"]) if (before[name]) by(name).value = before[name];
  if (!before.queue && !own.some((s) => s === REFUSED)) by("queue").value = "kept";
  listeners.push((r) => {
    redraw();
    if (current && current.n === r && !document.querySelector("textarea")) render(current);
  });
  let place = before.n;
  if (before.id && (place >= run.rows || (await fetched(place)).id !== before.id)) {
    const hits = new Int32Array(await (await ask(`/api/find?${new URLSearchParams({ q: before.id })}`)).arrayBuffer());
    place = hits[0];
  }
  await filter(place, before.queue !== undefined);
  list().focus();
}

for (const name of ["queue", "reason", "label"]) by(name).addEventListener("change", () => filter());
let pause = 0;
by("find").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(() => filter(), 250); });
by("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  clearTimeout(pause);
  filter().then(() => list().focus());
});
by("list").addEventListener("scroll", redraw, { passive: true });
new ResizeObserver(() => {
  if (queue.length) scrollTo(cursor);
  redraw();
}).observe(by("list"));
by("relabel").addEventListener("submit", (event) => {
  event.preventDefault();
  const [name] = offered();
  if (name !== undefined) relabel(name);
});
by("new-label").addEventListener("input", offer);
for (const button of document.querySelectorAll("#deciding button")) {
  button.addEventListener("click", () => { DOES[button.dataset.key](); if (!typing(document.activeElement)) list().focus(); });
}
by("help-button").addEventListener("click", () => by("help").showModal());
by("keys").replaceChildren(...LISTED.map(([keys, what]) => {
  const row = make("tr"), cell = make("th");
  cell.scope = "row";
  for (const one of keys.split(" ")) cell.append(make("kbd", "", one), " ");
  row.append(cell, make("td", "", what));
  return row;
}));
by("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]));
try { theme(THEMES.includes(localStorage.getItem("leaven-theme")) ? localStorage.getItem("leaven-theme") : "auto"); } catch { theme("auto"); }
addEventListener("hashchange", () => {
  key = location.hash.slice(1);
  if (run) sync();
  else start();
});
addEventListener("online", () => run && sync());
addEventListener("beforeunload", (event) => { if (run && unsent().length) event.preventDefault(); });

function start() {
  begin().catch((error) => {
    const text = error instanceof Stranger
      ? "This address has no key, or an old one: open the link that leaven review printed." : error.message;
    by("record").replaceChildren(make("p", "empty", text));
  });
}
start();

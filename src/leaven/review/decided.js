/* What is decided: lines of the file in their order, and behind them those that wait in this browser.  The later line
   wins; an undo takes back the last one about its record that stands. */
const UNDECIDED = 0, ACCEPTED = 1, REJECTED = 2, RELABELLED = 3, EDITED = 4, STALE = 5;
const MARKS = ["", "A", "R", "L", "E", "?"];
const KIND = { accept: ACCEPTED, reject: REJECTED, relabel: RELABELLED, edit: EDITED };
const WORDS = { accept: "accepted", reject: "rejected", relabel: "relabelled", edit: "edited", undo: "undone" };
const KEPT = 0, REFUSED = 1;
let run;                        /* names and counts, from /api/run */
let own, labelOf, stepOf, reasonOf;
const scores = {};
let decided, state;             /* of each row: its mark, and whether it is kept as things stand */
const newLabel = new Map(), newTexts = new Map();
const filed = new Map();        /* id -> its lines in the file */
let waiting = [];               /* lines that the file does not have yet, as far as we know */
const numberOf = new Map();
const seen = new Map();         /* a line -> when this page first saw it */
let end = 0, redo = [], savedAt = "", failing = false, stranger = false, anew = false;
const listeners = [];

const nameOf = (line) => JSON.stringify([line.id, line.content, line.action, line.new, line.time]);
const stored = (line) => `leaven ${run.id} ${line.time} ${String(line.place).padStart(6, "0")}`;
const unsent = () => waiting.filter((line) => !line.sent);

function stack(id) {
  const standing = [];
  for (const line of [...(filed.get(id) || []), ...waiting.filter((w) => w.id === id)]) {
    if (line.action !== "undo") standing.push(line);
    else standing.pop();
  }
  return standing;
}

/* Work out a record anew from its lines. */
function settle(id) {
  const n = numberOf.get(id);
  if (n === undefined || n === null) return;
  const standing = stack(id), last = standing.at(-1);
  newLabel.delete(n);
  newTexts.delete(n);
  decided[n] = last ? (last.stale ? STALE : KIND[last.action]) : UNDECIDED;
  state[n] = own[n];
  if (last && !last.stale) {
    state[n] = last.action === "reject" ? REFUSED : KEPT;
    for (const line of standing) {
      if (line.content !== last.content) continue;
      if (line.action === "relabel") newLabel.set(n, line.new);
      if (line.action === "edit") newTexts.set(n, { ...newTexts.get(n), ...line.new });
    }
  }
  for (const told of listeners) told(n);
}

function note(line) {
  if (!seen.has(nameOf(line))) seen.set(nameOf(line), seen.size);
  if (line.n !== undefined && line.n !== null) numberOf.set(line.id, line.n);
}

/* Decide about records: [{n, id, content, old, new}].  They share one moment, so that one undo takes them all back. */
function decide(action, records) {
  const time = new Date().toISOString();
  const lines = records.map((r, place) => ({
    id: r.id, content: r.content, action, old: r.old ?? null, new: r.new ?? null, time, n: r.n, place,
  }));
  for (const line of lines) {
    note(line);
    try {
      localStorage.setItem(stored(line), JSON.stringify(line));
    } catch { /* private windows may keep nothing: it is still sent */ }
  }
  waiting.push(...lines);
  for (const line of lines) settle(line.id);
  sayState();
  sync();
  return lines;
}

/* The last decision that stands, with those of the same moment. */
function last() {
  let found = null, when = -1;
  const ids = new Set([...filed.keys(), ...waiting.map((line) => line.id)]);
  const tops = [...ids].map((id) => stack(id).at(-1)).filter(Boolean);
  for (const line of tops) {
    const at = seen.get(nameOf(line));
    if (at > when) [found, when] = [line, at];
  }
  return found ? tops.filter((line) => line.time === found.time) : [];
}

function undo() {
  const lines = last();
  if (!lines.length) return null;
  decide("undo", lines.map((l) => ({ n: numberOf.get(l.id), id: l.id, content: l.content, old: l.new ?? l.action })));
  redo.push(lines);
  return lines[0];
}

function again() {
  const lines = redo.pop();
  if (!lines) return null;
  decide(lines[0].action, lines.map((l) => ({ ...l, n: numberOf.get(l.id) })));
  return lines[0];
}

let syncing = false, timer = 0;
/* Send what waits, and read what other windows added. */
async function sync() {
  clearTimeout(timer);
  if (syncing) return;
  syncing = true;
  try {
    for (let batch = unsent().slice(0, 200); batch.length; batch = unsent().slice(0, 200)) {
      const said = await send("/api/decisions", batch.map(({ id, content, action, old, new: value, time }) => (
        { id, content, action, old, new: value, time })));
      for (const line of batch) {
        line.sent = true;
        try { localStorage.removeItem(stored(line)); } catch { /* it never was there */ }
      }
      savedAt = said.at;
    }
    const said = await asked(`/api/decisions?since=${end}`);
    if (said.begin < end) filed.clear();
    end = said.end;
    anew = said.anew;
    const touched = new Set();
    for (const line of said.lines) {
      const name = nameOf(line);
      const mine = waiting.findIndex((w) => nameOf(w) === name);
      if (mine >= 0) waiting.splice(mine, 1);
      note(line);
      if (!filed.has(line.id)) filed.set(line.id, []);
      filed.get(line.id).push(line);
      touched.add(line.id);
    }
    for (const id of touched) settle(id);
    failing = stranger = false;
  } catch (error) {
    failing = true;
    stranger = error instanceof Stranger;
    if (!(error instanceof Stranger || error instanceof Gone)) aloud(error.message);
  }
  syncing = false;
  sayState();
  timer = setTimeout(sync, failing ? 1000 : unsent().length ? 0 : 2000);
}

function sayState() {
  const n = unsent().length, kept = `kept in this browser: ${count(n)}`;
  const said = by("saved");
  let text = savedAt ? `saved ${savedAt}` : "";
  if (failing && stranger) text = `review was started again: open its new link${n ? `; ${kept}` : ""}`;
  else if (failing && n) text = `not saved, ${kept}`;
  else if (failing) text = "the server is gone: leaven review starts it again";
  else if (n) text = "saving";
  else if (anew) text = "the run was written again: end leaven review, and start it anew";
  if (said.textContent !== text) said.textContent = text;
  said.className = failing || anew ? "wrong" : "";
}

/* What an earlier page could not send. */
function adopt() {
  try {
    const keys = Object.keys(localStorage).filter((name) => name.startsWith(`leaven ${run.id} `)).sort();
    for (const name of keys) {
      const line = JSON.parse(localStorage.getItem(name));
      if (waiting.some((w) => nameOf(w) === nameOf(line))) continue;
      note(line);
      waiting.push(line);
      settle(line.id);
    }
  } catch { /* nothing can be kept here, so nothing was */ }
}

const aloud = (text) => { by("aloud").textContent = text; };

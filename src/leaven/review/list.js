/* The list: only rows that can be seen are in the document, however many there are. */
const ROW = 34, TALLEST = 8000000, AHEAD = 6;
let queue = new Int32Array(0), cursor = 0, marked = new Set();
const snippets = new Map();
let listing = false, main = "";
const pool = [];
const list = () => by("list");

function range() {
  const view = list().clientHeight, whole = queue.length * ROW, top = list().scrollTop;
  if (whole <= TALLEST) return top / ROW;
  return (top / (TALLEST - view)) * (queue.length - view / ROW);
}

function scrollTo(place) {
  const view = list().clientHeight, seen = view / ROW, first = range();
  if (place >= first && place + 1 <= first + seen) return;
  const want = Math.max(0, Math.min(queue.length - seen, place < first ? place : place + 1 - seen));
  const whole = queue.length * ROW;
  list().scrollTop = whole <= TALLEST ? want * ROW : (want / (queue.length - seen)) * (TALLEST - view);
}

function slot(i) {
  while (pool.length <= i) {
    const row = make("div", "row");
    row.setAttribute("role", "option");
    row.id = `row-${pool.length}`;
    row.append(make("span", "mark"), make("span", "said"), make("span", "score"));
    row.addEventListener("click", () => go(Number(row.dataset.place)));
    by("layer").append(row);
    pool.push(row);
  }
  return pool[i];
}

function draw() {
  const first = range(), begin = Math.max(0, Math.floor(first));
  const n = Math.min(queue.length - begin, Math.ceil(list().clientHeight / ROW) + 1);
  by("layer").style.transform = `translateY(${list().scrollTop - (first - begin) * ROW}px)`;
  let active = "";
  for (let i = 0; i < Math.max(n, pool.length); i++) {
    const row = slot(i);
    row.hidden = i >= n;
    if (i >= n) continue;
    const place = begin + i, r = queue[place], said = snippets.get(r);
    const [mark, text, score] = row.children;
    row.dataset.place = place;
    row.className = `row${place === cursor ? " here" : ""}${marked.has(r) ? " marked" : ""} m${decided[r]}`;
    row.setAttribute("aria-selected", place === cursor);
    row.setAttribute("aria-posinset", place + 1);
    row.setAttribute("aria-setsize", queue.length);
    mark.textContent = marked.has(r) ? "x" : MARKS[decided[r]];
    text.textContent = said ? line(said.text) || said.id.slice(0, 6) : "";
    const value = main ? scores[main][r] : NaN;
    score.textContent = Number.isNaN(value) ? "" : value.toFixed(2);
    if (place === cursor) active = row.id;
  }
  if (active) list().setAttribute("aria-activedescendant", active);
  else list().removeAttribute("aria-activedescendant");
  fetchList(begin, n);
}

async function fetchList(begin, n) {
  if (listing) return;
  const lacking = [];
  for (let place = begin; place < begin + n + AHEAD && place < queue.length; place++) {
    if (!snippets.has(queue[place])) lacking.push(queue[place]);
  }
  if (!lacking.length) return;
  listing = true;
  try {
    for (const said of await asked(`/api/list?at=${lacking.slice(0, 200).join()}`)) snippets.set(said.n, said);
    if (snippets.size > 20000) for (const n of [...snippets.keys()].slice(0, 10000)) snippets.delete(n);
    listing = false;
    draw();
  } catch {
    setTimeout(() => { listing = false; }, 1000);
  }
}

let drawing = false;
function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

/* The rows that the filters leave; what is decided afterwards stays in its place, after a reload too. */
async function filter(keep, reloaded) {
  const which = by("queue").value, [step, reason] = (by("reason").value || "-1 -1").split(" ").map(Number);
  const label = by("label").value === "" ? -1 : run.labels.indexOf(by("label").value), words = by("find").value.trim();
  let among = null;
  if (words) {
    try {
      const found = new Int32Array(await (await ask(`/api/find?${new URLSearchParams({ q: words })}`)).arrayBuffer());
      among = new Uint8Array(run.rows);
      for (const n of found) among[n] = 1;
    } catch {
      aloud("find needs the server");
    }
  }
  const found = new Int32Array(run.rows);
  let n = 0;
  for (let r = 0; r < run.rows; r++) {
    const side = which === "refused" ? REFUSED : KEPT, was = reloaded && decided[r] !== UNDECIDED && own[r] === side;
    const here = which === "decided" ? decided[r] !== UNDECIDED : state[r] === side || was;
    if (!here || (among && !among[r]) || (label >= 0 && labelNow(r) !== label)) continue;
    if (step >= 0 && (stepOf[r] !== step || reasonOf[r] !== reason)) continue;
    found[n++] = r;
  }
  queue = found.slice(0, n);
  marked = new Set();
  by("space").style.height = `${Math.min(queue.length * ROW, TALLEST)}px`;
  by("shown").textContent = some(queue.length, "record", "records");
  const at = keep === undefined ? -1 : queue.indexOf(keep);
  go(at >= 0 ? at : 0);
}

const labelNow = (r) => (newLabel.has(r) ? run.labels.indexOf(newLabel.get(r)) : labelOf[r]);

function go(place) {
  if (!queue.length) {
    cursor = 0;
    draw();
    empty();
    return;
  }
  cursor = Math.max(0, Math.min(queue.length - 1, place));
  scrollTo(cursor);
  draw();
  show(queue[cursor]);
  remember();
}

const OTHER = { refused: "kept", kept: "refused", decided: "refused" };
/* The end of a queue says so, and offers the next one. */
function empty() {
  const next = OTHER[by("queue").value], place = by("record");
  place.replaceChildren(make("p", "empty", "No record is left here."));
  const button = make("button", "", `Look at the queue ${next}`);
  button.type = "button";
  button.addEventListener("click", () => {
    by("queue").value = next;
    for (const name of ["reason", "label", "find"]) by(name).value = "";
    filter();
    list().focus();
  });
  place.append(button);
  by("told").replaceChildren();
  by("likely").replaceChildren();
  by("history").replaceChildren();
}

/* A number of the recipe's keeps, moved: what would be kept is counted here, from arrays, without a question. */
const NEVER = 0, PASSED = 1, TURNED_AWAY = 2;
const BINS = 60, WIDE = 600, HIGH = 44;
let met = [], cuts = [], at = 0, cut = 0, clusterOf = null, clusterCount = 0, low = 0, high = 1, stepSize = 0.01;
const choice = () => cuts[at];
const PASSES = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };
const rounded = (value) => Number(value.toFixed(Math.max(0, -Math.floor(Math.log10(stepSize) + 1e-9))));

/* What is kept with a value: so many, the smallest label, the clusters; people's decisions stay as they are. */
function recount(value) {
  const { threshold, condition } = choice(), t = run.thresholds[threshold], m = met[threshold];
  const arrays = t.conditions.map((c) => scores[c.score]);
  const tests = t.conditions.map((c) => PASSES[c.op]);
  const limits = t.conditions.map((c, i) => (i === condition ? value : c.value));
  const after = t.after.flat().map((c) => [scores[c.score], PASSES[c.op], c.value]);
  const labels = new Int32Array(run.labels.length), covered = new Uint8Array(clusterCount);
  let kept = 0, clusters = 0;
  for (let r = 0; r < run.rows; r++) {
    let stays = state[r] === KEPT;
    if (decided[r] === UNDECIDED || decided[r] === STALE) {
      const way = m[r];
      if (way === PASSED || way === TURNED_AWAY) {
        let passes = true;
        for (let i = 0; i < tests.length && passes; i++) passes = tests[i](arrays[i][r], limits[i]);
        if (way === PASSED) stays = stays && passes;
        else {
          stays = passes;
          for (let i = 0; i < after.length && stays; i++) stays = after[i][1](after[i][0][r], after[i][2]);
        }
      }
    }
    if (!stays) continue;
    kept++;
    if (labelOf[r] >= 0 && !newLabel.has(r)) labels[labelOf[r]]++;
    if (clusterCount && clusterOf[r] >= 0 && !covered[clusterOf[r]]) {
      covered[clusterOf[r]] = 1;
      clusters++;
    }
  }
  for (const [r, name] of newLabel) if (state[r] === KEPT) labels[run.labels.indexOf(name)]++;
  let smallest = -1;
  for (const name of run.known) {
    const i = run.labels.indexOf(name);
    if (smallest < 0 || labels[i] < labels[smallest]) smallest = i;
  }
  return { kept, clusters, smallest, least: smallest < 0 ? 0 : labels[smallest] };
}

const arrow = (a, b) => (a === b ? count(a) : `${count(a)} \u2192 ${count(b)}`);

function sayRecount() {
  const { threshold, condition } = choice(), t = run.thresholds[threshold], c = t.conditions[condition];
  const before = recount(c.value), now = cut === c.value ? before : recount(cut);
  const said = by("recount");
  const part = (name, value) => {
    const node = make("span");
    node.append(make("span", "soft", `${name} `), make("strong", "", value));
    return node;
  };
  const parts = [part("kept", arrow(before.kept, now.kept))];
  if (now.smallest >= 0) {
    const least = part("smallest label", arrow(before.least, now.least));
    put(least.appendChild(make("span", "soft")), ` ${run.labels[now.smallest].slice(0, 40)}`);
    parts.push(least);
  }
  parts.push(clusterCount ? part("clusters covered", `${arrow(before.clusters, now.clusters)} of ${count(clusterCount)}`)
    : part("clusters covered", clusterOf ? "not known" : "..."));
  said.replaceChildren(...parts);
  const more = t.later.map((name) => line(name)).join(", ");
  const words = more && cut !== c.value ? `${more}: cannot be recounted here; kept is at most ${count(now.kept)}` : "";
  by("later").textContent = [words, run.left_out ? `the blend left ${count(run.left_out)} kept records out; they are not here` : ""]
    .filter(Boolean).join("; ");
  by("value").textContent = `${c.score.replaceAll("_", " ")} ${c.op} ${rounded(cut)}${cut === c.value ? "" : ` (was ${c.value})`}`;
  const slider = by("slider");
  slider.setAttribute("aria-valuenow", cut);
  slider.setAttribute("aria-valuetext", `${c.score} ${c.op} ${rounded(cut)}: kept ${now.kept}`);
  by("keep-value").disabled = by("back").disabled = cut === c.value;
  const x = ((cut - low) / (high - low || 1)) * WIDE, mark = by("bars").querySelector(".cut");
  mark.setAttribute("x1", x);
  mark.setAttribute("x2", x);
}

let frame = 0;
function move(value) {
  cut = rounded(Math.max(low, Math.min(high, value)));
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; sayRecount(); remember(); });
}

/* How the score is spread among kept and refused rows. */
function histogram() {
  const { threshold, condition } = choice(), name = run.thresholds[threshold].conditions[condition].score;
  const values = scores[name], ran = run.thresholds[threshold].conditions[condition].value;
  /* a few that lie far off are counted at the ends, so that the others have room */
  const sorted = values.filter((v) => !Number.isNaN(v)).sort();
  const ends = [sorted[Math.floor(0.005 * sorted.length)], sorted[Math.ceil(0.995 * sorted.length) - 1]];
  low = Math.min(ends[0], ran);
  high = Math.max(ends[1], ran);
  const rough = (high - low) / 100 || 0.01, ten = 10 ** Math.floor(Math.log10(rough));
  stepSize = ten * [1, 2, 5, 10].find((f) => f * ten >= rough * 0.999);
  const kept = new Int32Array(BINS), all = new Int32Array(BINS);
  for (let r = 0; r < run.rows; r++) {
    if (Number.isNaN(values[r])) continue;
    const bin = Math.max(0, Math.min(BINS - 1, Math.floor(((values[r] - low) / (high - low || 1)) * BINS)));
    all[bin]++;
    kept[bin] += own[r] === KEPT;
  }
  const svg = by("bars"), most = Math.max(1, ...all);
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren();
  const tall = (n) => (n ? Math.max(1.5, Math.sqrt(n / most) * HIGH) : 0);
  for (let i = 0; i < BINS; i++) {
    const x = (i * WIDE) / BINS + 1, width = WIDE / BINS - 2, whole = tall(all[i]);
    const lower = all[i] ? (whole * kept[i]) / all[i] : 0;
    svg.append(shape("rect", { class: "refused", x, y: HIGH - whole, width, height: whole - lower }),
      shape("rect", { class: "kept", x, y: HIGH - lower, width, height: lower }));
  }
  svg.append(shape("line", { class: "ran", x1: ((ran - low) / (high - low || 1)) * WIDE, y1: 0, y2: HIGH,
    x2: ((ran - low) / (high - low || 1)) * WIDE }), shape("line", { class: "cut", x1: 0, x2: 0, y1: 0, y2: HIGH }));
  by("low").textContent = `${sorted[0] < low ? "\u2264 " : ""}${rounded(low)}`;
  by("high").textContent = `${sorted.at(-1) > high ? "\u2265 " : ""}${rounded(high)}`;
  by("slider").setAttribute("aria-valuemin", low);
  by("slider").setAttribute("aria-valuemax", high);
  main = name;
}

function choose(i, value) {
  at = i;
  by("which").value = String(i);
  const { threshold, condition } = choice();
  histogram();
  cut = value ?? run.thresholds[threshold].conditions[condition].value;
  sayRecount();
  redraw();
}

function prepareThreshold() {
  cuts = run.thresholds.flatMap((t, threshold) => t.conditions.map((_, condition) => ({ threshold, condition })));
  by("threshold").hidden = !cuts.length;
  if (!cuts.length) {
    main = Object.keys(scores)[0] || "";
    return;
  }
  by("which").replaceChildren(...cuts.map(({ threshold, condition }, i) => {
    const t = run.thresholds[threshold], c = t.conditions[condition];
    const option = make("option", "", `${t.step === "keep" ? "" : `${t.step}: `}${c.score} ${c.op} ${c.value}`);
    option.value = String(i);
    return option;
  }));
  by("which").addEventListener("change", () => choose(Number(by("which").value)));
  const slider = by("slider");
  const follow = (event) => {
    const box = slider.getBoundingClientRect();
    move(low + ((event.clientX - box.left) / box.width) * (high - low));
  };
  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    follow(event);
    slider.addEventListener("pointermove", follow);
    slider.addEventListener("pointerup", () => slider.removeEventListener("pointermove", follow), { once: true });
  });
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    move(cut + way * stepSize);
  });
  by("less").addEventListener("click", () => move(cut - stepSize));
  by("more").addEventListener("click", () => move(cut + stepSize));
  by("back").addEventListener("click", () => choose(at));
  by("keep-value").addEventListener("click", keepValue);
  let pending = 0;
  listeners.push(() => {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; sayRecount(); });
  });
  choose(0);
  covered();
}

async function keepValue() {
  const written = by("written"), { threshold, condition } = choice();
  written.hidden = false;
  try {
    const said = await send("/api/recipe", { threshold, condition, value: rounded(cut) });
    written.replaceChildren(make("span", "soft", `line ${said.number} of ${said.path}: `), make("code", "", said.line),
      make("span", "soft", " Next: the same leaven augment command, with "), make("code", "", `-r ${said.path}`));
  } catch (error) {
    written.textContent = error.message;
  }
}

async function covered() {
  try {
    const answer = await ask("/api/clusters");
    if (answer.status === 202) return setTimeout(covered, 500);
    clusterOf = new Int16Array(await answer.arrayBuffer());
    clusterCount = Number(answer.headers.get("X-Clusters"));
    sayRecount();
  } catch {
    setTimeout(covered, 3000);
  }
}

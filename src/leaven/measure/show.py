"""A measurement as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from leaven.measure.curve import a_doubling, worth
from leaven.measure.described import Described
from leaven.measure.gain import Line, Measurement
from leaven.measure.interval import Interval
from leaven.measure.measured import Measured
from leaven.measure.traits import Names
from leaven.terminal import cut, shown

METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "map50": "mAP@.5", "iou": "IoU"}
ARMS = {"real": "real only", "repeat": "real repeated", "classic": "classic-text", "made": "made only",
        "both": "real + made"}  # fmt: skip
CHART = 25
MOST_NAMES = 6


def lines(found: Measured) -> list[str]:
    """The answer of ``measure``."""
    out = [f"warning: {shown(text)}" for text in found.warnings]
    if found.copies:
        copies = "1 made row copies" if found.copies == 1 else f"{found.copies} made rows copy"
        out.append(f"warning: {copies} a test row; left out of every arm")
    where = f"{shown(found.test_name)}: {found.test_rows:,} rows; {leaks(found)}" if found.test_rows else "none"
    out.append(f"Test     {where}")
    if found.described:
        out += descriptions(found.described)
    if found.trained:
        out += trained(found, found.trained)
    else:
        out.append("Verdict  NONE: the rows have no label, so no student was trained.")
    return out


def trained(found: Measured, m: Measurement) -> list[str]:
    """The arms of the students, and the verdict."""
    out = []
    students = len({x.student for x in m.lines})
    equal = "weight sums" if m.out_of_fold else "steps"
    of = "1 student" if students == 1 else f"{students} students"
    out.append(f"Fits     {m.fits} of {of}, {m.seeds} paired seeds, equal {equal} in every arm")
    best = "better" if students == 2 else "best"
    why = f"the {best} one without made rows; it and the ratio, out of fold"
    if m.named:
        why = f"the one that was named; the ratio, {'out of fold' if m.out_of_fold else 'what the run wrote'}"
    out.append(f"Student  {m.student}: {why}")
    out += table([x for x in m.lines if x.student == m.student], m, found.baseline)
    for ratio, needs in m.left_out:
        out.append(
            f"{'real + made':<18}{ratio:>5g}      -   left out: needs {needs:,} made rows, there are {m.made_rows:,}"
        )
    out += verdict(found)
    out += worth_of(m)
    out += labels(m) if m.labels_gained else []
    out += parts(m)
    out += sizes(m)
    out += other(m)
    out.append(next_step(found))
    return out


def leaks(found: Measured) -> str:
    """What of the made rows stood in the test set, or nearly, and was left out of every arm."""
    earlier = f"; {found.refused_before} refused earlier" if found.refused_before else ""
    return f"leaks left out: {found.copies} copies, {found.near} near copies{earlier}"


def arm_name(arm: str, baseline: str) -> str:
    """What an arm is called; the baseline by its recipe."""
    return baseline if arm == "classic" else ARMS[arm]


def descriptions(found: Described) -> list[str]:
    """The annotations of made rows beside those of real ones."""
    out = [f"{'what':<36}{'real':>9}{'made':>9}{'distance':>10}   in halves of the real rows"]
    for x in found.traits:
        means = "".join(f"{'' if value is None else f'{value:.3g}':>9}" for value in (x.real, x.made))
        null = "too few rows" if x.null is None else f"up to {x.null:.2f}{', so apart' if x.apart else ''}"
        out.append(f"{cut(f'{x.of}: {x.what}', 35):<36}{means}{x.distance:>10.2f}   {null}")
    for names in found.names:
        out.append(_words(names) if names.what == "word" else _names(names))
    if found.boxes:
        made, before = found.boxes
        share = made / before
        out.append(
            f"Boxes    made rows hold {made:,}, their real rows {before:,}: {share:.0%}; the rest is cut off or hidden"
        )
    return out + [f"Missing  {text}" for text in found.missing]


def _names(names: Names) -> str:
    """The most frequent names, each with its share of the real and of the made things."""
    sums = [max(1, sum(pair[i] for pair in names.counts.values())) for i in (0, 1)]
    order = sorted(names.counts, key=lambda name: (-names.counts[name][0], name))
    said = [
        f"{cut(shown(name), 16)} {names.counts[name][0] / sums[0]:.0%} and {names.counts[name][1] / sums[1]:.0%}"
        for name in order[:MOST_NAMES]
    ]
    rest = f", and {len(order) - MOST_NAMES} more" if len(order) > MOST_NAMES else ""
    return f"{names.of.capitalize():<9}{names.what}: {', '.join(said)}{rest} (of real, of made)"


def _words(names: Names) -> str:
    real, made = ({name for name, pair in names.counts.items() if pair[i]} for i in (0, 1))
    return (
        f"Words    {len(real):,} different ones in real captions, {len(made):,} in made ones, {len(made - real):,} new"
    )


def table(rows: Sequence[Line], m: Measurement, baseline: str = ARMS["classic"]) -> list[str]:
    metric = METRICS[m.metric]
    reach = max([0.01, *(max(abs(x.gain.low), abs(x.gain.high)) for x in rows if x.arm == "both")]) * 100
    reach = min(reach, 20.0)
    scale = f"{-reach:+.0f}".ljust(CHART // 2) + "0" + f"{reach:+.0f}".rjust(CHART // 2)
    out = [f"{'arm':<18}{'ratio':>5}{'rows':>8}   {metric:>8}   {'gain, 95 % interval':<28}{scale}"]
    for x in rows:
        score = (x.accuracy if m.metric == "accuracy" else x.macro_f1).mean * 100
        ratio = "-" if x.arm in ("real", "repeat") else f"{x.ratio:.3g}"
        gain, chart = "-", "|".rjust(CHART // 2 + 1)
        if x.arm != "real":
            g = x.gain
            best = "chosen" if x.arm == "both" and (x.ratio, x.weight) == (m.ratio, m.weight) else ""
            gain = f"{g.mean * 100:+.1f}  [{g.low * 100:+.1f}, {g.high * 100:+.1f}]"
            gain = f"{gain:<22}{best}"
            chart = bar(g, reach / 100)
        name = arm_name(x.arm, baseline) + (f" x {x.weight:g}" if x.weight != 1 else "")
        out.append(f"{name:<18}{ratio:>5}{x.rows:>8,}   {score:>8.1f}   {gain:<28}{chart}".rstrip())
    return out


def bar(gain: Interval, reach: float) -> str:
    """An interval drawn on a line: `(--o--)`, with `<` and `>` where it leaves the chart."""
    cells = [" "] * CHART
    middle = CHART // 2
    cells[middle] = "|"

    def at(value: float) -> int:
        return round(middle + value / reach * middle)

    low, mean, high = at(gain.low), at(gain.mean), at(gain.high)
    for i in range(max(0, low), min(CHART - 1, high) + 1):
        cells[i] = "-" if i != middle else "+"
    if 0 <= low < CHART:
        cells[low] = "("
    elif low < 0 and high >= 0:
        cells[0] = "<"
    if 0 <= high < CHART:
        cells[high] = ")"
    elif high >= CHART > low:
        cells[-1] = ">"
    if 0 <= mean < CHART:
        cells[mean] = "o"
    if high < 0:
        cells[0] = "<"
    if low >= CHART:
        cells[-1] = ">"
    return "".join(cells).rstrip()


def verdict(found: Measured) -> list[str]:
    """The verdict in words, and what it hangs on."""
    m = found.measurement
    g = m.chosen.gain
    said = f"{g.mean * 100:+.1f} points, interval [{g.low * 100:+.1f}, {g.high * 100:+.1f}]"
    at = at_setting(m)
    if m.verdict == "use":
        return [f"Verdict  USE, {at}. Gain {said}."]
    if m.verdict == "harmful":
        return [f"Verdict  HARMFUL, {at}: {said}. Do not train on these rows."]
    if m.verdict == "no_gain":
        lost = ["         A loss here, but small or not in every resampling of the real rows."] if g.high < 0 else []
        return [f"Verdict  NO GAIN, {at}: {said}. Keep your real rows.", *lost]
    if m.why == "luck":
        why = "The gain is there on these real rows, but not in every resampling of them: it may be luck."
    elif m.why == "small":
        why = "There is a gain, but it may be smaller than 1 point."
    else:
        half = (g.high - g.mean) * 100
        more = f"; about {m.rows_needed:,} would show 1.5" if (m.rows_needed or 0) > found.test_rows else ""
        why = f"{found.test_rows:,} test rows show only gains above about {half:.1f} points{more}."
    return [f"Verdict  UNCLEAR, {at}: {said}.", f"         {why}"]


def at_setting(m: Measurement) -> str:
    """The ratio, and the weight where it is not 1."""
    return f"at ratio {m.ratio:.3g}" + (f", weight {m.weight:g}" if m.weight != 1 else "")


def worth_of(m: Measurement) -> list[str]:
    """How many real rows the made ones are worth, what more of them add, and what a point of gain cost."""
    said = []
    if m.verdict == "use" and (rows := worth(m.curve, m.chosen.gain.mean)):
        said.append(f"worth about {rows:,} more real rows")
    if m.verdict == "use" and m.usd:
        said.append(f"{m.usd / (m.chosen.gain.mean * 100):.2g} USD a point")
    if m.knee is not None and m.verdict != "harmful" and any(s.ratio > m.knee for s in m.out_of_fold):
        said.append(f"out of fold, more than ratio {m.knee:.3g} adds nothing")
    return [f"         {said[0][0].upper()}{'; '.join(said)[1:]}."] if said else []


def sizes(m: Measurement) -> list[str]:
    """The gain at smaller numbers of real rows; and where made rows do not help, which real rows would."""
    out: list[str] = []
    if len(m.curve) > 1:
        points_ = [f"{p.rows:,} rows {p.alone * 100:.1f} alone, {points(p.gain)}" for p in m.curve]
        out = [f"Real     {points_[0]} with made rows", *(f"         {said}" for said in points_[1:])]
    slope = a_doubling(m.curve)
    if m.verdict in ("use", "unclear") or slope is None:
        return out
    rows = worth(m.curve, 0.01)
    weak = [
        f"{cut(shown(name), 24)} ({recall:.0%} of {n} found out of fold)"
        for name, n, recall in m.recalls
        if recall < 0.9
    ][:2]
    first = [f"         First of {' and '.join(weak)}."] if weak else []
    return [*out, f"Collect  about {rows:,} more real rows would gain a point, by the curve.", *first] if rows else out


def parts(m: Measurement) -> list[str]:
    """What each family of made rows brought, and the slices of the test set where the gain is another one."""
    out: list[str] = []
    for family in sorted(m.families, key=lambda f: -f.share.mean):
        head = "" if out else "Made by"
        out.append(f"{head:<9}{cut(shown(family.name), 40)}: {points(family.share)} of the gain, {family.rows:,} rows")
    for part in [s for s in m.slices if s.gain.low > 0 or s.gain.high < 0]:
        head = "Slices" if not any(line.startswith("Slices") for line in out) else ""
        out.append(
            f"{head:<9}{shown(part.column)} {cut(shown(part.value), 40)}: {points(part.gain)}, {part.rows:,} rows"
        )
    return out


def labels(m: Measurement) -> list[str]:
    gained = sum(g > 0.005 for _, g in m.labels_gained)
    lost = [(name, g) for name, g in m.labels_gained if g < -0.005]
    worst = f"; most: {cut(shown(lost[-1][0]), 40)} ({lost[-1][1] * 100:+.0f} points)" if lost else ""
    return [f"Labels   {gained} of {len(m.labels_gained)} gained, {len(lost)} lost{worst}"]


def other(m: Measurement) -> list[str]:
    """What the other students say, and whether a gain is only theirs."""
    out: list[str] = []
    for name in dict.fromkeys(x.student for x in m.lines if x.student != m.student):
        rest = [x for x in m.lines if x.student == name]
        real = next(x for x in rest if x.arm == "real")
        same = next(x for x in rest if x.arm == "both" and (x.ratio, x.weight) == (m.ratio, m.weight))
        before, after, base = (score(x, m) for x in (real, same, m.real))
        said = f"{name}: {before:.1f} without, {after:.1f} with made rows, {points(same.gain)}"
        out.append(f"{'' if out else 'Note':<9}{said}")
        if same.gain.low > 0 and m.verdict != "use" and before <= base:
            where = "below" if after < base else "above"
            out.append(f"         A gain of the weaker student only; it stays {where} the other's {base:.1f} without.")
    return out


def score(x: Line, m: Measurement) -> float:
    return (x.accuracy if m.metric == "accuracy" else x.macro_f1).mean * 100


def points(g: Interval) -> str:
    return f"{g.mean * 100:+.1f} [{g.low * 100:+.1f}, {g.high * 100:+.1f}]"


def next_step(found: Measured) -> str:
    m = found.measurement
    if found.with_:
        return "Next:  leaven augment DATA -o OUT        (make rows that leaven judges itself)"
    if m.verdict == "use":
        weight = f" --set blend.weight={m.weight:g}" if m.weight != 1 else ""
        return f"Next:  the same augment command with --set blend.ratio={m.ratio:.3g}{weight} writes this blend"
    worst = [cut(shown(name), 24) for name, g in m.labels_gained[::-1] if g < 0][:1]
    more = f"collect more rows of {worst[0]}, or " if worst else ""
    return f"Next:  {more}try another recipe: leaven recipes"

"""A measurement as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from leaven.measure.gain import Line, Measurement
from leaven.measure.interval import Interval
from leaven.measure.measured import Measured
from leaven.terminal import cut, shown

ARMS = {"real": "real only", "repeat": "real repeated", "classic": "classic-text", "made": "made only",
        "both": "real + made"}  # fmt: skip
CHART = 25


def lines(found: Measured) -> list[str]:
    """The answer of ``measure``."""
    m = found.measurement
    out = [f"warning: {shown(text)}" for text in found.warnings]
    if found.copies:
        copies = "1 made row copies" if found.copies == 1 else f"{found.copies} made rows copy"
        out.append(f"warning: {copies} a test row; left out of every arm")
    out.append(f"Test     {shown(found.test_name)}: {found.test_rows:,} rows; {leaks(found)}")
    out.append(f"Fits     {m.fits} of 2 students, {m.seeds} paired seeds, equal weight sums in every arm")
    out.append(f"Student  {m.student}: the better one without made rows; it and the ratio, out of fold")
    out += table([x for x in m.lines if x.student == m.student], m)
    for ratio, needs in m.left_out:
        out.append(
            f"{'real + made':<16}{ratio:>5g}      -   left out: needs {needs:,} made rows, there are {m.made_rows:,}"
        )
    out += verdict(found)
    out += labels(m)
    out += other(m)
    out.append(next_step(found))
    return out


def leaks(found: Measured) -> str:
    """What of the made rows stood in the test set, or nearly, and was left out of every arm."""
    earlier = f"; {found.refused_before} refused earlier" if found.refused_before else ""
    return f"leaks left out: {found.copies} copies, {found.near} near copies{earlier}"


def table(rows: Sequence[Line], m: Measurement) -> list[str]:
    name = "accuracy" if m.metric == "accuracy" else "macro-F1"
    reach = max([0.01, *(max(abs(x.gain.low), abs(x.gain.high)) for x in rows if x.arm == "both")]) * 100
    reach = min(reach, 20.0)
    scale = f"{-reach:+.0f}".ljust(CHART // 2) + "0" + f"{reach:+.0f}".rjust(CHART // 2)
    out = [f"{'arm':<16}{'ratio':>5}{'rows':>8}   {name:>8}   {'gain, 95 % interval':<28}{scale}"]
    for x in rows:
        score = (x.accuracy if m.metric == "accuracy" else x.macro_f1).mean * 100
        ratio = "-" if x.arm in ("real", "repeat") else f"{x.ratio:.3g}"
        gain, chart = "-", "|".rjust(CHART // 2 + 1)
        if x.arm != "real":
            g = x.gain
            best = "chosen" if x.arm == "both" and x.ratio == m.ratio else ""
            gain = f"{g.mean * 100:+.1f}  [{g.low * 100:+.1f}, {g.high * 100:+.1f}]"
            gain = f"{gain:<22}{best}"
            chart = bar(g, reach / 100)
        out.append(f"{ARMS[x.arm]:<16}{ratio:>5}{x.rows:>8,}   {score:>8.1f}   {gain:<28}{chart}".rstrip())
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
    at = f"at ratio {m.ratio:.3g}"
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


def labels(m: Measurement) -> list[str]:
    gained = sum(g > 0.005 for _, g in m.labels_gained)
    lost = [(name, g) for name, g in m.labels_gained if g < -0.005]
    worst = f"; most: {cut(shown(lost[-1][0]), 40)} ({lost[-1][1] * 100:+.0f} points)" if lost else ""
    return [f"Labels   {gained} of {len(m.labels_gained)} gained, {len(lost)} lost{worst}"]


def other(m: Measurement) -> list[str]:
    """What the weaker student says, and whether a gain is only his."""
    rest = [x for x in m.lines if x.student != m.student]
    real = next(x for x in rest if x.arm == "real")
    same = next(x for x in rest if x.arm == "both" and x.ratio == m.ratio)
    before, after, base = (score(x, m) for x in (real, same, m.real))
    out = [f"Note     {same.student}: {before:.1f} without, {after:.1f} with made rows, {points(same.gain)}"]
    if same.gain.low > 0 and m.verdict != "use":
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
        ratio = f"--set blend.ratio={m.ratio:.3g}"
        return f"Next:  the same augment command with {ratio} writes this blend"
    worst = [cut(shown(name), 24) for name, g in m.labels_gained[::-1] if g < 0][:1]
    more = f"collect more rows of {worst[0]}, or " if worst else ""
    return f"Next:  {more}try another recipe: leaven recipes"

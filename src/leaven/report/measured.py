"""The verdict of a measurement, and the chart of what it found, from ``measure.json``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from leaven.report.charts import Dot, dots, figure, strip, table
from leaven.report.content import Content
from leaven.report.marked import plain

ARMS = {"repeat": "real repeated", "classic": "classic-text", "made": "made only", "both": "real + made"}
WORDS = {"use": "Use", "no_gain": "No gain", "harmful": "Harmful", "unclear": "Unclear"}
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "map50": "mAP@.5", "iou": "IoU"}
WHY = {
    "use": "Train on the real and the made rows together.",
    "no_gain": "Keep your real rows as they are.",
    "harmful": "Do not train on these made rows.",
    "rows": "The test rows are too few to tell; more of them narrow the interval.",
    "luck": "The gain is there on these real rows, but not in every resampling of them: it may be luck.",
    "small": "There is a gain, but it may be smaller than 1 point.",
}


def not_measured(content: Content) -> str:
    """The sentence that stands for a measurement that is not there."""
    command = f"leaven measure {plain(shlex.quote(str(content.folder)), 400)}"
    return f'<p class="empty">Not measured yet: <code class="copy">{command}</code></p>'


def chosen(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The line that the verdict is about."""
    mine = [x for x in found["rows"] if x["student"] == found["student"] and x["arm"] == "both"]
    weight = found.get("weight", 1.0)
    same = [x for x in mine if abs(x["ratio"] - found["ratio"]) < 1e-3 and x.get("weight", 1.0) == weight]
    return next(iter(same), None)


def interval(gain: Mapping[str, float]) -> str:
    """A gain in points, with its interval: it never stands without."""
    return f"{gain['mean'] * 100:+.1f} [{gain['low'] * 100:+.1f}, {gain['high'] * 100:+.1f}]"


def score(row: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    return float(row[found["metric"]]["mean"]) * 100


def verdict(content: Content) -> str:
    """Should it be used?  One sentence, one number with its interval, and the counts of the run."""
    return f'<section id="verdict"><h2>Verdict</h2>{_answer(content)}{_counts(content)}{_warnings(content)}</section>'


def _answer(content: Content) -> str:
    found = content.measured
    if not content.finished:
        return '<p class="says">The run has not ended</p><p>The same <code>leaven augment</code> command goes on.</p>'
    line = chosen(found) if found else None
    if line is None and found.get("described"):
        return _no_verdict(found)
    if line is None:
        return not_measured(content)
    gain = line["gain"]
    word = WORDS.get(found["verdict"], plain(found["verdict"]))
    real = next(x for x in found["rows"] if x["student"] == found["student"] and x["arm"] == "real")
    why = WHY.get(found["why"] or found["verdict"], "")
    if found["verdict"] == "no_gain" and gain["high"] < 0:
        why += " There is a loss, but it is small or not in every resampling of the real rows."
    metric = METRICS[found["metric"]]
    old = (
        '<p class="note">The run was written again after this measurement; '
        f'if its rows changed, measure again: <code class="copy">leaven measure {plain(content.folder, 400)}</code></p>'
        if content.outdated
        else ""
    )
    return (
        f'<p class="says {plain(found["verdict"])}">{word} <span>at {_at(line)}</span></p>'
        f'<p class="number">{gain["mean"] * 100:+.1f} <span>points of {metric}, 95 % interval '
        f"[{gain['low'] * 100:+.1f}, {gain['high'] * 100:+.1f}]</span></p>"
        f"<p>{why} On {found['test']['rows']:,} test rows never trained on ({plain(found['test']['from'])}), "
        f"{metric} is {score(real, found):.1f} % with {real['rows']:,} real rows, and {score(line, found):.1f} % with "
        f"{line['rows'] - real['rows']:,} made rows beside them.</p>{old}"
    )


def _counts(content: Content) -> str:
    usd = content.spent.get("usd")
    spent = "unknown" if usd is None or content.spent.get("unpriced") else f"{usd:,.2f}" if usd else "0"
    pairs = [
        ("real", f"{content.dataset.counts.get('source', 0):,}"),
        ("kept", f"{content.count('kept'):,}"),
        ("refused", f"{content.count('refused'):,}"),
        ("failed", f"{content.count('failed'):,}"),
        ("USD spent", spent),
    ]
    return '<dl class="counts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in pairs) + "</dl>"


def _warnings(content: Content) -> str:
    """Leaks before anything else."""
    leaks = content.measured.get("leaks", {})
    said = []
    if copies := int(leaks.get("copies", 0)):
        said.append(f"{copies:,} made {'row copies' if copies == 1 else 'rows copy'} a test row; left out of every arm")
    if near := int(leaks.get("near", 0)):
        said.append(f"{near:,} made {'row nearly equals' if near == 1 else 'rows nearly equal'} a test row; left out")
    if refused := int(content.said.get("reasons", {}).get("near_test", 0)):
        said.append(f"{refused:,} made {'row was' if refused == 1 else 'rows were'} refused as near to a test row")
    every = dict.fromkeys([*content.said.get("warnings", []), *content.measured.get("warnings", [])])
    said += [plain(text, 400) for text in list(every)[:20]]
    if not said:
        return ""
    return '<ul class="warnings" aria-label="warnings">' + "".join(f"<li>{text}</li>" for text in said) + "</ul>"


def gain(content: Content) -> str:
    """How much is gained, and at which ratio?"""
    return f'<section id="gain"><h2>Gain</h2>{_gain(content)}</section>'


def _gain(content: Content) -> str:
    found = content.measured
    line = chosen(found) if found else None
    described = _described(found["described"]) if found.get("described") else ""
    if line is None:
        return described or not_measured(content)
    rows: list[Mapping[str, Any]] = found["rows"]
    student = found["student"]
    settings = sorted({_setting(x) for x in rows if x["arm"] == "both"}, key=lambda s: (-s[1], s[0]))
    others = [arm for arm in ("classic", "made") if any(x["arm"] == arm for x in rows)]
    places = [_said(*s) for s in settings] + [arm_name(arm, found).replace("-", "- ") for arm in others]
    shown = [_dot(x, settings, others, student) for x in rows if x["arm"] in ("both", *others)]
    band = next((x["gain"] for x in rows if x["arm"] == "repeat" and x["student"] == student), None)
    title = f"Gain over real rows only, in points of {METRICS[found['metric']]}, by ratio of made rows to real rows"
    drawing = dots(
        title, places, shown, _reach(shown, len(settings)), (band["low"] * 100, band["high"] * 100) if band else None,
        "points", "made rows for each real row"
    )  # fmt: skip
    second = next((x["student"] for x in rows if x["student"] != student), "")
    weaker = next(
        (x for x in rows if x["student"] == second and x["arm"] == "both" and _setting(x) == _setting(line)), None
    )
    said = [f"At {_at(line)}, chosen out of fold, the gain is {interval(line['gain'])} points."]
    if found.get("knee") is not None:
        said.append(f"Out of fold, more than ratio {found['knee']:.3g} adds nothing.")
    if band:
        said.append("Real rows repeated, the grey band, gain " + interval(band) + ".")
    if weaker:
        said.append(f"The other student, {plain(second)}, gains {interval(weaker['gain'])}.")
    left = [f"{x['ratio']:g} (needs {x['needs']:,} made rows)" for x in found.get("left_out", [])]
    if left:
        said.append(f"Left out: ratio {', '.join(left)}.")
    key = '<span class="k dot">' + f"{plain(student)}, 95 % bar</span>"
    if second:
        key += f'<span class="k dot other">{plain(second)}</span>'
    key += '<span class="k band">real repeated</span>' if band else ""
    return figure(drawing, " ".join(said), _numbers(rows, found), key=key) + described


def _setting(x: Mapping[str, Any]) -> tuple[float, float]:
    """The ratio of a line, and what a made row weighs in it."""
    return x["ratio"], x.get("weight", 1.0)


def _said(ratio: float, weight: float) -> str:
    return f"{ratio:.3g}" + (f" x {weight:g}" if weight != 1 else "")


def _at(x: Mapping[str, Any]) -> str:
    ratio, weight = _setting(x)
    return f"ratio {ratio:.3g}" + (f", weight {weight:g}" if weight != 1 else "")


def _dot(x: Mapping[str, Any], settings: Sequence[tuple[float, float]], others: Sequence[str], student: str) -> Dot:
    at = settings.index(_setting(x)) if x["arm"] == "both" else len(settings) + others.index(x["arm"])
    g = x["gain"]
    return Dot(at, g["mean"] * 100, g["low"] * 100, g["high"] * 100, x["student"] != student)


def _reach(shown: Sequence[Dot], ratios: int) -> tuple[float, float]:
    """The y axis: all of real + made; of the other arms what is not far outside, so that they do not flatten it."""
    inner = [d for d in shown if d.at < ratios]
    low, high = min(0.0, *(d.low for d in inner)), max(0.0, *(d.high for d in inner))
    span = max(high - low, 1.0)
    low = max(min(low, *(d.low for d in shown)), low - span / 2)
    high = min(max(high, *(d.high for d in shown)), high + span / 2)
    return low - 0.06 * span, high + 0.06 * span


def arm_name(arm: str, found: Mapping[str, Any]) -> str:
    """What an arm is called; the baseline by its recipe."""
    return str(found.get("classic") or ARMS[arm]) if arm == "classic" else ARMS.get(arm, "real only")


def _numbers(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> str:
    metrics = [name for name in METRICS if any(name in x for x in rows)]
    cells = [
        (
            plain(arm_name(x["arm"], found), 60),
            "-" if x["arm"] in ("real", "repeat") else _said(*_setting(x)),
            f"{x['rows']:,}",
            *(f"{x[name]['mean'] * 100:.1f}" if name in x else "-" for name in metrics),
            "-" if x["arm"] == "real" else interval(x["gain"]),
            plain(x["student"]),
        )
        for x in rows
    ]
    caption = f"Every arm, {found['seeds']} paired seeds; gains in points of {METRICS[found['metric']]}, 95 % interval"
    heads = ["arm", "#ratio", "#rows", *(f"#{METRICS[name]} %" for name in metrics), "#gain", "student"]
    return table(caption, heads, cells)


# -- rows without a label --------------------------------------------------------------------------------------------


def _no_verdict(found: Mapping[str, Any]) -> str:
    missing = "".join(f"<li>{plain(text, 400)}</li>" for text in found["described"].get("missing") or ())
    return (
        '<p class="says">No verdict</p><p>The rows have no label, so no student was trained. What is marked on them is '
        f"compared under Gain.</p>{f'<p>Not known:</p><ul>{missing}</ul>' if missing else ''}"
    )


def _described(found: Mapping[str, Any]) -> str:
    """The annotations of made rows beside those of real ones, each distance with what it is by chance."""
    rows = []
    for x in found.get("traits") or ():
        null = x.get("null")
        title, at = f"{x['of']}: {x['what']}, distance {x['distance']:.2f}", x["distance"]
        drawn = "" if null is None else strip(title, at, at, at, (0.0, null))
        apart = "too few rows" if null is None else "apart" if x["distance"] > null else "as real rows"
        means = ["" if x[side] is None else f"{x[side]:.3g}" for side in ("real", "made")]
        rows.append((f"{plain(x['of'], 60)}<span>{plain(x['what'], 60)}</span>", drawn, *means,
                     f"{x['distance']:.2f}", "-" if null is None else f"{null:.2f}", apart))  # fmt: skip
    said = (
        "Annotations of made rows beside those of real ones. A distance of 0 is no difference, 1 the largest; the grey "
        "band holds 95 % of the distances of two halves of the real rows."
    )
    if found.get("boxes"):
        made, before = found["boxes"]["made"], found["boxes"]["of_their_roots"]
        said += f" Made rows hold {made:,} boxes, the real rows that they came from {before:,}."
    heads = ["annotation", "", "#real", "#made", "#distance", "#by chance", "what it says"]
    return (
        f"<p>{said}</p>{table('Annotations, made beside real', heads, rows, kind='annotations')}"
        if rows
        else f"<p>{said}</p>"
    )

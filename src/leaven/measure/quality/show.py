"""The quality of a set as people and as programs read it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from leaven.measure.quality.halves import SPLITS
from leaven.measure.quality.quality import Quality, caps
from leaven.measure.quality.rows import Following, Worst
from leaven.measure.quality.spread import Measure, Spread
from leaven.terminal import cut, shown

NAME = 46
ASKED = 34
LONGEST = 300
"""Characters of a text in the file."""


def lines(found: Quality, out: str) -> list[str]:
    """The answer of ``quality``; at most 80 columns wide, but for what a path takes."""
    rows = ", ".join(f"{x.share} {name}" for name, x in found.looked.items() if x.of)
    head = [f"Rows     {rows}; {found.embedder} embeds" if found.embedder else f"Rows     {rows}"]
    if not found.few:
        head.append(
            f"Null     real rows split in two, {SPLITS} times; {found.n:,} of each half a side, seed {found.seed}"
        )
        head += _wrapped("Caps", f"at most {caps()}")
    else:
        head.append(f"Null     {found.few}")
    if found.leaked:
        of = f"{found.leaked:,} of {found.looked['made'].share} made rows"
        head.append(f"Leak     {of} are copies or near copies of a test row")
    body: list[str] = []
    if found.measures:
        body.append(f"{'measure':<{NAME}}{'made':>7}  {'null, 95 %':<16}apart")
    group = ""
    for m in found.measures:
        if m.group != group:
            body.append(m.group)
        group = m.group
        number = f"{cut(m.name, NAME - 3):<{NAME - 2}}{value(m, m.made.mean):>7}"
        body.append(f"  {number}  {span(m, m.null):<16}{stands(m)}".rstrip())
    tail = [text for m in found.apart for text in _wrapped("", m.says[m.stands], hang="  ")]
    if tail:
        tail[0] = f"Apart    {tail[0].lstrip()}"
    if found.measures and not tail:
        tail = ["Apart    nothing: no number that chance does not explain"]
    return [
        *head, *body, *tail, *_balance(found), *_following(found.following),
        *(text for what, why in found.missing.items() for text in _wrapped("Missing", f"{what}: {why}")),
        f"Look:  {shown(out)}/quality.json      (the five worst rows of each)",
        f"Next:  leaven report {shlex.quote(out)}      (the same, drawn)",
    ]  # fmt: skip


def stands(m: Measure) -> str:
    """Where the number stands: nothing is said of what chance explains."""
    return "" if m.stands == "within" else m.stands


def value(m: Measure, number: float) -> str:
    """A number of a measure: a share in percent, never as 0 where it is not."""
    if not m.share:
        return f"{number:.2f}" if abs(number) < 5 else f"{number:,.1f}"
    percent = number * 100
    return (
        "0 %"
        if not percent
        else f"{percent:.2f} %"
        if 0 < percent < 0.1
        else f"{percent:.1f} %"
        if percent < 5
        else f"{percent:.0f} %"
    )


def span(m: Measure, spread: Spread) -> str:
    return " to ".join(dict.fromkeys((value(m, spread.low), value(m, spread.high))))


def uneven(counts: Sequence[int]) -> str:
    """The largest count beside the smallest."""
    return f"{max(counts):,} to {min(counts):,} rows a label"


def _balance(found: Quality) -> list[str]:
    if not found.labels:
        return []
    before, after = ([x[0] for x in found.labels.values()], [x[1] + x[2] for x in found.labels.values()])
    return [f"Balance  before {uneven(before)}; after {uneven(after)}"]


def _following(every: Sequence[Following]) -> list[str]:
    """Steps that asked a model; there is no null, since real rows follow no instruction."""
    if not every:
        return []
    heads = "".join(f"{head:>9}" for head in ("answers", "parsed", "1st turn", "n given", "usable"))
    out = [f"{'asked (real rows: no such null)':<{ASKED}}{heads}"]
    for f in every:
        shares = "".join(f"{'-' if x is None else f'{x * 100:.1f} %':>9}" for x in rates(f).values())
        out.append(f"  {cut(f'{shown(f.step)}, {shown(f.model)}', ASKED - 3):<{ASKED - 2}}{f.answers:>9,}{shares}")
        if f.unusable:
            out += _wrapped("", "unusable: " + ", ".join(f"{shown(why)} {n:,}" for why, n in f.unusable.items()))
    return out


def rates(f: Following) -> dict[str, float | None]:
    """Shares: of answers that parsed, and in the first turn; of texts wanted that came; of those that were usable."""
    came = f.wanted - f.lacking
    return {
        "parsed": 1 - f.unparsed / f.answers if f.answers else None,
        "first_turn": 1 - f.repaired / f.answers if f.answers else None,
        "n_given": came / f.wanted if f.wanted else None,
        "usable": 1 - sum(f.unusable.values()) / came if came > 0 else None,
    }


def _wrapped(key: str, text: str, hang: str = "", width: int = 70) -> list[str]:
    """A text beside a word, in lines; those after the first begin with ``hang``."""
    out, line = [], ""
    for word in shown(text).split(" "):
        if line and len(line) + len(word) >= width:
            out.append(line)
            line = hang + word
            continue
        line += f" {word}" if line else word
    return [f"{key if i == 0 else '':<9}{text}" for i, text in enumerate([*out, line])]


# -- as a program reads it -------------------------------------------------------------------------------------------


def as_json(found: Quality) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "embedder": found.embedder or None,
        "seed": found.seed,
        "rows": {name: {"looked_at": x.rows, "of": x.of} for name, x in found.looked.items()},
        "null": {"splits": 0 if found.few else SPLITS, "rows": found.n, "few": found.few or None},
        "measures": [
            {
                "group": m.group,
                "name": m.name,
                "made": _spread(m.made),
                "null": _spread(m.null),
                "stands": m.stands,
                "says": m.says[m.stands],
                "worst": [_worst(w) for w in m.worst],
            }
            for m in found.measures
        ],
        "labels": {name: dict(zip(("before", "real", "made"), x, strict=True)) for name, x in found.labels.items()},
        "following": [
            {
                "step": f.step,
                "model": f.model,
                "answers": f.answers,
                "repaired": f.repaired,
                "unparsed": f.unparsed,
                "wanted": f.wanted,
                "lacking": f.lacking,
                "unusable": dict(f.unusable),
                **{name: None if share is None else round(share, 6) for name, share in rates(f).items()},
                "worst": [_worst(w) for w in f.worst],
            }
            for f in found.following
        ],
        "missing": dict(found.missing),
    }


def _spread(x: Spread) -> dict[str, float]:
    return {"mean": round(x.mean, 6), "low": round(x.low, 6), "high": round(x.high, 6)}


def _worst(w: Worst) -> dict[str, Any]:
    return {"ids": list(w.ids), "value": round(w.value, 6), "who": w.who,
            "text": w.text[:LONGEST], "beside": w.beside[:LONGEST]}  # fmt: skip

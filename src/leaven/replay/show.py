"""A replay as people read it: our numbers beside the published ones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaven.measure.interval import Interval, gain
from leaven.replay.agreement import Agreement, Published, agreement, published_gain
from leaven.replay.keeps import ALL
from leaven.replay.play import Replay
from leaven.replay.table import NONE, Table
from leaven.terminal import WIDTH, clock, cut, rows, shown

NAME = 26
KEEP = 18
MATRIX = 7
"""Up to so many methods stand beside each other."""


def listing(tables: Sequence[Table]) -> list[str]:
    """What ``leaven replay`` alone says."""
    out = []
    for table in tables:
        sizes = f"; {', '.join(map(str, table.sizes))} seeds a label" if table.sizes else ""
        facts = f"{table.about} {table.paper}; {len(table.methods)} methods{sizes}."
        for at, line in enumerate(textwrap.wrap(facts, WIDTH - 16)):
            out.append(f"{'' if at else table.name:<16}{line}")
    return [*out, f"Next:  leaven replay {tables[0].name} --data FOLDER      (where the recorded files lie)"]


def lines(found: Replay) -> list[str]:
    """The answer of ``leaven replay``."""
    table = found.table
    out = [f"{table.name}: {table.paper}", *_wrapped("Theirs", f"{table.student}; {table.protocol}".rstrip("; "))]
    out += _wrapped("Numbers", table.source)
    for name, taught in found.students.items():
        same = "the same student: numbers should agree" if name == table.same_student else OTHER
        out += _wrapped("Ours", f"{name}: {taught.about}; {same}")
    copies = {method: n for method, n in found.copies.items() if n}
    drawn = f", {found.draws} draws" if found.draws > 1 else ""
    out.append(f"Data     {shown(found.folder)}: {rows(found.tested)} to test on{drawn}")
    if copies:
        said = ", ".join(f"{method} {n}" for method, n in copies.items())
        out += _wrapped("Leaks", f"made rows that say what a test row says, left in as published: {said}")
    for (student, size), scores in found.scores.items():
        out += ["", *_table(found, student, size, scores)]
    out += ["", *_orders(found)]
    for size in found.keeps:
        out += ["", *_keeps(found, size)]
    if found.keeps:
        out += ["", *textwrap.wrap(NOTES, WIDTH)]
    for keep, why in found.left_out.items():
        out.append(f"Left out: {keep}, {why}")
    took = f"{clock(found.seconds)} min" if found.seconds >= 60 else f"{found.seconds:.0f} s"
    return [*out, f"Took {took}. Intervals are 95 %, over test rows and draws; they are wide where draws are few."]


NOTES = (
    "Each label weighs together what it did before the keep; uneven: what a keep adds where rows simply weigh 1, and"
    " a label of which few are left becomes rare. A star: the interval leaves out 0."
)
OTHER = "another student than theirs: compare gains and the order, not accuracies"


def _wrapped(head: str, text: str) -> list[str]:
    """A line of facts; what does not fit goes on below."""
    lines = textwrap.wrap(shown(text), 90)
    return [f"{head if at == 0 else '':<9}{line}" for at, line in enumerate(lines)]


def _size(found: Replay, size: int) -> str:
    each = f"{size} seeds a label, " if size else ""
    return f"{each}{rows(found.real[size])}"


def _table(found: Replay, student: str, size: int, scores: dict[str, Any]) -> list[str]:
    kind = "reference" if found.table.same_student else "published"
    head = "trained on it alone" if found.table.alone else "real rows and the made ones"
    out = [f"{_size(found, size)}; {head}", f"{'':<{NAME}}{kind:>12}{'ours: ' + student:>36}"]
    out.append(f"{'':<{NAME}}{'accuracy':>9}  {'gain':<22}{'accuracy':>9}  {'gain':<22}{'rows':>6}")
    said = found.table.published
    for method, each in scores.items():
        theirs = said.get(method, {}).get(size)
        ours = np.stack(each)
        cells = [f"{100 * float(np.mean(theirs)):9.1f}" if theirs else f"{'-':>9}"]
        base = said.get(NONE, {}).get(size)
        cells.append(_published(published_gain(base, theirs)) if theirs and base and method != NONE else "")
        mine = [f"{100 * ours.mean():9.1f}", "" if method == NONE else _gain(gain(np.stack(scores[NONE]), ours))]
        n = found.real[size] if method == NONE else found.made[size, method]
        out.append(f"{cut(method, NAME - 1):<{NAME}}{cells[0]}  {cells[1]:<22}{mine[0]}  {mine[1]:<22}{n:>6,}")
    return out


def _published(x: Published) -> str:
    return f"{100 * x.mean:+.1f}" + ("" if x.low is None or x.high is None else f" {_span(x.low, x.high)}")


def _gain(x: Interval) -> str:
    return f"{100 * x.mean:+.1f} {_span(x.low, x.high)}"


def _span(low: float, high: float) -> str:
    return f"[{100 * low:+.1f}, {100 * high:+.1f}]"


def agreements(found: Replay) -> dict[str, Agreement | None]:
    """Of each student how its order of methods agrees with the published one."""
    published: dict[int, dict[str, tuple[float, ...]]] = {}
    for method, by_size in found.table.published.items():
        for size, numbers in by_size.items():
            published.setdefault(size, {})[method] = numbers
    out = {}
    for student in found.students:
        ours = {
            size: {method: np.stack(each) for method, each in scores.items()}
            for (name, size), scores in found.scores.items()
            if name == student
        }
        out[student] = agreement(ours, published, NONE)
    return out


def difference(found: Replay, student: str) -> tuple[float, int] | None:
    """The largest difference between our accuracies and the published ones, and over how many numbers."""
    each = [
        abs(float(np.stack(scores[method]).mean()) - float(np.mean(numbers)))
        for (name, size), scores in found.scores.items()
        for method, by_size in found.table.published.items()
        if name == student and method in scores
        for numbers in [by_size.get(size)]
        if numbers
    ]
    return (max(each), len(each)) if each else None


def _orders(found: Replay) -> list[str]:
    out = []
    for student, x in agreements(found).items():
        if x is None:
            continue
        said = f"Kendall's tau {x.tau:+.2f} [{x.low:+.2f}, {x.high:+.2f}] over {x.pairs} pairs of methods"
        sign = f"; sign of the gain as published: {x.same_sign} of {x.of}" if x.of else ""
        own = "" if x.own is None else f"; their own draws, one with another: {x.own:+.2f}"
        out += _wrapped("Order", f"{student}: {said}{own}{sign}")
        apart = difference(found, student)
        if student == found.table.same_student and apart:
            out.append(f"Replayed {student}: {apart[1]} numbers, at most {100 * apart[0]:.2f} points apart")
    return out


def _keeps(found: Replay, size: int) -> list[str]:
    """What every keep adds to all rows or costs: the mean of the methods, and of each."""
    student = found.judge
    base, whole = _bases(found, size)
    methods = [method for method in whole if method != NONE]
    shared = _mean([whole[m] for m in methods])
    out = [f"Keeps, {_size(found, size)}, {student}, mean of {len(methods)} methods"]
    head = f"{'gain over none':<22}{'adds to all rows':<22}{'better in':>10}{'uneven':>10}"
    out.append(f"{'keep':<{KEEP}}{'rows kept':>10}  {head}")
    out.append(f"{ALL:<{KEEP}}{'100 %':>10}  {_gain(gain(base, shared)):<22}-")
    adds = {}
    for keep, one in found.keeps[size].items():
        if keep == ALL:
            continue
        each = {m: np.stack(one.scores[m]) for m in methods}
        mine = _mean(list(each.values()))
        share = float(np.mean([np.mean(one.shares[m]) for m in methods]))
        adds[keep] = {m: gain(whole[m], each[m]) for m in methods}
        better = f"{sum(x.mean > 0 for x in adds[keep].values())} of {len(methods)}"
        uneven = float(np.mean([np.stack(one.uneven[m]).mean() - whole[m].mean() for m in methods]))
        out.append(
            f"{cut(shown(keep), KEEP - 1):<{KEEP}}{100 * share:8.0f} %  {_gain(gain(base, mine)):<22}"
            f"{_gain(gain(shared, mine)):<22}{better:>10}{100 * uneven:>+10.1f}"
        )
    if len(methods) <= MATRIX and adds:
        wide = min(14, (WIDTH - KEEP) // len(methods))
        heads = "".join(f"{cut(method, wide - 2):>{wide}}" for method in methods)
        out.append(f"{'adds, by method':<{KEEP}}{heads}")
        for keep, by_method in adds.items():
            cells = "".join(f"{_starred(by_method[m]):>{wide}}" for m in methods)
            out.append(f"{cut(shown(keep), KEEP - 1):<{KEEP}}{cells}".rstrip())
    return out


def _bases(found: Replay, size: int) -> tuple[Any, dict[str, Any]]:
    """The scores of no augmentation, and of every method with all its rows, of the student that tries keeps."""
    stored = found.keeps[size].get(ALL)
    scores = stored.scores if stored else found.scores[found.judge, size]
    whole = {method: np.stack(each) for method, each in scores.items()}
    return whole[NONE], whole


def _mean(each: Sequence[Any]) -> Any:
    return np.mean(np.stack(each), axis=0)


def _starred(x: Interval) -> str:
    return f"{100 * x.mean:+.1f}{'*' if x.low > 0 or x.high < 0 else ' '}"


def as_json(found: Replay) -> dict[str, Any]:
    """The same as one object: shares of one, not percent."""
    table = found.table
    return {
        "table": table.name,
        "paper": table.paper,
        "theirs": table.student,
        "source": table.source,
        "data": found.folder,
        "draws": found.draws,
        "test_rows": found.tested,
        "students": {name: student.about for name, student in found.students.items()},
        "same_student": table.same_student or None,
        "copies_of_test_rows": found.copies,
        "rows": [
            _row(found, student, size, method, scores)
            for (student, size), scores in found.scores.items()
            for method in scores
        ],
        "agreement": {
            student: None if x is None else {**_rounded(vars(x)), "largest_difference": _apart(found, student)}
            for student, x in agreements(found).items()
        },
        "keeps": [line for size in found.keeps for line in _keep_rows(found, size)],
        "left_out": found.left_out,
        "seconds": round(found.seconds, 1),
    }


def _apart(found: Replay, student: str) -> float | None:
    apart = difference(found, student)
    return round(apart[0], 6) if apart else None


def _row(found: Replay, student: str, size: int, method: str, scores: dict[str, Any]) -> dict[str, Any]:
    said = found.table.published
    theirs, base = said.get(method, {}).get(size), said.get(NONE, {}).get(size)
    ours = np.stack(scores[method])
    published = published_gain(base, theirs) if theirs and base and method != NONE else None
    return {
        "student": student,
        "size": size or None,
        "method": method,
        "rows": found.real[size] if method == NONE else found.made[size, method],
        "accuracy": round(float(ours.mean()), 6),
        "gain": None if method == NONE else _json(gain(np.stack(scores[NONE]), ours)),
        "published": round(float(np.mean(theirs)), 6) if theirs else None,
        "published_gain": None if published is None else _rounded(vars(published)),
    }


def _keep_rows(found: Replay, size: int) -> list[dict[str, Any]]:
    base, whole = _bases(found, size)
    return [
        {
            "student": found.judge,
            "size": size or None,
            "keep": keep,
            "method": method,
            "kept": round(float(np.mean(one.shares[method])), 6),
            "gain": _json(gain(base, np.stack(one.scores[method]))),
            "adds": _json(gain(whole[method], np.stack(one.scores[method]))),
            "adds_uneven": _json(gain(whole[method], np.stack(one.uneven[method]))),
        }
        for keep, one in found.keeps[size].items()
        for method in one.shares
        if keep != ALL
    ]


def _json(x: Interval) -> dict[str, float]:
    return {"mean": round(x.mean, 6), "low": round(x.low, 6), "high": round(x.high, 6)}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}

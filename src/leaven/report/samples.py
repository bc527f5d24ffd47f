"""What was made: each parent beside its children, kept and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leaven.report.content import Content
from leaven.report.fit import within
from leaven.report.marked import LONGEST, cut, differing, plain
from leaven.report.rows import cut as cut_texts
from leaven.report.rows import even

PARENTS = 200
OPEN = 8
"""Parents that are unfolded from the start."""
CHILDREN = 4
"""Of each parent: kept ones, and as many refused ones."""
CHIPS = 2
BYTES = 2_000_000


@dataclass
class Family:
    """A parent, what came of it, and how many there are of each."""

    parent: Mapping[str, Any] | None
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Mapping[str, Any]] = field(default_factory=list)
    n_kept: int = 0
    n_refused: int = 0


def samples(content: Content) -> str:
    return f'<section id="samples"><h2>Samples</h2>{_samples(content)}</section>'


def parents(content: Content, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the sets that were read, by id, in the user's columns, with ``_set``."""
    found: dict[str, dict[str, Any]] = {}
    asked = pa.array(list(wanted), pa.string())
    for name in ("source", "pool", "given"):
        if not content.dataset.counts.get(name) or not content.dataset.path(name).is_file():
            continue
        table = content.dataset.table(name)
        here = cut_texts(table.filter(pc.is_in(table.column("_id"), value_set=asked)), LONGEST)
        for row in here.to_pylist():
            own = {content.dataset.columns.get(k, k): v for k, v in row.items()}
            found.setdefault(row["_id"], {**own, "_set": name})
    return found


def _samples(content: Content) -> str:
    families, total = _chosen(content)
    if not families:
        return '<p class="empty">Nothing was made: see Refused</p>'
    drawn = [_family(content, family) for family in families]
    shown, fits = within(drawn, BYTES)
    labels = sorted({_label(content, f) for f in families[: len(shown)]})
    steps = sorted({str(e["step"]) for f in families[: len(shown)] for c in (*f.kept, *f.refused) for e in c["_steps"]})
    why = "even by label" if fits else "the texts are long, and the page stays small"
    said = (
        f"{len(shown):,} of {total:,} parents, {why}; all: the rows of train/ and refused/"
        if len(shown) < total
        else f"All {total:,} parents."
    )
    return (
        '<p class="key"><span class="k kept">kept</span><span class="k cross">refused</span>'
        "<span><mark>marked</mark> words differ from the parent's; <del>struck</del> ones were left out</span></p>"
        f'<p class="controls" id="filters" hidden><label>find <input id="find" type="search"></label>'
        f"{_select('label', labels)}{_select('step', steps)}"
        '<label>show <select id="show"><option value="">kept and refused</option><option value="kept">kept</option>'
        '<option value="refused">refused</option></select></label><output id="found"></output></p>'
        f'<p class="cap">{said}</p><div class="families">{"".join(shown[:OPEN])}</div>'
        + (
            f'<details class="rest" id="rest"><summary>{len(shown) - OPEN:,} more parents</summary>'
            f'<div class="families">{"".join(shown[OPEN:])}</div></details>'
            if len(shown) > OPEN
            else ""
        )
    )


def _select(name: str, values: Sequence[str]) -> str:
    if len(values) < 2:
        return ""
    options = "".join(f'<option value="{plain(v, 80)}">{plain(v, 80)}</option>' for v in values)
    return f'<label>{name} <select id="{name}"><option value="">all</option>{options}</select></label>'


def _chosen(content: Content) -> tuple[list[Family], int]:
    """Families of some parents, even by label, and how many parents there are.

    A made row that has no parent, such as a row of the pool that got a label, stands for itself.
    """
    train, refused = content.train, content.refused
    label_of: dict[str, str | None] = {}
    places: dict[str, tuple[list[int], list[int]]] = {}
    for side, rows in enumerate((train, refused)):
        for i, (own, parent, label) in enumerate(zip(rows.ids, rows.parents, rows.labels, strict=True)):
            if rows.made[i]:
                key = parent or own
                label_of.setdefault(key, label)
                places.setdefault(key, ([], []))[side].append(i)
    keys = list(label_of)
    picked = [keys[i] for i in even(keys, [label_of[key] for key in keys], PARENTS)]
    known = parents(content, picked)
    other = {row["_id"]: row for rows in (train, refused) for row in _among(content, rows, picked)}
    kept_rows = [i for key in picked for i in places[key][0][:CHILDREN]]
    refused_rows = [i for key in picked for i in places[key][1][:CHILDREN]]
    kept = dict(zip(kept_rows, train.take(kept_rows, most=LONGEST), strict=True))
    turned = dict(zip(refused_rows, refused.take(refused_rows, most=LONGEST), strict=True))
    families = [
        Family(
            known.get(key) or (other.get(key) if key not in {train.ids[i] for i in places[key][0]} else None),
            [kept[i] for i in places[key][0][:CHILDREN]],
            [turned[i] for i in places[key][1][:CHILDREN]],
            len(places[key][0]),
            len(places[key][1]),
        )
        for key in picked
    ]
    return families, len(keys)


def _among(content: Content, rows: Any, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Parents that were made themselves, and were written."""
    asked = set(wanted)
    return list(rows.take([i for i, own in enumerate(rows.ids) if own in asked], most=LONGEST))


def _label(content: Content, family: Family) -> str:
    row = family.parent or next(iter((*family.kept, *family.refused)), {})
    label = row.get(content.label) if content.label else None
    if label is None:
        label = next((c.get(content.label) for c in (*family.kept, *family.refused)), None)
    return "" if label is None else str(label)


def texts_of(content: Content, row: Mapping[str, Any], parent: Mapping[str, Any] | None = None) -> str:
    """The texts of a row; with a parent, the words that differ are marked."""
    out = []
    for column in content.texts.values():
        text = str(row.get(column) or "")
        length = int(row.get("_length") or 0) if len(text) == LONGEST else 0
        old = parent.get(column) if parent else None
        body = cut(text, length=length) if old is None else differing(text, str(old), length)
        name = f'<span class="col">{plain(column, 60)}</span> ' if len(content.texts) > 1 else ""
        out.append(f'<p class="t" dir="auto">{name}{body}</p>')
    return "".join(out)


def chips(row: Mapping[str, Any]) -> str:
    scores = {k: v for k, v in (row.get("_scores") or {}).items() if v is not None and k != "in_sample"}
    first = sorted(scores, key=lambda name: (name != "label_prob", name))[:CHIPS]
    return "".join(
        f'<span class="chip">{plain(name.replace("_", " "), 40)} {scores[name]:.2f}</span>' for name in first
    )


def child(content: Content, row: Mapping[str, Any], parent: Mapping[str, Any] | None, alone: bool = False) -> str:
    """One child: its text, its scores, why it was refused, and its history to unfold.

    A row of the pool stands alone: its text is its parent's, and what is new is its label.
    """
    kind = "refused" if row.get("_reason") else "kept"
    label = str(row.get(content.label)) if content.label and row.get(content.label) is not None else ""
    told = [f'<span class="state">{kind}</span>']
    if kind == "refused":
        detail = f": {plain(row['_detail'], 120)}" if row.get("_detail") else ""
        told.append(f'<span class="chip why">{plain(row["_reason"], 60)}{detail}</span>')
    if label and not alone and parent and str(parent.get(content.label)) != label:
        told.append(f'<span class="chip">label {plain(label, 60)}</span>')
    told.append(chips(row))
    history = "".join(f"<li>{_step(e)}</li>" for e in row.get("_steps") or ())
    steps = " ".join(plain(e["step"], 60) for e in row.get("_steps") or ())
    body = f'<p class="t">{plain(label, 120)}</p>' if alone else texts_of(content, row, parent)
    return (
        f'<li class="{kind}" data-s="{steps}">{body}<div class="chips">{"".join(told)}'
        f'<details><summary>history</summary><ol>{history}</ol><code class="copy">{plain(row["_id"])}</code></details>'
        "</div></li>"
    )


def _step(entry: Mapping[str, Any]) -> str:
    said = plain(entry["step"], 60)
    if entry.get("round"):
        said += f", round {entry['round']}"
    drawn = entry.get("drawn")
    return said if drawn in (None, "", "{}") else f"{said} {plain(drawn, 160)}"


def _family(content: Content, family: Family) -> str:
    label, parent = _label(content, family), family.parent
    alone = parent is not None and any(c["_id"] == parent.get("_id") for c in (*family.kept, *family.refused))
    kids = "".join(child(content, c, parent, alone) for c in (*family.kept, *family.refused))
    more = [
        f"{n - len(some):,} more {word}"
        for n, some, word in ((family.n_kept, family.kept, "kept"), (family.n_refused, family.refused, "refused"))
        if n > len(some)
    ]
    rest = f'<p class="cap">and {", ".join(more)}</p>' if more else ""
    left = parent_side(content, parent, "" if alone else label)
    return (
        f'<article class="family" data-l="{plain(label, 80)}"><div class="parent">{left}</div>'
        f"<div><ul>{kids}</ul>{rest}</div></article>"
    )


def parent_side(content: Content, parent: Mapping[str, Any] | None, label: str) -> str:
    """A parent's text, whether it is real, and its label."""
    body = texts_of(content, parent) if parent else '<p class="empty">made on the way, and not written</p>'
    word = {"pool": "from the pool", "given": "given"}.get(parent.get("_set", ""), "real") if parent else "parent"
    if parent and "_set" not in parent:
        word = "made"
    chip = f'<span class="chip">{plain(label, 60)}</span>' if label else ""
    return f'{body}<div class="chips"><span class="state">{word}</span>{chip}</div>'

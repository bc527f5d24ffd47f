"""What was made: each parent beside its children, kept and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leaven.report.album import Album, Scale
from leaven.report.content import Content
from leaven.report.fit import within
from leaven.report.marked import LONGEST, cut, differing, plain
from leaven.report.pictured import switch, with_pictures
from leaven.report.rows import Rows, even
from leaven.report.rows import cut as cut_texts
from leaven.storage import MEDIA as HEAVY

PARENTS = 200
OPEN = 8
"""Parents that are unfolded from the start."""
CHILDREN = 4
"""Of each parent: kept ones, and as many refused ones."""
CHIPS = 2
SEVERAL = 10
"""Captions of one picture."""
FULL = 2_000
"""Characters of what was drawn, where that is unfolded beside pictures."""
BYTES = 2_000_000
PICTURES, CLIPS = 200, 28
PICTURED = (5, 2)
"""Kept and refused children of a parent that are shown with their picture; of sounds half as many."""


@dataclass
class Family:
    """A parent, what came of it, and how many there are of each."""

    parent: Mapping[str, Any] | None
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Mapping[str, Any]] = field(default_factory=list)
    n_kept: int = 0
    n_refused: int = 0

    @property
    def ids(self) -> list[str]:
        """Everyone whose picture belongs here."""
        own = [self.parent["_id"]] if self.parent else []
        return [*own, *(i for row in (*self.kept, *self.refused) for i in (row["_id"], *row.get("_partners", ())))]


def samples(content: Content, album: Album | None = None) -> str:
    return f'<section id="samples"><h2>Samples</h2>{_samples(content, album)}</section>'


def parents(content: Content, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the sets that were read, by id, in the user's columns, with ``_set``."""
    found: dict[str, dict[str, Any]] = {}
    asked = pa.array(list(wanted), pa.string())
    for name in ("source", "pool", "given"):
        if not content.dataset.counts.get(name) or not content.dataset.path(name).is_file():
            continue
        table = content.dataset.table(name)
        light = [name for name in table.column_names if content.dataset.types.get(name) not in HEAVY]
        here = cut_texts(table.select(light).filter(pc.is_in(table.column("_id"), value_set=asked)), LONGEST)
        for row in here.to_pylist():
            own = {content.dataset.columns.get(k, k): v for k, v in row.items()}
            found.setdefault(row["_id"], {**own, "_set": name})
    return found


def _samples(content: Content, album: Album | None) -> str:
    families, total = _chosen(content, album)
    if not families:
        return '<p class="empty">Nothing was made: see Refused</p>'
    if album:
        families = _pictured(families, album)
    if album:
        shown, fits = album.within((_family(content, family, album) for family in families), BYTES)
    else:
        shown, fits = within((_family(content, family, None) for family in families), BYTES)
    labels = sorted({_label(content, f) for f in families[: len(shown)]})
    steps = sorted({str(e["step"]) for f in families[: len(shown)] for c in (*f.kept, *f.refused) for e in c["_steps"]})
    drawn_by = "even by label" if content.label or not album else "drawn by the hash of their ids"
    why = drawn_by if fits else "the texts are long, and the page stays small"
    said = (
        f"{len(shown):,} of {total:,} parents, {why}; all: the rows of train/ and refused/"
        if len(shown) < total
        else f"All {total:,} parents."
    )
    words = "<span><mark>marked</mark> words differ from the parent's; <del>struck</del> ones were left out</span>"
    return (
        '<p class="key"><span class="k kept">kept</span><span class="k cross">refused</span>'
        f"{words if content.said_of else ''}</p>{switch(album)}"
        f'<p class="controls" id="filters" hidden><label>find <input id="find" type="search"></label>'
        f"{_select('label', labels)}{_select('step', steps)}"
        '<label>show <select id="show"><option value="">kept and refused</option><option value="kept">kept</option>'
        '<option value="refused">refused</option></select></label><output id="found"></output></p>'
        f'<p class="cap">{said}</p>{album.caps() if album else ""}<div class="families">{"".join(shown[:OPEN])}</div>'
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


def _pictured(families: Sequence[Family], album: Album) -> list[Family]:
    """The first families whose pictures all fit into the section's share, with these loaded."""
    album.open(PICTURES, CLIPS)
    found = []
    for family in families:
        if album.sounds:
            family.kept, family.refused = family.kept[: PICTURED[0] // 2], family.refused[: PICTURED[1] // 2]
        if not album.reserve(family.ids):
            break
        found.append(family)
    album.load()
    return found


def _chosen(content: Content, album: Album | None) -> tuple[list[Family], int]:
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
    n = PICTURED if album else (CHILDREN, CHILDREN)
    kept_rows = [i for key in picked for i in places[key][0][: n[0]]]
    refused_rows = [i for key in picked for i in places[key][1][: n[1]]]
    kept = dict(zip(kept_rows, taken(content, train, kept_rows), strict=True))
    turned = dict(zip(refused_rows, taken(content, refused, refused_rows), strict=True))
    families = [
        Family(
            known.get(key) or (other.get(key) if key not in {train.ids[i] for i in places[key][0]} else None),
            [kept[i] for i in places[key][0][: n[0]]],
            [turned[i] for i in places[key][1][: n[1]]],
            len(places[key][0]),
            len(places[key][1]),
        )
        for key in picked
    ]
    return families, len(keys)


def _among(content: Content, rows: Rows, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Parents that were made themselves, and were written."""
    asked = set(wanted)
    return taken(content, rows, [i for i, own in enumerate(rows.ids) if own in asked])


def taken(content: Content, rows: Rows, wanted: Sequence[int]) -> list[dict[str, Any]]:
    """Rows with their texts, but without the bytes of images and sounds, and the ids of their other parents."""
    columns = [name for name in content.light if name in rows.columns] if content.media else None
    found = rows.take(wanted, columns, most=LONGEST)
    for i, row in zip(wanted, found, strict=True):
        if i in rows.partners:
            row["_partners"] = rows.partners[i]
    return found


def _label(content: Content, family: Family) -> str:
    row = family.parent or next(iter((*family.kept, *family.refused)), {})
    label = row.get(content.label) if content.label else None
    if label is None:
        label = next((c.get(content.label) for c in (*family.kept, *family.refused)), None)
    return "" if label is None else str(label)


def texts_of(content: Content, row: Mapping[str, Any], parent: Mapping[str, Any] | None = None) -> str:
    """The texts of a row; with a parent, the words that differ are marked."""
    out = []
    for column in content.said_of:
        value = row.get(column)
        if content.media and (value == parent.get(column) if parent else value is None):
            continue  # beside the picture that changed, what did not change is left out
        if isinstance(value, list):
            out += _several(column, value, parent.get(column) if parent else None)
            continue
        text = str(value or "")
        length = int(row.get("_length") or 0) if len(text) == LONGEST else 0
        old = parent.get(column) if parent else None
        body = cut(text, length=length) if old is None else differing(text, str(old), length)
        name = f'<span class="col">{plain(column, 60)}</span> ' if len(content.said_of) > 1 else ""
        out.append(f'<p class="t" dir="auto">{name}{body}</p>')
    return "".join(out)


def _several(column: str, texts: Sequence[Any], old: Any) -> list[str]:
    """Captions of one picture, a paragraph each; those that its parent has too are left out."""
    before = old if isinstance(old, list) else []
    new = [(i, str(text or "")) for i, text in enumerate(texts[:SEVERAL]) if text not in before]
    bodies = [differing(text, str(before[i] or "")) if i < len(before) else cut(text) for i, text in new]
    found = [f'<p class="t" dir="auto">{body}</p>' for body in bodies]
    if len(found) < 3:
        return found
    return [
        found[0],
        f"<details><summary>{len(found) - 1} more {plain(column, 60)}</summary>{''.join(found[1:])}</details>",
    ]


def chips(row: Mapping[str, Any]) -> str:
    scores = {k: v for k, v in (row.get("_scores") or {}).items() if v is not None and k != "in_sample"}
    first = sorted(scores, key=lambda name: (name != "label_prob", name))[:CHIPS]
    return "".join(
        f'<span class="chip">{plain(name.replace("_", " "), 40)} {scores[name]:.2f}</span>' for name in first
    )


def child(
    content: Content, row: Mapping[str, Any], parent: Mapping[str, Any] | None, alone: bool = False,
    album: Album | None = None, scale: Scale | None = None
) -> str:  # fmt: skip
    """One child: its picture and its text, its scores, why it was refused, and its history to unfold.

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
    most = FULL if album else 160
    history = "".join(f"<li>{_step(e, most)}</li>" for e in row.get("_steps") or ())
    steps = " ".join(plain(e["step"], 60) for e in row.get("_steps") or ())
    body = f'<p class="t">{plain(label, 120)}</p>' if alone else texts_of(content, row, parent)
    if album:
        body = with_pictures(content, album, row, parent, scale) + body
    return (
        f'<li class="{kind}" data-s="{steps}">{body}<div class="chips">{"".join(told)}'
        f'<details><summary>history</summary><ol>{history}</ol><code class="copy">{plain(row["_id"])}</code></details>'
        "</div></li>"
    )


def _step(entry: Mapping[str, Any], most: int) -> str:
    said = plain(entry["step"], 60)
    if entry.get("round"):
        said += f", round {entry['round']}"
    drawn = entry.get("drawn")
    return said if drawn in (None, "", "{}") else f"{said} {plain(drawn, most)}"


def _family(content: Content, family: Family, album: Album | None) -> str:
    label, parent = _label(content, family), family.parent
    scale = album.scale(family.ids) if album else None
    alone = parent is not None and any(c["_id"] == parent.get("_id") for c in (*family.kept, *family.refused))
    kids = "".join(child(content, c, parent, alone, album, scale) for c in (*family.kept, *family.refused))
    more = [
        f"{n - len(some):,} more {word}"
        for n, some, word in ((family.n_kept, family.kept, "kept"), (family.n_refused, family.refused, "refused"))
        if n > len(some)
    ]
    rest = f'<p class="cap">and {", ".join(more)}</p>' if more else ""
    left = parent_side(content, parent, "" if alone else label, album, scale)
    return (
        f'<article class="{family_class(album)}" data-l="{plain(label, 80)}"><div class="parent">{left}</div>'
        f"<div><ul>{kids}</ul>{rest}</div></article>"
    )


def family_class(album: Album | None) -> str:
    return "family" if album is None else "family heard" if album.sounds else "family seen"


def parent_side(
    content: Content, parent: Mapping[str, Any] | None, label: str,
    album: Album | None = None, scale: Scale | None = None
) -> str:  # fmt: skip
    """A parent's picture and text, whether it is real, and its label."""
    body = texts_of(content, parent) if parent else '<p class="empty">made on the way, and not written</p>'
    word = {"pool": "from the pool", "given": "given"}.get(parent.get("_set", ""), "real") if parent else "parent"
    if parent and "_set" not in parent:
        word = "made"
    chip = f'<span class="chip">{plain(label, 60)}</span>' if label else ""
    if album and parent:
        body = album.show(parent["_id"], ", ".join(filter(None, (word, label))), scale) + body
    return f'{body}<div class="chips"><span class="state">{word}</span>{chip}</div>'

"""What a run made, as the review page asks for it: numbers of all rows at once, the rest of a record when it is
shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.engine.decisions import content_print, seen_columns
from leaven.engine.reviewed import REJECTED, STEP
from leaven.fields import SCORE, TEXTS, VALUE
from leaven.report.content import MARKS, Content
from leaven.report.marked import changes
from leaven.report.rows import Rows
from leaven.show.drawn import found_in
from leaven.show.drawn import step as step_in_words
from leaven.storage import to_values

SHOWN = 2_000
"""Characters of a text that are shown at first."""
SNIPPET = 160
KEPT, REFUSED = 0, 1
LIKELY = 9
"""Labels that a key of their own gives."""
Row = dict[str, Any]


@dataclass
class Columns:
    """A number for each row, in the order of the page: the kept ones first, then the refused ones.

    ``state``, ``step`` and ``reason`` are what the steps decided, whatever people decided since.
    """

    state: np.ndarray
    label: np.ndarray
    step: np.ndarray
    reason: np.ndarray
    scores: dict[str, np.ndarray]
    labels: list[str]
    steps: list[str]
    reasons: list[str]


class Made:
    """The made rows of a run's folder, by their number in the page.  Raises DataError where there is no run."""

    def __init__(self, content: Content) -> None:
        self.content = content
        train = content.train
        own_rows = set() if all(train.parents) else self._source()
        some = [i for i in np.flatnonzero(train.made).tolist() if train.parents[i] or train.ids[i] not in own_rows]
        self.kept = np.array(some, np.int64)
        self.ids = [*(train.ids[i] for i in some), *content.refused.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def _source(self) -> set[str]:
        return set(self.content.dataset.table("source").column("_id").to_pylist())

    @cached_property
    def number(self) -> dict[str, int]:
        """Where each record stands in the page."""
        return {own: n for n, own in enumerate(self.ids)}

    def where(self, n: int) -> tuple[Rows, int]:
        """The rows that hold a record, and its place there."""
        few = len(self.kept)
        return (self.content.train, int(self.kept[n])) if n < few else (self.content.refused, n - few)

    # -- all rows -----------------------------------------------------------------------------------------------------

    def columns(self, decided: Iterable[str]) -> Columns:
        """What each row is known by; ``decided`` are the ids about which something was ever decided."""
        train, refused, few = self.content.train, self.content.refused, len(self.kept)
        known = [train.labels[i] for i in self.kept.tolist()] + refused.labels
        labels = sorted({*self.content.dataset.labels, *(label for label in known if label is not None)})
        code = {label: i for i, label in enumerate(labels)}
        states = np.repeat(np.array([KEPT, REFUSED], np.uint8), [few, len(refused)])
        steps = [""] * few + [str(step or "") for step in refused.steps]
        reasons = [""] * few + [str(reason or "") for reason in refused.reasons]
        at = [n for own in dict.fromkeys(decided) if (n := self.number.get(own)) is not None]
        for n, row in zip(at, self.rows(at), strict=True):  # what a person changed stands as the steps left it
            states[n], steps[n], reasons[n] = of_steps(row, int(states[n]), steps[n], reasons[n])
        kept_scores, other = train.scores(), refused.scores()
        scores = {}
        for name in dict.fromkeys([*kept_scores, *other]):
            a = kept_scores[name][self.kept] if name in kept_scores else np.full(few, np.nan)
            b = other.get(name, np.full(len(refused), np.nan))
            values = np.concatenate([a, b]).astype(np.float64)
            if name != "in_sample" and np.isfinite(values).any():
                scores[name] = values
        step_names, step_codes = _coded(steps)
        reason_names, reason_codes = _coded(reasons)
        label_codes = np.array([-1 if label is None else code[label] for label in known], np.int32)
        return Columns(states, label_codes, step_codes, reason_codes, scores, labels, step_names, reason_names)

    def find(self, words: str) -> np.ndarray:
        """The numbers of the rows whose id begins with ``words``, or in whose texts they stand, case folded."""
        found = [n for n, own in enumerate(self.ids) if own.startswith(words)]
        for begin, rows in ((0, self.content.train), (len(self.kept), self.content.refused)):
            columns = [name for name in self.texts if name in rows.columns]
            hits, at = [], 0
            for file in rows.files if columns else ():
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=columns)
                    here = np.zeros(len(table), bool)
                    for column in table.columns:
                        if pa.types.is_string(column.type):
                            match = pc.match_substring(column, words, ignore_case=True)
                            here |= pc.fill_null(match, False).to_numpy()
                    hits.append(np.flatnonzero(here) + at)
                    at += len(table)
            places = np.concatenate(hits) if hits else np.zeros(0, np.int64)
            found += np.flatnonzero(np.isin(self.kept, places)).tolist() if begin == 0 else (places + begin).tolist()
        return np.unique(np.array(found, np.int32))

    # -- some rows ----------------------------------------------------------------------------------------------------

    @cached_property
    def texts(self) -> list[str]:
        """The columns that are shown as texts."""
        shown = dict.fromkeys([*self.content.said_of, *self.content.columns_of(*TEXTS)])
        return [name for name in shown if name != self.content.label]

    @cached_property
    def seen(self) -> dict[str, list[str]]:
        """The columns by which a record of each folder is known."""
        return {
            name: seen_columns(self.content.dataset, rows.files[0].schema_arrow) if rows.files else []
            for name, rows in (("train", self.content.train), ("refused", self.content.refused))
        }

    def rows(self, numbers: Sequence[int], columns: Sequence[str] | None = None) -> list[Row]:
        """Rows as the files have them, without the bytes of images and sounds."""
        wanted = columns or self.content.light
        found: dict[int, Row] = {}
        for rows in (self.content.train, self.content.refused):
            here = [n for n in numbers if self.where(n)[0] is rows]
            names = [name for name in wanted if name in rows.columns]
            places = [self.where(n)[1] for n in here]
            found |= dict(zip(here, rows.take(places, names), strict=True))
        return [found[n] for n in numbers]

    def prints(self, numbers: Sequence[int]) -> list[str]:
        """The hashes of what records hold, as the steps left them."""
        found: dict[int, str] = {}
        for name, rows in (("train", self.content.train), ("refused", self.content.refused)):
            here = {self.where(n)[1]: n for n in numbers if self.where(n)[0] is rows}
            columns = [*self.seen[name], "_steps"]
            some = rows.few_at_a_time(here, columns) if self.content.media else zip(here, rows.take([*here], columns))
            for i, row in some:
                found[here[i]] = content_print({**row, **was(row)}, self.seen[name])
        return [found[n] for n in numbers]

    def listed(self, numbers: Sequence[int]) -> list[Row]:
        """What the list says of rows: the id, and the beginning of the first text that there is."""
        columns = ["_id", "_steps", *self.texts]
        said = []
        for n, row in zip(numbers, self.rows(numbers, columns), strict=True):
            whole = {**row, **was(row)}
            text = next((str(whole[name]) for name in self.texts if whole.get(name)), "")
            said.append({"n": n, "id": row["_id"], "text": text[:SNIPPET]})
        return said

    def record(self, n: int) -> Row:
        """All that the page shows of a record beside its parent."""
        rows, i = self.where(n)
        [row] = self.rows([n])
        row |= was(row)
        parent = rows.parents[i]
        above = self._parent(parent) if parent else None
        state, step, reason = of_steps(
            row, KEPT if n < len(self.kept) else REFUSED, row.get("_step") or "", row.get("_reason") or ""
        )
        label = row.get(self.content.label) if self.content.label else None
        return {
            "n": n,
            "id": row["_id"],
            "content": self.prints([n])[0],
            "state": state,
            "step": step,
            "reason": reason,
            "detail": row.get("_detail") or "",
            "label": None if label is None else str(label),
            "fields": self._fields(row, above),
            "media": self._media(row),
            "scores": {k: v for k, v in (row.get("_scores") or {}).items() if v is not None},
            "steps": [step_in_words(str(e["step"]), e["drawn"]) for e in row.get("_steps") or () if e["step"] != STEP],
            "likely": self._likely(row, above),
            "parent": self._above(above, parent),
        }

    def text(self, own: str, column: str) -> str:
        """A text of a record in full, of the real ones too; an empty one where there is none."""
        row = self._row(own)
        return str(row.get(column) or "") if row and column in self.texts else ""

    def media(self, own: str, column: str) -> Any:
        """An image or a sound of a record; None where there is none.  Raises Broken, later."""
        kind = self.content.kinds.get(column)
        if kind not in ("image", "map", "mask", "audio"):
            return None
        if own in self.number:
            rows, i = self.where(self.number[own])
            found = [row for _, row in rows.few_at_a_time([i], [column])] if column in rows.columns else []
        else:
            found = list(self.content.as_read([own]))
        [value] = to_values(kind, [found[0].get(column)]) if found else [None]
        return value

    def _row(self, own: str) -> Row | None:
        if own in self.number:
            [row] = self.rows([self.number[own]])
            return {**row, **was(row)}
        return next(iter(self.content.as_read([own])), None)

    def _parent(self, own: str) -> Row | None:
        return self._row(own)

    def _above(self, row: Row | None, own: str | None) -> Row | None:
        if row is None:
            return None
        label = row.get(self.content.label) if self.content.label else None
        set_name = self.content.places.get(own or "", ("made",))[0]
        return {
            "id": own,
            "set": {"source": "real", "pool": "from the pool", "test": "real"}.get(set_name, set_name),
            "label": None if label is None else str(label),
            "fields": self._fields(row, None),
            "media": self._media(row),
        }

    def _fields(self, row: Row, above: Row | None) -> list[Row]:
        found = []
        for name in self.texts:
            value = row.get(name)
            if value is None and name not in self.content.texts.values():
                continue
            for one, old in _several(value, above.get(name) if above else None):
                text = "" if one is None else str(one)
                pieces = [["", text[:SHOWN]]] if old is None else changes(text, str(old), SHOWN)
                whole = isinstance(row.get(name), str | None)
                found.append(
                    {"column": name, "pieces": pieces, "length": len(text), "none": one is None,
                     "editable": whole and name in self.content.texts.values()}
                )  # fmt: skip
        return found

    def _media(self, row: Row) -> list[Row]:
        """Which images and sounds a row may have, and what is marked on the first."""
        found = []
        for i, name in enumerate(self.content.media):
            marks = (
                {kind: row[c] for kind in MARKS for c in self.content.columns_of(kind) if row.get(c)} if not i else {}
            )
            masks = self.content.columns_of("mask") if not i else []
            found.append({"column": name, "kind": self.content.kinds[name], "marks": marks, "masks": masks})
        return found

    def _likely(self, row: Row, above: Row | None) -> list[str]:
        """Labels that a person may want, the likeliest first: what a step said, the parent's, the most frequent."""
        known = self.content.dataset.labels
        probs = [cell for name in self.content.columns_of("label_probs") for cell in row.get(name) or ()]
        said = [str(c["label"]) for c in sorted(probs, key=lambda c: -c["prob"])]
        said += [str(row[name]) for name in self.content.columns_of(VALUE, SCORE) if isinstance(row.get(name), str)]
        if self.content.label:
            said += [str(r.get(self.content.label)) for r in (row, above or {})]
        often = sorted(known, key=lambda label: -known[label])
        return [label for label in dict.fromkeys([*said, *often]) if label in known][:LIKELY]


def was(row: Mapping[str, Any]) -> Row:
    """What a person changed in an earlier review, as it was before."""
    found: Row = {}
    for entry in reversed(row.get("_steps") or ()):
        if entry["step"] == STEP:
            found |= dict(found_in(entry["drawn"]).get("was") or {})
    return found


def decided_here(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in row.get("_steps") or ():
        if entry["step"] == STEP:
            yield found_in(entry["drawn"])


def of_steps(row: Row, state: int, step: str, reason: str) -> tuple[int, str, str]:
    """What the steps decided about a row that a review may have changed."""
    for entry in decided_here(row):
        if "refused" in entry:
            return REFUSED, str(entry.get("at") or ""), str(entry["refused"])
    if step == STEP or reason == REJECTED:
        return KEPT, "", ""
    return state, step, reason


def _coded(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(name, len(known)) for name in names], np.uint16)
    return list(known), codes


def _several(value: Any, old: Any) -> Iterator[tuple[Any, Any]]:
    """A text beside its parent's, or each of several captions."""
    if not isinstance(value, list):
        yield value, None if isinstance(old, list) else old
        return
    before = old if isinstance(old, list) else []
    for i, one in enumerate(value):
        yield one, before[i] if i < len(before) else None

"""What people are asked in another tool: the made records beside their parents, and the names under which columns and
labels stand there.

The names come from the run alone, so that answers are understood without the file that was sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaven.errors import DataError
from leaven.io.export.files import OURS, data_of, put
from leaven.records import digest
from leaven.report.content import Content
from leaven.review.made import KEPT, REFUSED, Made, of_steps, was

DECISION, LABEL, ABOUT, EDIT, PARENT, SCORE = "decision", "label", "about", "edit_", "parent_", "score_"
OTHERS = ("id", "status", "fields", "metadata", "vectors", "score", "content_hash", "state", "step", "reason")
TAKEN = frozenset([*OTHERS, DECISION, LABEL, ABOUT])
"""Names that the tools, or we, use for something else."""
LONGEST = 200
"""Signs of an option that Argilla's server takes."""
DETAIL = 300
AT_ONCE = 2_000
"""Records that are in memory at a time."""


@dataclass(frozen=True)
class Form:
    """The names of a run's columns and labels in another tool, each a name of its own made of ``a-z0-9_``.

    ``texts`` and ``media`` are by column, ``options`` by label; ``editable`` are the columns that a person may write
    anew, ``sounds`` those of ``media`` that hold sounds.
    """

    name: str
    texts: Mapping[str, str]
    editable: Sequence[str]
    media: Mapping[str, str]
    sounds: frozenset[str]
    options: Mapping[str, str]
    scores: Mapping[str, str]

    @property
    def shown(self) -> dict[str, str]:
        """Texts and media, by column."""
        return {**self.media, **self.texts}


@dataclass(frozen=True)
class Asked:
    """One made record, as the steps left it.  ``parent`` and ``row`` hold what is shown, by column: texts, and paths
    of files."""

    id: str
    content: str
    kept: bool
    step: str
    reason: str
    detail: str
    label: str | None
    row: Mapping[str, str]
    parent: Mapping[str, str]
    scores: Mapping[str, float]

    @property
    def about(self) -> str:
        """What became of it, in words."""
        said = "kept" if self.kept else f"refused at {self.step}: {self.reason}"
        scores = "   ".join(f"{name} {value:.3g}" for name, value in self.scores.items())
        more = self.detail[:DETAIL] if not self.kept and self.detail else scores
        return plainly(f"{said} · {more}" if more else said)

    @property
    def likely(self) -> float | None:
        """The probability of its label, where a step noted one."""
        found = self.scores.get("label_prob")
        return found if found is not None and 0 <= found <= 1 else None


def opened(folder: Path) -> Made:
    """What a run made.  Raises DataError where it has not ended, or made nothing."""
    content = Content(folder)
    if not content.finished:
        raise DataError(f"{folder} holds no finished run.", "let leaven augment finish it first.")
    made = Made(content)
    if not len(made):
        raise DataError(f"{folder}: nothing was made, so there is nothing to review.", "try another recipe.")
    return made


def form_of(made: Made) -> Form:
    content = made.content
    taken = set(TAKEN)
    names = {column: _name(column, taken) for column in (*content.media, *made.texts)}
    given: set[str] = set()
    options = {label: _option(label, given) for label in sorted(content.dataset.labels)} if content.label else {}
    scores = {*content.train.scores(), *content.refused.scores()} - {"in_sample"}
    return Form(
        name=content.folder.resolve().name,
        texts={column: names[column] for column in made.texts},
        editable=[column for column in made.texts if column in content.texts.values() and not _lists(made, column)],
        media={column: names[column] for column in content.media},
        sounds=frozenset(column for column in content.media if content.kinds[column] == "audio"),
        options=options,
        scores={score: SCORE + _name(score, taken, (SCORE,)) for score in sorted(scores)},
    )


def _lists(made: Made, column: str) -> bool:
    return made.content.train.lists(column) or made.content.refused.lists(column)


def _name(column: str, taken: set[str], before: Sequence[str] = ("", EDIT, PARENT)) -> str:
    """A name that both tools take; so are those that begin with ``before``, for what belongs to it."""
    base = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:100] or "column"
    name, n = base, 1
    while any(begin + name in taken for begin in before):
        n += 1
        name = f"{base}_{n}"
    taken.update(begin + name for begin in before)
    return name


def _option(label: str, given: set[str]) -> str:
    """A label as an option: what the tools' servers do not hold becomes a sign for itself."""
    base = literally(label).strip()[: LONGEST - 10] or "(empty)"
    name, n = base, 1
    while name in given:
        n += 1
        name = f"{base} ({n})"
    given.add(name)
    return name


def literally(text: str) -> str:
    """A text as XML may hold it, without the sign behind which Label Studio looks for a value of the task."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text).replace("$", "\uff04")


def plainly(value: Any) -> str:
    """A text as a form may hold it: databases take no NUL, and browsers write all ends of lines alike."""
    lines = value if isinstance(value, list) else [value]
    text = "\n".join("" if line is None else str(line) for line in lines)
    return text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")


def asked(made: Made, form: Form, folder: Path) -> Iterator[Asked]:
    """All made records, kept ones first.  Their images and sounds, and those of their parents, are written into folders
    of ``folder``."""
    files = _Files(folder, form)
    for begin in range(0, len(made), AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, len(made)))
        rows = made.rows(numbers)
        parents = [at.parents[i] or "" for at, i in map(made.where, numbers)]
        above = _above(made, set(parents), form, files)
        media = _media(made, numbers, form, files)
        for n, row, content, parent in zip(numbers, rows, made.prints(numbers), parents, strict=True):
            if made.number[made.ids[n]] != n:  # it ended in several branches
                continue
            row |= was(row)
            first = KEPT if n < len(made.kept) else REFUSED
            state, step, reason = of_steps(row, first, row.get("_step") or "", row.get("_reason") or "")
            label = row.get(made.content.label) if made.content.label else None
            scores = row.get("_scores") or {}
            yield Asked(
                id=str(row["_id"]),
                content=content,
                kept=state == KEPT,
                step=step,
                reason=reason,
                detail=row.get("_detail") or "",
                label=None if label is None else str(label),
                row=_texts(row, form) | media.get(n, {}),
                parent=above.get(parent, {}),
                scores={k: float(v) for k in form.scores if (v := scores.get(k)) is not None and math.isfinite(v)},
            )


def write_list(path: Path, rows: Iterable[Any]) -> int:
    """Write rows as one JSON list, a row a line; how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write((",\n" if written else "[\n") + json.dumps(row, ensure_ascii=False))
            written += 1
        file.write("\n]\n" if written else "[]\n")
    return written


def _texts(row: Mapping[str, Any], form: Form) -> dict[str, str]:
    return {column: plainly(row[column]) for column in form.texts if row.get(column) is not None}


def _media(made: Made, numbers: Iterable[int], form: Form, files: _Files) -> dict[int, dict[str, str]]:
    """The files of some made rows, few of which are in memory at a time."""
    found: dict[int, dict[str, str]] = {}
    for rows in (made.content.train, made.content.refused):
        here = {made.where(n)[1]: n for n in numbers if made.where(n)[0] is rows}
        columns = [column for column in form.media if column in rows.columns]
        for i, row in rows.few_at_a_time(here, ["_id", *columns]) if columns else ():
            found[here[i]] = files.put(str(row["_id"]), row)
    return found


def _above(made: Made, ids: set[str], form: Form, files: _Files) -> dict[str, dict[str, str]]:
    """What is shown of some parents: rows that were read, and made ones that are there."""
    found = {str(row["_id"]): _texts(row, form) | files.put(str(row["_id"]), row) for row in made.content.as_read(ids)}
    numbers = sorted(made.number[own] for own in ids - found.keys() if own in made.number)
    media = _media(made, numbers, form, files)
    for n, row in zip(numbers, made.rows(numbers), strict=True):
        found[made.ids[n]] = _texts({**row, **was(row)}, form) | media.get(n, {})
    return found


class _Files:
    """Writes each image and each sound once, into a folder of its column."""

    def __init__(self, folder: Path, form: Form) -> None:
        self.folder, self.form = folder, form
        self.paths: dict[tuple[str, str], str] = {}

    def put(self, own: str, row: Mapping[str, Any]) -> dict[str, str]:
        """The paths of a row's files within the folder, by column."""
        found = {}
        for column, name in self.form.media.items():
            if (own, column) not in self.paths and data_of(row.get(column)) is not None:
                stem = own if OURS.fullmatch(own) else digest(own).hex()  # an id of the user's may hold ../
                self.paths[own, column] = f"{name}/{put(self.folder / name, stem, row[column])}"
            if (own, column) in self.paths:
                found[column] = self.paths[own, column]
        return found

"""Sequence-level distillation: a student's rows with what each of several teachers made of them, as further targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leaven.errors import DataError

Teacher = Callable[[list[Any]], Sequence[Any]]
"""Makes of n inputs n targets: translates glosses, or summarises texts."""


def sequence_distillation(
    rows: Sequence[Mapping[str, Any]], teachers: Sequence[Teacher], *, of: str, target: str
) -> list[dict[str, Any]]:
    """The rows, and for each of K teachers all rows again with its target in place of theirs: (K + 1) x N.

    A teacher is given the column ``of`` of all rows at once (glosses, where the student sees signs), and its answers
    stand in the column ``target``; the other columns come along.  The gold rows come first, as they are, each with an
    ``_id`` (its place where it had none).  A teacher's row is named after its own, ``ID-teacher-1`` and so on, and has
    ``_synthetic`` and ``_parents``, so that ``Drawn`` takes the list.  Equal answers of two teachers both stay: what
    more of them say weighs more.

    Raises DataError for a row without the columns, for an id that two rows share, and for a teacher that gives another
    number of answers.  Source: Kim and Rush 2016 (arXiv:1606.07947) for one teacher; XmDA, Ye et al. 2023
    (arXiv:2305.11096) for several, with the gold.  (The released code gives all teachers' rows one name, and a dict
    keeps the last.)

    >>> rows = [{"gloss": "RAIN TOMORROW", "text": "Tomorrow it rains."}]
    >>> lower, upper = (lambda given: [x.lower() for x in given]), (lambda given: [x + "!" for x in given])
    >>> more = sequence_distillation(rows, [lower, upper], of="gloss", target="text")
    >>> [(row["_id"], row["text"]) for row in more[1:]]
    [('0-teacher-1', 'rain tomorrow'), ('0-teacher-2', 'RAIN TOMORROW!')]
    """
    for place, row in enumerate(rows):
        for column in (of, target):
            if column not in row:
                raise DataError(f"row {place} has no `{column}`.", f"name a column of it: {', '.join(map(str, row))}")
    names = [str(row.get("_id", place)) for place, row in enumerate(rows)]
    found = [{**row, "_id": own} for row, own in zip(rows, names, strict=True)]
    given = [row[of] for row in rows]
    for number, teacher in enumerate(teachers, 1):
        said = list(teacher(list(given)))
        if len(said) != len(rows):
            raise DataError(
                f"teacher {number} gave {len(said)} answers to {len(rows)} rows.", "give one answer a row, in order."
            )
        for row, own, text in zip(rows, names, said, strict=True):
            made = {"_id": f"{own}-teacher-{number}", "_synthetic": True, "_parents": [own]}
            found.append({**row, target: text, **made})
    seen: set[str] = set()
    for row in found:
        if row["_id"] in seen:
            raise DataError(f"two rows have the id {row['_id']!r}.", "give each an `_id` of its own.")
        seen.add(row["_id"])
    return found

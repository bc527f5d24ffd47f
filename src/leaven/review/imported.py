"""``leaven review OUT --import FILE``: answers that people gave in Argilla or Label Studio, as decisions."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaven.engine.decisions import ACCEPT, EDIT, REJECT, RELABEL, UNDO, Decision, standing
from leaven.errors import DataError, brief
from leaven.review import argilla, label_studio
from leaven.review.answers import DRAFT, GIVEN, SKIPPED, Answer, Wish, together
from leaven.review.asked import AT_ONCE, form_of, opened, plainly
from leaven.review.made import Made, Row, was
from leaven.review.saved import Saved

TOOLS = (argilla, label_studio)


@dataclass
class Imported:
    """What became of the answers of a file; none is dropped in silence."""

    tool: str
    added: Counter[str] = field(default_factory=Counter)
    """Records by what was decided, such as ``relabel``."""
    left: Counter[str] = field(default_factory=Counter)
    """Answers and records that were left out, by why, and what else there is to say."""

    def lines(self) -> list[str]:
        named = (ACCEPT, REJECT, RELABEL, EDIT)
        found = "   ".join(f"{name} {self.added[name]:,}" for name in named if self.added[name])
        said = [f"Import    {found or 'nothing new'}   (from {self.tool})"]
        for why, (one, several) in SAID.items():
            if n := self.left[why]:
                said.append(f"Import    {n:,} {one if n == 1 else several}")
        if self.added:
            said.append("Next:  the same leaven augment command applies it, without a call")
        return said


GONE, STALE, UNFIT, EMPTY, THERE, LATER, SPLIT, TIED = (
    "gone", "stale", "unfit", "empty", "there", "later", "split", "tied"
)  # fmt: skip
SAID = {
    SPLIT: ("record on which people disagree: what most said counts",
            "records on which people disagree: what most said counts"),
    TIED: ("of these with as many on each side: the later answer counts",) * 2,
    THERE: ("answer is there already", "answers are there already"),
    LATER: (
        "of these was decided otherwise since: the later decision stands",
        "of these were decided otherwise since: the later decisions stand",
    ),
    SKIPPED: ("answer was skipped or discarded: left out", "answers were skipped or discarded: left out"),
    DRAFT: ("answer is not submitted: left out", "answers are not submitted: left out"),
    EMPTY: ("answer says neither accept nor reject, and corrects nothing: left out",
            "answers say neither accept nor reject, and correct nothing: left out"),
    UNFIT: ("answer names no label of the data, or is no text: left out",
            "answers name no label of the data, or are no text: left out"),
    STALE: ("answer is about a record that holds something else now: left out",
            "answers are about records that hold something else now: left out"),
    GONE: ("answer is about a record that this folder does not have: left out",
           "answers are about records that this folder does not have: left out"),
}  # fmt: skip


def take(folder: Path, file: Path) -> Imported:
    """Add to the folder's decisions what people answered; what was added before is not added again.

    Raises DataError where there is no run, or the file holds no answers to what was exported from it.
    """
    made = opened(folder)
    items = _items(file)
    tool = _recognised(items, file)
    answers = [answer for n, item in enumerate(items, 1) for answer in tool.read(item, f"{file} record {n}")]
    done = Imported(tool.NAME)
    here = [answer for answer in answers if answer.id in made.number]
    if answers and not here:
        what = f"{file}: none of its {len(answers):,} answers is about a record of {folder}"
        raise DataError(f"{what}.", "give the folder of the run that was exported.")
    done.left[GONE] = len(answers) - len(here)
    found: dict[str, list[Answer]] = {}
    for answer in here:
        if answer.state == GIVEN:
            found.setdefault(answer.id, []).append(answer)
        else:
            done.left[answer.state] += 1
    exported = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(file.stat().st_mtime))
    saved = Saved(folder)
    try:
        known, _ = saved.since(0)
        before = _Before(known)
        saved.add([line for lines in _decided(made, found, exported, before, done) for line in lines])
    finally:
        saved.close()
    return done


def _items(file: Path) -> list[dict[str, Any]]:
    """A list of objects: JSON, or one on each line."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise DataError(f"{file} cannot be read ({why}).", "give the JSON file that the tool exported.") from None
    try:
        found = _json(text)
    except ValueError as error:
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            found = [_json(line) for line in lines]
        except ValueError:
            fix = "export it from Argilla or Label Studio as JSON."
            raise DataError(f"{file} is no JSON ({brief(str(error))}).", fix) from None
    found = [found] if isinstance(found, dict) else found  # a single line
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DataError(f"{file} is no list of records.", "export it from Argilla or Label Studio as JSON.")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _recognised(items: Sequence[Mapping[str, Any]], file: Path) -> Any:
    for tool in TOOLS:
        if items and all(tool.knows(item) for item in items):
            return tool
    what = f"{file} holds {'neither records of Argilla nor tasks of Label Studio' if items else 'no records'}"
    raise DataError(f"{what}.", "dataset.records.to_json(FILE) of Argilla, or Export, JSON of Label Studio.")


# -- decisions --------------------------------------------------------------------------------------------------------


class _Before:
    """What the file of decisions holds already."""

    def __init__(self, lines: Iterable[Decision]) -> None:
        self.of: dict[str, list[Decision]] = {}
        self.keys: set[tuple[str, ...]] = set()
        for line in lines:
            self.of.setdefault(line.id, []).append(line)
            self.keys |= {_key(line), _key(line, "")}

    def holds(self, line: Decision, *, timed: bool) -> bool:
        return (_key(line) if timed else _key(line, "")) in self.keys

    def undone(self, wish: Wish, own: str, content: str) -> int:
        """How many decisions have to be taken back so that no label and no text of an earlier one stays."""
        lines = self.of.get(own, [])
        said = standing(lines).get(own)
        if said is None or said.content != content or not wish.keep:
            return 0
        if (said.label is None or wish.label is not None) and said.texts.keys() <= wish.texts.keys():
            return 0
        depth = 0
        for line in lines:
            depth = max(0, depth - 1) if line.action == UNDO else depth + 1
        return depth

    def stands(self, wish: Wish, own: str) -> bool:
        said = standing(self.of.get(own, [])).get(own)
        return said is not None and Wish(said.keep, said.label, dict(said.texts)) == wish


def _key(line: Decision, moment: str | None = None) -> tuple[str, ...]:
    new = json.dumps(line.new, sort_keys=True)
    return (line.id, line.content, line.action, new, line.time if moment is None else moment)


def _decided(
    made: Made, found: Mapping[str, list[Answer]], exported: str, before: _Before, done: Imported
) -> Iterator[list[Decision]]:
    form = form_of(made)
    labels = {option: label for label, option in form.options.items()}
    columns = {form.texts[column]: column for column in form.editable}
    ids = list(found)
    for begin in range(0, len(ids), AT_ONCE):
        some = ids[begin : begin + AT_ONCE]
        numbers = [made.number[own] for own in some]
        for own, row, content in zip(some, made.rows(numbers), made.prints(numbers), strict=True):
            row |= was(row)
            answers = _current(found[own], content, done)
            wishes = [(a, w) for a in answers if (w := _wish(a, row, made, labels, columns, done)) is not None]
            if not wishes:
                continue
            wish, differ, tied = together([wish for _, wish in wishes])
            done.left[SPLIT] += differ
            done.left[TIED] += tied
            at = max(answer.time for answer, _ in wishes)
            lines = _lines(own, content, wish, row, at or exported, made)
            if all(before.holds(line, timed=bool(at)) for line in lines):
                done.left[THERE] += len(wishes)
                done.left[LATER] += not before.stands(wish, own)
                continue
            done.added.update({line.action for line in lines})
            taken_back = Decision(own, content, UNDO, time=at or exported)
            yield [taken_back] * before.undone(wish, own, content) + lines


def _current(answers: Iterable[Answer], content: str, done: Imported) -> list[Answer]:
    """The answers about what the record holds, the last of each person, the later ones last."""
    last: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda answer: answer.time):
        if answer.content != content:
            done.left[STALE] += 1
        else:
            last.pop(answer.who, None)
            last[answer.who] = answer
    return list(last.values())


def _wish(
    answer: Answer, row: Row, made: Made, labels: Mapping[str, str], columns: Mapping[str, str], done: Imported
) -> Wish | None:
    """What an answer changes of a record; None where it says nothing, or something that the data do not have."""
    fits = answer.label is None or (isinstance(answer.label, str) and answer.label in labels)
    fits &= answer.decision in (None, ACCEPT, REJECT)
    if not fits or not all(text is None or _storable(text) for text in answer.texts.values()):
        done.left[UNFIT] += 1
        return None
    now = row.get(made.content.label) if made.content.label else None
    label = labels[answer.label] if answer.label is not None else None
    if label is not None and now is not None and label == str(now):
        label = None
    texts = {
        columns[name]: text
        for name, text in answer.texts.items()
        if name in columns and text and plainly(text).strip() != plainly(row.get(columns[name])).strip()
    }
    if answer.decision == REJECT:
        return Wish(False)
    if answer.decision is None and label is None and not texts:
        done.left[EMPTY] += 1
        return None
    return Wish(True, label, texts)


def _storable(text: Any) -> bool:
    """True for a text that a file can hold: JSON may name half of a sign."""
    return isinstance(text, str) and text.encode("utf-8", "replace").decode() == text


def _lines(own: str, content: str, wish: Wish, row: Row, at: str, made: Made) -> list[Decision]:
    if not wish.keep:
        return [Decision(own, content, REJECT, None, None, at)]
    found = []
    if wish.label is not None:
        now = row.get(made.content.label)
        found.append(Decision(own, content, RELABEL, None if now is None else str(now), wish.label, at))
    if wish.texts:
        texts = dict(wish.texts)
        found.append(Decision(own, content, EDIT, {column: row.get(column) for column in texts}, texts, at))
    return found or [Decision(own, content, ACCEPT, None, None, at)]

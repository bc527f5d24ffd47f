"""What people decided about records: ``review/decisions.jsonl``, a line a decision, which is only ever added to.

A decision is about a record (its id) as it was seen (a hash of its content), and counts only while both agree: an id
says where a record comes from, not what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.engine.folder import write_whole
from leaven.errors import DataError
from leaven.fields import TYPES
from leaven.records import content_hash, digest
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

    from leaven.io.dataset import Dataset

FOLDER = "review"
NAME = "decisions.jsonl"
ACCEPT, REJECT, RELABEL, EDIT, UNDO = ACTIONS = ("accept", "reject", "relabel", "edit", "undo")
NOT_SEEN = {"label_probs", "weight", "vector", "group", "split"}
"""Types of columns that say something of a record, and are not what one looks at to decide."""


@dataclass(frozen=True)
class Decision:
    """One line.  ``new`` is the label of a relabel, and the texts by column of an edit; ``undo`` takes back the last
    decision about the record that stands."""

    id: str
    content: str
    action: str
    old: Any = None
    new: Any = None
    time: str = ""

    def line(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Standing:
    """What is decided about a record now: kept or refused, and what of it is another value."""

    content: str
    keep: bool
    label: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    """New texts by the user's column."""


@dataclass(frozen=True)
class Decisions:
    """A file of decisions as far as it was read: so many ``bytes``, whose hash is ``print``."""

    lines: Sequence[Decision] = ()
    bytes: int = 0
    print: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"lines": len(self.lines), "bytes": self.bytes, "print": self.print}


def path_of(folder: Path) -> Path:
    return folder / FOLDER / NAME


def read(folder: Path) -> Decisions:
    """The decisions of a run's folder; what a killed program left of a last line was never said to be saved.

    Raises DataError for a line that is none.
    """
    try:
        data = path_of(folder).read_bytes()
    except FileNotFoundError:
        return Decisions()
    whole, _, last = data.rpartition(b"\n")
    found = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        if line.strip():
            decision = parse(line)
            if decision is None:
                raise DataError(
                    f"{path_of(folder)} line {number} is no decision.",
                    "mend the line, or remove it; each is one JSON object with id, content, action, old, new, time.",
                )
            found.append(decision)
    if last and (decision := parse(last)):
        found.append(decision)
    else:
        data = data[: len(data) - len(last)]
    return Decisions(found, len(data), digest(data).hex())


def parse(line: bytes) -> Decision | None:
    """A line as a decision; None where it is none."""
    try:
        said = json.loads(line)
        decision = Decision(**said)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (decision.id, decision.content, decision.action, decision.time)
    if not all(isinstance(text, str) for text in texts) or decision.action not in ACTIONS:
        return None
    if decision.action == RELABEL and not isinstance(decision.new, str):
        return None
    if decision.action == EDIT and not (
        isinstance(decision.new, dict) and all(isinstance(text, str) for text in decision.new.values())
    ):
        return None
    return decision


def standing(lines: Iterable[Decision]) -> dict[str, Standing]:
    """What is decided about each record: the later line wins, and an undo takes back the last one that stands.

    Who relabels or edits a record wants it kept.  What was decided about other content of the record does not count
    any more.
    """
    stacks: dict[str, list[Decision]] = {}
    for decision in lines:
        stack = stacks.setdefault(decision.id, [])
        if decision.action != UNDO:
            stack.append(decision)
        elif stack:
            stack.pop()
    return {own: _folded(stack) for own, stack in stacks.items() if stack}


def _folded(stack: Sequence[Decision]) -> Standing:
    content, keep, label, texts = stack[-1].content, True, None, dict[str, str]()
    for decision in stack:
        if decision.content == content:
            keep = decision.action != REJECT
            if decision.action == RELABEL:
                label = decision.new
            elif decision.action == EDIT:
                texts |= decision.new
    return Standing(content, keep, label, texts)


def seen_columns(dataset: Dataset, schema: pa.Schema) -> list[str]:
    """The columns of ``train/`` that a record is known by: those of the data, and images and sounds that steps made.

    Opinions about it (scores, soft labels, what notes wrote) are not among them, nor are columns that ride along.
    """
    kinds = {column: dataset.types.get(name, "") for name, column in dataset.columns.items()}
    made = [f.name for f in schema if f.name not in kinds and f.type == arrow_of("image")]
    return sorted([*(name for name, kind in kinds.items() if kind in TYPES and kind not in NOT_SEEN), *made])


def content_print(row: Mapping[str, Any], seen: Iterable[str]) -> str:
    """The hash of what a record holds in some columns."""
    return content_hash({name: _bytes_of(row.get(name)) for name in seen}).hex()


def _bytes_of(cell: Any) -> Any:
    """An image or a sound is its bytes, wherever they came from."""
    return cell["bytes"] if isinstance(cell, dict) and cell.keys() == {"bytes", "path"} else cell


def lend(folder: Path, to: Path, said: Mapping[str, Any]) -> None:
    """Copy the decisions that a run applied, as its ``run.json`` says: those of later are for the next run.

    Raises DataError where the file is no longer what it was.
    """
    applied = said.get("review", {})
    if not applied.get("bytes"):
        return
    path = path_of(folder)
    data = path.read_bytes()[: applied["bytes"]] if path.is_file() else b""
    if digest(data).hex() != applied["print"]:
        raise DataError(
            f"{path} does not begin with the {applied['lines']:,} decisions that this run applied.",
            "put the file back as it was; decisions are only ever added to it.",
        )
    write_whole(path_of(to), data)

"""What is said of made rows whose data has no label: their annotations beside those of the real rows."""

from __future__ import annotations

from dataclasses import dataclass

from leaven.measure.bench import Rows
from leaven.measure.case import Case
from leaven.measure.media import Media
from leaven.measure.pairs import note_fit
from leaven.measure.traits import Names, Trait, compare


@dataclass(frozen=True)
class Described:
    """``boxes`` are those of made rows, and those that stood in the real rows they came from."""

    traits: list[Trait]
    names: list[Names]
    rows: tuple[int, int]
    boxes: tuple[int, int] | None
    missing: list[str]
    """What cannot be said, and why."""


def describe(case: Case, made: Rows, trained: bool, seed: int) -> Described:
    """Compare annotations; ``trained`` where a student said whether they help."""
    if case.encode and isinstance(case.content, Media):
        note_fit(case.real, made, case.content.vectors, case.encode)
        case.encode.close()
    traits, names = compare(case.real.notes, made.notes, seed)
    kinds = set(case.noted.values())
    known = [i for i, of in enumerate(made.roots) if (of >= -1).all() and (of >= 0).any()]
    counts = [len(note.labels) for note in case.real.notes]
    before = sum(counts[root] for i in known for root in made.roots[i] if root >= 0)
    after = sum(len(made.notes[i].labels) for i in known)
    boxes = (after, before) if "boxes" in kinds and before else None
    return Described(
        traits, names, (len(case.real), len(made)), boxes, list(_missing(kinds, trained, case.encode is not None))
    )


def _missing(kinds: set[str], trained: bool, paired: bool) -> list[str]:
    said = []
    if kinds & {"boxes", "mask"} and not trained:
        what = "detector" if "boxes" in kinds else "segmenter"
        said.append(f"whether they help: no {what} was trained; name one: --student cnn")
    if "boxes" in kinds:
        said.append("whether another detector agrees with the boxes: no model plays the role detect yet")
    if "caption" in kinds:
        said.append("whether the pairs help: no student learns captions yet")
    if "caption" in kinds and not paired:
        said.append("whether captions fit: name weights that know both at augment, --model embed=transformers:FOLDER")
    if kinds & {"points", "segments"}:
        said.append(f"whether they help: no student for {' and '.join(sorted(kinds & {'points', 'segments'}))} yet")
    return said

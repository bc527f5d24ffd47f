"""How much of one thing is in another of its kind: two texts, two masks, two lists of boxes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven._words import plain
from leaven.errors import RecipeError
from leaven.fields import SCORE, Column
from leaven.media.image import Image
from leaven.operators import Expr, Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

Box = Mapping[str, Any]
BY_KIND = {"texts": ("words", "edit", "rouge"), "masks": ("dice", "iou"), "boxes": ("iou", "dice")}
"""What can be measured of each; the first where nothing is said."""
WORD = re.compile(r"\w+(?:['’]\w+)*")


class Overlap(Note):
    """Note how much a field and another value of its kind have in common.

    - `words`: the share of words that are the same and in the same order, case and punctuation aside: 1 less the words
      to change, add and leave out, over those of the longer text.  For a transcript, 1 less its word errors.
    - `edit`: the same with characters, as they stand.
    - `rouge`: ROUGE-L, the F1 of the longest series of words that both have (Lin 2004).
    - `dice`: of masks, twice what both cover over the sum of what each covers; with several classes their mean, what is
      0 left out.
    - `iou`: of masks, what both cover over what any covers.  Of lists of boxes, those of one label are paired, the best
      first; the sum of the pairs' values over the number of boxes of the longer list.

    Needs two texts, masks or lists of boxes.
    Writes `overlap`, from 0 to 1, where both are the same; two that are empty are the same, unless `empty` says else.

    >>> [row] = Overlap("text", on="transcript")({"text": "Turn on the light!", "transcript": "turn on a light"})
    >>> row["overlap"]
    0.75
    """

    takes: ClassVar[str] = "text or mask or boxes"
    # The recipe's word is one of Python's own, which cannot stand before a colon.
    __annotations__["with"] = Expr
    locals()["with"] = Field(description="What to compare with: a field, or an expression such as `root.question`.")
    on: str | None = None
    """The field to compare; the main text, mask or boxes."""
    measure: Literal["words", "edit", "rouge", "dice", "iou"] | None = None
    """`words`, `edit` and `rouge` for texts, `dice` and `iou` for masks and boxes; the first of its kind."""
    plain: bool = False
    """Compare texts without case, articles and punctuation."""
    empty: float = Field(1.0, ge=0, le=1)
    """The value of two masks that cover nothing, of two texts without a word, of two lists without a box."""

    def writes(self) -> dict[str, Column]:
        return {"overlap": Column(SCORE, self.reads(), written=False)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        one = record.get(self.on or "text")
        other = getattr(self, "with")(ctx.values(record), ctx.rng)
        kind = _kind(one if one is not None else other)
        if other is not None and _kind(other) != kind:
            raise RecipeError(f"overlap compares {kind} with {_kind(other)}.", f"with: another field of {kind}")
        measure = self.measure or BY_KIND[kind][0]
        if measure not in BY_KIND[kind]:
            raise RecipeError(
                f"overlap does not measure {measure} of {kind}.", f"measure: {' or '.join(BY_KIND[kind])}"
            )
        value = _MEASURES[kind](one, other, measure, self.plain)
        if self.empty != 1 and not _filled(one) and not _filled(other):
            value = self.empty
        return {"overlap": round(value, 6)}


def _kind(value: Any) -> str:
    if isinstance(value, Image):
        return "masks"
    return "boxes" if isinstance(value, list | tuple) else "texts"


def _filled(value: Any) -> bool:
    """True for a mask that covers something, a text with a word in it, a list with a box."""
    if isinstance(value, Image):
        return bool(value.codes.any())
    return bool(value) and (not isinstance(value, str) or WORD.search(value) is not None)


# -- texts ----------------------------------------------------------------------------------------------------------


def of_texts(one: Any, other: Any, measure: str, plainly: bool) -> float:
    texts = ["" if text is None else plain(text) if plainly else str(text) for text in (one, other)]
    if measure == "edit":
        return alike(*texts)
    words = [WORD.findall(text.casefold()) for text in texts]
    if measure == "words":
        return alike(*words)
    longest = sum(map(len, words))
    return 2 * shared(*words) / longest if longest else 1.0


def alike(one: Sequence[str], other: Sequence[str]) -> float:
    """1 less the edits from one series to the other (changed, added, left out), over the length of the longer."""
    longer = max(len(one), len(other))
    return 1 - edits(one, other) / longer if longer else 1.0


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest items to change, add and leave out that make one series of the other (Levenshtein)."""
    import numpy as np

    a, b = _numbered(one, other)
    places = np.arange(len(b) + 1)
    row = places
    for i, item in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (b != item))
        # What is added after a place costs one each: the least of all before, counted from there.
        row = np.minimum.accumulate(np.concatenate([[i], best]) - places) + places
    return int(row[-1])


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest series of items that stand in both in the same order."""
    import numpy as np

    a, b = _numbered(one, other)
    row = np.zeros(len(b) + 1, np.int64)
    for item in a:
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + (b == item)))
    return int(row[-1])


def _numbered(one: Sequence[str], other: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import numpy as np

    numbers: dict[str, int] = {}
    found = [[numbers.setdefault(item, len(numbers)) for item in items] for items in (one, other)]
    return np.array(found[0], np.int64), np.array(found[1], np.int64)


# -- masks ----------------------------------------------------------------------------------------------------------


def of_masks(one: Any, other: Any, measure: str, _: bool) -> float:
    if one is None or other is None:
        return 0.0
    if one.codes.shape != other.codes.shape:
        raise Refuse("other_size", f"{one.size[0]} x {one.size[1]} and {other.size[0]} x {other.size[1]} pixels")
    return covered(one.codes, other.codes, measure)


def covered(one: NDArray[Any], other: NDArray[Any], measure: str) -> float:
    """Dice or IoU of two masks, the mean over the codes that stand in any of them; 0 is what nothing covers."""
    import numpy as np

    both = np.bincount(one[one == other], minlength=1)
    sizes = [np.bincount(mask.ravel(), minlength=len(both)) for mask in (one, other)]
    most = max(map(len, sizes))
    a, b, common = (np.pad(counts, (0, most - len(counts)))[1:].astype(float) for counts in (*sizes, both))
    there = (a + b) > 0
    if not there.any():
        return 1.0
    whole = (a + b) / 2 if measure == "dice" else a + b - common
    return float((common[there] / whole[there]).mean())


# -- boxes ----------------------------------------------------------------------------------------------------------


def of_boxes(one: Any, other: Any, measure: str, _: bool) -> float:
    lists = [list(boxes or ()) for boxes in (one, other)]
    longer = max(map(len, lists))
    return paired(lists[0], lists[1], measure) / longer if longer else 1.0


def paired(one: Sequence[Box], other: Sequence[Box], measure: str) -> float:
    """The sum of the values of pairs of boxes of one label, each box in one pair at most, the best first."""
    values = [
        (-_common(a, b, measure), i, j)
        for i, a in enumerate(one)
        for j, b in enumerate(other)
        if a.get("label") == b.get("label")
    ]
    left, right, total = set(range(len(one))), set(range(len(other))), 0.0
    for value, i, j in sorted(values):
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            total -= value
    return total


def _common(a: Box, b: Box, measure: str) -> float:
    wide = min(a["x"] + a["w"], b["x"] + b["w"]) - max(a["x"], b["x"])
    high = min(a["y"] + a["h"], b["y"] + b["h"]) - max(a["y"], b["y"])
    both = max(0.0, wide) * max(0.0, high)
    sizes = a["w"] * a["h"] + b["w"] * b["h"]
    whole = sizes / 2 if measure == "dice" else sizes - both
    return float(both / whole) if whole > 0 else float(a == b)


_MEASURES = {"texts": of_texts, "masks": of_masks, "boxes": of_boxes}

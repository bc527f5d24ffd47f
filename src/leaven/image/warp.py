"""An image mirrored, turned, scaled, shifted, cut and bent, with all that stands on it."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from leaven.image.carried import carried, noted, said, unfit
from leaven.image.matrices import matrix_of
from leaven.image.mirrored import FAR, mirror, mirror_marks, turned
from leaven.image.moved import KNOTS, STIFFEST, Motion
from leaven.operators import Make
from leaven.ranges import Range, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

    Numbers = NDArray[np.float64]

MILD: dict[str, Range] = {"rotate": (-10, 10), "scale": (0.9, 1.1), "shift": (-0.05, 0.05)}
CHANGES = ("rotate", "scale", "shift", "shear", "crop", "elastic", "perspective")
ASPECT = 4 / 3
"""A crop is up to this many times as wide, or as high, as the image's own form."""
GRAY = 114


class Warp(Make):
    """Mirror, turn, scale, shift, shear, cut or bend an image; boxes, masks and points move along.

    Each change that has a range is made with chance `p`, by a number drawn evenly from it; where nothing is named,
    three mild ones are (10 degrees, a tenth of the size, a twentieth of the side).  The child has its parent's size.
    What comes in over the edge is gray, and 0 in a mask.

    A box with polygons is drawn anew about them, another about the quadrangle that it became.  One that keeps less than
    `smallest` of its area in the image is dropped, a point outside too, and the history counts them.

    In a mirror, `left` and `right` in English captions, questions, answers and labels change places, a label only
    where its counterpart is among the labels.  An image is not mirrored where its label is a character, where a text
    speaks of writing in it, or where the word may mean no side; nor turned by more than 45 degrees or put on its head
    where texts say where things are.  The history tells (`mended`, `no: ...`).  Fields in `holds` are not looked at.

    A mask of another size than its image is refused as `mask_size`.

    Needs an image.  Makes an image; boxes, masks and points move along.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.zeros((40, 60, 3), np.uint8))
    >>> [row] = Warp(crop=(0.25, 0.25), n=1)({"image": photo, "label": "cat"})
    >>> row["image"].size, row["label"]
    ((60, 40), 'cat')
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    p: float = Field(1.0, ge=0, le=1)
    """The chance of each change; a flip comes up in half of these."""
    flip: Literal["horizontal", "vertical", "both"] | None = None
    """In which mirrors it may be seen, each with chance .5: left to right, upside down."""
    rotate: Annotated[Range, within(-180, 180)] | None = None
    """Degrees to turn it by, against the clock."""
    scale: Annotated[Range, within(0.05, 20)] | None = None
    """How many times as large."""
    shift: Annotated[Range, within(-1, 1)] | None = None
    """How far, as a share of the side; to the right and down, each drawn for itself."""
    shear: Annotated[Range, within(-40, 40)] | None = None
    """Degrees by which upright lines lean, and level ones, each drawn for itself."""
    crop: Annotated[Range, within(0.01, 1)] | None = None
    """The share of the area that is cut out and enlarged to the whole, up to a third wider or higher in form."""
    elastic: float = Field(0.0, ge=0, le=1000)
    """A smooth bend by at most so many pixels (and at most a twentieth of the shorter side, so that nothing folds)."""
    perspective: float = Field(0.0, ge=0, le=0.3)
    """By at most which share of its side each corner is drawn inward, as if seen from the side."""
    fill: Literal["reflect"] | Annotated[int, Field(ge=0, le=255)] = GRAY
    """The gray that comes in over the edge; `reflect`: the image itself, but where there are boxes or points (theirs
    would lack in the reflection)."""
    smallest: float = Field(0.1, ge=0, le=1)
    """The share of its area that must be left of a box."""
    on: str | None = None
    """The image to change; the main one."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        on = self.on or "image"
        there = noted(record, ctx, on, self.moves)
        wrong = unfit(record, on, there)
        for ordinal in range(self.n):
            if wrong:
                yield record.child().refuse("mask_size", wrong)
            else:
                yield self.warped(record, ctx, on, there, ctx.rng_of(ordinal))

    def warped(
        self, record: Record, ctx: Context, on: str, there: list[tuple[str, str]], rng: np.random.Generator
    ) -> Record:
        size = record[on].size
        drawn, bend = self.draw(size, rng)
        mended, no = self.allowed(record, ctx, there, drawn)
        reflect = self.fill == "reflect" and not any(kind != "mask" and record[name] for kind, name in there)
        fill = None if reflect else GRAY if self.fill == "reflect" else int(self.fill)
        marks = Record(record.id, {**record.fields, **mended})  # boxes and points with their other side's labels
        motion = Motion(matrix_of(drawn, size), size, bend)
        new, dropped = carried(marks, on, there, motion, fill=fill, nearest=False, smallest=self.smallest)
        told = {"mended": sorted(mended)} if mended else {}
        return record.child({**mended, **new}, drawn={**drawn, **no, **dropped, **told})

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[dict[str, Any], Numbers | None]:
        """What happens to an image of this size, and the bend's knots; always as many numbers, so that one change more
        leaves the others as they were."""
        names = ("flip_x", "flip_y", *CHANGES)
        numbers = rng.random(len(names) + 20).tolist()  # at once: a call costs more than its numbers
        happens = {name: chance < self.p for name, chance in zip(names, numbers, strict=False)}
        (coin_x, coin_y, *u), corners = numbers[len(names) : -8], numbers[-8:]
        ranges: dict[str, Range] = {name: value for name in CHANGES if isinstance(value := getattr(self, name), tuple)}
        if not (ranges or self.flip or self.elastic or self.perspective):
            ranges = MILD
        drawn: dict[str, Any] = {}
        flips = [
            way
            for way, name, coin in (("horizontal", "flip_x", coin_x), ("vertical", "flip_y", coin_y))
            if self.flip in (way, "both") and happens[name] and coin < 0.5
        ]
        if flips:
            drawn["flip"] = "both" if len(flips) == 2 else flips[0]

        def between(name: str, u: float) -> float:
            low, high = ranges[name]
            return round(low + (high - low) * u, 4)

        if "rotate" in ranges and happens["rotate"]:
            drawn["rotate"] = between("rotate", u[0])
        if "scale" in ranges and happens["scale"]:
            drawn["scale"] = between("scale", u[1])
        for name, i in (("shift", 2), ("shear", 4)):
            if name in ranges and happens[name]:
                drawn[name] = [between(name, u[i]), between(name, u[i + 1])]
        if "crop" in ranges and happens["crop"]:
            drawn["crop"] = _window(size, between("crop", u[6]), u[7:])
        if self.perspective and happens["perspective"]:
            drawn["perspective"] = [round(self.perspective * v, 4) for v in corners]
        if not (self.elastic and happens["elastic"]):
            return drawn, None
        drawn["elastic"] = round(min(self.elastic, min(size) / STIFFEST), 4)
        return drawn, drawn["elastic"] * rng.uniform(-1, 1, (2, KNOTS, KNOTS))

    def allowed(
        self, record: Record, ctx: Context, there: list[tuple[str, str]], drawn: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Take out of ``drawn`` what would make a text or a label false: the fields mended for what stays, and why the
        rest does not."""
        far = abs(drawn.get("rotate", 0.0)) > FAR
        if not far and "flip" not in drawn:
            return {}, {}
        fields = said(record, ctx, self.holds)
        no: dict[str, str] = {}
        if far and (why := turned(fields)):
            del drawn["rotate"]
            no["rotate"] = f"no: {why}"
        flip = drawn.pop("flip", "")
        ways = ["horizontal", "vertical"] if flip == "both" else [flip] if flip else []
        mended: dict[str, Any] = {}
        if "vertical" in ways and (why := turned(fields)):
            ways.remove("vertical")
            no["flip"] = f"no: {why}"
        if ways:
            marks = {name: (kind, record[name]) for kind, name in there if kind != "mask" and name not in self.holds}
            texts, why = mirror(fields, ctx.labels)
            other, lacks = mirror_marks(marks if len(ways) == 1 else {}, ctx.labels)  # two mirrors are a turn
            if why or lacks:
                ways = []
                no["flip"] = f"no: {why or lacks}"
            else:
                mended = {**texts, **other}
        if ways:
            no.pop("flip", None)
            drawn["flip"] = "both" if len(ways) == 2 else ways[0]
        return mended, no


def _window(size: tuple[int, int], share: float, u: list[float]) -> list[int]:
    """A cut of so much of the area: x, y, width and height in whole pixels."""
    width, height = size
    form = exp((2 * u[0] - 1) * log(ASPECT))
    w = min(width, max(1, round(width * sqrt(share * form))))
    h = min(height, max(1, round(height * sqrt(share / form))))
    return [int(u[1] * (width - w + 1)), int(u[2] * (height - h + 1)), w, h]

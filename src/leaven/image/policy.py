"""Automatic policies: one or a few changes of 14, drawn without any search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven.image import enhanced
from leaven.image.carried import carried, noted, said, unfit
from leaven.image.matrices import matrix_of, slanted
from leaven.image.mirrored import FAR, turned
from leaven.image.moved import Motion
from leaven.image.tables import OPS, SIGNED, STEPS, strength
from leaven.media.image import Image
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def motion_of(op: str, by: float, size: tuple[int, int]) -> Motion:
    """Where an image goes: slanted about its upper left corner, shifted by pixels, or turned about its middle."""
    if op == "rotate":
        return Motion(matrix_of({"rotate": by}, size), size)
    return Motion(slanted(op, by), size)


def lit(pixels: NDArray[np.uint8], op: str, by: float | None) -> NDArray[np.uint8]:
    """The pixels after a change that moves nothing."""
    change = getattr(enhanced, op)
    if by is None:
        found: NDArray[np.uint8] = change(pixels)
    else:
        found = change(pixels, 1 + by if op in SIGNED else int(by) if op == "posterize" else by)
    return found


class Policy(Make):
    """Draw changes from a fixed list of 14, as TrivialAugment or RandAugment do; boxes, masks and points move along.

    `trivial` makes one change of any strength (Müller and Hutter 2021, arXiv:2103.10158), `randaugment` makes `n_ops`
    of one `magnitude` (Cubuk et al. 2019, arXiv:1909.13719).  The list and the strengths are torchvision's:
    TrivialAugment Wide and RandAugment, 31 steps, nearest pixels, black where nothing was.  (The papers' own tables
    differ from these.)  The history names the table, the changes and their strengths.

    Meant for classification: colours may be inverted, so texts that name one may become false.  A turn of more than 45
    degrees is left out where an English text says where things are, or the label is a character (`no: ...`).
    A mask of another size than its image is refused as `mask_size`.

    Needs an image.  Makes an image; boxes, masks and points move along.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.full((20, 30, 3), 90, np.uint8))
    >>> len(Policy("trivial", n=5)({"image": photo}))
    5
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    how: Literal["trivial", "randaugment"] = "trivial"
    """One change of a drawn strength, or several of one strength."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    n_ops: int = Field(2, ge=1, le=14)
    """How many changes, one after the other (randaugment)."""
    magnitude: int = Field(9, ge=0, le=STEPS - 1)
    """How strong they are, 0 to 30 (randaugment)."""
    smallest: float = Field(0.1, ge=0, le=1)
    """The share of its area that must be left of a box."""
    on: str | None = None
    """The image to change; the main one."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        on = self.on or "image"
        there = noted(record, ctx, on, self.moves)
        wrong = unfit(record, on, there)
        upright = turned(said(record, ctx, self.holds))
        for ordinal in range(self.n):
            if wrong:
                yield record.child().refuse("mask_size", wrong)
                continue
            ops: list[list[Any]] = self.draw(record[on].size, ctx.rng_of(ordinal))
            drawn: dict[str, Any] = {"table": f"torchvision {self.how}", "ops": ops}
            now = record.child({on: record[on], **{name: record[name] for _, name in there}}, drawn=drawn)
            for i, (op, by) in enumerate(ops):
                if op == "rotate" and abs(by) > FAR and upright:
                    ops[i] = [op, f"no: {upright}"]
                elif op in MOVING:
                    self.move(now, on, there, motion_of(op, by, now[on].size), drawn)
                elif op != "identity":
                    now.fields[on] = Image.of(lit(now[on].pixels, op, by), now[on])
            yield now

    def move(self, now: Record, on: str, there: list[tuple[str, str]], motion: Motion, drawn: dict[str, Any]) -> None:
        """Move the child on, and count what is dropped."""
        new, gone = carried(now, on, there, motion, fill=0, nearest=True, smallest=self.smallest)
        now.fields.update(new)
        for name, count in gone.items():
            drawn[name] = drawn.get(name, 0) + count

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> list[list[Any]]:
        """The changes in turn, each with its strength."""
        ops = []
        for _ in range(1 if self.how == "trivial" else self.n_ops):
            op = OPS[int(rng.integers(len(OPS)))]
            step = int(rng.integers(STEPS)) if self.how == "trivial" else self.magnitude
            negative = bool(rng.integers(2))
            by = strength(self.how, op, step, size)
            ops.append([op, -by if by and negative and op in SIGNED else by])
        return ops

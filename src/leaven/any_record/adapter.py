"""A model of the user's own, fitted to the data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.models.roles import ASKED
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaven.context import Context, Rows


class Adapter(Note):
    """Fit a model to the real rows, for later steps to ask by this step's name: `paint: {adapter: NAME}`.

    `role: paint` with `how: full` trains a small diffusion model from nothing on the images and their labels; nobody
    has to name a model.  It says how far it is, goes on where it was cut off, and ends early when the loss on a tenth
    of the rows, which it holds out, falls no more.  The model lies in the run's folder under `states/`, as safetensors.

    Helps where images are small and of few kinds, and there are a hundred or more of each; with a handful it learns
    them by heart.

    Needs images; labels where they are to be steered by.  Writes no column.

    >>> dots = [{"image": np.full((8, 8, 3), 30 * i, np.uint8), "label": "dot"} for i in range(8)]
    >>> [row] = Adapter("paint", steps=1, size=8)(dots[0], source=dots)
    >>> list(row)
    ['image', 'label']
    """

    role: str
    """Whose model is fitted: `paint`."""
    how: Literal["full", "lora", "token"] = "full"
    """`full`: a small model of its own, from nothing. `lora` and `token` are not built yet."""
    input: str | None = None
    """What it is steered by: the field of labels."""
    target: str | None = None
    """What it learns to make: the field of images."""
    steps: int = Field(2000, ge=1, le=1_000_000)
    """The most steps of training, of 64 rows each."""
    lr: float = Field(2e-3, gt=0, le=1)
    """How far a step goes."""
    size: int | None = Field(None, ge=8, le=64, multiple_of=8)
    """Pixels a side that it works at; as large as the images are, up to 32."""
    train_on: Literal["source", "stream"] = "source"
    """Whether it learns from all rows of the source, or from those that come into this step."""
    flip: bool = False
    """Show half of the images mirrored: right where a mirrored one keeps its label."""

    @model_validator(mode="after")
    def _built(self) -> Adapter:
        if self.role not in ASKED:
            raise ValueError(RecipeError(f"there is no role `{self.role}`.", "role: paint"))
        if self.role != "paint" or self.how != "full":
            raise ValueError(
                RecipeError(
                    f"fitting {self.role} with `how: {self.how}` is not built yet.", "adapter: {role: paint, how: full}"
                )
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether what it fits is a model in itself: then nobody has to be named for its role."""
        return self.how == "full" and self.role == "paint"

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take the images, and the labels where there are any."""

        def first(kind: str) -> str | None:
            return next((name for name, column in columns.items() if column.type == kind and column.written), None)

        target = self.target or first("image")
        if target is None or columns.get(target, Column("image")).type != "image":
            raise RecipeError(
                f"adapter learns to make images, and {f'`{target}` holds none' if target else 'the data has none'}.",
                "name the field: target: image",
            )
        return self.model_copy(update={"target": target, "input": self.input or first("label")})

    def reads(self) -> frozenset[str]:
        return frozenset(filter(None, (self.target, self.input)))

    def writes(self) -> dict[str, Column]:
        return {}

    def fits_on(self) -> tuple[str, ...]:
        return (self.train_on,)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The generator, in a folder of its own; what is kept here says how training went."""
        from leaven.models.backends.local.small_diffusion import CHECKPOINT, SmallDiffusion

        [table] = rows.values()
        target = str(self.target)
        there = table.table.column(target).is_valid().to_pylist()
        table = table.take([i for i, valid in enumerate(there) if valid])
        given = table.column(self.input) if self.input and self.input in table else [None] * len(table)
        with ExitStack() as stack:
            folder = ctx.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leaven-")))
            model = SmallDiffusion.fit(
                _pixels(table, target),
                [None if label is None else str(label) for label in given],
                size=self.size,
                steps=self.steps,
                lr=self.lr,
                flip=self.flip,
                seed=ctx.seed,
                folder=folder,
                told=lambda progress: ctx.told(str(progress)),
            )
            model.save(folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        return {"rows": len(table), "best": model.trained.best, "last": model.trained.last, "held": model.trained.held}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        for _ in records:
            yield {}


def _pixels(rows: Rows, name: str) -> Iterator[NDArray[np.uint8]]:
    """The pixels of a column of images, let go one after the other."""
    for image in rows.column(name):
        yield image.pixels
        image.settle()

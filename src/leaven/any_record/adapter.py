"""A model of the user's own, fitted to the data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from leaven.any_record._captioner import fitted, template_of
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.models.roles import ASKED
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaven.context import Context, Rows


FITS = (("paint", "full"), ("caption", "full"), ("caption", "lora"))
"""The roles whose models can be fitted, and how."""


class Adapter(Note):
    """Fit a model to the real rows, for later steps to ask by this step's name: `paint: {adapter: NAME}`.

    `role: paint` with `how: full` trains a small diffusion model from nothing on the images and their labels; nobody
    has to name a model.  It says how far it is, goes on where it was cut off, and ends early when the loss on a tenth
    of the rows, which it holds out, falls no more.  The model lies in the run's folder under `states/`, as safetensors.

    `role: caption` fits the captioner that the user names, whole or with a LoRA (`how: lora`, Hu et al. 2022,
    arXiv:2106.09685), to write `target`, a text with `{{ }}`, a field or an expression, about the image in `input`;
    `input: [image, ENTITIES]` is the image and what the captioner is told with it.

    A generator of one's own helps where images are small and of few kinds, and there are a hundred or more of each;
    with a handful it learns them by heart.

    Needs images; labels where a generator is to be steered by them.  Writes no column.

    >>> dots = [{"image": np.full((8, 8, 3), 30 * i, np.uint8), "label": "dot"} for i in range(8)]
    >>> [row] = Adapter("paint", steps=1, size=8)(dots[0], source=dots)
    >>> list(row)
    ['image', 'label']
    """

    role: str
    """Whose model is fitted: `paint` or `caption`."""
    how: Literal["full", "lora", "token"] = "full"
    """For `paint` `full`, a small model of its own, from nothing. For `caption` `full`, the whole model that is named,
    or `lora`. Others are not built yet."""
    input: str | Annotated[list[str], Field(min_length=1, max_length=2)] | None = None
    """What it is steered by: the field of labels; for `caption` the image, and what it is told."""
    target: str | None = None
    """What it learns to make: the field of images; for `caption` a text with `{{ }}`, a field or an expression."""
    steps: int = Field(2000, ge=1, le=1_000_000)
    """The most steps of training, of 64 rows each."""
    epochs: int = Field(5, ge=1, le=1000)
    """How often a captioner sees each row, at the most."""
    batch: int = Field(16, ge=1, le=4096)
    """Rows of a step of a captioner's."""
    lr: float | None = Field(None, gt=0, le=1)
    """How far a step goes: 0.002 for `paint`, for a captioner 0.00001, and 0.0001 with a LoRA."""
    rank: int = Field(16, ge=1, le=1024)
    """How many directions a LoRA has in each layer."""
    alpha: float = Field(16, gt=0, le=4096)
    """How much a LoRA counts, over its rank."""
    dropout: float = Field(0, ge=0, lt=1)
    """The share of a LoRA's inputs that is left out, anew each step."""
    layers: Literal["attention", "all"] = "attention"
    """Where a LoRA stands: at the queries and values of the part that writes, or at all linear layers."""
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
        if (self.role, self.how) not in FITS:
            raise ValueError(
                RecipeError(
                    f"fitting {self.role} with `how: {self.how}` is not built yet.", "adapter: {role: paint, how: full}"
                )
            )
        if self.role == "caption":
            if not self.target:
                raise ValueError(
                    RecipeError("adapter does not say what a captioner is to write.", 'target: "{{ caption }}"')
                )
            for source in filter(None, (self._told(), self.target)):
                template_of(source)
        elif isinstance(self.input, list):
            raise ValueError(RecipeError("a generator is steered by one field.", "input: label"))
        return self

    def tunes(self) -> str:
        return "" if self.whole else self.role

    def _first(self) -> str | None:
        """The image that is captioned, or the label that steers."""
        return self.input[0] if isinstance(self.input, list) else self.input

    def _told(self) -> str:
        """What a captioner is told with the image."""
        return self.input[1] if isinstance(self.input, list) and len(self.input) > 1 else ""

    @property
    def whole(self) -> bool:
        """Whether what it fits is a model in itself: then nobody has to be named for its role."""
        return self.how == "full" and self.role == "paint"

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take the images, and the labels where there are any."""

        def first(kind: str) -> str | None:
            return next((name for name, column in columns.items() if column.type == kind and column.written), None)

        if self.role == "caption":
            image = self._first() or first("image")
            if image is None or columns.get(image, Column("image")).type != "image":
                lack = f"`{image}` holds none" if image else "the data has none"
                raise RecipeError(f"adapter shows a captioner images, and {lack}.", "name the field: input: image")
            return self.model_copy(update={"input": [image, *filter(None, [self._told()])]})
        target = self.target or first("image")
        if target is None or columns.get(target, Column("image")).type != "image":
            raise RecipeError(
                f"adapter learns to make images, and {f'`{target}` holds none' if target else 'the data has none'}.",
                "name the field: target: image",
            )
        return self.model_copy(update={"target": target, "input": self.input or first("label")})

    def reads(self) -> frozenset[str]:
        if self.role == "caption":
            told = [template_of(source).names for source in (self._told(), self.target) if source]
            return frozenset(filter(None, [self._first()])).union(*told)
        return frozenset(filter(None, (self.target, self._first())))

    def writes(self) -> dict[str, Column]:
        return {}

    def fits_on(self) -> tuple[str, ...]:
        return (self.train_on,)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The model, in a folder of its own; what is kept here says how training went."""
        if self.role == "caption":
            return self._captioner(rows, ctx)
        from leaven.models.backends.local.small_diffusion import CHECKPOINT, SmallDiffusion

        [table] = rows.values()
        target = str(self.target)
        there = table.table.column(target).is_valid().to_pylist()
        table = table.take([i for i, valid in enumerate(there) if valid])
        label = self._first()
        given = table.column(label) if label and label in table else [None] * len(table)
        with ExitStack() as stack:
            folder = ctx.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leaven-")))
            model = SmallDiffusion.fit(
                _pixels(table, target),
                [None if label is None else str(label) for label in given],
                size=self.size,
                steps=self.steps,
                lr=self.lr or 2e-3,
                flip=self.flip,
                seed=ctx.seed,
                folder=folder,
                told=lambda progress: ctx.told(str(progress)),
            )
            model.save(folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        return {"rows": len(table), "best": model.trained.best, "last": model.trained.last, "held": model.trained.held}

    def _captioner(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        from leaven.models.backends.local.tuned_captions import Lora, Tuning

        [table] = rows.values()
        lora = Lora(self.rank, self.alpha, self.dropout, self.layers) if self.how == "lora" else None
        lr = self.lr or (1e-4 if lora else 1e-5)
        how = Tuning(lora, epochs=self.epochs, lr=lr, batch=self.batch, seed=ctx.seed)
        (trained, cut), n = fitted(table, str(self._first()), self._told(), str(self.target), how, ctx)
        return {"rows": n, "cut": cut, "best": trained.best, "last": trained.last, "held": trained.held}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        for _ in records:
            yield {}


def _pixels(rows: Rows, name: str) -> Iterator[NDArray[np.uint8]]:
    """The pixels of a column of images, let go one after the other."""
    for image in rows.column(name):
        yield image.pixels
        image.settle()

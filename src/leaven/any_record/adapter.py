"""A model of the user's own, fitted to the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from leaven.any_record.fits import captioner, small_painter
from leaven.any_record.fits.way import Way
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.models.roles import ASKED
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


WAYS: Mapping[tuple[str, str], Way] = {
    ("paint", "full"): small_painter,
    ("caption", "full"): captioner,
    ("caption", "lora"): captioner,
}
"""The roles whose models can be fitted, and how."""
FROM_NOTHING = (small_painter,)
"""The ways whose models are whole in themselves: nobody has to be named for the role."""


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

    >>> import numpy as np
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
    steps: int | None = Field(None, ge=1, le=1_000_000)
    """The most steps of training: 2,000 of 64 rows each for `paint`."""
    epochs: int = Field(5, ge=1, le=1000)
    """How often a captioner sees each row, at the most."""
    batch: int | None = Field(None, ge=1, le=4096)
    """Rows of a step: 16 of a captioner's."""
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
        if (self.role, self.how) not in WAYS:
            raise ValueError(
                RecipeError(
                    f"fitting {self.role} with `how: {self.how}` is not built yet.", "adapter: {role: paint, how: full}"
                )
            )
        try:
            self._way.check(self)
        except RecipeError as error:
            raise ValueError(error) from None
        return self

    @property
    def _way(self) -> Way:
        return WAYS[self.role, self.how]

    @property
    def whole(self) -> bool:
        """Whether what it fits is a model in itself: then nobody has to be named for its role."""
        return self._way in FROM_NOTHING

    def tunes(self) -> str:
        return "" if self.whole else self.role

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take the fields that the recipe does not name."""
        return self.model_copy(update=self._way.bound(self, columns))

    def reads(self) -> frozenset[str]:
        return self._way.reads(self)

    def writes(self) -> dict[str, Column]:
        return {}

    def fits_on(self) -> tuple[str, ...]:
        return (self.train_on,)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The model, in a folder of its own; what is kept here says how training went."""
        [table] = rows.values()
        return self._way.fit(self, table, ctx)

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        for _ in records:
            yield {}

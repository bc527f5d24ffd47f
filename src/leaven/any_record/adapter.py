"""A model of the user's own, fitted to the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from leaven.any_record.fits import captioner, painter, small_painter, small_sounder, writer
from leaven.any_record.fits.way import Way, records
from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.models.roles import ASKED
from leaven.operators import Expr, Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


WAYS: Mapping[tuple[str, str], Way] = {
    ("paint", "full"): small_painter,
    ("paint", "lora"): painter,
    ("paint", "token"): painter,
    ("sound", "full"): small_sounder,
    ("caption", "full"): captioner,
    ("caption", "lora"): captioner,
    ("complete", "full"): writer,
    ("complete", "lora"): writer,
    ("chat", "full"): writer,
    ("chat", "lora"): writer,
}
"""The roles whose models can be fitted, and how."""
FROM_NOTHING = (small_painter, small_sounder)
"""The ways whose models are whole in themselves: nobody has to be named for the role."""


class Adapter(Note):
    """Fit a model to the real rows, for later steps to ask by this step's name: `paint: {adapter: NAME}`.

    `role: paint` with `how: full` trains a small diffusion model from nothing on the images and their labels; nobody
    has to name a model.  It says how far it is, goes on where it was cut off, and ends early when the loss on a tenth
    of the rows, which it holds out, falls no more.  The model lies in the run's folder under `states/`, as safetensors.

    `role: sound` does the same with sounds of up to some seconds, which it learns as pictures of their spectra.

    `role: caption` fits the captioner that the user names, whole or with a LoRA (`how: lora`, Hu et al. 2022,
    arXiv:2106.09685), to write `target`, a text with `{{ }}`, a field or an expression, about the image in `input`;
    `input: [image, ENTITIES]` is the image and what the captioner is told with it.

    `role: complete` fits a language model that goes on with texts, or one that reads a text and writes another (T5,
    BART), to make `target` of `input`, both texts; `role: chat` one that chats to answer `input` with `target`, where
    `input: [image, TEXT]` shows it an image.  `continue` and `ask` then name the step.

    `role: paint` with `how: lora` fits the Stable Diffusion that the user names to paint `target` when it is told
    `prompt`; `prior: a photo of a dog` has it paint such images itself, and learn them beside the rows, so that it
    keeps what it knew (DreamBooth, Ruiz et al. 2023, arXiv:2208.12242).  With `how: token` it learns one word, or with
    `per: label` one for each label, and nothing else moves (textual inversion, Gal et al. 2023, arXiv:2208.01618).

    A generator of one's own helps where images are small and of few kinds, and there are a hundred or more of each;
    with a handful it learns them by heart.

    Needs images or sounds; labels where a generator is to be steered by them.  Writes `token`, the learned word, with
    `how: token`; else no column.

    >>> import numpy as np
    >>> dots = [{"image": np.full((8, 8, 3), 30 * i, np.uint8), "label": "dot"} for i in range(8)]
    >>> [row] = Adapter("paint", steps=1, size=8)(dots[0], source=dots)
    >>> list(row)
    ['image', 'label']
    """

    role: str
    """Whose model is fitted: `paint`, `sound`, `caption`, `complete` or `chat`."""
    how: Literal["full", "lora", "token"] = "full"
    """`full` moves the whole model; for `paint` and `sound` it is a small one of its own, from nothing. `lora` learns
    small matrices beside a model that is named, `token` words of a painter."""
    input: str | Annotated[list[str], Field(min_length=1, max_length=2)] | None = None
    """What it is steered by: the field of labels; for `caption` the image, and what it is told."""
    target: str | None = None
    """What it learns to make: the field of images or sounds; for `caption` a text with `{{ }}`, a field or an
    expression."""
    steps: int | None = Field(None, ge=1, le=1_000_000)
    """The most steps of training: 2,000 for a small model, of 64 images or 32 sounds each; 1,000 of a LoRA, and of
    each word."""
    epochs: int = Field(5, ge=1, le=1000)
    """How often a captioner or a language model sees each row, at the most."""
    batch: int | None = Field(None, ge=1, le=4096)
    """Rows of a step: 16 of a captioner's or a language model's, 4 of a painter's that is named."""
    lr: float | None = Field(None, gt=0, le=1)
    """How far a step goes: 0.002 for a small model, for a captioner 0.00001, for a language model 0.00005, and 0.0001
    with a LoRA; for a word 0.0005 for each row of a step, which is 0.002 for four."""
    rank: int = Field(16, ge=1, le=1024)
    """How many directions a LoRA has in each layer."""
    alpha: float = Field(16, gt=0, le=4096)
    """How much a LoRA counts, over its rank."""
    dropout: float = Field(0, ge=0, lt=1)
    """The share of a LoRA's inputs that is left out, anew each step."""
    layers: Literal["attention", "all"] = "attention"
    """Where a LoRA stands: at the queries and values of the part that writes, or at all linear layers."""
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8)
    """Pixels a side that it works at; of a small model as large as the images are, up to 32, of sounds bands and
    moments, 24 to 64 as they are long; else the model's own."""
    train_on: Literal["source", "stream"] = "source"
    """Whether it learns from all rows of the source, or from those that come into this step."""
    where: Expr | None = None
    """It learns from the rows for which this is true, from all where nothing is said."""
    model: str | None = None
    """A second model of the role by its nick, to be fitted and asked: `model: own` is
    `--model chat.own=transformers:FOLDER`."""
    flip: bool = False
    """Show half of the images mirrored: right where a mirrored one keeps its label."""
    prompt: str | None = None
    """What a painter is told of an image, a text with `{{ }}`; with `how: token` it holds `{{ token }}`, the word."""
    prior: str | None = None
    """With a LoRA of a painter: what images show that the model paints itself, to keep what it knows of the kind."""
    priors: int = Field(100, ge=1, le=100_000)
    """How many of these images."""
    per: str | None = None
    """With `how: token`: the field each of whose values has a word of its own; else all rows have one."""
    init: str = "the"
    """With `how: token`: the word that a new one begins as."""

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

    @property
    def learns_words(self) -> bool:
        return self.how == "token"

    def tunes(self) -> str:
        return "" if self.whole else self.role

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take the fields that the recipe does not name."""
        return self.model_copy(update=self._way.bound(self, columns))

    def reads(self) -> frozenset[str]:
        return self._way.reads(self) | (self.where.names if self.where is not None else frozenset())

    def writes(self) -> dict[str, Column]:
        return {"token": Column(VALUE, frozenset(filter(None, [self.per])), written=False)} if self.learns_words else {}

    def fits_on(self) -> tuple[str, ...]:
        return (self.train_on,)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The model, in a folder of its own; what is kept here says how training went."""
        [table] = rows.values()
        if self.where is not None:
            every = enumerate(records(table, ctx))
            table = table.take([i for i, (row, mine) in every if self.where(mine.values(row), mine.rng)])
        return self._way.fit(self, table, ctx)

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        if not self.learns_words:
            yield from ({} for _ in records)
            return
        words = painter.words_of(ctx.state)
        for record in records:
            label = record.get(self.per) if self.per else ""
            yield {"token": None if label is None else words.get(str(label))}

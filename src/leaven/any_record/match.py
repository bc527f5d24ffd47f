"""How well two things fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from leaven.errors import RecipeError
from leaven.fields import SCORE, Column
from leaven.operators import Note, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Match(Note):
    """Note the cosine between the embeddings of two fields, or of a field and a text.

    ``to`` is a template: ``match: {on: text, to: "{{ parent.text }}"}`` is the similarity to the parent.

    Needs two texts, images or sounds; of two kinds a model that embeds both.
    Writes `match`, from -1 to 1; 0 where one of the two is empty.

    >>> Match(["question", "context"])({"question": "where is my card", "context": "where is my card"})[0]["match"]
    1.0
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text or image or audio"
    on: str | list[str] | None = None
    """Two fields, or one with `to`."""
    to: Text | None = None
    """What to compare the field with."""

    @model_validator(mode="after")
    def _two_things(self) -> Match:
        pair = isinstance(self.on, list) and len(self.on) == 2
        if pair == (self.to is not None):
            raise ValueError(
                RecipeError("match needs two fields, or one and `to`.", "match: {on: [question, context]}")
            )
        return self

    def writes(self) -> dict[str, Column]:
        return {"match": Column(SCORE, self.reads(), written=False)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        fields = [self.on] if isinstance(self.on, str) else list(self.on or ())
        left = ctx.vectors(records, fields[:1])
        if self.to is not None:
            right = ctx.embed([self.to.render(ctx.values(r), ctx.of(r).rng) for r in records])
        else:
            right = ctx.vectors(records, fields[1:])
        if left.shape[1] != right.shape[1] and len(records):
            raise RecipeError(
                "match compares an image or a sound with a text, and no model at hand puts both into one space.",
                "--model embed=transformers:FOLDER, of a CLIP or CLAP model",
            )
        right = right.astype(np.float64)
        for value in np.round(np.einsum("ij,ij->i", left, right), 6):
            yield {"match": float(value)}

"""How well two things fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from leaven.errors import RecipeError
from leaven.fields import SCORE, Column
from leaven.operators import Expr, Note, State, Text
from leaven.records import Record
from leaven.storage import IMAGES, MEDIA

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

SCALE = 100.0
"""The logit scale of CLIP, which its training holds at 100 at most."""
BOTH = "--model embed=transformers:FOLDER, of a CLIP or CLAP model"
MEDIA_BLOCK = 1024
"""Records whose vectors are held at a time."""


class Match(Note):
    """Note the cosine between the embeddings of two fields, or of a field and a text, or the mean of a label.

    ``to`` is a template: ``match: {on: text, to: "{{ parent.text }}"}`` is the similarity to the parent.  ``centre`` is
    a label: ``match: {on: image, centre: label}`` compares with the mean vector of the real rows of that label, the
    record's own root among them.  With ``scaled`` it is the sigmoid of ``scale`` times the cosine, from 0 to 1, as
    Synthio reads CLAP (Ghosh et al. 2025, arXiv:2410.02056).

    Needs two texts, images or sounds; of two kinds a model that embeds both.
    Writes `match`, from -1 to 1; 0 where one of the two is empty, None where no real row has the label.

    >>> Match(["question", "context"])({"question": "where is my card", "context": "where is my card"})[0]["match"]
    1.0
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text or image or audio or vector"
    on: str | list[str] | None = None
    """Two fields, or one with `to` or `centre`."""
    to: Text | None = None
    """What to compare the field with."""
    centre: Expr | None = None
    """Or the label whose real rows it is compared with: a field, or an expression."""
    scaled: bool = False
    """Give the sigmoid of the scaled cosine."""
    scale: float | None = Field(None, gt=0)
    """What the cosine is multiplied by for it: the model's own logit scale, 100 where it has none."""
    _sees_and_reads: bool = PrivateAttr(False)

    @model_validator(mode="after")
    def _two_things(self) -> Match:
        pair = isinstance(self.on, list) and len(self.on) == 2
        if pair + (self.to is not None) + (self.centre is not None) != 1:
            raise ValueError(
                RecipeError("match needs two fields, or one and `to` or `centre`.", "match: {on: [question, context]}")
            )
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        bound = self.model_copy()
        bound._sees_and_reads = sees_and_reads(self.fields(), columns, said=self.to is not None)
        return bound

    def sees_and_reads(self) -> bool:
        return self._sees_and_reads

    def fields(self) -> list[str]:
        return [self.on] if isinstance(self.on, str) else list(self.on or ())

    def writes(self) -> dict[str, Column]:
        return {"match": Column(SCORE, self.reads(), written=False)}

    def needs_state(self) -> bool:
        return self.centre is not None

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The mean vector of each label's real rows."""
        import numpy as np

        [table] = rows.values()
        label = str(ctx.constants.get("label_field") or "")
        given = table.column(label) if label in table else []
        at = [i for i, name in enumerate(given) if name is not None]
        if not at:
            raise RecipeError("match compares with the centre of a label, and no real row has one.", "label some rows.")
        vectors = ctx.vectors(table.take(at), self.fields()).astype(np.float64)
        names, of = np.unique([str(given[i]) for i in at], return_inverse=True)
        means = np.stack([vectors[of == number].mean(axis=0) for number in range(len(names))])
        return {"labels": names, "means": means}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        fields = self.fields()
        scale = (self.scale or ctx.scale() or SCALE) if self.scaled else 0.0
        for begin in range(0, len(records), MEDIA_BLOCK):
            block = records[begin : begin + MEDIA_BLOCK]
            left = ctx.vectors(block, fields[:1])
            if self.to is not None:
                right = ctx.embed([self.to.render(ctx.values(r), ctx.of(r).rng) for r in block])
            elif self.centre is not None:
                right = self.centres(block, ctx)
            else:
                right = ctx.vectors(block, fields[1:])
            # Rounded: a number that a threshold cuts must not hang on the last bit of a sum.
            found = np.round(side_by_side(left, right, "match"), 6)
            if self.scaled:
                found = np.round(1 / (1 + np.exp(-scale * found)), 9)
            for value in found:
                yield {"match": None if np.isnan(value) else float(value)}

    def centres(self, records: Sequence[Record], ctx: Context) -> np.ndarray:
        """The direction of the mean of each record's label, of length 1; NaN where no real row has it."""
        import numpy as np

        assert self.centre is not None
        means: np.ndarray = ctx.state["means"]
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        unit = np.vstack([means / np.where(lengths > 0, lengths, 1), np.full((1, means.shape[1]), np.nan)])
        place = {str(name): i for i, name in enumerate(ctx.state["labels"])}
        named = [self.centre(ctx.values(record), ctx.of(record).rng) for record in records]
        found: np.ndarray = unit[[place.get(str(name), -1) for name in named]]
        return found


def sees_and_reads(fields: Sequence[str], columns: Mapping[str, Column], said: bool) -> bool:
    """Whether fields, and a text where one is ``said``, are of two kinds: an image or a sound, and a text."""
    types = [columns[name].type for name in fields if name in columns]
    kinds = {"image" if kind in IMAGES else kind if kind in MEDIA else "text" for kind in types}
    return len(kinds | ({"text"} if said else set())) > 1


def side_by_side(left: np.ndarray, right: np.ndarray, step: str) -> np.ndarray:
    """The cosine of each row of unit vectors with the row beside it."""
    import numpy as np

    if left.shape[1] != right.shape[1]:
        raise RecipeError(
            f"{step} compares an image or a sound with a text, and no model at hand puts both into one space.", BOTH
        )
    cosines: np.ndarray = np.einsum("ij,ij->i", left, right.astype(np.float64))
    return cosines

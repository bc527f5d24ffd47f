"""Which of several texts an image, a sound or a text fits best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, PrivateAttr

from leaven.any_record.match import MEDIA_BLOCK, SCALE, sees_and_reads, side_by_side
from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Expr, Note, Text
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context


class ZeroShot(Note):
    """Note which of several texts a record fits best, by the cosines of embeddings (zero-shot classification).

    The softmax of ``scale`` times the cosines gives a probability to each, as CLIP does (Radford et al. 2021,
    arXiv:2103.00020).  For images and sounds it takes a model that embeds both: `--model embed=transformers:FOLDER` of
    a CLIP, SigLIP or CLAP.

    Needs a text, an image or a sound.
    Writes `zero_shot`, the one that fits best (the first of two that fit alike); `zero_shot_prob`, its probability;
    `zero_shot_probs`, all of them; `zero_shot_index`, its place among them, from 0.  All None where there is nothing to
    compare.

    >>> [row] = ZeroShot(["a bank card", "opening hours"])({"text": "my card is lost"})
    >>> row["zero_shot"], row["zero_shot_index"]
    ('a bank card', 0)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text or image or audio"
    gives: ClassVar[frozenset[str]] = frozenset({"name"})
    among: Expr = Field("labels", validate_default=True)
    """What to choose from: a list of texts, or an expression; the labels where nothing is said."""
    on: str | None = None
    """The field to look at; the main text."""
    to: Text = Field("{{ name }}", validate_default=True)
    """How each is said to the model, whose `name` is one of them: `a photo of a {{ name }}`."""
    scale: float | None = Field(None, gt=0)
    """What the cosines are multiplied by before the softmax: the model's own logit scale, 100 where it has none."""

    _sees_and_reads: bool = PrivateAttr(False)

    def bind(self, columns: Mapping[str, Column]) -> Self:
        bound = self.model_copy()
        bound._sees_and_reads = sees_and_reads([self.on or ""], columns, said=True)
        return bound

    def sees_and_reads(self) -> bool:
        return self._sees_and_reads

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or ""})
        return {
            "zero_shot": Column("label", about, written=False),
            "zero_shot_prob": Column(SCORE, about, written=False),
            "zero_shot_probs": Column(VALUE, about, written=False),
            "zero_shot_index": Column(SCORE, about, written=False),
        }

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        known: dict[str, np.ndarray] = {}
        scale = (self.scale or ctx.scale() or SCALE) if records else SCALE
        for begin in range(0, len(records), MEDIA_BLOCK):
            block = records[begin : begin + MEDIA_BLOCK]
            if len(known) > MEDIA_BLOCK:  # each record has its own: nothing is to be gained by holding them all
                known.clear()
            asked = [self.choices(record, ctx) for record in block]
            fresh = sorted({said for each in asked for said in each.values()} - known.keys())
            if fresh:
                known.update(zip(fresh, ctx.embed(fresh), strict=True))
            for vector, each in zip(ctx.vectors(block, [self.on or ""]), asked, strict=True):
                yield self.seen(vector, list(each), [known[said] for said in each.values()], scale)

    def choices(self, record: Record, ctx: Context) -> dict[str, str]:
        """What a record may be, each as it is said to the model."""
        values, rng = ctx.values(record), ctx.of(record).rng
        among = self.among(values, rng)
        if not isinstance(among, list | tuple | Mapping) or not among:
            raise RecipeError(
                f"`among` of zero_shot is no list of texts, or an empty one: {among!r}.",
                "among: [a bird, a drawing], or among: labels",
            )
        return {str(name): self.to.render({**values, "name": str(name)}, rng) for name in among}

    def seen(self, vector: np.ndarray, names: list[str], texts: list[np.ndarray], scale: float) -> Mapping[str, Any]:
        import numpy as np

        if not vector.any():
            return dict.fromkeys(("zero_shot", "zero_shot_prob", "zero_shot_probs", "zero_shot_index"))
        against = np.stack(texts)
        cosines = side_by_side(np.broadcast_to(vector, (len(texts), len(vector))), against, "zero_shot")
        # Rounded: a number that a threshold cuts must not hang on the last bit of a sum.
        found = np.round(softmax(scale * cosines), 6)
        best = int(found.argmax())
        return {
            "zero_shot": names[best],
            "zero_shot_prob": float(found[best]),
            "zero_shot_probs": dict(zip(names, found.tolist(), strict=True)),
            "zero_shot_index": best,
        }


def softmax(scores: np.ndarray) -> np.ndarray:
    """Scores to probabilities."""
    import numpy as np

    powers = np.exp(scores - scores.max())
    found: np.ndarray = powers / powers.sum()
    return found

"""No record twice: equal texts, near texts, near meanings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from leaven.context import plainly
from leaven.errors import RecipeError, listed
from leaven.fields import CONTENT
from leaven.keep.near import exact_keys, one_of, seen_before
from leaven.keep.near_texts import NearTexts
from leaven.keep.near_vectors import NearVectors
from leaven.keep.near_words import NearWords
from leaven.operators import Keep, State
from leaven.records import Record, place

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows
    from leaven.fields import Column

NEAR, NEAR_TEST = 2, 3
"""The indices of near_duplicate and near_test among the reasons."""
WAYS: dict[str, type[NearTexts | NearWords | NearVectors]] = {
    "ngram": NearTexts,
    "rouge": NearWords,
    "vector": NearVectors,
}


class Unique(Keep):
    """Keep the first of records that say the same, and none that says what a source or test row says.

    ``exact`` compares texts with case and blanks folded, ``ngram`` the Jaccard overlap of 5-character pieces,
    ``rouge`` ROUGE-L, the F of words in the same order (as Self-Instruct does, Wang et al. 2023), ``vector`` the
    cosine of embeddings.  ``at`` is the similarity from which two count as the same; by ``rouge`` the one over which.
    First is: first in source order, then by ordinal.  Near ones go only where the kept one stays.
    A real row is not compared with the source that it stands in, only with the rows before it.

    Up to 50,000 rows vectors are compared one with all, more are sorted into cells first: on text that finds more than
    999 of 1,000 near ones, of more than 200,000 rows 994 to 999.  MinHash, for ``ngram``, lets one pair in ten thousand
    by that is just near enough.  No other way overlooks any.

    Needs a text, an image, a sound or a vector.

    >>> Unique()({"text": "I lost  my card"}, source=[{"text": "i lost my card", "label": "card"}])
    [{'text': 'I lost  my card', '_reason': 'duplicate'}]
    """

    on: str | list[str] | None = None
    """The field, or fields, to compare; the main text, and every image and sound."""
    by: Literal["exact", "ngram", "rouge", "vector"] = "exact"
    """What makes two records the same."""
    at: float = Field(1.0, gt=0, le=1)
    """The similarity from which two are the same; 1.0 with `exact`."""
    against: list[Literal["stream", "source", "made", "test"]] = ["stream", "source"]
    """What to compare with: each other, the real rows, what was made in rounds that ended, the test rows."""

    reasons: ClassVar[tuple[str, ...]] = ("", "duplicate", "near_duplicate", "near_test")

    @model_validator(mode="after")
    def _over(self) -> Unique:
        if self.by == "rouge" and self.at == 1:
            raise ValueError(RecipeError("by rouge, two are the same over `at`, and nothing is over 1.", "at: 0.7"))
        return self

    def scope(self) -> tuple[str, ...]:
        return ("all",)

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Compare all that a record is: of a picture with a caption both, since either may be what changed."""
        if self.on is not None:
            return self
        media = [name for name, column in columns.items() if column.type in ("image", "audio", "vector")]
        texts = [name for name, column in columns.items() if column.type in CONTENT and column.written]
        if not media and not texts:
            raise RecipeError(
                f"unique needs text, image, audio or vector; the data has {listed(columns)}.", "unique: COLUMN"
            )
        found = [*texts[:1], *media]
        return self.model_copy(update={"on": found if media else found[0]})

    def fields(self) -> list[str]:
        return [self.on] if isinstance(self.on, str) else list(self.on or ())

    def fits_on(self) -> tuple[str, ...]:
        return tuple(name for name in self.against if name != "stream")

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """What the source and test rows say, in the form that ``columns`` gives of the stream."""
        import numpy as np

        state: dict[str, Any] = {}
        for name, table in rows.items():
            forms = [self.form(block.said(self.fields()), block, ctx) for block in table.blocks()]
            for key in forms[0] if forms else ():
                state[f"{name}_{key}"] = np.concatenate([form[key] for form in forms])
            if name == "source":
                state["source_place"] = np.array([place(i) for block in table.blocks() for i in block.ids], np.uint64)
                state["source_place"].sort()
        return state

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        fields = self.fields()
        found = self.form(["\n".join(plainly(r.get(f)) for f in fields) for r in records], records, ctx)
        if "source" in self.against:
            places = np.array([0 if r.parents else place(r.id) for r in records], np.uint64)
            found["own"] = one_of(ctx.state["source_place"], places)
        return found

    def form(self, texts: Sequence[str], of: Rows | Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        found: dict[str, np.ndarray] = {"exact": exact_keys(texts)}
        if self.by == "vector":
            found["near"] = ctx.vectors(of, self.fields())
        elif self.by != "exact":
            found["near"] = np.array(texts, dtype=np.str_)
        return found

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        import numpy as np

        codes = np.zeros(len(groups), np.uint8)
        sets = [name for name in sorted(self.fits_on()) if f"{name}_exact" in ctx.state]
        others = {name: np.ones(len(codes), bool) for name in sets}
        if "source" in others:
            others["source"] = ~columns["own"]
        for name, mine in others.items():  # the test set speaks last, so that its reason wins
            same = mine & one_of(np.sort(ctx.state[f"{name}_exact"]), columns["exact"])
            codes[same] = NEAR_TEST if name == "test" else 1
        if "stream" in self.against:
            codes[seen_before(columns["exact"]) & (codes == 0)] = 1
        if self.by == "exact" or codes.all():
            return codes
        near = WAYS[self.by](columns["near"], self.at)
        undecided = codes == 0
        for name, mine in others.items():
            rows = np.flatnonzero(mine & undecided)
            codes[rows[near.to_other(rows, ctx.state[f"{name}_near"])]] = NEAR_TEST if name == "test" else NEAR
        if "stream" in self.against:
            rows = np.flatnonzero(codes == 0)
            codes[rows[near.to_earlier(rows)]] = NEAR
        return codes

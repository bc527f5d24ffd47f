"""The label that a model gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.asks import Asks
from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Expr, Note, Text
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from leaven.context import Context

PROMPT = """\
Which of these labels fits the text below best?
{% for name in labels %}- {{ name }}{% if labels[name] != name %}: {{ labels[name] }}{% endif %}
{% endfor %}
{% for field in on %}{{ field }}: {{ record[field] }}
{% endfor %}"""


class Guess(Asks, Note):
    """Note which label a language model gives a record, of the labels it may choose from.

    A model that continues texts gives the probability of each label, from the likeliest first tokens of what it says
    next (Yoo et al. 2021, GPT3Mix, arXiv:2104.08826); a chat model names one.  A record for which none of them is
    named is refused as `unknown_label`.  In the prompt, `labels` are those to choose from; without `draw`, its
    `examples` are the real rows that the record was made from.

    Needs text.  Writes `guess`; `guess_prob`, its probability, and `guess_probs`, all of them (None where the model
    gives none); `guess_index`, its place among the labels, from 0.

    >>> [row] = Guess(["card", "hours"])({"text": "my card is lost"}, classify="fake:shape")
    >>> row["guess"] == ["card", "hours"][row["guess_index"]]
    True
    """

    roles: ClassVar[frozenset[str]] = frozenset({"classify"})
    takes: ClassVar[str] = "text"
    among: Expr = Field("labels", validate_default=True)
    """The labels to choose from: a list, or an expression."""
    prompt: Text = Field(PROMPT, validate_default=True)
    """What is asked."""
    on: str | list[str] | None = None
    """The field, or fields, to read; the main text."""

    def fields(self) -> list[str]:
        return [self.on] if isinstance(self.on, str) else list(self.on or ())

    def writes(self) -> dict[str, Column]:
        about = frozenset(self.fields())
        return {
            "guess": Column("label", about, written=False),
            "guess_prob": Column(SCORE, about, written=False),
            "guess_probs": Column(VALUE, about, written=False),
            "guess_index": Column(SCORE, about, written=False),
        }

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        among = self.among(ctx.values(record), ctx.rng)
        if not isinstance(among, list | tuple | Mapping):
            raise RecipeError(
                f"`among` of guess is no list of labels: {among!r}.", "among: [yes, no], or among: labels"
            )
        names = [str(name) for name in among]
        if not names:
            raise Refuse("unknown_label", "there are none to choose from")
        labels = {name: str(ctx.labels.get(name, name)) for name in names}
        found = await ctx.classify(self.prompt, record, among=names, labels=labels, on=self.fields())
        if found is None:
            raise Refuse("unknown_label", f"it named none of {len(names)}")
        return {
            "guess": found.label,
            "guess_prob": found.probs[found.label] if found.probs else None,
            "guess_probs": dict(found.probs) if found.probs else None,
            "guess_index": names.index(found.label),
        }

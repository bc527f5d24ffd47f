"""What several answers agree on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Expr, Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Vote(Note):
    """Note what most of several answers say, and how far they agree.

    `of` is a list (the answers of `ask` with `samples`, those of several models: `[one, two, three]`), or a mapping
    from labels to probabilities (`guess_probs`).  Answers that are None do not count; of answers that are as frequent
    the first wins.  The most frequent of sampled answers is more often right than one of them (self-consistency, Wang
    et al. 2022, arXiv:2203.11171), and entropy is what active learning asks people by.

    Needs a list of answers, or a mapping of probabilities.
    Writes `vote`, the most frequent or most probable; `vote_share`, its share; `vote_entropy`, in bits, 0 where all
    agree.  Without any answer `vote` is None, the share 0, the entropy 0.

    >>> [row] = Vote("answers")({"answers": ["card", "card", "hours", "card"]})
    >>> row["vote"], row["vote_share"], row["vote_entropy"]
    ('card', 0.75, 0.811278)
    >>> [row] = Vote("guess_probs")({"guess_probs": {"card": 0.5, "hours": 0.5}})
    >>> row["vote"], row["vote_entropy"]
    ('card', 1.0)
    """

    of: Expr
    """The answers, or the probabilities: a field, or an expression such as `[one, two, three]`."""

    def writes(self) -> dict[str, Column]:
        about = self.reads()
        score = Column(SCORE, about, written=False)
        return {"vote": Column(VALUE, about, written=False), "vote_share": score, "vote_entropy": score}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        given = self.of(ctx.values(record), ctx.rng)
        votes = votes_of(given)
        total = sum(votes.values())
        if total <= 0:
            return {"vote": None, "vote_share": 0.0, "vote_entropy": 0.0}
        most = max(votes, key=lambda key: votes[key])
        shares = [count / total for count in votes.values() if count > 0]
        bits = abs(sum(share * math.log2(share) for share in shares))
        said = next(value for value in given if _key(value) == most)
        return {"vote": said, "vote_share": round(votes[most] / total, 6), "vote_entropy": round(bits, 6)}


def votes_of(given: Any) -> dict[str, float]:
    """How often, or how probable, each answer is."""
    votes: dict[str, float] = {}
    if isinstance(given, Mapping):
        for answer, share in given.items():
            if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= float(share) < math.inf:
                raise RecipeError(f"vote reads {share!r} as a probability.", "of: guess_probs, or a list of answers.")
            votes[_key(answer)] = float(share)
    elif isinstance(given, list | tuple):
        for answer in given:
            if answer is not None:
                votes[_key(answer)] = votes.get(_key(answer), 0) + 1
    elif given is not None:
        raise RecipeError(
            f"vote reads lists of answers, not {str(given)[:40]!r}.", "of: [one, two], or ask: {samples: 5}"
        )
    return votes


def _key(answer: Any) -> str:
    return json.dumps(answer, sort_keys=True, default=str)

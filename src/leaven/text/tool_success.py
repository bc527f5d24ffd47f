"""Whether a text calls the tools that another one calls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.fields import SCORE, Column
from leaven.operators import Expr, Note
from leaven.records import Record
from leaven.text._tools import ANSWER, actions, inputs, thoughts

if TYPE_CHECKING:
    from leaven.context import Context

ENOUGH = 0.5
"""From this score on the arguments are right."""
FILE = ".png"


class ToolSuccess(Note):
    """Note whether a model's answer calls the tools that the right one calls, in order and with like arguments.

    Thoughts (`Yes` or `No`) and actions (the tools' names) are compared place by place, over as many places as the
    longer has; a last `No` too many does not count.  The arguments of a call, divided at commas, score 0 where one has
    more of them; else the mean of theirs: a file (`.png`) has to be a file, whichever, all others score their BLEU-1.
    It is a success where thoughts and actions score 1 and arguments 0.5 or more; where no tool is to be called, where
    the first thought is `No` and an answer (`AI: `) is there.  As in GPT4Tools (Yang et al. 2023, arXiv:2305.18752).

    Needs two texts.
    Writes `tool_success`, 1 or 0; `thought`, `action` and `inputs`, the scores of the three; the last two are None
    where no tool is to be called.

    >>> right = "Thought: Do I need to use a tool? Yes\\nAction: Cut\\nAction Input: a.png, the old cat"
    >>> said = "Thought: Do I need to use a tool? Yes\\nAction: Cut\\nAction Input: b.png, the cat"
    >>> [row] = ToolSuccess("said", to="right")({"said": said, "right": right})
    >>> row["tool_success"], row["inputs"]
    (1.0, 0.803265)
    """

    of: Expr
    """The model's answer."""
    to: Expr
    """The right one."""

    def writes(self) -> dict[str, Column]:
        score = Column(SCORE, self.reads(), written=False)
        return {"tool_success": score, "thought": score, "action": score, "inputs": score}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        values = ctx.values(record)
        said, right = (str(of(values, ctx.rng) or "") for of in (self.of, self.to))
        wanted, thought = thoughts(right), thoughts(said)
        if not actions(right):
            no = thought[:1] == ["No"]
            return {"tool_success": float(no and ANSWER in said), "thought": float(no), "action": None, "inputs": None}
        if len(thought) > len(wanted) and thought[-1] == "No":
            thought = thought[:-1]
        scores = {"thought": alike(thought, wanted), "action": alike(actions(said), actions(right))}
        scores["inputs"] = of_inputs(inputs(said), inputs(right))
        success = scores["thought"] == scores["action"] == 1 and scores["inputs"] >= ENOUGH
        return {"tool_success": float(success), **{name: round(score, 6) for name, score in scores.items()}}


def alike(said: Sequence[str], right: Sequence[str]) -> float:
    """The share of places, of the longer, at which the two say the same."""
    places = max(len(said), len(right))
    return sum(one == other for one, other in zip(said, right, strict=False)) / places if places else 1.0


def of_inputs(said: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> float:
    """The mean score of the calls' arguments."""
    calls = max(len(said), len(right))
    return sum(of_call(one, other) for one, other in zip(said, right, strict=False)) / calls if calls else 1.0


def of_call(said: Sequence[str], right: Sequence[str]) -> float:
    """The score of the arguments of one call."""
    if len(said) != len(right):
        return 0.0
    both = zip(said, right, strict=True)
    return sum(float(FILE in one) if FILE in other else bleu_1(one, other) for one, other in both) / len(right)


def bleu_1(said: str, right: str) -> float:
    """BLEU of single words (Papineni et al. 2002): the share of them that the right text has, less where too short."""
    words, wanted = said.split(), right.split()
    if not words or not wanted:
        return float(words == wanted)
    shared = sum((Counter(words) & Counter(wanted)).values())
    return shared / len(words) * min(1.0, math.exp(1 - len(wanted) / len(words)))

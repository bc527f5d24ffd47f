"""Whether a text calls the tools that another one calls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
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
    more of them, or where one that should be a file (`.png`) is none; else the mean of theirs: a file scores 1,
    whichever it is, all others their BLEU-1.  It is a success where thoughts and actions score 1 and arguments 0.5 or
    more; where no tool is to be called, where the first thought is `No` and an answer (`AI: `) is there.

    ``iou`` is what all places score together, over the sum of the larger of each place's score and what it should be:
    1 in the places of the right text, 0 in those after them.  So what is too much does not lower it.  Where no tool is
    to be called, thoughts alone count.  As in GPT4Tools (Yang et al. 2023, arXiv:2305.18752), by its released code.

    Needs two texts.
    Writes `tool_success`, 1 or 0; `thought`, `action` and `inputs`, the scores of the three, and `iou`, of all three
    together; `action` and `inputs` are None where no tool is to be called.

    >>> right = "Thought: Do I need to use a tool? Yes\\nAction: Cut\\nAction Input: a.png, the old cat"
    >>> said = "Thought: Do I need to use a tool? Yes\\nAction: Cut\\nAction Input: b.png, the cat"
    >>> [row] = ToolSuccess("said", to="right")({"said": said, "right": right})
    >>> row["tool_success"], row["inputs"], row["iou"]
    (1.0, 0.803265, 0.934422)
    """

    of: Expr
    """The model's answer."""
    to: Expr
    """The right one."""

    def writes(self) -> dict[str, Column]:
        score = Column(SCORE, self.reads(), written=False)
        return {"tool_success": score, "thought": score, "action": score, "inputs": score, "iou": score}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        values = ctx.values(record)
        said, right = (str(of(values, ctx.rng) or "") for of in (self.of, self.to))
        wanted, thought = thoughts(right), thoughts(said)
        calls = len(actions(right))
        if not calls:
            no = thought[:1] == ["No"]
            together = round(iou([(alike(thought, wanted), len(wanted))]), 6)
            success = float(no and ANSWER in said)
            return {"tool_success": success, "thought": float(no), "action": None, "inputs": None, "iou": together}
        if len(thought) > len(wanted) and thought[-1] == "No":
            thought = thought[:-1]
        places = {
            "thought": (alike(thought, wanted), len(wanted)),
            "action": (alike(actions(said), actions(right)), calls),
            "inputs": (of_inputs(inputs(said), inputs(right)), len(inputs(right))),
        }
        scores = {name: mean(found) for name, (found, _) in places.items()}
        success = scores["thought"] == scores["action"] == 1 and scores["inputs"] >= ENOUGH
        scores["iou"] = iou(list(places.values()))
        return {"tool_success": float(success), **{name: round(score, 6) for name, score in scores.items()}}


def alike(said: Sequence[str], right: Sequence[str]) -> list[float]:
    """1 for each place at which the two say the same, 0 for the others, those that only the longer has included."""
    places = zip_longest(said, right)
    return [float(one == other) for one, other in places]


def of_inputs(said: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> list[float]:
    """The score of each call's arguments; 0 for a call that only one of the two makes."""
    calls = zip_longest(said, right)
    return [0.0 if one is None or other is None else of_call(one, other) for one, other in calls]


def mean(scores: Sequence[float]) -> float:
    """Of no scores, 1: nothing is wrong."""
    return sum(scores) / len(scores) if scores else 1.0


def iou(places: Sequence[tuple[Sequence[float], int]]) -> float:
    """Scores of places, and how many of them should be 1, the others 0: what they have in common, by all of it.

    >>> iou([([1.0, 1.0], 2), ([1.0, 0.0], 1), ([0.5, 0.0], 1)])
    0.875
    """
    pairs = [(score, float(i < count)) for scores, count in places for i, score in enumerate(scores)]
    whole = sum(max(pair) for pair in pairs)
    return sum(score * wanted for score, wanted in pairs) / max(whole, 1.0)


def of_call(said: Sequence[str], right: Sequence[str]) -> float:
    """The score of the arguments of one call."""
    if len(said) != len(right):
        return 0.0
    both = list(zip(said, right, strict=True))
    if any(FILE in other and FILE not in one for one, other in both):
        return 0.0
    return sum(1.0 if FILE in other else bleu_1(one, other) for one, other in both) / len(right)


def bleu_1(said: str, right: str) -> float:
    """BLEU of single words (Papineni et al. 2002): the share of them that the right text has, less where too short."""
    words, wanted = said.split(), right.split()
    if not words or not wanted:
        return float(words == wanted)
    shared = sum((Counter(words) & Counter(wanted)).values())
    return shared / len(words) * min(1.0, math.exp(1 - len(wanted) / len(words)))

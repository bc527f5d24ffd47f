"""How good a record is, in a model's opinion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from leaven.asks import Asks
from leaven.errors import RecipeError
from leaven.fields import SCORE, Column
from leaven.models.shapes import class_of
from leaven.operators import Note, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

PROMPT = """\
Judge the record below by each criterion, in {% if step == 1 %}whole numbers{% else %}steps of {{ step }}{% endif %} \
from {{ scale[0] }} (not at all) to {{ scale[1] }} (fully). \
Use the whole scale, and judge by what stands there alone.
{% for name in rubric %}- {{ name }}: {{ rubric[name] }}
{% endfor %}
Text: {{ record[on] }}
{% if label is defined and label %}Label: {{ label }}\
{% if label in labels and labels[label] != label %} ({{ labels[label] }}){% endif %}
{% endif %}"""


class Judge(Asks, Note):
    """Note how well a record meets one criterion or several, in a chat model's opinion.

    A rubric is a text, or a criterion a name; with ``samples`` above 1 the marks of several answers are averaged, and
    every second one is asked for with the criteria in the other order, since what stands first is marked otherwise.
    Models like what models wrote: hold the marks against some rows that people judged before a threshold is trusted.

    Needs text.  Writes `judge`, the mean mark; `judge_min`, the lowest; `judge_CRITERION`, each one; of several samples
    `judge_agreement`, how often two of them give a criterion the same mark.

    >>> rubric = {"fits": "says what the label means", "natural": "a person could have written it"}
    >>> [row] = Judge(rubric)({"text": "my card is lost", "label": "card"}, chat="fake:shape")
    >>> 1 <= row["judge_min"] <= row["judge"] <= 5, row["judge_min"] == min(row["judge_fits"], row["judge_natural"])
    (True, True)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"chat"})
    takes: ClassVar[str] = "text"
    rubric: str | dict[str, str]
    """What a good record is: one criterion, or a name and a text for each."""
    scale: tuple[int, int] = (1, 5)
    """The lowest mark and the highest."""
    step: float = Field(1, gt=0)
    """From mark to mark; 0.5 allows halves."""
    samples: int = Field(1, ge=1, le=100)
    """How many answers are averaged."""
    prompt: Text = Field(PROMPT, validate_default=True)
    """What is asked; `rubric`, `scale` and `step` stand in it."""
    on: str | None = None
    """The text to judge; the main text."""

    @field_validator("rubric")
    @classmethod
    def _names(cls, rubric: str | dict[str, str]) -> str | dict[str, str]:
        if not rubric:
            raise ValueError(RecipeError("the rubric is empty.", "rubric: {natural: a person could have written it}"))
        for name in rubric if isinstance(rubric, dict) else ():
            if not re.fullmatch(r"[^\W_]\w*", name) or name in ("min", "agreement"):
                raise ValueError(RecipeError(f"`{name}` cannot name a criterion.", "one word: fits, natural"))
        return rubric

    @field_validator("scale")
    @classmethod
    def _upwards(cls, scale: tuple[int, int]) -> tuple[int, int]:
        if scale[0] >= scale[1]:
            raise ValueError(RecipeError(f"the scale {list(scale)} has no marks.", "scale: [1, 5]"))
        return scale

    def criteria(self) -> dict[str, str]:
        return self.rubric if isinstance(self.rubric, dict) else {"quality": self.rubric}

    def writes(self) -> dict[str, Column]:
        about = self.reads() | self.prompt.optional
        names = ["judge", "judge_min", *(self.each() if isinstance(self.rubric, dict) else ())]
        names += ["judge_agreement"] if self.samples > 1 else []
        return {name: Column(SCORE, about, written=False) for name in names}

    def each(self) -> list[str]:
        return [f"judge_{name}" for name in self.criteria()]

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        criteria = self.criteria()
        given: dict[str, list[float]] = {name: [] for name in criteria}
        for sample in range(self.samples):
            order = dict(reversed(criteria.items())) if sample % 2 else criteria
            shape = _marks(tuple(order), *self.scale, whole=self.step % 1 == 0)
            reply = await ctx.chat(self.prompt, record, shape=shape, rubric=order)
            for name in criteria:
                low, mark = self.scale[0], getattr(reply, name)
                given[name].append(low + round((mark - low) / self.step) * self.step)
        marks = {name: sum(some) / self.samples for name, some in given.items()}
        found = {"judge": sum(marks.values()) / len(marks), "judge_min": min(marks.values())}
        if isinstance(self.rubric, dict):
            found |= {f"judge_{name}": mark for name, mark in marks.items()}
        if self.samples > 1:
            same = [one == other for some in given.values() for one, other in combinations(some, 2)]
            found["judge_agreement"] = sum(same) / len(same)
        return found


@lru_cache(maxsize=64)
def _marks(names: tuple[str, ...], low: int, high: int, *, whole: bool) -> type[BaseModel]:
    return class_of({name: (int if whole else float, Field(ge=low, le=high)) for name in names})

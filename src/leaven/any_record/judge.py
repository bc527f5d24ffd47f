"""How good a record is, in a model's opinion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
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
Judge the record below by each criterion, in whole numbers from {{ scale[0] }} (not at all) to {{ scale[1] }} (fully). \
Use the whole scale, and judge by what stands there alone.
{% for name in rubric %}- {{ name }}: {{ rubric[name] }}
{% endfor %}
Text: {{ record[on] }}
{% if label is defined and label %}Label: {{ label }}\
{% if label in labels and labels[label] != label %} ({{ labels[label] }}){% endif %}
{% endif %}"""


class Judge(Asks, Note):
    """Note how well a record meets one criterion or several, in a chat model's opinion.

    A rubric is a text, or a criterion a name; with ``samples`` above 1 the marks of several answers are averaged.
    Models like what models wrote: hold the marks against some rows that people judged before a threshold is trusted.

    Needs text.  Writes `judge`, the mean mark; `judge_min`, the lowest; `judge_CRITERION`, each one.

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
    samples: int = Field(1, ge=1, le=100)
    """How many answers are averaged."""
    prompt: Text = Field(PROMPT, validate_default=True)
    """What is asked; `rubric` and `scale` stand in it."""
    on: str | None = None
    """The text to judge; the main text."""

    @field_validator("rubric")
    @classmethod
    def _names(cls, rubric: str | dict[str, str]) -> str | dict[str, str]:
        if not rubric:
            raise ValueError(RecipeError("the rubric is empty.", "rubric: {natural: a person could have written it}"))
        for name in rubric if isinstance(rubric, dict) else ():
            if not re.fullmatch(r"[^\W_]\w*", name) or name == "min":
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
        return {name: Column(SCORE, about, written=False) for name in names}

    def each(self) -> list[str]:
        return [f"judge_{name}" for name in self.criteria()]

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        criteria = self.criteria()
        shape = _marks(tuple(criteria), *self.scale)
        total = dict.fromkeys(criteria, 0)
        for _ in range(self.samples):
            reply = await ctx.chat(self.prompt, record, shape=shape, rubric=criteria)
            for name in criteria:
                total[name] += getattr(reply, name)
        marks = {name: total[name] / self.samples for name in criteria}
        found = {"judge": sum(marks.values()) / len(marks), "judge_min": min(marks.values())}
        if isinstance(self.rubric, dict):
            found |= {f"judge_{name}": mark for name, mark in marks.items()}
        return found


@lru_cache(maxsize=64)
def _marks(names: tuple[str, ...], low: int, high: int) -> type[BaseModel]:
    return class_of({name: (int, Field(ge=low, le=high)) for name in names})

"""What notes share that ask the student of `prediction`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from leaven.any_record.prediction import Prediction
from leaven.fields import Column
from leaven.operators import Note


class ByStudent(Note):
    """A note by a student that is fitted, and dealt its rows, as that of `prediction` is."""

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    folds: int = Field(5, ge=0, le=20)
    """Into how many parts the real rows are dealt; 0 learns from all of them, and judges rows that it saw."""
    target: str = "label"
    """The label that it learns."""
    input: list[str] | str | None = None
    """The fields to learn from; all texts, images and sounds but the target."""
    group: str | None = None
    """Real rows that agree in this field are dealt into one fold; the field of type group."""

    def student(self) -> Prediction:
        return Prediction(target=self.target, input=self.input, folds=self.folds, group=self.group)

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take the inputs and the group that a prediction would."""
        bound = self.student().bind(columns)
        return self.model_copy(update={"input": bound.input, "group": bound.group})

    def reads(self) -> frozenset[str]:
        return self.student().reads()

"""What every step that asks a model takes: which model, how it draws its answers, and the examples that it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from leaven.draws import Draw
from leaven.parameters import Text


class GroupFailed(Exception):
    """Some groups that a step asks about have no answer."""

    def __init__(self, groups: Sequence[str], why: str) -> None:
        super().__init__(why)
        self.groups, self.why = groups, why


SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "frequency_penalty")


class Turns(BaseModel):
    """What an example says as a turn of each side: texts that see its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    user: Text
    """What was asked about it."""
    assistant: Text
    """What was answered."""


class Asks(BaseModel):
    """Parameters shared by operators that ask models; what is left out is left to the server."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str | None = None
    """A second model of the role by its nick: `model: reader` is `--model chat.reader=URI`."""
    temperature: float | None = Field(None, ge=0, le=2)
    """How freely answers are drawn; 0 takes the likeliest."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Draw from the likeliest tokens that hold this share of the probability."""
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    """The longest answer; 1,024 where nothing is said."""
    stop: str | list[str] | None = None
    """Where an answer ends."""
    draw: Draw | None = None
    """Examples for the prompt: `draw: {k: 10, same: label}`."""

    turns: Turns | None = None
    """The examples as earlier turns of the conversation, before the prompt: `turns: {user: ..., assistant: ...}`."""
    show: str | list[str] | None = None
    """Fields whose images or sounds a chat model sees or hears before the prompt: `show: image`."""

    def fields_shown(self) -> list[str]:
        """The fields that a chat model is shown."""
        return [self.show] if isinstance(self.show, str) else list(self.show or ())

    def sampling(self) -> dict[str, Any]:
        """The parameters of an answer that were said."""
        found = {name: getattr(self, name, None) for name in SAMPLING}
        return {name: value for name, value in found.items() if value is not None}

"""What is asked of a model, what came back, and what can go wrong with one call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from leaven.media.audio import Audio
    from leaven.media.image import Image

    Medium = Image | Audio

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def whole(text: str) -> str:
    """The text with ``?`` for half characters, as broken escapes leave them: no file and no database takes them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class About:
    """What a call is about; with what was asked it names the answer in the ledger.

    ``record`` is the id of a record, or the key of a group; ``number`` counts the calls about it in this step.
    ``text`` is the main text of its root, ``root`` that row's id: a recording is looked up by them.
    """

    step: str
    round: int
    record: str
    number: int = 0
    text: str = ""
    root: str = ""
    seed: int = 0
    """What a model that runs here draws with, of its own for each call."""


class Adapter(NamedTuple):
    """What was fitted to a role's model on the user's data: its name (a hash of all it hangs on) and folder."""

    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a model: ``content`` holds what its role asks (``messages``, or a ``prompt`` to go on from).

    ``shape`` is the JSON schema that an answer must fit, ``wanted`` how many texts are asked for at once.
    """

    role: str
    content: Mapping[str, Any]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    shape: Mapping[str, Any] | None = None
    wanted: int = 1
    repair: bool = False
    media: Mapping[str, Medium] = field(default_factory=dict, compare=False)
    """The images and sounds that it is about, by the hashes with which ``content`` names them."""
    adapter: Adapter | None = field(default=None, compare=False)
    """What was fitted to the model, which ``content`` names."""
    encoded: str = field(init=False, default="", compare=False)
    """``content`` as JSON, made once: for the name of the call, for the wire and for the ledger."""
    settings: str = field(init=False, default="", compare=False)
    """``sampling`` as JSON."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoded", whole(encode(self.content)))
        object.__setattr__(self, "settings", whole(encode(self.sampling)) if self.sampling else "{}")


@dataclass(slots=True)
class Answer:
    """What a model said: the text, why it ended (``stop``, ``length``), the tokens that it took, and where the server
    gives them the mean log-probability of the text and the likeliest first tokens."""

    text: str
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    logprob: float | None = None
    tops: Mapping[str, float] | None = None
    media: Medium | None = None
    """What it is, where it is no text: stored in a file beside the ledger."""
    scored: int | None = None
    """How many tokens the mean log-probability is of."""
    stored: bool = field(default=False, compare=False)
    """True where it came from the ledger: nothing was asked."""

    def __post_init__(self) -> None:
        self.text = whole(self.text)
        if self.tops is not None:
            self.tops = {whole(token): logprob for token, logprob in self.tops.items()}

    def as_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"text": self.text, "finish": self.finish}
        if self.logprob is not None:
            said["logprob"] = self.logprob
        if self.scored is not None:
            said["scored"] = self.scored
        if self.tops is not None:
            said["tops"] = dict(self.tops)
        return said


class CallFailed(Exception):
    """A call that failed for good: an error of its record, not of the run.

    ``reason`` is one word (``timed_out``, ``server_error``, ``provider_refused``, ``no_valid_json``,
    ``no_recording``); ``answers`` are the raw answers that were of no use.
    """

    def __init__(self, reason: str, detail: str, answers: Sequence[str] = (), *, tries: int = 1) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = whole(detail)
        self.answers = [whole(answer) for answer in answers]
        self.tries = tries


class Busy(Exception):
    """The server has no room now (429); it may say for how long, in seconds."""

    def __init__(self, detail: str, after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after


class Broken(Exception):
    """This try came to nothing (5xx, a cut connection, garbage, a time-out); another may not.

    ``slow`` is true where the server was overloaded, as far as one can tell.
    """

    def __init__(self, reason: str, detail: str, *, after: float | None = None, slow: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.after = after
        self.slow = slow


class Unreachable(Exception):
    """No server answers at the address."""

"""What operators ask through their context: chat, complete, classify, translate, speak, transcribe.

Each method turns one question into one call, and a repair turn where the answer does not fit; what a role's own model
cannot do is asked of another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from pydantic import BaseModel, Field, create_model

from leaven.models.answers import Unparsable, asked_for, mend, parse, schema, without_thoughts
from leaven.models.asker import MOST_OUT
from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.media.audio import Audio
    from leaven.models.asker import Asker, Player
    from leaven.models.players import Players
    from leaven.models.replay import ReplayedPlayers

T = TypeVar("T", bound=BaseModel)
Messages = list[dict[str, Any]]
CONTINUE = (
    "Continue the user's text from exactly where it ends. Answer with the continuation alone: no quotes around it, no"
    " comment, nothing of the text itself."
)


@dataclass(frozen=True)
class Continuation:
    """How a text went on, the mean log-probability of its tokens and their number where the server gives them, and why
    it ended (``stop``, ``length``) where a model that completes says so."""

    text: str
    logprob: float | None
    tokens: int | None = None
    finish: str | None = None


@dataclass(frozen=True)
class Guess:
    """A label, and the probability of each where the model gives them."""

    label: str
    probs: Mapping[str, float] | None


class Conversation:
    """The models of a run, as operators ask them."""

    def __init__(self, asker: Asker, players: Players | ReplayedPlayers) -> None:
        self.asker = asker
        self.players = players

    # -- chat --------------------------------------------------------------------------------------------------------

    @overload
    async def chat(
        self, messages: Messages, about: About, *, shape: type[T], nick: str | None = ..., wanted: int = ..., **s: Any
    ) -> T: ...
    @overload
    async def chat(
        self,
        messages: Messages,
        about: About,
        *,
        shape: None = ...,
        nick: str | None = ...,
        wanted: int = ...,
        **s: Any,
    ) -> str: ...
    async def chat(
        self,
        messages: Messages,
        about: About,
        *,
        shape: type[T] | None = None,
        nick: str | None = None,
        wanted: int = 1,
        **sampling: Any,
    ) -> T | str:
        """The answer as a text, or as an object of ``shape``; ``wanted`` texts are expected in it.

        Raises CallFailed (``no_valid_json`` where the repair turn was of no use either).
        """
        _, player = self.players.player("chat", nick)
        return await self._chat(player, messages, about, shape, wanted, sampling)

    async def _chat(
        self,
        player: Player,
        messages: Messages,
        about: About,
        shape: type[T] | None,
        wanted: int,
        sampling: Mapping[str, Any],
    ) -> T | str:
        sampling = {"max_tokens": MOST_OUT, **sampling}
        if shape is None:
            answer = await self.asker.ask(player, Ask("chat", {"messages": messages}, sampling), about)
            self._note(player)
            text = without_thoughts(answer.text).strip()
            if not text:
                raise self._useless(player, "the answer is empty", answer)
            self.asker.outcome(player, "chat", None)
            return text
        wish, wants = _wish(shape)
        asked = [*messages[:-1], {**messages[-1], "content": f"{messages[-1]['content']}\n\n{wish}"}]
        answer = await self.asker.ask(player, Ask("chat", {"messages": asked}, sampling, wants, wanted), about)
        self._note(player)
        try:
            found = parse(answer.text, shape, cut=answer.finish == "length")
        except Unparsable as why:
            asked += [
                {"role": "assistant", "content": answer.text},
                {"role": "user", "content": mend(str(why), answer.finish == "length")},
            ]
            ask = Ask("chat", {"messages": asked}, sampling, wants, wanted, repair=True)
            again = await self.asker.ask(player, ask, about)
            try:
                found = parse(again.text, shape, cut=again.finish == "length")
            except Unparsable as still:
                raise self._useless(player, str(still), answer, again) from None
        self.asker.outcome(player, "chat", None)
        return found

    def _useless(self, player: Player, why: str, *answers: Answer) -> CallFailed:
        failed = CallFailed("no_valid_json", why, [answer.text for answer in answers])
        if not answers[-1].stored:  # what was paid before is no reason to stop now
            self.asker.outcome(player, "chat", failed)
        return failed

    def _note(self, player: Player) -> None:
        for name in player.left_out:
            self.asker.once(f"{player.model} refuses `{name}`: it is asked without it.")

    # -- complete ----------------------------------------------------------------------------------------------------

    async def complete(self, prompt: str, about: About, *, nick: str | None = None, **sampling: Any) -> Continuation:
        """How the text goes on; over a chat model where none plays ``complete``, then without log-probabilities."""
        role, player = self.players.player("complete", nick)
        if role == "complete":
            answer = await self._completed(player, prompt, about, {"max_tokens": MOST_OUT, **sampling})
            text = _stopped(answer.text, sampling.get("stop"))
            return Continuation(text, answer.logprob, answer.scored, answer.finish)
        self.asker.once(
            f"complete is played by the chat model {player.model}: it is told to go on, and gives no log-probabilities."
        )
        stop = sampling.pop("stop", None)  # a chat model often begins with what would stop it at once
        messages = [{"role": "system", "content": CONTINUE}, {"role": "user", "content": prompt}]
        said = await self._chat(player, messages, about, None, 1, sampling)
        return Continuation(_stopped(str(said), stop), None)

    async def _completed(self, player: Player, prompt: str, about: About, sampling: Mapping[str, Any]) -> Answer:
        answer = await self.asker.ask(player, Ask("complete", {"prompt": prompt}, sampling), about)
        self._note(player)
        self.asker.outcome(player, "complete", None)
        return answer

    # -- classify ----------------------------------------------------------------------------------------------------

    async def classify(
        self, messages: Messages, about: About, *, among: Sequence[str], nick: str | None = None, **sampling: Any
    ) -> Guess | None:
        """Which label a model gives; None where it names none of them.

        A model that completes gives the probability of each label from its likeliest first tokens, normalised over the
        labels (Yoo et al. 2021, GPT3Mix, arXiv:2104.08826).
        """
        role, player = self.players.player("classify", nick)
        if role == "complete":
            prompt = "\n\n".join(str(m["content"]) for m in messages)
            return _likeliest(await self._completed(player, prompt, about, {"max_tokens": 1, **sampling}), among)
        shape = _one_of(tuple(among))
        try:
            found = await self._chat(player, messages, about, shape, 1, {"max_tokens": 256, **sampling})
        except CallFailed as failed:
            if failed.reason == "no_valid_json":
                return None
            raise
        return Guess(str(getattr(found, "label")), None)  # noqa: B009  the class is made from the labels

    # -- translate ---------------------------------------------------------------------------------------------------

    async def translate(
        self, text: str, about: About, *, to: str, source: str, nick: str | None = None, **sampling: Any
    ) -> str:
        """The text in another language, both named by their ISO 639-3 codes."""
        role, player = self.players.player("translate", nick)
        if role == "translate" and not player.uri.startswith("openai:"):
            ask = Ask("translate", {"text": text, "to": to, "source": source})
            return (await self.asker.ask(player, ask, about)).text
        wish = f"Translate the user's text from {source} to {to} (ISO 639-3 codes). Answer with the translation alone."
        messages = [{"role": "system", "content": wish}, {"role": "user", "content": text}]
        return str(await self._chat(player, messages, about, None, 1, sampling))

    # -- speak, transcribe -------------------------------------------------------------------------------------------

    async def speak(self, text: str, about: About, *, voice: str, rate: float, nick: str | None = None) -> Audio:
        """The text as speech; ``rate`` 1 is the voice's own pace."""
        _, player = self.players.player("speak", nick)
        answer = await self.asker.ask(player, Ask("speak", {"text": text, "voice": voice, "rate": rate}), about)
        if answer.sound is None:
            raise CallFailed("no_answer", f"{player.uri} answered with no sound", [answer.text])
        self.asker.outcome(player, "speak", None)
        return answer.sound

    async def voices(self, nick: str | None = None) -> list[str]:
        """The voices that the model draws from; asked once in a folder, so that a replay draws the same."""
        _, player = self.players.player("speak", nick)
        answer = await self.asker.ask(player, Ask("speak", {"voices": "all"}), About("speak", 0, "voices"))
        found = json.loads(answer.text)
        assert isinstance(found, list), "a player lists its voices as JSON"
        return [str(voice) for voice in found]

    async def transcribe(self, sound: Audio, about: About, *, nick: str | None = None) -> str:
        """What is said in a sound; an empty text where nothing is understood."""
        _, player = self.players.player("transcribe", nick)
        ask = Ask("transcribe", {"audio": digest(sound.encoded).hex()}, sound=sound)
        answer = await self.asker.ask(player, ask, about)
        self.asker.outcome(player, "transcribe", None)
        return " ".join(answer.text.split())


@lru_cache(maxsize=64)
def _wish(shape: type[BaseModel]) -> tuple[str, dict[str, Any]]:
    """What is said of a shape at the end of a prompt, and its JSON schema."""
    return asked_for(shape), schema(shape)


@lru_cache(maxsize=256)
def _one_of(labels: tuple[str, ...]) -> type[BaseModel]:
    kind: Any = Literal[labels]
    return create_model("Label", label=(kind, Field()))


def _stopped(text: str, stop: str | Sequence[str] | None) -> str:
    """The text up to the first stop that it holds; blanks before the first word do not count."""
    text = text.lstrip()
    for mark in [stop] if isinstance(stop, str) else stop or ():
        text = text.partition(mark)[0]
    return text.strip()


def _likeliest(answer: Answer, among: Sequence[str]) -> Guess | None:
    """The probability of each label from the likeliest first tokens: those that begin exactly one of them."""
    import math

    mass = dict.fromkeys(among, 0.0)
    for token, logprob in (answer.tops or {answer.text: 0.0}).items():
        begin = token.strip().casefold()
        fits = [label for label in among if begin and label.casefold().startswith(begin)]
        whole = [label for label in fits if label.casefold() == begin]
        if len(whole or fits) == 1:
            mass[(whole or fits)[0]] += math.exp(logprob)
    total = sum(mass.values())
    if not total:
        return None
    probs = {label: round(p / total, 6) for label, p in mass.items()}
    return Guess(max(probs, key=lambda label: probs[label]), probs)

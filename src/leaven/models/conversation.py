"""What operators ask through their context: a method a role.

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
from leaven.models.calls import About, Adapter, Answer, Ask, CallFailed
from leaven.models.players import in_a_prompt, seeded
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.media.audio import Audio
    from leaven.media.image import Image
    from leaven.models.asker import Asker, Player
    from leaven.models.players import Players
    from leaven.models.replay import ReplayedPlayers
    from leaven.models.roles import Box, Span

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
        shown: Sequence[Image | Audio] = (),
        adapter: Adapter | None = None,
        **sampling: Any,
    ) -> T | str:
        """The answer as a text, or as an object of ``shape``; ``wanted`` texts are expected in it.

        The images and sounds in ``shown`` stand before the text of the last message.  Raises CallFailed
        (``no_valid_json`` where the repair turn was of no use either).
        """
        _, player = self.players.player("chat", nick)
        return await self._chat(player, messages, about, shape, wanted, sampling, shown, adapter)

    async def _chat(
        self,
        player: Player,
        messages: Messages,
        about: About,
        shape: type[T] | None,
        wanted: int,
        sampling: Mapping[str, Any],
        shown: Sequence[Image | Audio] = (),
        adapter: Adapter | None = None,
    ) -> T | str:
        fitted = {"adapter": adapter.name} if adapter else {}
        sampling = drawing(player.uri, about, {"max_tokens": MOST_OUT, **sampling})
        media = {digest(medium.encoded).hex(): medium for medium in shown}
        if shape is None:
            content = {"messages": _showing(messages, shown), **fitted}
            ask = Ask("chat", content, sampling, media=media, adapter=adapter)
            answer = await self.asker.ask(player, ask, about)
            self._note(player)
            text = without_thoughts(answer.text).strip()
            if not text:
                raise self._useless(player, "the answer is empty", answer)
            self.asker.outcome(player, "chat", None)
            return text
        wish, wants = _wish(shape)
        asked = [*messages[:-1], {**messages[-1], "content": f"{messages[-1]['content']}\n\n{wish}"}]
        asked = _showing(asked, shown)
        ask = Ask("chat", {"messages": asked, **fitted}, sampling, wants, wanted, media=media, adapter=adapter)
        answer = await self.asker.ask(player, ask, about)
        self._note(player)
        try:
            found = parse(answer.text, shape, cut=answer.finish == "length")
        except Unparsable as why:
            asked += [
                {"role": "assistant", "content": answer.text},
                {"role": "user", "content": mend(str(why), answer.finish == "length")},
            ]
            content = {"messages": asked, **fitted}
            ask = Ask("chat", content, sampling, wants, wanted, repair=True, media=media, adapter=adapter)
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

    async def complete(
        self, prompt: str, about: About, *, adapter: Adapter | None = None, nick: str | None = None, **sampling: Any
    ) -> Continuation:
        """How the text goes on; over a chat model where none plays ``complete``, then without log-probabilities.

        What was fitted to a model goes on as it was fitted to, whatever else that model plays.
        """
        role, player = self.players.player("complete", nick)
        if role == "complete" or adapter:
            answer = await self._completed(player, prompt, about, {"max_tokens": MOST_OUT, **sampling}, adapter)
            text = _stopped(answer.text, sampling.get("stop"))
            return Continuation(text, answer.logprob, answer.scored, answer.finish)
        self.asker.once(
            f"complete is played by the chat model {player.model}: it is told to go on, and gives no log-probabilities."
        )
        stop = sampling.pop("stop", None)  # a chat model often begins with what would stop it at once
        messages = [{"role": "system", "content": CONTINUE}, {"role": "user", "content": prompt}]
        said = await self._chat(player, messages, about, None, 1, sampling)
        return Continuation(_stopped(str(said), stop), None)

    async def _completed(
        self,
        player: Player,
        prompt: str,
        about: About,
        sampling: Mapping[str, Any],
        adapter: Adapter | None = None,
    ) -> Answer:
        content = {"prompt": prompt, **({"adapter": adapter.name} if adapter else {})}
        ask = Ask("complete", content, drawing(player.uri, about, sampling), adapter=adapter)
        answer = await self.asker.ask(player, ask, about)
        self._note(player)
        self.asker.outcome(player, "complete", None)
        return answer

    # -- classify ----------------------------------------------------------------------------------------------------

    async def classify(
        self,
        messages: Messages,
        about: About,
        *,
        among: Sequence[str],
        text: str = "",
        nick: str | None = None,
        **sampling: Any,
    ) -> Guess | None:
        """Which label a model gives; None where it names none of them.  A classifier is given ``text`` alone.

        A model that completes gives the probability of each label from its likeliest first tokens, normalised over the
        labels (Yoo et al. 2021, GPT3Mix, arXiv:2104.08826).
        """
        role, player = self.players.player("classify", nick)
        if role == "classify" and player.uri.startswith(CLASSIFIER):
            ask = Ask("classify", {"text": text, "among": list(among)})
            probs = {str(k): float(p) for k, p in json.loads((await self.asker.ask(player, ask, about)).text).items()}
            return Guess(max(probs, key=lambda label: probs[label]), probs) if probs else None
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
        ask = Ask("speak", {"text": text, "voice": voice, "rate": rate}, drawing(player.uri, about, {}))
        answer = await self.asker.ask(player, ask, about)
        self._note(player)
        self.asker.outcome(player, "speak", None)
        return _sound(player, answer)

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
        ask = Ask("transcribe", {"audio": digest(sound.encoded).hex()}, media={digest(sound.encoded).hex(): sound})
        answer = await self.asker.ask(player, ask, about)
        self.asker.outcome(player, "transcribe", None)
        return " ".join(answer.text.split())

    # -- images and sounds -----------------------------------------------------------------------------------------

    async def caption(
        self,
        item: Image | Audio,
        about: About,
        *,
        prompt: str = "",
        adapter: Adapter | None = None,
        nick: str | None = None,
        **sampling: Any,
    ) -> str:
        """What an image shows or a sound holds, in words: what follows ``prompt`` where the model goes on from one.

        Over a chat model that sees where none plays ``caption``; then the prompt is what is asked.
        """
        role, player = self.players.player("caption", nick)
        if in_a_prompt(role, player.uri):
            messages = [{"role": "user", "content": prompt or DESCRIBE}]
            return str(await self._chat(player, messages, about, None, 1, sampling, (item,)))
        name = digest(item.encoded).hex()
        content = {"item": name, "prompt": prompt, **({"adapter": adapter.name} if adapter else {})}
        more = drawing(player.uri, about, sampling)
        answer = await self.asker.ask(player, Ask("caption", content, more, media={name: item}, adapter=adapter), about)
        self.asker.outcome(player, "caption", None)
        return answer.text.strip()

    async def detect(
        self, image: Image, phrases: Sequence[str], about: About, *, at_least: float, nick: str | None = None
    ) -> list[Box]:
        """Where each phrase is seen in an image, the surest first: boxes in pixels, each with the model's score."""
        name = digest(image.encoded).hex()
        content = {"image": name, "phrases": list(phrases), "at_least": at_least}
        found: list[Box] = json.loads((await self._seen("detect", content, {name: image}, about, nick)).text)
        return found

    async def segment(self, image: Image, box: Sequence[float], about: About, *, nick: str | None = None) -> Image:
        """The mask of what stands in a box (x, y, w, h in pixels) of an image: 1 where it is, 0 elsewhere."""
        name = digest(image.encoded).hex()
        content = {"image": name, "box": [float(edge) for edge in box]}
        answer = await self._seen("segment", content, {name: image}, about, nick)
        return _image(self.players.player("segment", nick)[1], answer)

    async def map(
        self, image: Image, about: About, *, metre: float | None = None, top: int = 65535, nick: str | None = None
    ) -> tuple[Image, str]:
        """A number for every pixel of an image, a depth or a class, and the name of the model that gave them.

        ``metre`` is how much a metre counts in depths, for a model that measures in metres; other depths run from 0 to
        ``top``.
        """
        name = digest(image.encoded).hex()
        content = {"image": name, "top": top, **({"metre": metre} if metre is not None else {})}
        answer = await self._seen("map", content, {name: image}, about, nick)
        player = self.players.player("map", nick)[1]
        return _image(player, answer), player.model

    async def _seen(
        self, role: str, content: Mapping[str, Any], media: Mapping[str, Any], about: About, nick: str | None
    ) -> Answer:
        _, player = self.players.player(role, nick)
        answer = await self.asker.ask(player, Ask(role, content, media=media), about)
        self.asker.outcome(player, role, None)
        return answer

    async def paint(
        self,
        prompt: str,
        about: About,
        *,
        images: Mapping[str, Image] | None = None,
        adapter: Adapter | None = None,
        nick: str | None = None,
        **how: Any,
    ) -> Image:
        """An image of what the prompt says.

        ``images`` holds what it begins from (``image``), where it may change (``mask``, white), what steers it
        (``control``) and what it should look like (``like``); ``how`` is negative, steps, guidance, strength, scale,
        boxes (with labels), instruct, width, height.
        """
        _, player = self.players.player("paint", nick)
        names = {key: digest(image.encoded).hex() for key, image in (images or {}).items()}
        media = {names[key]: image for key, image in (images or {}).items()}
        content = {"prompt": prompt, **how, **names, **({"adapter": adapter.name} if adapter else {})}
        ask = Ask("paint", content, drawing(player.uri, about, {}), media=media, adapter=adapter)
        answer = await self.asker.ask(player, ask, about)
        self._note(player)
        self.asker.outcome(player, "paint", None)
        return _image(player, answer)

    async def sound(
        self,
        prompt: str,
        about: About,
        *,
        start: Audio | None = None,
        adapter: Adapter | None = None,
        nick: str | None = None,
        **how: Any,
    ) -> Audio:
        """A sound of what the prompt says; ``how`` is negative, steps, guidance, seconds, strength (of ``start``)."""
        _, player = self.players.player("sound", nick)
        name = digest(start.encoded).hex() if start else ""
        content = {
            "prompt": prompt, **how, **({"start": name} if start else {}),
            **({"adapter": adapter.name} if adapter else {}),
        }  # fmt: skip
        media = {name: start} if start else {}
        ask = Ask("sound", content, drawing(player.uri, about, {}), media=media, adapter=adapter)
        answer = await self.asker.ask(player, ask, about)
        self.asker.outcome(player, "sound", None)
        return _sound(player, answer)

    # -- fill, tag -------------------------------------------------------------------------------------------------

    async def fill(
        self, text: str, about: About, *, blank: str, whole_words: bool, nick: str | None = None, **sampling: Any
    ) -> str:
        """The text with each ``blank`` filled."""
        _, player = self.players.player("fill", nick)
        content = {"text": text, "blank": blank, "whole_words": whole_words}
        answer = await self.asker.ask(player, Ask("fill", content, drawing(player.uri, about, sampling)), about)
        self.asker.outcome(player, "fill", None)
        return answer.text

    async def tag(
        self, text: str, labels: Sequence[str], about: About, *, nick: str | None = None, **sampling: Any
    ) -> list[Span]:
        """What stands where in a text, of these labels (of all that the model knows where there are none)."""
        role, player = self.players.player("tag", nick)
        if role == "chat":
            return await self._tagged(player, text, labels, about, sampling)
        ask = Ask("tag", {"text": text, "labels": list(labels)})
        found: list[Span] = json.loads((await self.asker.ask(player, ask, about)).text)
        self.asker.outcome(player, "tag", None)
        return found

    async def _tagged(
        self, player: Player, text: str, labels: Sequence[str], about: About, sampling: Mapping[str, Any]
    ) -> list[Span]:
        """What a chat model names, found again in the text from left to right; what does not stand there is left."""
        kinds = f" of these kinds: {', '.join(labels)}" if labels else ""
        wish = f"Copy the names in the user's text{kinds}, letter for letter and in their order, each with its kind."
        messages = [{"role": "system", "content": wish}, {"role": "user", "content": text}]
        said = await self._chat(player, messages, about, _named(tuple(labels)), 1, sampling)
        spans: list[Span] = []
        at = 0
        for name in getattr(said, "names"):  # noqa: B009  the class is made from the labels
            begin = text.find(name.text, at)
            if name.text and begin >= 0:
                at = begin + len(name.text)
                spans.append({"start": begin, "end": at, "text": name.text, "label": name.label})
        return spans


DESCRIBE = "Describe this in one sentence. Answer with the sentence alone."
CLASSIFIER = "transformers:"
"""Who classifies a text itself; the others are asked as a chat is."""


def drawing(uri: str, about: About, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """How an answer is drawn, with the call's own seed for a model that takes one."""
    return {**sampling, **({"seed": about.seed} if seeded(uri) and sampling.get("temperature") != 0 else {})}


def _showing(messages: Messages, shown: Sequence[Image | Audio]) -> Messages:
    """The messages, images and sounds before the text of the last."""
    if not shown:
        return messages
    parts = [
        {"type": "audio" if hasattr(medium, "samples") else "image", "name": digest(medium.encoded).hex()}
        for medium in shown
    ]
    return [*messages[:-1], {**messages[-1], "content": [*parts, {"type": "text", "text": messages[-1]["content"]}]}]


def _sound(player: Player, answer: Answer) -> Audio:
    from leaven.media.audio import Audio

    if not isinstance(answer.media, Audio):
        raise CallFailed("no_answer", f"{player.uri} answered with no sound", [answer.text])
    return answer.media


def _image(player: Player, answer: Answer) -> Image:
    from leaven.media.image import Image

    if not isinstance(answer.media, Image):
        raise CallFailed("no_answer", f"{player.uri} answered with no image", [answer.text])
    return answer.media


@lru_cache(maxsize=64)
def _named(labels: tuple[str, ...]) -> type[BaseModel]:
    kind: Any = Literal[labels] if labels else str
    one = create_model("Name", text=(str, Field()), label=(kind, Field()))
    return create_model("Names", names=(list[one], Field()))


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

"""Language models that chat and go on with a text, and those that see what they are asked about."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from leaven.errors import ModelError
from leaven.models.asker import MOST_OUT
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.writer import Writer, chatting, sees_images
from leaven.models.calls import Answer, Ask, CallFailed


class Speaks(Local):
    """Plays ``chat`` and ``complete`` with a causal language model, or one that reads images and texts."""

    _writer: Writer | None = None

    def load(self) -> None:
        sees = sees_images(self.weights)
        if sees is None:
            raise ModelError(
                f"{self.uri} is of type `{self.weights.family}`, and is no model that goes on with a text.",
                "name a causal language model (Llama, Qwen, GPT-2 ...), or one that chats about images (LLaVA,"
                " Idefics3 ...).",
            )
        self._writer = chatting(self, sees=sees)

    def unload(self) -> None:
        self._writer = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, settings(ask.sampling), len(ask.media)

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        """The answers to calls that are all in order.  Raises CallFailed where one is not."""
        writer = self._writer
        assert writer is not None
        chat = asks[0].role == "chat"
        texts = [self._prompt(writer, ask) if chat else str(ask.content["prompt"]) for ask in asks]
        images = [list(_shown(ask)) for ask in asks]
        inputs = writer.read(texts, images, chat=chat)
        most = int(asks[0].sampling.get("max_tokens", MOST_OUT))
        longest = inputs["input_ids"].shape[1]
        if writer.longest is not None:
            if longest >= writer.longest:
                said = f"{longest:,} tokens, of the {writer.longest:,} that {self.uri} takes"
                raise CallFailed("too_long", f"the prompt has {said}")
            if len(asks) > 1 and longest + most > writer.longest:
                raise CallFailed("too_long", "how long an answer may be must not depend on the others")
            most = min(most, writer.longest - longest)
        found = writer.write(inputs, [ask.sampling for ask in asks], most)
        return [_answer(one, chat, most) for one in found]

    def _prompt(self, writer: Writer, ask: Ask) -> str:
        if not writer.template:
            raise ModelError(
                f"{self.uri} has no chat template: it goes on with texts, and does not chat.",
                f"--model complete={self.uri}, or name a model that was taught to chat.",
            )
        if writer.sees is None and ask.media:
            raise ModelError(f"{self.uri} reads texts alone, and is shown images or sounds.", "name a model that sees.")
        if any(hasattr(medium, "samples") for medium in ask.media.values()):
            raise ModelError(f"{self.uri} hears no sounds.", "name a model on a server that does: openai:MODEL@URL.")
        return writer.rendered(ask.content["messages"])


def settings(sampling: Mapping[str, Any]) -> str:
    """How answers are drawn, but for the seed: calls that are alike in it may be answered together."""
    return repr(sorted((name, value) for name, value in sampling.items() if name != "seed"))


def _shown(ask: Ask) -> Any:
    """The images of the messages, in their order."""
    for message in ask.content.get("messages", ()):
        if not isinstance(message["content"], str):
            yield from (ask.media[part["name"]] for part in message["content"] if part["type"] == "image")


def _answer(one: Any, chat: bool, most: int) -> Answer:
    answer = Answer(one.text, "stop" if one.ended else "length", one.tokens_in, one.tokens_out)
    if not chat:
        if one.logprobs:
            answer.logprob, answer.scored = round(sum(one.logprobs) / len(one.logprobs), 6), len(one.logprobs)
        if most == 1:
            answer.tops = one.tops
    return answer

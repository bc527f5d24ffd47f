"""Language models that chat, that go on with a text, or write another to it, and those that see what they are asked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from leaven.errors import ModelError
from leaven.models.asker import MOST_OUT
from leaven.models.backends.local.adapted import Adapted
from leaven.models.backends.local.writer import Writer, chatting, reading, reads_apart, sees_images
from leaven.models.calls import Answer, Ask, CallFailed


class Speaks(Adapted):
    """Plays ``chat`` and ``complete`` with a causal language model, or one that reads images and texts.

    A model that reads a text whole and then writes another (T5, BART) plays ``complete``: the prompt is what it reads.
    """

    def opened(self) -> Writer:
        if reads_apart(self.weights):
            return reading(self)
        sees = sees_images(self.weights)
        if sees is None:
            raise ModelError(
                f"{self.uri} is of type `{self.weights.family}`, and is no model that goes on with a text.",
                "name a causal language model (Llama, Qwen, GPT-2 ...), a T5 or BART, or one that chats about images"
                " (LLaVA, Idefics3 ...).",
            )
        return chatting(self, sees=sees)

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, settings(ask.sampling), len(ask.media), ask.adapter.name if ask.adapter else ""

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        """The answers to calls that are all in order.  Raises CallFailed where one is not."""
        writer = self.writer(asks[0].adapter)
        chat = asks[0].role == "chat"
        texts = [self._prompt(writer, ask) if chat else str(ask.content["prompt"]) or writer.mark for ask in asks]
        images = [list(_shown(ask)) for ask in asks]
        inputs = writer.read(texts, images, chat=chat)
        most = int(asks[0].sampling.get("max_tokens", MOST_OUT))
        longest = inputs["input_ids"].shape[1]
        if writer.longest is not None:
            if longest >= writer.longest:
                said = f"{longest:,} tokens, of the {writer.longest:,} that {self.uri} takes"
                raise CallFailed("too_long", f"the prompt has {said}")
            begun = 1 if writer.apart else longest
            if len(asks) > 1 and not writer.apart and longest + most > writer.longest:
                raise CallFailed("too_long", "how long an answer may be must not depend on the others")
            most = min(most, writer.longest - begun)
        found = writer.write(inputs, [ask.sampling for ask in asks], most)
        return [_answer(one, chat, most) for one in found]

    def _prompt(self, writer: Writer, ask: Ask) -> str:
        if not writer.template:
            raise unasked(self.uri)
        if writer.sees is None and ask.media:
            raise ModelError(f"{self.uri} reads texts alone, and is shown images or sounds.", "name a model that sees.")
        if any(hasattr(medium, "samples") for medium in ask.media.values()):
            raise ModelError(f"{self.uri} hears no sounds.", "name a model on a server that does: openai:MODEL@URL.")
        return writer.rendered(ask.content["messages"])


def unasked(uri: str) -> ModelError:
    return ModelError(
        f"{uri} has no chat template: it goes on with texts, and does not chat.",
        f"--model complete={uri}, or name a model that was taught to chat.",
    )


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

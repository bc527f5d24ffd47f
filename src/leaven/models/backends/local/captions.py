"""What an image shows, in words: captioners (BLIP, GIT), and models that chat about images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from leaven.errors import ModelError
from leaven.models.backends.local.adapted import Adapted
from leaven.models.backends.local.of_texts import read
from leaven.models.backends.local.speaks import settings
from leaven.models.backends.local.writer import Writer, chatting, processor_of, sees_images, shown
from leaven.models.calls import Answer, Ask, CallFailed

CAPTIONERS = ("blip", "git")
"""Families that go on with a caption, and are not chatted with."""
LONGEST = 128
"""Tokens of a caption where neither the call nor the model names a limit."""
DESCRIBE = "Describe this image in one sentence. Answer with the sentence alone."


class Captions(Adapted):
    """Plays ``caption`` for images.

    A captioner goes on from the prompt, which is cut off: the answer is what follows.  A model that chats is asked the
    prompt.
    """

    def kind(self, ask: Ask) -> Hashable:
        return settings(ask.sampling), ask.content["prompt"], ask.adapter.name if ask.adapter else ""

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        """The captions of images that are all in order.  Raises CallFailed where one is not."""
        writer = self.writer(asks[0].adapter)
        images = [ask.media[ask.content["item"]] for ask in asks]
        if any(hasattr(image, "samples") for image in images):
            raise ModelError(
                f"{self.uri} says what an image shows, and hears no sounds.",
                "name a chat model that hears: --model chat=openai:MODEL@URL.",
            )
        prompt = str(asks[0].content["prompt"])
        goes_on = self.weights.family in CAPTIONERS
        inputs = self._begun(writer, images, prompt) if goes_on else self.asked(writer, images, [prompt] * len(images))
        most = self._most(writer, asks[0].sampling, inputs["input_ids"].shape[1])
        found = writer.write(inputs, [ask.sampling for ask in asks], most, ends_itself=self.weights.family == "blip")
        return [
            Answer(one.text.strip(), "stop" if one.ended else "length", one.tokens_in, one.tokens_out) for one in found
        ]

    def _most(self, writer: Writer, sampling: Mapping[str, Any], begun: int) -> int:
        own = writer.model.generation_config
        most = sampling.get("max_tokens") or own.max_new_tokens or own.max_length or LONGEST
        if writer.longest is None:
            return int(most)
        if begun >= writer.longest:
            raise CallFailed("too_long", f"the prompt has {begun:,} tokens, of {writer.longest:,}")
        return min(int(most), writer.longest - begun)

    def _begun(self, writer: Writer, images: Sequence[Any], prompt: str) -> dict[str, Any]:
        """Images, and for each the mark of a beginning and the prompt: without the mark of an end, after which nothing
        would follow."""
        import torch

        seen = writer.sees.image_processor(images=shown(images), return_tensors="pt")
        reads = writer.reads
        begin = reads.bos_token_id if reads.bos_token_id is not None else reads.cls_token_id
        ids = [begin, *reads(prompt, add_special_tokens=False)["input_ids"]]
        if self.weights.family == "blip":  # which puts its own mark first, and takes the last one off
            ids.append(reads.sep_token_id)
        texts = torch.tensor([ids] * len(images))
        return writer.moved({**seen, "input_ids": texts, "attention_mask": torch.ones_like(texts)})

    def asked(self, writer: Writer, images: Sequence[Any], prompts: Sequence[str]) -> dict[str, Any]:
        """Images, each with its prompt, as a model that chats is asked."""
        if not writer.template:
            raise ModelError(
                f"{self.uri} has no chat template, and is none of the captioners that are known.",
                "name BLIP, GIT, or a model that was taught to chat about images.",
            )
        parts = [[{"type": "image"}, {"type": "text", "text": prompt or DESCRIBE}] for prompt in prompts]
        texts = [writer.rendered([{"role": "user", "content": said}]) for said in parts]
        inputs: dict[str, Any] = writer.read(texts, [[image] for image in images], chat=True)
        return inputs

    def opened(self) -> Writer:
        """The model as it lies there, on ``device`` and in ``dtype``.  Raises ModelError where it is no captioner."""
        import transformers as library

        if self.weights.family not in CAPTIONERS and not sees_images(self.weights):
            raise ModelError(
                f"{self.uri} is of type `{self.weights.family}`, and writes no captions.",
                "name BLIP, GIT, or a model that chats about images (LLaVA, Idefics3 ...).",
            )
        if self.weights.family not in CAPTIONERS:
            return chatting(self, sees=True)
        processor = processor_of(self.weights)
        return Writer(self, read(self, library.AutoModelForImageTextToText), processor.tokenizer, processor)

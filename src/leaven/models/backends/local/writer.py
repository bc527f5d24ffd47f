"""A model that writes, with what reads its texts and images: prompts in, tokens and their log-probabilities out."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.broken import Broken
from leaven.models.backends.local.drawn import Drawn, how
from leaven.models.backends.local.of_texts import read
from leaven.models.backends.local.pictures import pillow
from leaven.models.calls import CallFailed

if TYPE_CHECKING:
    import torch

    from leaven.media.image import Image
    from leaven.models.backends.local.local import Local
    from leaven.models.backends.local.weights import Weights

TAIL = 4
"""Tokens before the last ones that are looked at too, for a stop: a letter may be made of several."""
NO_LIMIT = 10**6
"""Tokenizers that know no longest text name a number above it."""
READ_APART = ("bart", "mt5", "t5", "umt5")
"""Families that read a text whole, and then write another."""
VIDEO = "name LLaVA, Idefics3 or another that reads images alone, or install torchvision."


@dataclass
class Written:
    """What a model wrote in one row: the text up to its stop, and of its tokens, without the mark that ends them, the
    log-probabilities; whether it ended by itself; how many tokens it read and wrote; the likeliest first tokens."""

    text: str
    logprobs: list[float]
    ended: bool
    tokens_in: int
    tokens_out: int
    tops: dict[str, float]


class Writer:
    """``reads`` is the tokenizer, ``sees`` the processor of a model that is shown images."""

    def __init__(self, local: Local, model: Any, reads: Any, sees: Any) -> None:
        self.model, self.reads, self.sees = model, reads, sees
        self.device, self.dtype = local.device, local.dtype
        self._reading = threading.Lock()
        """One thread at a time: a tokenizer is set anew for each call."""
        self.apart = bool(getattr(model.config, "is_encoder_decoder", False))
        """Whether it reads a text whole, and then writes another: else it goes on with the text."""
        reads.padding_side = "right" if self.apart else "left"
        if reads.pad_token is None:
            reads.pad_token = reads.eos_token
        ends = getattr(model.generation_config, "eos_token_id", None)
        marks = {reads.eos_token_id, reads.sep_token_id, *(ends if isinstance(ends, list) else [ends])}
        self.ends = {int(mark) for mark in marks if mark is not None}
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if not longest and not self.apart:  # T5 knows no places, and reads more than its tokenizer says
            longest = reads.model_max_length
        self.longest = int(longest) if longest and longest < NO_LIMIT else None
        """Tokens that prompt and answer may have together; each of them, where they stand apart."""

    @property
    def template(self) -> Any:
        return getattr(self.sees, "chat_template", None) or self.reads.chat_template

    @property
    def mark(self) -> str:
        """What an empty text begins with, where the tokenizer itself does not mark it."""
        return "" if self.reads("")["input_ids"] else str(self.reads.bos_token or self.reads.eos_token or "")

    # -- what is asked ----------------------------------------------------------------------------------------------

    def rendered(self, messages: Sequence[Mapping[str, Any]], *, answered: bool = False) -> str:
        """Messages as the model's template writes them; one that takes no system message finds it in the first turn.

        What begins an answer follows, but where the last message is one: ``answered``.

        Raises CallFailed.
        """
        from jinja2 import TemplateError

        said = [dict(message) for message in messages]
        if self.sees is not None:  # their templates look for parts
            for message in said:
                if isinstance(message["content"], str):
                    message["content"] = [{"type": "text", "text": message["content"]}]
        try:
            return self._rendered(said, answered)
        except TemplateError as error:
            if len(said) > 1 and said[0]["role"] == "system":
                try:
                    return self._rendered(_without_system(said), answered)
                except TemplateError:
                    pass
            raise CallFailed("chat_template", f"the model's chat template says: {error}") from None

    def _rendered(self, messages: list[dict[str, Any]], answered: bool) -> str:
        own = self.sees if getattr(self.sees, "chat_template", None) else self.reads
        return str(own.apply_chat_template(messages, tokenize=False, add_generation_prompt=not answered))

    def read(self, texts: Sequence[str], images: Sequence[Sequence[Image]] = (), *, chat: bool = False) -> Any:
        """The inputs of texts, each with its images; those of a ``chat`` are as a template wrote them."""
        several: dict[str, Any] = {"padding": True} if len(texts) > 1 else {}
        marked = self.reads.bos_token and texts[0].startswith(self.reads.bos_token)
        marks = not chat or (self.sees is not None and not marked)
        with self._reading:
            if any(images):
                seen = [shown(row) for row in images]
                found = self.sees(
                    text=list(texts), images=seen, return_tensors="pt", add_special_tokens=marks, **several
                )
            else:
                found = self.reads(list(texts), return_tensors="pt", add_special_tokens=marks, **several)
                found.pop("token_type_ids", None)  # which most models that write do not know
        return self.moved(found)

    def moved(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs where the model is, numbers with a fraction in its format."""
        return {
            name: value.to(self.device, self.dtype) if value.is_floating_point() else value.to(self.device)
            for name, value in inputs.items()
            if hasattr(value, "is_floating_point")
        }

    # -- what comes -------------------------------------------------------------------------------------------------

    def write(
        self,
        inputs: Mapping[str, Any],
        samplings: Sequence[Mapping[str, Any]],
        most: int,
        *,
        ends_itself: bool = False,
    ) -> list[Written]:
        """What follows each row.  All but the seed is alike in ``samplings``; ``most`` tokens at the most.

        ``ends_itself`` is for a model whose ``generate`` names its marks itself.
        """
        sampling = samplings[0]
        mask = inputs.get("attention_mask")
        padding = [0] * len(samplings) if mask is None or self.apart else (mask == 0).sum(1).tolist()
        own = self.model.generation_config
        drawn = Drawn(how(sampling, own), [int(one.get("seed", 0)) for one in samplings], padding)
        stops = [sampling["stop"]] if isinstance(sampling.get("stop"), str) else list(sampling.get("stop") or ())
        setting = copy.deepcopy(own)
        # What is None is filled in again from the model's own.
        least = min(most, int(sampling.get("min_tokens", 0)))
        setting.update(
            do_sample=False, num_beams=1, num_return_sequences=1, repetition_penalty=1.0, return_dict_in_generate=False,
            max_new_tokens=most, min_new_tokens=least,
        )  # fmt: skip
        if own.cache_implementation:  # a cache of the model's, where each call needs one of its own
            setting.cache_implementation = "dynamic"
        if not ends_itself:
            setting.eos_token_id, setting.pad_token_id = sorted(self.ends) or None, self.reads.pad_token_id
        until = [_Until(self.reads, stops, drawn)] if stops else []
        with_padding = self.model.generate(
            **inputs, generation_config=setting, logits_processor=[drawn], stopping_criteria=until
        )
        rows: list[list[int]] = with_padding[:, drawn.begin :].tolist()
        import torch

        logprobs = torch.cat(drawn.logprobs, 1).tolist()
        read = mask.sum(1).tolist() if self.apart and mask is not None else [drawn.begin - n for n in padding]
        return [self._written(row, logprobs[i], stops, read[i], drawn.tops[i]) for i, row in enumerate(rows)]

    def _written(
        self, row: list[int], logprobs: list[float], stops: Sequence[str], read: int, tops: Mapping[int, float]
    ) -> Written:
        end = next((i for i, token in enumerate(row) if token in self.ends), len(row))
        tokens, ended = row[:end], end < len(row)
        text = self.said(tokens)
        wrote = len(tokens) + ended
        at = min((found for stop in stops if (found := text.find(stop)) >= 0), default=-1)
        if at >= 0:
            text, ended = text[:at], True
            while tokens and len(self.said(tokens[:-1])) >= at:
                tokens = tokens[:-1]
        likeliest: dict[str, float] = {}
        for token, logprob in tops.items():
            likeliest.setdefault(self.reads.decode([token]), round(logprob, 6))  # the likeliest of those spelled alike
        return Written(text, logprobs[: len(tokens)], ended, read, wrote, likeliest)

    def said(self, tokens: Sequence[int]) -> str:
        return str(self.reads.decode(tokens, skip_special_tokens=True))


class _Until:
    """Stops a row where its answer holds one of the stops."""

    def __init__(self, reads: Any, stops: Sequence[str], drawn: Drawn) -> None:
        self.reads, self.stops, self.drawn = reads, stops, drawn
        self.tail = max(len(stop.encode()) for stop in stops) + TAIL
        self.done: list[bool] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
        import torch

        self.done = self.done or [False] * len(input_ids)
        for i, row in enumerate(input_ids[:, self.drawn.begin :][:, -self.tail :].tolist()):
            text = self.reads.decode(row, skip_special_tokens=True)
            self.done[i] = self.done[i] or any(stop in text for stop in self.stops)
        return torch.tensor(self.done, device=input_ids.device)


def chatting(local: Local, *, sees: bool) -> Writer:
    """A causal language model, or one that sees, loaded.  Raises ModelError."""
    import transformers as library

    kind = library.AutoModelForImageTextToText if sees else library.AutoModelForCausalLM
    processor: Any = processor_of(local.weights) if sees else None
    reads = processor.tokenizer if sees else local.weights.read(library.AutoTokenizer)
    return Writer(local, read(local, kind), reads, processor)


def reading(local: Local) -> Writer:
    """A model that reads a text whole and then writes another, loaded.  Raises ModelError."""
    import transformers as library

    reads = local.weights.read(library.AutoTokenizer)
    return Writer(local, read(local, library.AutoModelForSeq2SeqLM), reads, None)


def processor_of(weights: Weights) -> Any:
    """What reads a model's texts and images.  Raises ModelError."""
    import transformers as library

    try:
        return weights.read(library.AutoProcessor)
    except ModelError as error:
        if "torchvision" not in error.what.lower():
            raise
        raise ModelError(
            f"{weights.uri}: what reads its images also reads videos, and needs torchvision.", VIDEO
        ) from None


def reads_apart(weights: Weights) -> bool:
    """Whether a model reads a text whole, and then writes another: a T5, a BART."""
    from transformers.models.auto import modeling_auto as known

    names = weights.config.get("architectures") or []
    writes = names[0] in known.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values() if names else True
    return weights.family in READ_APART and writes


def sees_images(weights: Weights) -> bool | None:
    """Whether a model writes about images, or about texts alone; None for one that does not write."""
    from transformers.models.auto import modeling_auto as known

    names = weights.config.get("architectures") or []
    for sees, mapping in (
        (True, known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES),
        (False, known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    ):
        if names[0] in mapping.values() if names else weights.family in mapping:
            return sees
    return None


def shown(images: Sequence[Image]) -> list[Any]:
    """Images as processors take them.  Raises CallFailed where one cannot be decoded."""
    try:
        return [pillow(image) for image in images]
    except Broken as broken:
        raise CallFailed(broken.reason, broken.detail) from None


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first message's text at the head of the next one."""
    system, first, *others = messages
    begin, rest = system["content"], first["content"]
    if isinstance(rest, str):
        joined: Any = f"{begin}\n\n{rest}"
    else:
        joined = [*rest[:-1], {**rest[-1], "text": f"{begin[0]['text']}\n\n{rest[-1]['text']}"}]
    return [{**first, "content": joined}, *others]

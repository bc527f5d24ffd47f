"""A language model that the user names, fitted further to the user's own texts: the whole model, or a LoRA.

One that goes on with texts learns to go on from the prompt, just as it is asked later, with the target; without a
prompt it learns whole targets.  One that reads a text whole and then writes another (T5, BART) reads the prompt and
writes the target.  One that chats is given the prompt, with or without an image, as the user's turn in its own
template, and learns the answer with the mark that ends a turn there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from leaven.errors import DataError, ModelError
from leaven.models.backends.local import tuned_writer
from leaven.models.backends.local.fitting import Progress, nobody
from leaven.models.backends.local.speaks import Speaks, unasked
from leaven.models.backends.local.tuned_writer import Tokens, Tuned, TunedWriter, Tuning
from leaven.models.calls import CallFailed
from leaven.records import digest

if TYPE_CHECKING:
    import torch

    from leaven.media.image import Image
    from leaven.models.backends.local.weights import Weights

Role = Literal["complete", "chat"]


class Example(NamedTuple):
    """A row to learn from; ``prompt`` may be empty, and an image is for a model that chats about it."""

    prompt: str
    target: str
    image: Image | None = None


def tune(
    role: Role,
    weights: Weights,
    examples: Sequence[Example],
    how: Tuning,
    folder: Path,
    told: Callable[[Progress], None] = nobody,
) -> Tuned:
    """Fit a model that goes on with texts (``complete``) or chats, and leave it in ``folder``, as `tuned_writer.tune`
    does."""

    def fits(player: Any, rows: Sequence[Example], way: Tuning) -> TunedWriter:
        return _Fit(role, player, rows, way)

    return tuned_writer.tune(fits, Speaks(weights), examples, how, folder, told)


class _Fit(TunedWriter):
    def __init__(self, role: Role, player: Speaks, examples: Sequence[Example], how: Tuning) -> None:
        self.role: Role = role
        self.end: int | None = None
        super().__init__(player, examples, how)

    def tokens(self, example: Example) -> Tokens:
        """The tokens of what is asked, but where a processor reads them with an image, and of the target with the mark
        of its end."""
        writer = self.writer
        if self.role == "chat":
            if self.end is None:
                self.end = self._end_of_turn()
            target = [*self.plain(example.target), self.end]
            if example.image is not None:
                return [], self.fitting(target, 1)
            asked = self._read(self._turn(example), chat=True)
            return asked, self.fitting(target, len(asked))
        if not writer.apart:
            asked = self._read(example.prompt or writer.mark)
            return asked, self.fitting([*self.plain(example.target), int(writer.reads.eos_token_id)], len(asked))
        if not example.prompt:
            if any(one.prompt for one in self.examples):
                raise DataError(
                    f"a row gives {self.player.uri} an empty text to read before it writes.",
                    "leave such rows out: `where` says which it learns from.",
                )
            raise ModelError(
                f"{self.player.uri} reads a text before it writes one, and is given none.",
                'say what it reads: input: "{{ question }}"',
            )
        asked = self._read(example.prompt)
        self.fitting([0], len(asked))  # both have room of their own
        return asked, self.fitting(list(writer.reads(text_target=example.target)["input_ids"]), 1)

    def digest(self, example: Example) -> bytes:
        image = example.image.encoded if example.image is not None else b""
        return digest(self.role, example.prompt, example.target, image)

    def inputs(self, some: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor]:
        rows, texts = [self.examples[i] for i in some], [self.texts[i] for i in some]
        if rows[0].image is not None:
            try:
                said, images = [self._turn(row) for row in rows], [[row.image] for row in rows]
                return self.after(self.writer.read(said, images, chat=True), [target for _, target in texts])
            except CallFailed as failed:
                raise self.unreadable(failed) from None
        if not self.writer.apart:
            ids, mask, learnt = self.in_rows(texts)
            return self.writer.moved({"input_ids": ids, "attention_mask": mask}), learnt
        read, mask, _ = self.in_rows([(asked, []) for asked, _ in texts])
        written, _, learnt = self.in_rows([([self._start()], target) for _, target in texts])
        inputs = {"input_ids": read, "attention_mask": mask, "decoder_input_ids": written}
        return self.writer.moved(inputs), learnt

    def _read(self, text: str, *, chat: bool = False) -> list[int]:
        """The tokens of what is asked, as they are when it is asked."""
        return [int(token) for token in self.writer.read([text], chat=chat)["input_ids"][0].tolist()]

    def _turn(self, example: Example) -> str:
        parts: Any = example.prompt
        if example.image is not None:
            parts = [{"type": "image"}, {"type": "text", "text": example.prompt}]
        return self.writer.rendered([{"role": "user", "content": parts}])

    def _start(self) -> int:
        """What a model that reads apart begins to write after."""
        model = self.writer.model
        for config in (model.generation_config, model.config):
            if (start := getattr(config, "decoder_start_token_id", None)) is not None:
                return int(start)
        return int(self.writer.reads.pad_token_id)

    def _end_of_turn(self) -> int:
        """What ends an answer in the model's template, where it is a mark at which the model stops; else its mark of
        the end."""
        writer = self.writer
        if not writer.template:
            raise unasked(self.player.uri)
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        whole = writer.rendered(turns, answered=True)
        after = self.plain(whole.rpartition("!")[2])
        return after[0] if after and after[0] in writer.ends else int(writer.reads.eos_token_id)

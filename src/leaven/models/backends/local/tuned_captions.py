"""A captioner that the user names, fitted further to the user's own images and texts: the whole model, or a LoRA.

A model that goes on from a prompt learns to go on from it with the target; one that chats learns to answer the prompt
with it.  Where there is no prompt all but the mark of the beginning is learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leaven.models.backends.local import tuned_writer
from leaven.models.backends.local.captions import CAPTIONERS, Captions
from leaven.models.backends.local.fitting import Progress, nobody
from leaven.models.backends.local.tuned_writer import Tokens, Tuned, TunedWriter, Tuning
from leaven.models.backends.local.writer import shown
from leaven.models.calls import CallFailed
from leaven.records import digest

if TYPE_CHECKING:
    import torch

    from leaven.media.image import Image
    from leaven.models.backends.local.weights import Weights


class Example(NamedTuple):
    """A row to learn from; ``prompt`` may be empty."""

    image: Image
    prompt: str
    target: str


def tune(
    weights: Weights,
    examples: Sequence[Example],
    how: Tuning,
    folder: Path,
    told: Callable[[Progress], None] = nobody,
) -> Tuned:
    """Fit a captioner, and leave it in ``folder``, as `tuned_writer.tune` does.  Raises DataError for an image that
    cannot be decoded, too."""
    return tuned_writer.tune(_Fit, Captions(weights), examples, how, folder, told)


class _Fit(TunedWriter):
    def __init__(self, player: Captions, examples: Sequence[Example], how: Tuning) -> None:
        self.goes_on = player.weights.family in CAPTIONERS
        self.asked = player.asked
        if self.goes_on:
            self.more = {}  # type: ignore[misc]
        super().__init__(player, examples, how)

    def _begin(self) -> int:
        """The mark that captions begin with when they are drawn."""
        if self.player.weights.family == "blip":
            return int(self.writer.model.config.text_config.bos_token_id)
        reads = self.writer.reads
        return int(
            next(mark for mark in (reads.bos_token_id, reads.cls_token_id, reads.eos_token_id) if mark is not None)
        )

    def tokens(self, example: Example) -> Tokens:
        """The tokens of a prompt, of a model that goes on from it, and those of the target with the mark of the end."""
        reads = self.writer.reads
        if not self.goes_on:
            return [], self.fitting([*self.plain(example.target), int(reads.eos_token_id)], 1)
        ends = reads.sep_token_id if reads.sep_token_id is not None else reads.eos_token_id
        asked = [self._begin(), *self.plain(example.prompt)]
        return asked, self.fitting([*self.plain(example.target), int(ends)], len(asked))

    def digest(self, example: Example) -> bytes:
        return digest(example.image.encoded, example.prompt, example.target)

    def inputs(self, some: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor]:
        rows, texts = [self.examples[i] for i in some], [self.texts[i] for i in some]
        images = [row.image for row in rows]
        try:
            if not self.goes_on:
                prompts = self.asked(self.writer, images, [row.prompt for row in rows])
                return self.after(prompts, [target for _, target in texts])
            seen = self.writer.sees.image_processor(images=shown(images), return_tensors="pt")
        except CallFailed as failed:
            raise self.unreadable(failed) from None
        ids, mask, learnt = self.in_rows(texts)
        return self.writer.moved({**seen, "input_ids": ids, "attention_mask": mask}), learnt

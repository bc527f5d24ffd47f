"""A model that writes and that the user names, fitted further to what it is to write: the whole model, or a LoRA.

What is asked is given, and only the tokens of the target are learnt, the mark of its end included.  On a CPU the same
rows and settings give the same bytes: batches and dropout are drawn from the seed and the number of the step, under one
thread of torch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from leaven.errors import DataError, MissingExtra
from leaven.models.backends.local import room
from leaven.models.backends.local.fitting import (
    CHECKPOINT,
    Progress,
    Trained,
    apart,
    drawn,
    nobody,
    one_thread,
    own_luck,
    run,
    seeded,
)
from leaven.models.backends.local.lora import Lora, save, with_lora
from leaven.models.backends.local.weights import hush
from leaven.models.calls import CallFailed

if TYPE_CHECKING:
    import torch

    from leaven.models.backends.local.adapted import Adapted

FEWEST = 8
"""With fewer rows there is nothing to fit a model to."""
LOOKS = 20
"""So often it looks at the held-out rows, and leaves a checkpoint."""
PATIENCE = 5
TOGETHER = 4
"""Rows that go through the model at once; the gradients of a batch add up."""
CLIP = 1.0
NOT_LEARNT = -100
Tokens = tuple[list[int], list[int]]
"""Of a row what is asked, as far as the model goes on from it, and what it is to write."""


@dataclass(frozen=True)
class Tuning:
    """How a model is fitted; without ``lora`` all of its weights move."""

    lora: Lora | None = None
    epochs: int = 5
    lr: float = 1e-5
    decay: float = 0.05
    batch: int = 16
    seed: int = 0


class Tuned(NamedTuple):
    """How it went; ``cut`` is how many targets were too long for the model and lost their ends."""

    trained: Trained
    cut: int


class TunedWriter(ABC):
    """One fit: the model, what it learns from, and what a step of it is."""

    mean = None
    patience = PATIENCE
    clip = CLIP
    more: ClassVar[Mapping[str, Any]] = {"use_cache": False}
    """What the model is told besides its inputs."""

    def __init__(self, player: Adapted, examples: Sequence[Any], how: Tuning) -> None:
        import torch

        self.how, self.examples, self.cut = how, examples, 0
        self.player = player
        self.writer = player.opened()
        self.where = torch.device(player.device)
        self.texts = [self.tokens(example) for example in examples]
        model = self.writer.model
        if how.lora:
            seeded("lora", how.seed)
            model = with_lora(model, how.lora)
        self.model = model
        self.model.train()
        self.learnt = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(self.learnt, lr=how.lr, weight_decay=how.decay)
        self.seen, self.held = apart(len(examples), how.seed)
        self.batch = min(how.batch, len(self.seen))
        self.steps = how.epochs * math.ceil(len(self.seen) / self.batch)
        self.every = max(1, math.ceil(self.steps / LOOKS))
        said = f"{player.model} {how} {torch.__version__}".encode()
        self.print = blake2b(b"".join([said, *map(self.digest, examples)]), digest_size=16).hexdigest()

    # -- what a subclass says ------------------------------------------------------------------------------------------

    @abstractmethod
    def tokens(self, example: Any) -> Tokens:
        """The tokens of a row.  Raises DataError where what is asked leaves no room."""

    @abstractmethod
    def digest(self, example: Any) -> bytes:
        """What tells a row from others."""

    @abstractmethod
    def inputs(self, some: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor]:
        """What the model is given of some rows, and for each token what is to be learnt there."""

    # -- what it is given ----------------------------------------------------------------------------------------------

    def plain(self, text: str) -> list[int]:
        """The tokens of a text, without marks."""
        return list(self.writer.reads(text, add_special_tokens=False)["input_ids"]) if text else []

    def fitting(self, target: list[int], asked: int) -> list[int]:
        """As much of a target as the model has room for after so many tokens.  Raises DataError where that is none."""
        longest = self.writer.longest
        if longest is None or len(target) <= longest - asked:
            return target
        if asked >= longest:
            raise DataError(
                f"a prompt has {asked:,} tokens, and the model reads {longest:,} in all.", "make it shorter."
            )
        self.cut += 1
        return target[: longest - asked]

    @staticmethod
    def unreadable(failed: CallFailed) -> DataError:
        return DataError(
            f"a row cannot be shown to the model, {failed.reason}: {failed.detail}.", "leave it out, or correct it."
        )

    def in_rows(self, texts: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens with blanks after them, where they are, and what is to be learnt: the targets."""
        import torch

        whole = [[*asked, *target] for asked, target in texts]
        widest = max(map(len, whole))
        pad = int(self.writer.reads.pad_token_id)
        ids = torch.tensor([row + [pad] * (widest - len(row)) for row in whole])
        learnt, mask = torch.full_like(ids, NOT_LEARNT), torch.zeros_like(ids)
        for i, (asked, target) in enumerate(texts):
            learnt[i, len(asked) : len(asked) + len(target)] = torch.tensor(target)
            mask[i, : len(asked) + len(target)] = 1
        return ids, mask, learnt.to(self.where)

    def after(self, inputs: dict[str, Any], targets: Sequence[Sequence[int]]) -> tuple[dict[str, Any], torch.Tensor]:
        """What a processor made of prompts and images, with blanks before them, and the targets after them."""
        import torch

        asked = inputs["input_ids"]
        widest = max(map(len, targets))
        longest, whole = self.writer.longest, asked.shape[1] + widest
        if longest is not None and whole > longest:
            raise DataError(
                f"a prompt, its image and a target have {whole:,} tokens, and the model reads {longest:,} in all.",
                "make them shorter, or name a model that reads more.",
            )
        pad = int(self.writer.reads.pad_token_id)
        after = torch.tensor([[*target, *[pad] * (widest - len(target))] for target in targets], device=asked.device)
        there = torch.tensor([[1] * len(target) + [0] * (widest - len(target)) for target in targets])
        ends = {"input_ids": after, "attention_mask": there.to(asked.device)}
        for name, value in inputs.items():
            if value.shape == asked.shape:  # others that say something of each token: of the target, nothing
                inputs[name] = torch.cat([value, ends.get(name, torch.zeros_like(after)).to(value.dtype)], 1)
        learnt = torch.where(there.to(asked.device) > 0, after, NOT_LEARNT)
        return inputs, torch.cat([torch.full_like(asked, NOT_LEARNT), learnt], 1)

    # -- what it learns -----------------------------------------------------------------------------------------------

    def losses(self, rows: Sequence[int]) -> Iterator[tuple[torch.Tensor, int]]:
        """The summed loss of some rows at a time, and over how many tokens."""
        import torch
        from torch.nn.functional import cross_entropy

        for begin in range(0, len(rows), TOGETHER):
            inputs, learnt = self.inputs(rows[begin : begin + TOGETHER])
            with torch.autocast(self.where.type, torch.bfloat16, enabled=self.where.type == "cuda"):
                said = self.model(**inputs, **self.more).logits
            said = said[:, -learnt.shape[1] :].float()  # GIT's begin with the image's
            told = cross_entropy(
                said[:, :-1].flatten(0, 1), learnt[:, 1:].flatten(), ignore_index=NOT_LEARNT, reduction="sum"
            )
            yield told, int((learnt[:, 1:] != NOT_LEARNT).sum())

    def rate(self, step: int) -> float:
        return self.how.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def learn(self, step: int) -> float:
        seeded("dropout", self.how.seed, step)
        rows = drawn(self.seen, self.batch, step, self.how.seed)
        tokens = sum(len(self.texts[i][1]) for i in rows)
        whole = 0.0
        for loss, _ in self.losses(rows):
            (loss / tokens).backward()
            whole += float(loss.detach())
        return whole / tokens

    def look(self) -> float:
        """The mean loss of the held-out rows' tokens."""
        import torch

        self.model.train(False)
        with torch.no_grad():
            found = [(float(loss), tokens) for loss, tokens in self.losses(self.held)]
        self.model.train()
        return round(sum(loss for loss, _ in found) / sum(tokens for _, tokens in found), 6)


Fits = Callable[[Any, Sequence[Any], Tuning], TunedWriter]


def tune(
    fits: Fits,
    player: Adapted,
    examples: Sequence[Any],
    how: Tuning,
    folder: Path,
    told: Callable[[Progress], None] = nobody,
) -> Tuned:
    """Fit what a player plays with, and leave it in ``folder``: a whole model with what reads its texts, or a LoRA, as
    safetensors.

    A tenth of the rows is held out; the weights are those of the step at which the loss on them was lowest, and it ends
    after ``how.epochs``, or when that loss has not fallen for five looks.  A checkpoint in ``folder``, of the same rows
    and settings, is gone on from, and taken away at the end.

    Raises ModelError for a model that cannot play the role, DataError for fewer than 8 rows or a prompt that leaves no
    room, MissingExtra without torch or peft.
    """
    if len(examples) < FEWEST:
        raise DataError(f"{len(examples)} rows are too few to fit a model to.", f"give it {FEWEST} or more.")
    _needed(how)
    import torch

    where = "cuda" if torch.cuda.is_available() else "cpu"
    player.device, player.dtype = where, torch.float32
    room.make(player, player.weights, where)
    room.clear(player, where)  # training takes several times what the files say: the same model, idle, goes too
    try:
        with one_thread(), own_luck(where):
            fit = fits(player, examples, how)
            found = run(fit, folder, told)
            fit.model.train(False)
            folder.mkdir(parents=True, exist_ok=True)
            if how.lora:
                save(fit.model, folder, player.weights.model)
            else:
                fit.model.save_pretrained(folder)
                (fit.writer.sees or fit.writer.reads).save_pretrained(folder)
    finally:
        room.leave(player)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return Tuned(found, fit.cut)


def _needed(how: Tuning) -> None:
    try:
        import torch  # noqa: F401
        import transformers

        if how.lora:
            import peft  # noqa: F401
    except ImportError as error:
        extra = "diffusion" if error.name == "peft" else "torch"
        raise MissingExtra(
            f"fitting a model needs the extra `{extra}` ({error.name}).", f'pip install "leaven[{extra}]"'
        ) from None
    hush(transformers.logging)

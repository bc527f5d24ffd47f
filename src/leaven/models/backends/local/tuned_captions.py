"""A captioner that the user names, fitted further to the user's own images and texts: the whole model, or a LoRA.

A model that goes on from a prompt learns to go on from it with the target; one that chats learns to answer the prompt
with it.  Where there is a prompt its tokens are given, and only those of the target are learnt, the mark of the end
included; else all but the mark of the beginning.  A LoRA (Hu et al. 2022, arXiv:2106.09685) learns small matrices
beside the model's own, which stay as they are.

On a CPU the same rows and settings give the same bytes: batches and dropout are drawn from the seed and the number of
the step, under one thread of torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from leaven.errors import DataError, MissingExtra
from leaven.models.backends.local import room
from leaven.models.backends.local.captions import CAPTIONERS, Captions
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
from leaven.models.backends.local.writer import shown
from leaven.models.calls import CallFailed
from leaven.records import digest

if TYPE_CHECKING:
    import torch

    from leaven.media.image import Image
    from leaven.models.backends.local.weights import Weights

FEWEST = 8
"""With fewer rows there is nothing to fit a model to."""
LOOKS = 20
"""So often it looks at the held-out rows, and leaves a checkpoint."""
PATIENCE = 5
TOGETHER = 4
"""Rows that go through the model at once; the gradients of a batch add up."""
CLIP = 1.0
LEARNT_BY_ATTENTION = ("query", "value", "q_proj", "v_proj", "q", "v")
"""What models call the two matrices of attention that a LoRA learns beside."""
NOT_LEARNT = -100


class Example(NamedTuple):
    """A row to learn from; ``prompt`` may be empty."""

    image: Image
    prompt: str
    target: str


@dataclass(frozen=True)
class Lora:
    """``rank`` and ``alpha`` as Hu et al. name them; ``layers`` are the queries and values of the part that writes, or
    all linear layers, those that see among them."""

    rank: int = 16
    alpha: float = 16.0
    dropout: float = 0.0
    layers: Literal["attention", "all"] = "attention"


@dataclass(frozen=True)
class Tuning:
    """How a captioner is fitted; without ``lora`` all of its weights move."""

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


def tune(
    weights: Weights,
    examples: Sequence[Example],
    how: Tuning,
    folder: Path,
    told: Callable[[Progress], None] = nobody,
) -> Tuned:
    """Fit a captioner, and leave it in ``folder``: a whole model with its processor, or a LoRA, as safetensors.

    A tenth of the rows is held out; the weights are those of the step at which the loss on them was lowest, and it ends
    after ``how.epochs``, or when that loss has not fallen for five looks.  A checkpoint in ``folder``, of the same rows
    and settings, is gone on from, and taken away at the end.

    Raises ModelError for a model that writes no captions, DataError for fewer than 8 rows or a prompt that leaves no
    room, MissingExtra without torch or peft.
    """
    if len(examples) < FEWEST:
        raise DataError(f"{len(examples)} rows are too few to fit a captioner to.", f"give it {FEWEST} or more.")
    _needed(how)
    import torch

    where = "cuda" if torch.cuda.is_available() else "cpu"
    player = Captions(weights)
    player.device, player.dtype = where, torch.float32
    room.make(player, weights, where)
    try:
        with one_thread(), own_luck(where):
            fit = _Fit(player, examples, how)
            found = run(fit, folder, told)
            fit.model.train(False)
            _save(fit, weights, folder)
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
            f"fitting a captioner needs the extra `{extra}` ({error.name}).", f'pip install "leaven[{extra}]"'
        ) from None
    said: Any = transformers.logging
    said.set_verbosity_error()
    said.disable_progress_bar()


class _Fit:
    """One fit: the model, what it learns from, and what a step of it is."""

    mean = None
    patience = PATIENCE
    clip = CLIP

    def __init__(self, player: Captions, examples: Sequence[Example], how: Tuning) -> None:
        import torch

        self.how, self.examples, self.cut = how, examples, 0
        self.goes_on = player.weights.family in CAPTIONERS
        self.player = player
        self.writer = player.opened()
        model = self.writer.model
        self.begin = self._begin(model)
        if how.lora:
            seeded("lora", how.seed)
            model = _with_lora(model, how.lora)
        self.model = model
        self.model.train()
        self.learnt = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimiser = torch.optim.AdamW(self.learnt, lr=how.lr, weight_decay=how.decay)
        self.where = torch.device(player.device)
        self.texts = [self._tokens(example) for example in examples]
        self.seen, self.held = apart(len(examples), how.seed)
        self.batch = min(how.batch, len(self.seen))
        self.steps = how.epochs * math.ceil(len(self.seen) / self.batch)
        self.every = max(1, math.ceil(self.steps / LOOKS))
        rows = [digest(one.image.encoded, one.prompt, one.target) for one in examples]
        said = f"{player.model} {how} {torch.__version__}".encode()
        self.print = blake2b(b"".join([said, *rows]), digest_size=16).hexdigest()

    # -- what it is given ---------------------------------------------------------------------------------------------

    def _begin(self, model: Any) -> int:
        """The mark that captions begin with when they are drawn."""
        if self.player.weights.family == "blip":
            return int(model.config.text_config.bos_token_id)
        reads = self.writer.reads
        return int(
            next(mark for mark in (reads.bos_token_id, reads.cls_token_id, reads.eos_token_id) if mark is not None)
        )

    def _tokens(self, example: Example) -> tuple[list[int], list[int]]:
        """The tokens of a prompt, of a model that goes on from it, and those of the target with the mark of the end."""
        reads = self.writer.reads

        def of(text: str) -> list[int]:
            return list(reads(text, add_special_tokens=False)["input_ids"]) if text else []

        ends = reads.sep_token_id if self.goes_on and reads.sep_token_id is not None else reads.eos_token_id
        prompt, target = of(example.prompt) if self.goes_on else [], [*of(example.target), int(ends)]
        longest = self.writer.longest
        left = None if longest is None else longest - 1 - len(prompt)
        if left is not None and left < 1:
            raise DataError(
                f"a prompt has {len(prompt):,} tokens, and the model reads {longest:,} in all.", "make it shorter."
            )
        if left is not None and len(target) > left:
            self.cut += 1
            target = target[:left]
        return prompt, target

    def inputs(self, some: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor]:
        """What the model is given of some rows, and for each token what is to be learnt there."""
        images = [self.examples[i].image for i in some]
        texts = [self.texts[i] for i in some]
        return self._begun(images, texts) if self.goes_on else self._asked(some, texts)

    def _begun(
        self, images: Sequence[Image], texts: Sequence[tuple[list[int], list[int]]]
    ) -> tuple[dict[str, Any], torch.Tensor]:
        import torch

        whole = [[self.begin, *prompt, *target] for prompt, target in texts]
        widest = max(map(len, whole))
        pad = int(self.writer.reads.pad_token_id)
        ids = torch.tensor([row + [pad] * (widest - len(row)) for row in whole])
        learnt = torch.full_like(ids, NOT_LEARNT)
        mask = torch.zeros_like(ids)
        for i, (prompt, target) in enumerate(texts):
            begin = 1 + len(prompt)
            learnt[i, begin : begin + len(target)] = torch.tensor(target)
            mask[i, : begin + len(target)] = 1
        seen = self.writer.sees.image_processor(images=_pictures(images), return_tensors="pt")
        return self.writer.moved({**seen, "input_ids": ids, "attention_mask": mask}), learnt.to(self.where)

    def _asked(
        self, some: Sequence[int], texts: Sequence[tuple[list[int], list[int]]]
    ) -> tuple[dict[str, Any], torch.Tensor]:
        """The prompts as the model's template writes them, with blanks before them, and the targets after them."""
        import torch

        rows = [self.examples[i] for i in some]
        try:
            inputs = self.player.asked(self.writer, [row.image for row in rows], [row.prompt for row in rows])
        except CallFailed as failed:
            raise DataError(f"{failed.reason}: {failed.detail}.", "leave that row out, or correct it.") from None
        asked = inputs["input_ids"]
        widest = max(len(target) for _, target in texts)
        longest, whole = self.writer.longest, asked.shape[1] + widest
        if longest is not None and whole > longest:
            raise DataError(
                f"a prompt, its image and a target have {whole:,} tokens, and the model reads {longest:,} in all.",
                "make them shorter, or name a model that reads more.",
            )
        pad = int(self.writer.reads.pad_token_id)
        after = torch.tensor([target + [pad] * (widest - len(target)) for _, target in texts], device=asked.device)
        there = torch.tensor([[1] * len(target) + [0] * (widest - len(target)) for _, target in texts])
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
            more = {} if self.goes_on else {"use_cache": False}
            with torch.autocast(self.where.type, torch.bfloat16, enabled=self.where.type == "cuda"):
                said = self.model(**inputs, **more).logits
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


def _pictures(images: Sequence[Image]) -> list[Any]:
    try:
        return shown(images)
    except CallFailed as failed:
        raise DataError(f"an image cannot be decoded: {failed.detail}.", "leave that row out.") from None


def _with_lora(model: Any, lora: Lora) -> Any:
    import warnings

    from peft import LoraConfig, get_peft_model
    from torch.nn import Linear

    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if isinstance(module, Linear) and module is not head]
    if lora.layers == "attention":
        writing = [name for name in linear if "vision" not in name and "image_encoder" not in name]
        linear = [name for name in writing if name.rpartition(".")[2] in LEARNT_BY_ATTENTION] or writing
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=sorted(linear), bias="none"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # of peft, by transformers
        return get_peft_model(model, config)


def _save(fit: _Fit, weights: Weights, folder: Path) -> None:
    """A LoRA as peft reads it, or the model with what reads its texts and images."""
    folder.mkdir(parents=True, exist_ok=True)
    if not fit.how.lora:
        fit.model.save_pretrained(folder)
        fit.writer.sees.save_pretrained(folder)
        return
    fit.model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    described = folder / "adapter_config.json"
    said: Mapping[str, Any] = json.loads(described.read_text("utf-8"))
    # Its layers are a set, in an order by chance; and where the model lay says nothing.
    plain = {name: sorted(value) if isinstance(value, list) else value for name, value in said.items()}
    plain["base_model_name_or_path"] = weights.model
    described.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", "utf-8")

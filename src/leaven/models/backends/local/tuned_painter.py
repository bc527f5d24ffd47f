"""A painter that the user names, fitted further to the user's own images: a LoRA beside its network, or new words.

Stable Diffusion learns to take noise out of images that it is told of, as it was trained to: the noise, or the velocity
(Salimans and Ho 2022, arXiv:2202.00512), in the latents of its own encoder.  A LoRA (Hu et al. 2022, arXiv:2106.09685)
learns small matrices beside the attention of the network.  With images of a prior, which the model painted itself, it
keeps what it knew of the kind (DreamBooth, Ruiz et al. 2023, arXiv:2208.12242; there all weights move).  A word is one
vector among those of the text encoder, and all else stays as it is (textual inversion, Gal et al. 2023,
arXiv:2208.01618).

On a CPU the same rows and settings give the same bytes: every draw comes from a generator of its own, seeded by what it
is for, and torch computes with one thread.
"""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leaven.errors import DataError, MissingExtra, ModelError
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.models.backends.local import painting, room
from leaven.models.backends.local.fitting import (
    CHECKPOINT,
    Trained,
    apart,
    dealt,
    generator,
    one_thread,
    own_luck,
    run,
    seeded,
    write,
)
from leaven.models.backends.local.paints import LORA, WORDS, Paints, picture, quiet
from leaven.models.backends.local.weights import hush
from leaven.models.calls import Answer, Ask
from leaven.records import digest

if TYPE_CHECKING:
    import torch

    from leaven.models.backends.local.weights import Weights

    Heard = Mapping[str, torch.Tensor]
    """What the network is told of some prompts, a row each."""
    Hear = Callable[[Sequence[str]], Heard]

LOOKS = 20
"""So often it looks at the held-out rows, and leaves a checkpoint."""
PATIENCE = 5
LOOKED = (16, 64)
"""Noisy images of a look, at the least and at the most; always the same."""
ENOUGH = 10
"""With fewer rows none is held out: the looks are at those that it learns from."""
TOGETHER = 4
"""Images that go through the network at once; the gradients of a batch add up."""
KEPT = 4096
"""Encoded images and prompts that are kept in memory."""
DECAY = 0.01
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The matrices that a LoRA learns beside."""
PRIOR_STEPS, PRIOR_GUIDANCE = 50, 7.5
PRIOR, LEARNING = "prior", "words"
"""Folders that are there while it learns."""


class Example(NamedTuple):
    """An image, and what may be said of it: one of these texts each time."""

    image: Image
    prompts: tuple[str, ...]


class Prior(NamedTuple):
    """So many images that the model paints by itself, and what they are to show, in turns."""

    prompts: tuple[str, ...]
    n: int = 100


@dataclass(frozen=True)
class Tuning:
    """How a painter is fitted; ``size`` are the pixels a side that it works at, else the model's own."""

    steps: int = 1000
    lr: float = 1e-4
    batch: int = 4
    flip: bool = False
    size: int | None = None
    seed: int = 0
    rank: int = 16
    alpha: float = 16.0
    dropout: float = 0.0


def nobody(said: str) -> None:
    """Nobody is told."""


def tune(
    weights: Weights,
    examples: Sequence[Example],
    how: Tuning,
    folder: Path,
    told: Callable[[str], None] = nobody,
    prior: Prior | None = None,
) -> Trained:
    """Fit a LoRA, and leave it in ``folder`` as diffusers reads it; ``alpha`` is reckoned into its weights.

    A tenth of the rows is held out, where there are ten; the weights are those of the step at which the loss on them
    was lowest, and it ends after ``how.steps``, or when that loss has not fallen for five looks.  Images of the
    ``prior`` are painted first, each once, and as many of them as of the rows are in each step.  A checkpoint in
    ``folder``, of the same rows and settings, is gone on from, and taken away at the end with the images.

    Raises ModelError for a model that cannot be fitted, DataError for no rows or an image that cannot be decoded,
    MissingExtra without torch, diffusers or peft.
    """
    with _room(weights) as where:
        painted = _painted(weights, where, prior, how.seed, folder / PRIOR, told) if prior else []
        pipe = _opened(weights, where)
        seeded("lora", how.seed)
        learnt = _with_lora(pipe.unet, how)
        fit = _Fit(pipe, examples, painted, _Ears(pipe), learnt, how, 1.0, weights.model)
        found = run(fit, folder, lambda progress: told(str(progress)))
        _save(pipe, how, folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(folder / PRIOR, ignore_errors=True)
    return found


def learn(
    weights: Weights,
    words: Mapping[str, Sequence[Example]],
    how: Tuning,
    folder: Path,
    told: Callable[[str], None] = nobody,
    init: str = "the",
) -> dict[str, Trained]:
    """Learn words, each from its own rows and for itself, and leave their vectors in one file in ``folder``.

    Each begins as the vector of ``init``, a word of one token.  Looks, ends and checkpoints are those of `tune`, for
    each word.  Raises ModelError for a word that the tokenizer knows, or more tokens than one in ``init``; else as
    `tune` does.
    """
    if painting.family(weights):
        raise ModelError(f"{weights.uri} has two text encoders; words are learned by one.", "how: lora")
    from safetensors.torch import save

    found: dict[str, Trained] = {}
    vectors: dict[str, torch.Tensor] = {}
    with _room(weights) as where:
        pipe = _opened(weights, where)
        begun = _begun(pipe, init, words)
        known = pipe.text_encoder.get_input_embeddings()
        for i, (word, examples) in enumerate(words.items()):
            vector = begun.clone().requires_grad_()
            [number] = pipe.tokenizer.convert_tokens_to_ids([word])
            pipe.text_encoder.set_input_embeddings(_with_word(known, number, vector))
            said = f"{word}, {i + 1} of {len(words)}: " if len(words) > 1 else ""
            fit = _Fit(pipe, examples, [], _hears(pipe), [vector], how, math.inf, f"{weights.model} {init} {word}")
            found[word] = run(fit, folder / LEARNING / f"{i}", lambda at, said=said: told(f"{said}{at}"))  # type: ignore[misc]
            vectors[word] = vector.detach().cpu()[None].contiguous()
    write(folder / WORDS, save(vectors, {"format": "pt"}))
    shutil.rmtree(folder / LEARNING, ignore_errors=True)
    return found


# -- what it is opened with -------------------------------------------------------------------------------------------


@contextmanager
def _room(weights: Weights) -> Iterator[str]:
    """While it lasts there is room for a model, on the device that comes; torch's luck and its threads are ours."""
    quiet(weights.uri)
    try:
        import peft  # noqa: F401
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(
            f"fitting a painter needs the extra `diffusion` ({error.name}).", 'pip install "leaven[diffusion]"'
        ) from None
    hush(transformers.logging)
    where = "cuda" if torch.cuda.is_available() else "cpu"
    holder = Paints(weights)
    room.make(holder, weights, where)
    room.clear(holder, where)  # training takes several times what the files say: the same model, idle, goes too
    try:
        with one_thread(), own_luck(where):
            yield where
    finally:
        room.leave(holder)


def _opened(weights: Weights, where: str) -> Any:
    """The pipeline, whose weights stay as they are.  Raises ModelError where it cannot be fitted."""
    import diffusers
    import torch

    xl = painting.family(weights)
    channels = painting.part(weights, "unet").get("in_channels", 4)
    if channels != 4:
        raise ModelError(
            f"{weights.uri} takes {channels} channels, not 4: those for masks and instructions are not fitted.",
            "name a text-to-image pipeline.",
        )
    kind = getattr(diffusers, str(weights.config["_class_name"]))
    unchecked = {} if xl else {"safety_checker": None}  # it paints nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = weights.read(kind, use_safetensors=True, dtype=torch.float32, **unchecked)
    type_ = pipe.scheduler.config.get("prediction_type", "epsilon")
    if type_ not in ("epsilon", "v_prediction"):
        raise ModelError(
            f"{weights.uri} predicts {type_}; fitting knows epsilon and v_prediction.", "name another model."
        )
    if pipe.text_encoder is None:
        raise ModelError(f"{weights.uri} lacks a text encoder, as a refiner does.", "name a text-to-image pipeline.")
    for part in pipe.components.values():
        if hasattr(part, "parameters"):
            part.requires_grad_(False).train(False).to(where)
    return pipe


def _with_lora(unet: Any, how: Tuning) -> list[torch.Tensor]:
    from peft import LoraConfig

    unet.add_adapter(
        LoraConfig(
            r=how.rank, lora_alpha=how.alpha, lora_dropout=how.dropout, init_lora_weights="gaussian",
            target_modules=list(ATTENTION),
        )
    )  # fmt: skip
    return [weight for weight in unet.parameters() if weight.requires_grad]


def _save(pipe: Any, how: Tuning, folder: Path) -> None:
    """Its weights such that it counts as it was fitted to whoever takes alpha for the rank, as all do by default."""
    from peft.utils import get_peft_model_state_dict

    count = how.alpha / how.rank
    found = get_peft_model_state_dict(pipe.unet)
    state = {name: tensor * count if "lora_B" in name else tensor for name, tensor in found.items()}
    folder.mkdir(parents=True, exist_ok=True)
    pipe.save_lora_weights(folder, unet_lora_layers=state, weight_name=LORA)


def _begun(pipe: Any, init: str, words: Mapping[str, Any]) -> torch.Tensor:
    """What every word begins as; the tokenizer takes up the words."""
    known = pipe.tokenizer.get_vocab()
    for word in words:
        if word in known:
            raise ModelError(f"the model's tokenizer knows `{word}` already.", "name a model that has not learned it.")
    tokens = pipe.tokenizer(init, add_special_tokens=False)["input_ids"]
    if len(tokens) != 1:
        raise ModelError(f"`{init}` is {len(tokens)} tokens to this model; a word begins as one.", "init: the")
    begun: torch.Tensor = pipe.text_encoder.get_input_embeddings().weight[tokens[0]].detach().clone()
    pipe.tokenizer.add_tokens(list(words))
    return begun


def _with_word(known: Any, number: int, vector: torch.Tensor) -> Any:
    """The vectors of tokens that are known, and of one that is learned."""
    import torch

    class WithWord(torch.nn.Module):  # type: ignore[misc]
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            own = ids == number
            return torch.where(own[..., None], vector, known(ids.masked_fill(own, 0)))

    return WithWord()


def _hears(pipe: Any) -> Hear:
    """What the network is told of prompts, as the pipeline tells it."""

    def heard(prompts: Sequence[str]) -> Heard:
        how = {"device": pipe.unet.device, "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
        told = pipe.encode_prompt(prompt=list(prompts), **how)
        return {"text": told[0], **({"pooled": told[2]} if len(told) == 4 else {})}

    return heard


class _Ears:
    """The same for a text encoder that does not change: each prompt is read once."""

    def __init__(self, pipe: Any) -> None:
        self.hear = _hears(pipe)
        self.kept: dict[str, Heard] = {}

    def __call__(self, prompts: Sequence[str]) -> Heard:
        import torch

        found = []
        for prompt in prompts:
            if prompt not in self.kept:
                with torch.no_grad():
                    heard = self.hear([prompt])
                if len(self.kept) >= KEPT:
                    self.kept.clear()
                self.kept[prompt] = heard
            found.append(self.kept[prompt])
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}


# -- the prior --------------------------------------------------------------------------------------------------------


def _painted(
    weights: Weights, where: str, prior: Prior, seed: int, folder: Path, told: Callable[[str], None]
) -> list[Example]:
    """Images that the model paints of the prior's prompts; those that lie there are not painted again."""
    import torch

    asked = [prior.prompts[i % len(prior.prompts)] for i in range(prior.n)]
    own = [digest("prior", weights.model, prompt, f"{seed} {i}").hex() for i, prompt in enumerate(asked)]
    paths = [folder / f"{name}.png" for name in own]
    player = Paints(weights)
    player.device, player.dtype = where, torch.float32 if where == "cpu" else torch.bfloat16
    lacking = [i for i, path in enumerate(paths) if not path.is_file()]
    if lacking:
        player.load()
    at_once = 1 if where == "cpu" else player.batch
    for begin in range(0, len(lacking), at_once):
        some = lacking[begin : begin + at_once]
        asks = [
            Ask(
                "paint",
                {"prompt": asked[i], "steps": PRIOR_STEPS, "guidance": PRIOR_GUIDANCE},
                {"seed": generator("prior", seed, i).initial_seed()},
            )
            for i in some
        ]
        with torch.inference_mode():
            answers = player.answers(asks)
        for i, answer in zip(some, answers, strict=True):
            if isinstance(answer, Answer) and isinstance(answer.media, Image):
                write(paths[i], answer.media.encoded)
        told(f"{begin + len(some):,} of {len(lacking):,} images of the prior painted")
    player.unload()
    found = [Example(Image.read(path), (prompt,)) for path, prompt in zip(paths, asked, strict=True) if path.is_file()]
    if not found:
        raise ModelError(f"{weights.uri} paints no image of the prior: all are flagged.", "say another `prior`.")
    return found


# -- the fit ----------------------------------------------------------------------------------------------------------


class _Fit:
    """One fit: the pipeline, what it learns from, and what a step of it is."""

    mean = None
    patience = PATIENCE

    def __init__(
        self,
        pipe: Any,
        examples: Sequence[Example],
        prior: Sequence[Example],
        hear: Hear,
        learnt: list[torch.Tensor],
        how: Tuning,
        clip: float,
        said: str,
    ) -> None:
        import torch
        from diffusers import DDPMScheduler

        if not examples:
            raise DataError("there is no image to fit a painter to.", "give it rows with an image.")
        self.pipe, self.how, self.hear, self.learnt, self.clip = pipe, how, hear, learnt, clip
        self.examples, self.prior = [*examples, *prior], range(len(examples), len(examples) + len(prior))
        every = list(range(len(examples)))
        self.seen, self.held = apart(len(examples), how.seed) if len(examples) >= ENOUGH else (every, every)
        self.batch, self.steps = how.batch, how.steps
        self.every = max(1, math.ceil(how.steps / LOOKS))
        self.optimiser = torch.optim.AdamW(learnt, lr=how.lr, weight_decay=DECAY)
        self.noising = DDPMScheduler.from_config(pipe.scheduler.config)
        self.where = pipe.unet.device
        size = pipe.unet.config.sample_size
        own = (size if isinstance(size, int) else size[0]) * 2 ** (len(pipe.vae.config.block_out_channels) - 1)
        self.side = how.size or own
        self.encoded: dict[tuple[int, bool], tuple[torch.Tensor, torch.Tensor]] = {}
        rows = [digest(one.image.encoded, *one.prompts) for one in self.examples]
        whole = f"{said} {how} {len(prior)} {self.side} {torch.__version__}".encode()
        self.print = blake2b(b"".join([whole, *rows]), digest_size=16).hexdigest()

    # -- what it is shown ---------------------------------------------------------------------------------------------

    def latents(self, row: int, mirrored: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and spread of an image's latents; each is encoded alone, and kept."""
        import numpy as np
        import torch

        if (row, mirrored) not in self.encoded:
            image = self.examples[row].image
            try:
                pixels = np.asarray(picture(image, (self.side, self.side)).convert("RGB"), np.float32)
            except Broken as broken:
                raise DataError(
                    f"an image cannot be decoded: {broken.detail}.", "leave that row out, or correct it."
                ) from None
            image.settle()
            x = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]
            with torch.no_grad():
                found = self.pipe.vae.encode((x.flip(3) if mirrored else x).to(self.where)).latent_dist
            if len(self.encoded) >= KEPT:
                self.encoded.clear()
            self.encoded[row, mirrored] = found.mean.cpu(), found.std.cpu()
        return self.encoded[row, mirrored]

    def shown(self, rows: Sequence[int], luck: torch.Generator) -> tuple[list[str], torch.Tensor]:
        """What is said of some rows, and their latents, drawn as the encoder spreads them."""
        import torch

        prompts, latents = [], []
        for row in rows:
            said = self.examples[row].prompts
            prompts.append(said[int(torch.randint(len(said), (1,), generator=luck))])
            mirrored = bool(torch.rand(1, generator=luck) < 0.5) and self.how.flip
            mean, spread = self.latents(row, mirrored)
            latents.append(mean + spread * torch.randn(mean.shape, generator=luck))
        config = self.pipe.vae.config
        return prompts, (torch.cat(latents) - (config.get("shift_factor") or 0)) * config.scaling_factor

    # -- what it learns -----------------------------------------------------------------------------------------------

    def losses(self, rows: Sequence[int], times: torch.Tensor, luck: torch.Generator) -> Iterator[torch.Tensor]:
        """How wrong the network is about noisy images, each at its time: the sum of some at once."""
        import torch
        from torch.nn.functional import mse_loss

        for begin in range(0, len(rows), TOGETHER):
            prompts, x = self.shown(rows[begin : begin + TOGETHER], luck)
            noise = torch.randn(x.shape, generator=luck)
            t = times[begin : begin + TOGETHER].to(self.where)
            x, noise = x.to(self.where), noise.to(self.where)
            heard = self.hear(prompts)
            more = {"added_cond_kwargs": self.of_xl(heard["pooled"])} if "pooled" in heard else {}
            velocity = self.noising.config.prediction_type == "v_prediction"
            goal = self.noising.get_velocity(x, noise, t) if velocity else noise
            with torch.autocast(self.where.type, torch.bfloat16, enabled=self.where.type == "cuda"):
                found = self.pipe.unet(
                    self.noising.add_noise(x, noise, t), t, encoder_hidden_states=heard["text"], **more
                ).sample
            yield mse_loss(found.float(), goal, reduction="none").flatten(1).mean(1).sum()

    def of_xl(self, pooled: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the network of an XL is told besides: the size, that nothing was cut off, and the size again."""
        import torch

        sizes = torch.tensor([[self.side, self.side, 0, 0, self.side, self.side]], device=self.where)
        return {"text_embeds": pooled, "time_ids": sizes.expand(len(pooled), -1)}

    def rate(self, step: int) -> float:
        return self.how.lr

    def learn(self, step: int) -> float:
        import torch

        seeded("dropout", self.how.seed, step)
        self.pipe.unet.train()
        luck = generator("step", self.how.seed, step)
        whole = 0.0
        of_prior = dealt(self.prior, self.batch, step, self.how.seed) if self.prior else []
        for rows in filter(None, (dealt(self.seen, self.batch, step, self.how.seed), of_prior)):
            times = torch.randint(len(self.noising), (len(rows),), generator=luck)
            for loss in self.losses(rows, times, luck):
                (loss / len(rows)).backward()
                whole += float(loss.detach()) / len(rows)
        return whole

    def look(self) -> float:
        """The mean loss of held-out rows at times that are spread evenly, under the same noises each time."""
        import torch

        self.pipe.unet.train(False)
        n = min(LOOKED[1], max(LOOKED[0], len(self.held)))
        rows = [self.held[i % len(self.held)] for i in range(n)]
        times = ((torch.arange(n) + 0.5) / n * len(self.noising)).long()
        times = times[torch.randperm(n, generator=generator("times", self.how.seed))]
        with torch.no_grad():
            found = [float(loss) for loss in self.losses(rows, times, generator("look", self.how.seed))]
        return round(sum(found) / n, 6)

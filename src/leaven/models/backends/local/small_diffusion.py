"""A small diffusion model of the user's own images, trained from nothing and steered by their labels.

A U-Net of up to some million weights learns to take noise out of images of 8 to 64 pixels a side, on one core.  Noise
and steps are those of Ho et al. 2020 (DDPM, arXiv:2006.11239) with the cosine schedule of Nichol and Dhariwal 2021
(arXiv:2102.09672), the target is the velocity of Salimans and Ho 2022 (arXiv:2202.00512), a tenth of the labels are
hidden in training for classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598), and images are drawn by DDIM
(Song et al. 2021, arXiv:2010.02502) with averaged weights.

Every random number comes from a generator of its own, seeded by what it is for: torch's own is neither read nor moved.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leaven.errors import DataError, MissingExtra, ModelError
from leaven.models.backends.local.fitting import HELD, Progress, Trained, generator, nobody, one_thread, run, write

if TYPE_CHECKING:
    import torch

    Pixels = NDArray[np.uint8]
    Weights = dict[str, torch.Tensor]

ABOUT = "small-diffusion.json"
"""The file that says what the folder holds: classes, sizes, channels, and how it was trained."""
SIZES = (8, 64)
FEWEST = 8
"""With fewer images there is nothing to learn a generator from."""
NOISES = 1000
HIDDEN = 0.1
"""The share of labels that are hidden, so that it learns to go without."""
CHECKED = 256
"""Noisy images of held-out rows, always the same, by which training stops."""
CHECKS = 40
"""So often it looks how far it is, and leaves a checkpoint."""
FEWEST_STEPS = 10
PATIENCE = 6
DECAY = 0.999
WARM = 100
CLIP = 1.0


@dataclass(frozen=True)
class SmallDiffusion:
    """A trained generator: ``fit`` one, or ``load`` it from the folder where it was saved."""

    classes: tuple[str, ...]
    """The labels that it was trained on, sorted; it may have none."""
    size: int
    """Pixels a side, inside."""
    channels: int
    """1 where all images are gray, else 3."""
    shown: tuple[int, int]
    """Width and height of what it draws."""
    trained: Trained
    net: Any

    # -- fit --------------------------------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        images: Iterable[Pixels],
        labels: Sequence[str | None],
        *,
        size: int | None = None,
        steps: int = 2000,
        lr: float = 2e-3,
        batch: int = 64,
        width: int = 32,
        flip: bool = False,
        seed: int = 0,
        folder: Path | None = None,
        told: Callable[[Progress], None] = nobody,
    ) -> SmallDiffusion:
        """Train on images (height x width, or x 3; uint8; of any sizes) and their labels, None for an unknown one.

        All are made ``size`` pixels a side (left out: as large as they are, 8 to 32), and what is drawn has their
        size again where they agree in it.  A tenth of the rows is held out; training ends after ``steps``, or when
        the loss on them has not fallen for six looks, and the weights of the best look are taken.  With ``folder`` it
        leaves a checkpoint there at every look, and goes on from one of the same data and settings: to the same bytes,
        on a CPU.  ``flip`` shows half of the images mirrored: right where a mirrored one keeps its label.

        Raises DataError for fewer than 8 images, ModelError for a size that is no multiple of 8 from 8 to 64,
        MissingExtra without torch and diffusers.
        """
        needed()
        shapes, coloured, small = [], False, []
        for pixels in images:
            shapes.append((pixels.shape[1], pixels.shape[0]))
            coloured = coloured or not gray(pixels)
            small.append(shrunk(pixels))
        if len(small) < FEWEST:
            raise DataError(
                f"{len(small)} images are too few to fit a generator to.", f"give it {FEWEST} or more; 100 is better."
            )
        largest = [max(shape) for shape in shapes]
        size = size or min(32, max(8, math.ceil(float(np.median(largest)) / 8) * 8))
        if size % 8 or not SIZES[0] <= size <= SIZES[1]:
            raise ModelError(f"a generator of {size} x {size} pixels is not built.", "size: 16, or 8 to 64 by 8.")
        channels = 3 if coloured else 1
        shown = shapes[0] if len(set(shapes)) == 1 and max(largest) <= SIZES[1] else (size, size)
        classes = tuple(sorted({label for label in labels if label is not None}))
        code = {name: i for i, name in enumerate(classes)}
        with one_thread():
            x = np.stack([prepared(pixels, size, channels) for pixels in small])
            y = np.array([len(classes) if label is None else code[label] for label in labels], np.int64)
            net = _net(size, channels, width, len(classes) + 1)
            trained = run(_Fit(net, x, y, len(classes), steps, lr, batch, flip, seed), folder, told)
        net.train(False)
        return cls(classes, size, channels, shown, trained, net)

    # -- draw -------------------------------------------------------------------------------------------------------

    def draw(
        self,
        label: str | None,
        *,
        seed: int,
        steps: int = 30,
        guidance: float = 2.0,
        start: Pixels | None = None,
        strength: float = 0.6,
    ) -> Pixels:
        """An image of a label, height x width (x 3), uint8; None draws of any.

        ``guidance`` 1 draws as it was trained, more goes further from what is usual of all labels; ``steps`` are the
        times that it takes noise out.  With ``start`` it begins from that image and a share ``strength`` of the steps
        (Meng et al. 2022, SDEdit, arXiv:2108.01073).  The same seed gives the same image, on one machine.
        Raises ModelError for a label that it never saw.
        """
        import torch

        if label is not None and label not in self.classes:
            raise ModelError(
                f"the generator never saw the label `{label}`; it knows {', '.join(self.classes[:12]) or 'none'}.",
                "name one of these.",
            )
        none = len(self.classes)
        own = none if label is None else self.classes.index(label)
        both = own != none and guidance != 1.0
        where = next(self.net.parameters()).device
        y = torch.tensor([own, none] if both else [own], device=where)
        noise = torch.randn((1, self.channels, self.size, self.size), generator=generator("draw", seed))
        schedule = _schedule("DDIMScheduler")  # it keeps what it is at: one a call
        schedule.set_timesteps(steps)
        with one_thread(), torch.inference_mode():
            taken = schedule.timesteps
            if start is not None:
                taken = taken[steps - min(steps, max(1, round(steps * strength))) :]
                begun = centred(torch.from_numpy(prepared(shrunk(start), self.size, self.channels))[None])
                noise = schedule.add_noise(begun, noise, taken[:1])
            x = noise.to(where)
            for t in taken:
                given = x.expand(len(y), -1, -1, -1)
                found = self.net(given, t.to(where), class_labels=y).sample
                if both:
                    found = found[1:] + guidance * (found[:1] - found[1:])
                x = schedule.step(found, t, x).prev_sample
            x = x.float().cpu()
            if self.shown != (self.size, self.size):
                x = _resized(x, self.shown)
            whole = ((x[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        pixels: Pixels = whole[0].numpy() if self.channels == 1 else np.ascontiguousarray(whole.permute(1, 2, 0))
        return pixels

    # -- save and load ----------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write ``unet/`` and ``scheduler/``, which diffusers loads, and a JSON file of classes and sizes."""
        from safetensors.torch import save

        said = {
            "classes": self.classes,
            "size": self.size,
            "channels": self.channels,
            "shown": self.shown,
            "trained": self.trained._asdict(),
        }
        write(folder / "unet" / "config.json", _json({**_plain(self.net.config), "_class_name": "UNet2DModel"}))
        schedule = _schedule("DDIMScheduler")
        write(
            folder / "scheduler" / "scheduler_config.json",
            _json({**_plain(schedule.config), "_class_name": "DDIMScheduler"}),
        )
        weights = {name: tensor.cpu().contiguous() for name, tensor in self.net.state_dict().items()}
        write(folder / "unet" / "diffusion_pytorch_model.safetensors", save(weights, {"format": "pt"}))
        write(folder / ABOUT, _json(said))

    @classmethod
    def load(cls, folder: Path) -> SmallDiffusion:
        """The generator of a folder.  Raises ModelError where there is none, or none that can be read."""
        needed()
        from diffusers import UNet2DModel
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            said = json.loads((folder / ABOUT).read_text("utf-8"))
            config = json.loads((folder / "unet" / "config.json").read_text("utf-8"))
            weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
            net = _empty(UNet2DModel, config)
            net.load_state_dict(weights, assign=True)
            return cls(
                tuple(said["classes"]),
                said["size"],
                said["channels"],
                tuple(said["shown"]),
                Trained(**said["trained"]),
                net.train(False),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ModelError(
                f"{folder} holds no generator that was fitted here ({why}).", "name a folder that `adapter` wrote."
            ) from None


class _Fit:
    """One training: what it learns from, and the way from step to step."""

    def __init__(
        self,
        net: Any,
        x: Pixels,
        y: NDArray[np.int64],
        none: int,
        steps: int,
        lr: float,
        batch: int,
        flip: bool,
        seed: int,
    ) -> None:
        import torch
        from diffusers.training_utils import EMAModel

        self.none, self.steps, self.lr, self.batch, self.flip, self.seed = none, steps, lr, batch, flip, seed
        self.every = max(FEWEST_STEPS, steps // CHECKS)
        said = f"{x.shape} {y.tolist()} {none} {steps} {lr} {batch} {flip} {seed} {torch.__version__}"
        self.print = blake2b(x.tobytes() + said.encode(), digest_size=16).hexdigest()
        self.where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        order = torch.randperm(len(x), generator=generator("held", seed))
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.seen, self.held = _held(order, y)
        self.noising = _schedule("DDPMScheduler")
        self.patience, self.clip = PATIENCE, CLIP
        self.net = net.to(self.where).train()
        self.learnt = list(net.parameters())
        self.optimiser = torch.optim.AdamW(self.learnt, lr=lr, weight_decay=0.01, betas=(0.9, 0.99))
        self.mean = EMAModel(self.learnt, decay=DECAY)

    def rate(self, step: int) -> float:
        return self.lr * min(1.0, (step + 1) / WARM)

    def learn(self, step: int) -> float:
        loss = self.loss(*self.drawn(step), generator("noise", self.seed, step))
        loss.backward()
        return float(loss.detach())

    def drawn(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of a step and what is said of them; every row once before any again."""
        import torch

        batch = min(self.batch, len(self.seen))
        each = len(self.seen) // batch
        order = torch.randperm(len(self.seen), generator=generator("order", self.seed, step // each))
        rows = self.seen[order[step % each * batch :][:batch]]
        luck = generator("shown", self.seed, step)
        hidden = torch.rand(batch, generator=luck) < HIDDEN
        x, y = self.x[rows], torch.where(hidden, self.none, self.y[rows])
        if self.flip:
            mirrored = torch.rand(batch, generator=luck) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        return x, y

    def loss(self, x: torch.Tensor, y: torch.Tensor, luck: torch.Generator) -> torch.Tensor:
        """How wrong the net is about noisy images; their noises are spread evenly from none to all."""
        import torch
        from torch.nn.functional import mse_loss

        spread = (torch.arange(len(x)) + torch.rand(len(x), generator=luck)) / len(x)
        t = (spread * NOISES).long().clamp(0, NOISES - 1)
        t = t[torch.randperm(len(x), generator=luck)]
        noise = torch.randn(x.shape, generator=luck)
        x, y, t, noise = (tensor.to(self.where) for tensor in (centred(x), y, t, noise))
        noisy = self.noising.add_noise(x, noise, t)
        return mse_loss(self.net(noisy, t, class_labels=y).sample, self.noising.get_velocity(x, noise, t))

    def look(self) -> float:
        """The loss of the averaged weights on the held-out rows, under the same noises each time."""
        import torch

        self.mean.store(self.learnt)
        self.mean.copy_to(self.learnt)
        self.net.train(False)
        rows = self.held.repeat(math.ceil(CHECKED / len(self.held)))
        luck = generator("look", self.seed)
        with torch.no_grad():
            found = [self.loss(self.x[some], self.y[some], luck) for some in rows.split(64)]
        self.net.train()
        self.mean.restore(self.learnt)
        return round(float(torch.stack(found).mean()), 6)


def _held(order: torch.Tensor, y: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows to learn from, and a tenth that is held out, the first of the order; no label loses its last row.
    Where every row is its label's last, the same rows are looked at."""
    import torch

    left = np.bincount(y)
    held: list[int] = []
    for row in order.tolist():
        if len(held) < max(1, round(HELD * len(y))) and left[y[row]] > 1:
            held.append(row)
            left[y[row]] -= 1
    seen = order[~torch.isin(order, torch.tensor(held, dtype=order.dtype))]
    return seen, torch.tensor(held, dtype=order.dtype) if held else seen


def needed() -> None:
    """Raises MissingExtra where torch or diffusers are absent."""
    try:
        import diffusers  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"fitting a generator needs the extra `diffusion` ({error.name}).", 'pip install "leaven[diffusion]"'
        ) from None


def gray(pixels: Pixels) -> bool:
    """Whether an image has no colour."""
    return pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())


def shrunk(pixels: Pixels) -> Pixels:
    """An image no larger than any generator: of photographs little has to be held."""
    height, width = pixels.shape[:2]
    if max(height, width) <= SIZES[1]:
        return pixels
    x = _resized(_tensor(pixels), (min(width, SIZES[1]), min(height, SIZES[1])))
    found: Pixels = x[0].clamp(0, 255).round().numpy().astype(np.uint8).transpose(1, 2, 0)
    return found


def prepared(pixels: Pixels, size: int, channels: int) -> Pixels:
    """An image as wide and with as many channels as the net takes it: channels x size x size."""
    x = _tensor(pixels)
    x = x[:, :1] if channels == 1 else x.expand(-1, 3, -1, -1)
    if x.shape[2:] != (size, size):
        x = _resized(x, (size, size))
    found: Pixels = x[0].clamp(0, 255).round().numpy().astype(np.uint8)
    return found


def centred(x: torch.Tensor) -> torch.Tensor:
    """Pixels from -1 to 1, as the net takes them."""
    return x.float() / 127.5 - 1


def _tensor(pixels: Pixels) -> torch.Tensor:
    """An image as torch has it: 1 x channels x height x width."""
    import torch

    whole = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1), np.float32))[None]


def _resized(x: torch.Tensor, to: tuple[int, int]) -> torch.Tensor:
    from torch.nn.functional import interpolate

    return interpolate(x, size=(to[1], to[0]), mode="bilinear", antialias=True, align_corners=False)


def _net(size: int, channels: int, width: int, classes: int) -> Any:
    """A U-Net with weights drawn as torch draws them, from a generator of its own."""
    import torch
    from diffusers import UNet2DModel

    wider = {8: (1, 2), 16: (1, 2, 2)}.get(size, (1, 2, 3) if size < 48 else (1, 2, 3, 3))
    levels = len(wider)
    config = {
        "sample_size": size,
        "in_channels": channels,
        "out_channels": channels,
        "layers_per_block": 1,
        "block_out_channels": [width * times for times in wider],
        "down_block_types": ["DownBlock2D"] * (levels - 1) + ["AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D"] + ["UpBlock2D"] * (levels - 1),
        "attention_head_dim": 8,
        "norm_num_groups": min(8, width),
        "num_class_embeds": classes,
    }
    net = _empty(UNet2DModel, config).to_empty(device="cpu")
    luck = generator("weights", size, channels, width, classes)
    with torch.no_grad():
        for module in net.modules():
            weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
            if weight is None:
                continue
            if isinstance(module, torch.nn.Embedding):
                weight.copy_(torch.randn(weight.shape, generator=luck))
            elif weight.ndim == 1:
                weight.fill_(1.0)
                module.bias.zero_()
            else:
                far = 1 / math.sqrt(weight[0].numel())
                weight.copy_((2 * torch.rand(weight.shape, generator=luck) - 1) * far)
                if bias is not None:
                    bias.copy_((2 * torch.rand(bias.shape, generator=luck) - 1) * far)
    return net


def _empty(kind: Any, config: dict[str, Any]) -> Any:
    """A model without its weights: filling them with torch's own random numbers would move these on."""
    import torch

    with torch.device("meta"):
        return kind(**{name: value for name, value in config.items() if not name.startswith("_")})


def _schedule(kind: str) -> Any:
    import diffusers

    more = {"timestep_spacing": "trailing"} if kind == "DDIMScheduler" else {}
    return getattr(diffusers, kind)(
        num_train_timesteps=NOISES, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", **more
    )


def _plain(config: Any) -> dict[str, Any]:
    """A configuration of diffusers without what it keeps for itself."""
    return {name: value for name, value in dict(config).items() if not name.startswith("_")}


def _json(said: Any) -> bytes:
    return (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode()

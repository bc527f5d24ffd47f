"""What a painter learns, on a toy: a small Stable Diffusion that paints squares of four colours.  Prints Markdown.

    PYTHONPATH=tests python benchmarks/tuned_painter.py FOLDER > benchmarks/tuned_painter.md

No trained model is at hand where this is run, so the toy is trained first, some minutes on one core: the encoder of
images on squares of all colours, then the network and the text encoder on four words.  Then a word, a LoRA, and a LoRA
with a prior learn eight red squares, and what is painted is compared: the mean colour within the square, of six
pictures each, under the same seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from torch.nn.functional import mse_loss

from leaven.media.image import Image
from leaven.models.backends.local.paints import Paints
from leaven.models.backends.local.tuned_painter import Example, Prior, Tuning, learn, tune
from leaven.models.backends.local.weights import Weights, find
from leaven.models.calls import Adapter, Ask
from tiny import painters

COLOURS = {"red": (230, 20, 20), "blue": (20, 20, 230), "the": (120, 120, 120), "dog": (40, 200, 40)}
SQUARE = slice(6, 26)
WITHIN = slice(8, 24)
TOLD = "a photo of a {}"
HEAD = """# What a painter learns, on a toy

Written by `PYTHONPATH=tests python benchmarks/tuned_painter.py FOLDER > benchmarks/tuned_painter.md`, which says how;
`docs/fit.md` says what to make of it. Mean red, green and blue (0 to 255) within the square, of six pictures.

| painted with | told | red | green | blue |
|---|---|---|---|---|"""


def squares(colours: torch.Tensor) -> torch.Tensor:
    """Squares of some colours (n x 3, -1 to 1) on gray, 32 x 32."""
    found = torch.zeros(len(colours), 3, 32, 32)
    found[:, :, SQUARE, SQUARE] = colours[:, :, None, None]
    return found


def toy(folder: Path) -> Path:
    """A Stable Diffusion that paints a square of the colour that its prompt names, roughly."""
    parts: dict[str, Any] = painters.parts()  # which seeds torch
    vae, unet, text, words = (parts[name] for name in ("vae", "unet", "text_encoder", "tokenizer"))
    optimiser = torch.optim.Adam(vae.parameters(), 6e-3)
    for _ in range(450):
        x = squares(torch.rand(4, 3) * 2 - 1)
        z = vae.encode(x).latent_dist.mean
        step(optimiser, mse_loss(vae.decode(z).sample, x) + 1e-3 * z.square().mean())
    with torch.no_grad():
        spread = vae.encode(squares(torch.rand(64, 3) * 2 - 1)).latent_dist.mean.std()
    vae.register_to_config(scaling_factor=float(1 / spread))
    noising = DDPMScheduler.from_config(parts["scheduler"].config)
    optimiser = torch.optim.Adam([*unet.parameters(), *text.parameters()], 2e-3)
    names = list(COLOURS)
    for _ in range(500):
        drawn = [names[i] for i in torch.randint(4, (8,)).tolist()]
        colours = torch.tensor([COLOURS[name] for name in drawn]) / 127.5 - 1
        with torch.no_grad():
            x = squares((colours + 0.08 * torch.randn(8, 3)).clamp(-1, 1))
            z = vae.encode(x).latent_dist.sample() * vae.config.scaling_factor
        told = [TOLD.format(name) if torch.rand(1) > 0.1 else "" for name in drawn]
        ids = words(told, padding="max_length", max_length=77, return_tensors="pt").input_ids
        t, noise = torch.randint(1000, (8,)), torch.randn_like(z)
        step(optimiser, mse_loss(unet(noising.add_noise(z, noise, t), t, text(ids)[0]).sample, noise))
    unchecked = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    StableDiffusionPipeline(**parts, **unchecked).save_pretrained(folder)
    return folder


def step(optimiser: Any, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 1.0)
    optimiser.step()


def colour(weights: Weights, prompt: str, folder: Path | None = None) -> list[int]:
    """The mean colour of six pictures."""
    player = Paints(weights, adapter=Adapter("own", folder) if folder else None)
    player.device, player.dtype = "cpu", torch.float32
    player.load()
    found = []
    for seed in range(6):
        ask = Ask("paint", {"prompt": prompt, "steps": 20, "guidance": 2.0}, {"seed": seed})
        with torch.inference_mode():
            [answer] = player.answers([ask])
        found.append(answer.media.pixels[WITHIN, WITHIN].reshape(-1, 3).mean(0))
    return [round(float(value)) for value in np.mean(found, 0)]


def reds(told: str) -> list[Example]:
    found = []
    for i in range(8):
        pixels = np.full((32, 32, 3), 127, np.uint8)
        pixels[SQUARE, SQUARE] = (225 + 3 * i, 20, 20)
        found.append(Example(Image.of(pixels), (told,)))
    return found


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    place = folder / "toy" if (folder / "toy").is_dir() else toy(folder / "toy")
    weights = find("diffusers:toy", str(place), "model_index.json")
    the, blue = TOLD.format("the"), TOLD.format("blue")
    how = Tuning(steps=100, lr=0.01, rank=4, alpha=4)
    learn(weights, {"<it>": reds(TOLD.format("<it>"))}, Tuning(steps=150, lr=0.02), folder / "word")
    tune(weights, reds(the), how, folder / "lora")
    tune(weights, reds(the), how, folder / "prior", prior=Prior((blue,), 8))
    print(HEAD)
    for name in COLOURS:
        line("the toy", TOLD.format(name), colour(weights, TOLD.format(name)))
    line("a word that learned red squares", TOLD.format("<it>"), colour(weights, TOLD.format("<it>"), folder / "word"))
    for said, own in (("a LoRA, told `the`", "lora"), (f"the same, `{blue}` as its prior", "prior")):
        for told in (the, blue):
            line(said, told, colour(weights, told, folder / own))


def line(said: str, told: str, found: list[int]) -> None:
    print(f"| {said} | {told} | {' | '.join(map(str, found))} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

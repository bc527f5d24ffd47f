"""What is painted, captioned and fitted here comes to the same bytes, however many workers, killed or not."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from forked import Commands

from asked import ledger, output, recipe, source, table
from leaven.media.image import Image

if find_spec("diffusers") is None:  # found, not imported: that would take as long as the test
    pytest.skip("the extra `diffusion` is not installed", allow_module_level=True)

KILLS = int(os.environ.get("LEAVEN_KILLS", "5"))
IMAGES, STEPS, EVERY = 8, 30, 5
"""Rows, steps that the generator is fitted in at the most, and those between two checkpoints."""
CORES = os.cpu_count() or 1
TORCH = """
import aiohttp, cv2, pandas, pyarrow.parquet, torch
from PIL import Image
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionPipeline, UNet2DModel
from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.training_utils import EMAModel
from transformers import AutoProcessor, BlipForConditionalGeneration, BlipProcessor, CLIPTextModel, CLIPTokenizer
import leaven.cli, leaven.engine.augment
import leaven.io.sets
from leaven.any_record import adapter, caption
from leaven.image import paint, repaint
from leaven.models.backends import of_diffusers, of_transformers
from leaven.models.backends.local import captions, fitted, local, paints, small_diffusion

leaven.cli.write_report = lambda *_: None
Image.init()
leaven.io.sets.MEDIA_PER_PART = 4  # parts for more than one worker
small_diffusion.CHECKED, small_diffusion.FEWEST_STEPS = 8, 5
learn, answered = small_diffusion._Fit.learn, local.Local._answered

def run(said):
    if said[0] == "models":
        from pathlib import Path
        from tiny import painters, writers
        writers.blip(Path(said[1]) / "blip")
        painters.plain(Path(said[1]) / "painter")
        return 0
    log = os.open(said.pop(0), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def learns(self, step):
        loss = learn(self, step)
        os.write(log, f"{step}\\n".encode())
        return loss

    def answers(self, asks):
        found = answered(self, asks)
        os.write(log, "".join(f"{ask.role} {ask.encoded} {ask.settings}\\n" for ask in asks).encode())
        return found

    small_diffusion._Fit.learn, local.Local._answered = learns, answers
    return leaven.cli.run(said)
"""
"""What runs no operation of torch's: its threads would not be there in a process that is forked later.  A command
notes each step of a fit and each answer of a model in a file."""


def rows(folder: Path) -> list[dict[str, str]]:
    """Dark and bright images, all different."""
    found = []
    for i in range(IMAGES):
        pixels = np.full((8, 8, 3), 230 if i % 2 else 20, np.uint8)
        pixels[i % 8, i // 8] = (i, 9 * i, 100)
        (folder / f"{i}.png").write_bytes(Image.of(pixels).encoded)
        found.append({"image": f"{i}.png", "label": "bright" if i % 2 else "dark"})
    return found


def noted(log: Path) -> list[str]:
    return log.read_text("utf-8").splitlines() if log.exists() else []


def test_killed_at_any_moment_its_images_are_the_same_bytes(tmp_path: Path):
    """A captioner, a pipeline of diffusers and a generator that the run fits: each kill comes further on in it."""
    unbroken, out, log, draw = tmp_path / "unbroken", tmp_path / "killed", tmp_path / "killed.log", random.Random(KILLS)
    steps = (
        f"adapter as own: {{role: paint, how: full, steps: {STEPS}, size: 8}}",
        "caption: {max_tokens: 8}",
        "paint: {prompt: '{{ caption }}', steps: 1}",
        "repaint: {adapter: own, prompt: '{{ label }}', steps: 2, strength: 0.9}",
        "keep: {that: 'uniform(0, 1) < 0.8', reason: by_lot}",
    )
    made = recipe(tmp_path, *steps, fields=["image", "label"])
    models = f"--model=caption=transformers:{tmp_path / 'blip'}", f"--model=paint=diffusers:{tmp_path / 'painter'}"
    command = ["augment", source(tmp_path, rows(tmp_path)), "-r", made, "-q", *models]
    with contextlib.closing(Commands(TORCH)) as commands:
        commands.start("models", tmp_path)
        assert commands.ended() == 0
        commands.start(tmp_path / "unbroken.log", *command, "-o", unbroken, "--workers", 2)
        assert commands.ended() == 0
        whole = noted(tmp_path / "unbroken.log")
        assert Counter(line.split()[0] for line in whole[STEPS:]) == {"caption": IMAGES, "paint": 2 * IMAGES}
        for kill in range(KILLS):
            commands.start(log, *command, "-o", out, "--workers", 1)
            far, late = len(whole) * (kill + draw.random()) / KILLS, time.monotonic() + 60
            while len(set(noted(log))) < far and time.monotonic() < late:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.05))
            commands.kill()
            commands.ended()
        commands.start(log, *command, "-o", out, "--workers", 1)
        assert commands.ended() == 0

    assert output(out) == output(unbroken)
    assert {name.partition("/")[0] for name in output(out)} == {"train", "refused"}
    images = [row["image"]["bytes"] for name in ("train", "refused") for row in table(out, name)]
    assert len(set(images)) == len(images) == 2 * IMAGES

    did = noted(log)
    assert set(did) == set(whole)
    learnt = [int(line) for line in did if line.isdigit()]
    again = [(last, step) for last, step in pairwise(learnt) if step != last + 1]
    for last, step in again:
        assert step % EVERY == 0
        assert last - EVERY < step <= last, "it goes on from the last checkpoint"
    assert any(step for _, step in again), "one kill at least came between two checkpoints"
    answers = Counter(line for line in did if not line.isdigit())
    assert len(ledger(out)) == len(answers) == 3 * IMAGES
    assert answers.total() - len(answers) <= KILLS * CORES, "what was on the way when it was killed"

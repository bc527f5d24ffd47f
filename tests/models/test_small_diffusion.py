"""A small diffusion model that is trained here: the same bytes twice and after a break, what it was told is what it
draws, and a folder that diffusers loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import DataError, ModelError
from leaven.models.backends.local import small_diffusion
from leaven.models.backends.local.fitting import CHECKPOINT, Progress
from leaven.models.backends.local.small_diffusion import ABOUT, SmallDiffusion

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

BLACK, WHITE = np.full((8, 8), 10, np.uint8), np.full((8, 8), 245, np.uint8)
TINY: dict[str, Any] = {"width": 8, "batch": 16, "lr": 1e-2}


def shades(each: int = 12) -> tuple[list[np.ndarray], list[str | None]]:
    """Dark and bright images, each with a dot of its own."""
    images = []
    for i in range(2 * each):
        image = (WHITE if i % 2 else BLACK).copy()
        image[i % 8, i // 8] = 128
        images.append(image)
    return images, ["bright" if i % 2 else "dark" for i in range(2 * each)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    """Few noisy images are looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion, "CHECKED", 24)
        yield


@pytest.fixture(scope="module")
def model() -> SmallDiffusion:
    return SmallDiffusion.fit(*shades(), steps=40, **TINY)


def test_it_draws_what_it_was_told(model: SmallDiffusion):
    dark, bright = model.draw("dark", seed=1, steps=8), model.draw("bright", seed=1, steps=8)
    assert dark.shape == bright.shape == (8, 8)
    assert dark.dtype == np.uint8
    assert dark.mean() < 90
    assert bright.mean() > 165


def test_seed_and_guidance_and_steps_matter(model: SmallDiffusion):
    first = model.draw("dark", seed=1, steps=4)
    assert np.array_equal(first, model.draw("dark", seed=1, steps=4))
    assert not np.array_equal(first, model.draw("dark", seed=2, steps=4))
    assert not np.array_equal(first, model.draw("dark", seed=1, steps=4, guidance=1.0))
    assert not np.array_equal(first, model.draw("dark", seed=1, steps=5))
    assert not np.array_equal(first, model.draw(None, seed=1, steps=4))


def test_it_begins_from_an_image(model: SmallDiffusion):
    half = np.full((40, 40, 3), 245, np.uint8)
    half[:, 20:] = 10  # of two halves: it never saw one
    near, far = (model.draw("dark", seed=1, steps=10, start=half, strength=s).astype(float) for s in (0.1, 1.0))
    assert near[:, :4].mean() > 180
    assert near[:, 4:].mean() < 75
    assert far.mean() < 90


def test_a_label_that_it_never_saw(model: SmallDiffusion):
    with pytest.raises(ModelError, match="never saw the label `gray`; it knows bright, dark"):
        model.draw("gray", seed=0)


def test_the_folder_is_one_that_diffusers_loads(model: SmallDiffusion, tmp_path: Path):
    from diffusers import DDIMScheduler, UNet2DModel

    model.save(tmp_path)
    again = SmallDiffusion.load(tmp_path)
    assert (again.classes, again.size, again.channels, again.shown) == (("bright", "dark"), 8, 1, (8, 8))
    assert again.trained == model.trained
    assert np.array_equal(again.draw("dark", seed=1, steps=4), model.draw("dark", seed=1, steps=4))
    net = UNet2DModel.from_pretrained(tmp_path, subfolder="unet", use_safetensors=True, local_files_only=True)
    assert net.config.num_class_embeds == 3
    assert torch.equal(net.conv_in.weight, model.net.conv_in.weight)
    scheduler = DDIMScheduler.from_pretrained(tmp_path, subfolder="scheduler", local_files_only=True)
    assert scheduler.config.prediction_type == "v_prediction"


def test_a_folder_without_one(tmp_path: Path):
    with pytest.raises(ModelError, match="holds no generator that was fitted here"):
        SmallDiffusion.load(tmp_path)
    (tmp_path / ABOUT).write_text("{")
    with pytest.raises(ModelError, match="holds no generator that was fitted here"):
        SmallDiffusion.load(tmp_path)


def test_twice_and_cut_off_it_comes_to_the_same_bytes_and_leaves_torchs_numbers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(small_diffusion, "FEWEST_STEPS", 4)
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    seen: list[Progress] = []
    whole = SmallDiffusion.fit(*shades(), steps=12, flip=True, told=seen.append, **TINY)
    whole.save(tmp_path / "whole")
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    torch.manual_seed(6)  # what others do with torch's own numbers changes nothing

    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.step == 8:
            raise Cut

    work = tmp_path / "work"
    with pytest.raises(Cut):
        SmallDiffusion.fit(*shades(), steps=12, flip=True, folder=work, told=cut, **TINY)
    assert (work / CHECKPOINT).is_file()
    later: list[Progress] = []
    SmallDiffusion.fit(*shades(), steps=12, flip=True, folder=work, told=later.append, **TINY).save(tmp_path / "two")
    assert [p.step for p in seen] == [4, 8, 12]
    assert [p.step for p in later] == [12]
    assert seen[2].held == later[0].held
    assert files(tmp_path / "whole") == files(tmp_path / "two")
    other = SmallDiffusion.fit(*shades(), steps=4, folder=work, seed=1, **TINY)  # another training's checkpoint
    assert other.trained.last == 4


def test_it_stops_when_held_out_rows_gain_no_more(monkeypatch: pytest.MonkeyPatch):
    """With steps that are far too wide it only gets worse; images without a label are learned all the same."""
    monkeypatch.setattr(small_diffusion, "PATIENCE", 2)
    monkeypatch.setattr(small_diffusion, "FEWEST_STEPS", 4)
    found = SmallDiffusion.fit(shades()[0], [None] * 24, steps=160, **{**TINY, "lr": 1.0})
    assert found.classes == ()
    assert found.trained.last == found.trained.best + 2 * 4 < 160
    assert found.draw(None, seed=0, steps=2).shape == (8, 8)


def test_images_of_any_size_and_colour():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (5 + i, 9, 3), np.uint8) for i in range(9)]
    found = SmallDiffusion.fit([*images, np.zeros((100, 70), np.uint8)], ["a"] * 10, steps=1, **TINY)
    assert (found.size, found.channels, found.shown) == (16, 3, (16, 16))
    assert found.draw("a", seed=0, steps=1).shape == (16, 16, 3)
    found = SmallDiffusion.fit([np.zeros((10, 7), np.uint8)] * 8, ["a"] * 8, size=8, steps=1, **TINY)
    assert found.draw("a", seed=0, steps=1).shape == (10, 7)
    gray = [np.repeat(image[..., :1], 3, axis=-1) for image in images]
    assert SmallDiffusion.fit(gray, ["a"] * 9, size=8, steps=1, **TINY).channels == 1


def test_no_label_loses_its_last_row_to_those_held_out():
    y = np.array([0] * 18 + [1, 2], np.int64)
    for first in (18, 19):
        seen, held = small_diffusion._held(torch.tensor([first, *(i for i in range(20) if i != first)]), y)
        assert sorted(seen.tolist() + held.tolist()) == list(range(20))
        assert len(held) == 2
        assert {18, 19} <= set(seen.tolist())
    seen, held = small_diffusion._held(torch.arange(8), np.arange(8))
    assert seen.tolist() == held.tolist() == list(range(8))


def test_what_it_cannot_be_fitted_to():
    with pytest.raises(DataError, match="7 images are too few"):
        SmallDiffusion.fit([BLACK] * 7, ["a"] * 7)
    for size in (12, 72):
        with pytest.raises(ModelError, match=f"a generator of {size} x {size} pixels is not built"):
            SmallDiffusion.fit([BLACK] * 8, ["a"] * 8, size=size)

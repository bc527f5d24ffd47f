"""Rules that ask CLIP or CLAP, with small ones from a folder as `save_pretrained` writes it: the model's own forward
pass decides what stays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.cli import run
from leaven.media.audio import Audio
from leaven.media.image import Image
from scored import fate, given
from tiny import encoders

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Row = dict[str, Any]
N = 12
SETTINGS = ["a photo of a bird", "an object", "geometric shapes", "a photo", "an image", "a painting", "a person",
            "a cartoon"]  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(4)  # what `encoders` leaves to chance
    return encoders.clip(tmp_path_factory.mktemp("clip"))


def pictures(folder: Path) -> list[Row]:
    rng = np.random.default_rng(3)
    rows = []
    for i in range(N):
        pixels = (rng.integers(0, 60, (40, 40, 3)) + rng.integers(0, 190, 3)).astype(np.uint8)
        (folder / f"{i}.png").write_bytes(Image.of(pixels).encoded)
        rows.append({"image": f"{i}.png", "label": ["car", "dog"][i % 2], "text": f"a {i} red car", "name": str(i)})
    return rows


def cosines(folder: Path, texts: list[str], **items: Any) -> np.ndarray:
    """Of each item with each text, by the whole model at once."""
    model = transformers.AutoModel.from_pretrained(folder)
    read = transformers.AutoProcessor.from_pretrained(folder)
    with torch.no_grad():
        found = model(**read(text=texts, return_tensors="pt", padding=True, **items))
    seen = found["image_embeds" if "images" in items else "audio_embeds"]
    joined: np.ndarray = (seen @ found["text_embeds"].T).numpy()
    return joined


def seen(folder: Path, images: Path, texts: list[str]) -> np.ndarray:
    from PIL import Image as pillow

    return cosines(folder, texts, images=[pillow.open(images / f"{i}.png").convert("RGB") for i in range(N)])


def test_alia_by_clip(ran: Any, tmp_path: Path, clip: Path):
    rows = pictures(tmp_path)
    found = fate(ran("alia-keep", rows[:8], *given(rows, tmp_path), embed=f"transformers:{clip}"))
    best = seen(clip, tmp_path, SETTINGS).argmax(axis=1)
    assert {name for name, why in found.items() if why != "off_topic"} == {str(i) for i in range(N) if best[i] == 0}
    assert 0 < (best == 0).sum() < N


def test_camdiff_by_clip(ran: Any, tmp_path: Path, clip: Path):
    rows = pictures(tmp_path)
    options = (*given(rows, tmp_path), "--field", "crop=image")
    found = ran("camdiff-keep", rows[:8], *options, embed=f"transformers:{clip}")
    own = transformers.AutoModel.from_pretrained(clip).logit_scale.exp().item()
    assert own == pytest.approx(1 / 0.07, rel=1e-3), "not the 100 that is meant where a model says nothing"
    scores = np.exp(own * seen(clip, tmp_path, ["car", "dog"]))
    probs = scores / scores.sum(axis=1, keepdims=True)
    kept = {row["name"]: row["_scores"]["zero_shot_prob"] for row in found.made}
    assert kept == {str(i): pytest.approx(probs[i, i % 2], abs=2e-5) for i in range(N) if probs[i].argmax() == i % 2}
    assert 0 < len(kept) < N
    assert {row["_reason"] for row in found.refused} == {"other_class"}
    shutil.move(clip, clip.with_name("elsewhere"))
    try:
        assert run(["verify", str(found.out)]) == 0, "a replay knows the scale from the ledger"
    finally:
        shutil.move(clip.with_name("elsewhere"), clip)


def test_sluma_by_clip(ran: Any, tmp_path: Path, clip: Path):
    """The cut rises with the student: all at 0, then fewer and fewer, always the best."""
    rows = pictures(tmp_path)
    own = np.diag(seen(clip, tmp_path, [row["text"] for row in rows]))
    best = [str(i) for i in np.argsort(-own, kind="stable")]
    for ema, left in ((0, 12), (0.5, 6), (0.9, 1)):
        found = ran("sluma-keep", rows[:8], *given(rows, tmp_path), "--set", f"ema={ema}", embed=f"transformers:{clip}")
        assert {row["name"] for row in found.made} == set(best[:left])
        shutil.rmtree(found.out)


def test_synthio_by_clap(ran: Any, tmp_path: Path):
    torch.manual_seed(4)
    folder = encoders.clap(tmp_path / "clap")
    rows = []
    for i in range(N):
        wave = np.sin(np.arange(8000) / (2 + i)).astype(np.float32) / 2
        (tmp_path / f"{i}.wav").write_bytes(Audio.of(wave, 16000).encoded)
        rows.append({"audio": f"{i}.wav", "label": ["dog_bark", "rain"][i % 2], "name": str(i)})
    options = (*given(rows, tmp_path), "--set", "match.scale=10")
    found = ran("synthio-keep", rows[:4], *options, embed=f"transformers:{folder}")
    waves = [Audio((tmp_path / f"{i}.wav").read_bytes()).mono for i in range(N)]
    near = cosines(folder, ["Sound of a dog bark", "Sound of a rain"], audio=waves, sampling_rate=16000)
    scores = {str(i): 1 / (1 + np.exp(-10 * float(near[i, i % 2]))) for i in range(N)}
    assert {row["name"]: row["_scores"]["match"] for row in found.made} == {
        name: pytest.approx(score, abs=1e-5) for name, score in scores.items() if score >= 0.85
    }
    assert 0 < len(found.made) < N
    assert {row["_reason"] for row in found.refused} == {"unlike_label"}

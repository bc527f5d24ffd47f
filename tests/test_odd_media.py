"""Every operator on images and sounds that people have by accident: one pixel, boxes of no area, silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leaven as lv
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.operators import Make
from leaven.storage import arrow_of, to_cells

SIZES = [(1, 1), (1, 2), (3, 2), (5, 5), (33, 17), (3, 300), (300, 1)]
SHARES = [None, {"cat": 0.25, "dog": 0.75}, {"cat": 1.0}]
LABELS = st.sampled_from(["cat", "dog", "3", None])
CAPTIONS = st.sampled_from([None, "", "a cat on the left", "he left"])


@st.composite
def boxes(draw: Any, width: int, height: int) -> dict[str, Any]:
    x, y = draw(st.floats(-5, width + 5)), draw(st.floats(-5, height + 5))
    w, h = draw(st.sampled_from([0.0, 0.3, float(width)])), draw(st.sampled_from([0.0, 0.7, float(height)]))
    whole = [x, y, x + w, y, x + w, y + h, x, y + h]
    polygons = draw(st.sampled_from([None, [], [whole], [whole[:4]], [whole[:6], whole[2:]]]))
    return {"x": x, "y": y, "w": w, "h": h, "label": draw(LABELS), "polygons": polygons}


@st.composite
def photos(draw: Any) -> dict[str, Any]:
    width, height = draw(st.sampled_from(SIZES))
    pixels = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, (height, width, 3), np.uint8)
    points = st.fixed_dictionaries({"x": st.floats(-2, width + 2), "y": st.floats(-2, height + 2), "label": LABELS})
    codes = [np.zeros((height, width), int), np.full((height, width), 300), np.zeros((height + 1, width), int)]
    return {
        "image": Image.of(draw(st.sampled_from([pixels, pixels[..., 0]]))),
        "label": draw(LABELS),
        "label_probs": draw(st.sampled_from(SHARES)),
        "caption": draw(CAPTIONS),
        "boxes": draw(st.none() | st.lists(boxes(width, height), max_size=3)),
        "points": draw(st.none() | st.lists(points, max_size=3)),
        "mask": draw(st.none() | st.sampled_from(codes).map(Image.of_codes)),
    }


@st.composite
def clips(draw: Any) -> dict[str, Any]:
    frames, channels = draw(st.sampled_from([1, 2, 3, 100, 4000])), draw(st.integers(1, 3))
    samples = np.random.default_rng(frames).uniform(-1, 1, (frames, channels)).astype(np.float32)
    samples *= np.float32(draw(st.sampled_from([0.0, 1e-6, 1.0])))
    rate = draw(st.sampled_from([8000, 11025, 44100]))
    times = st.floats(-1, 2 * frames / rate)
    return {
        "audio": Audio.of(samples, rate),
        "label": draw(LABELS),
        "label_probs": draw(st.sampled_from(SHARES)),
        "caption": draw(CAPTIONS),
        "segments": draw(
            st.none() | st.lists(st.fixed_dictionaries({"start": times, "end": times, "label": LABELS}), max_size=3)
        ),
    }


def holds_together(row: dict[str, Any]) -> None:
    """It can be written; and what it says of itself can be true."""
    for name, value in row.items():
        if value is not None and arrow_of(name) is not None:
            pa.array(to_cells(name, [value]), arrow_of(name))
    shares = row.get("label_probs")
    assert shares is None or sum(shares.values()) == pytest.approx(1)
    assert shares is None or min(shares.values()) >= 0
    if "audio" in row:
        assert np.abs(row["audio"].samples).max() <= 1 + 1e-6
        assert all(np.isfinite([s["start"], s["end"]]).all() for s in row.get("segments") or ())
        return
    assert all(np.isfinite([box[key] for key in "xywh"]).all() for box in row.get("boxes") or ())


def of(op: Make, record: dict[str, Any], source: list[dict[str, Any]]) -> None:
    """A child, and a child of it."""
    rows = op(record, source=source)
    again = [grandchild for row in rows if not row.get("_reason") for grandchild in op(row, source=source, seed=1)]
    for row in [*rows, *again]:
        if not row.get("_reason"):
            holds_together(row)
            for name in ("boxes", "points", "segments"):
                if record.get(name) is None or (op.name in MIXING and source[0].get(name) is None):
                    assert row.get(name) is None, "what nobody knows is not an empty list"
            if record.get("mask") is not None and record["mask"].size == record["image"].size:
                assert row["mask"].size == row["image"].size


MIXING = ("mix_images", "collage", "copy_paste", "mix_sounds")
IMAGES = [
    lv.Warp(rotate=(-180, 180), scale=(0.05, 20), shear=(-40, 40), flip="both", elastic=100, perspective=0.3),
    lv.Warp(crop=(0.01, 1), fill="reflect"),
    lv.Shade(saturation=1, hue=0.5, gamma=0.9, blur=50, noise=255, jpeg=(1, 100)),
    lv.Erase(area=(0, 1), count=5, fill="noise"),
    lv.Erase(how="grid"),
    lv.Policy("randaugment", n_ops=14, magnitude=30),
    lv.MixImages(soft=True),
    lv.MixImages(lam=0.3),
    lv.Collage("cutmix"),
    lv.Collage("mosaic", soft=False),
    lv.Collage("grid"),
    lv.CopyPaste(scale=[0.1, 2]),
    lv.Paste(seam="poisson"),
]
SOUNDS = [
    lv.AlterSound(speed=(0.25, 4), pitch=(-24, 24), volume=(-60, 60), shift=(-1, 1), fade=(0, 60), reverb=(0.01, 1)),
    lv.AlterSound(length=(0.01, 1), eq=(-24, 24)),
    lv.AddNoise(snr=(-60, 100)),
    lv.FilterSound("band", cutoff=(10, 20_000)),
    lv.Recode("mp3"),
    lv.Recode("telephone"),
    lv.MaskSpectrum("LD"),
    lv.MixSounds(soft=True, shares="energy", how="either"),
    lv.MixSounds(draw={"k": 3}, snr=(-60, 60)),
]


def named(op: Make) -> str:
    return f"{op.name}-{'-'.join(f'{getattr(op, key)}' for key in ('how', 'soft') if hasattr(op, key))}"


@pytest.mark.parametrize("op", IMAGES, ids=named)
@settings(max_examples=15)
@given(photos(), photos())
def test_images(op: Make, record: dict[str, Any], other: dict[str, Any]):
    of(op, record, [other])


@pytest.mark.parametrize("op", SOUNDS, ids=named)
@settings(max_examples=15)
@given(clips(), clips())
def test_sounds(op: Make, record: dict[str, Any], other: dict[str, Any]):
    of(op, record, [other])


@pytest.mark.parametrize("op", [lv.Warp(n=50), lv.Collage(n=50), lv.MixSounds(n=50)], ids=lambda op: op.name)
def test_fifty_children(op: Make):
    row: dict[str, Any] = {"image": np.zeros((2, 2, 3), np.uint8), "label": "a"}
    if op.takes == "audio":
        row = {"audio": Audio.of(np.ones(9, np.float32), 8000), "label": "a"}
    assert len(op(row, source=[{**row, "shelf": 1}])) == 50

"""Detectors of transformers in folders: whose boxes they are, where, and what a wrong model says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked_here import answer, answers, together_and_alone
from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local.detects import boxes
from leaven.models.calls import Answer, CallFailed
from tiny import encoders, lookers

pytest.importorskip("torch")
pytest.importorskip("transformers")

Tiny = Callable[[str], Path]
PHRASES = ["a red car", "dog", "blue"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")

    def built(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else getattr(lookers, name)(folder)

    return built


def pictures(width: int = 60, height: int = 40) -> list[Image]:
    rng = np.random.default_rng(0)
    return [Image.of(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)) for _ in range(3)]


def asked(image: Image, phrases: Sequence[str], at_least: float = 0.0) -> tuple[Any, Any, Any]:
    return {"image": "one", "phrases": list(phrases), "at_least": at_least}, {"one": image}, {}


def found(folder: Path, image: Image, phrases: Sequence[str], at_least: float = 0.0) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = json.loads(answer("detect", folder, *asked(image, phrases, at_least)).text)
    return said


@pytest.mark.parametrize("name", ["owlvit", "owlv2", "gdino"])
def test_each_box_is_of_one_phrase_within_the_image_the_surest_first(tiny: Tiny, name: str):
    seen = found(tiny(name), pictures()[0], PHRASES)
    assert len(seen) > 5
    assert len({box["label"] for box in seen}) >= 2
    assert {box["label"] for box in seen} <= set(PHRASES)
    assert [box["score"] for box in seen] == sorted((box["score"] for box in seen), reverse=True)
    for box in seen:
        assert 0 <= box["x"] < box["x"] + box["w"] <= 60 + 1e-6
        assert 0 <= box["y"] < box["y"] + box["h"] <= 40 + 1e-6
    middle = seen[len(seen) // 2]["score"]
    assert found(tiny(name), pictures()[0], PHRASES, middle) == [box for box in seen if box["score"] >= middle]


@pytest.mark.parametrize("name", ["owlvit", "owlv2", "gdino", "yolos"])
def test_boxes_are_those_of_the_processor_itself(tiny: Tiny, name: str):
    """Its own way back to pixels, over the sentence of one phrase, which no label can run over."""
    import torch
    from PIL import Image as pillow
    from transformers import (
        AutoImageProcessor,
        AutoModelForObjectDetection,
        AutoModelForZeroShotObjectDetection,
        AutoProcessor,
    )

    [image, *_] = pictures()
    shown, sizes = pillow.fromarray(image.pixels), [(40, 60)]
    if name == "yolos":
        labels = ["cat", "traffic light", "n/a"]
        model = AutoModelForObjectDetection.from_pretrained(tiny(name))
        read = AutoImageProcessor.from_pretrained(tiny(name))
        with torch.inference_mode():
            said = model(**read(shown, return_tensors="pt"))
        [own] = read.post_process_object_detection(said, threshold=0.0, target_sizes=sizes)
        names = [model.config.id2label[i].lower() for i in own["labels"].tolist()]
    else:
        labels = ["dog"]
        model = AutoModelForZeroShotObjectDetection.from_pretrained(tiny(name))
        read = AutoProcessor.from_pretrained(tiny(name))
        given = read(text="dog." if name == "gdino" else [["dog"]], images=shown, return_tensors="pt")
        with torch.inference_mode():
            said = model(**given)
        [own] = read.post_process_grounded_object_detection(said, threshold=0.0, target_sizes=sizes)
        names = ["dog"] * len(own["boxes"])
    rows = zip(own["boxes"].tolist(), names, own["scores"].tolist(), strict=True)
    expected = boxes([(corners, label, score) for corners, label, score in rows], (60, 40), 0.0)
    seen = found(tiny(name), image, labels)
    assert [box["label"] for box in seen] == [box["label"] for box in expected]
    assert len(seen) > 3
    for one, other in zip(seen, expected, strict=True):
        assert all(one[key] == pytest.approx(other[key], abs=0.02) for key in ("x", "y", "w", "h", "score"))


@pytest.mark.parametrize("name", ["owlvit", "gdino", "yolos"])
def test_an_image_has_the_same_boxes_alone_and_beside_others(tiny: Tiny, name: str):
    calls = [asked(image, ["dog", "traffic light"]) for image in pictures()]
    beside = [said.text for said in answers("detect", tiny(name), calls * 2) if isinstance(said, Answer)]
    assert beside[:3] == beside[3:]
    assert len(set(beside)) == 3
    assert beside[0] == answer("detect", tiny(name), *calls[0]).text


def test_several_images_as_a_gpu_gets_them(tiny: Tiny):
    """One batch of calls of a kind gives what each gives alone, but for the last digits."""
    for name in ("owlvit", "yolos", "gdino"):
        batch, alone = together_and_alone("detect", tiny(name), [asked(i, [*PHRASES, "cat"]) for i in pictures()])
        for one, other in zip(batch, alone, strict=True):
            left, right = json.loads(one.text), json.loads(other.text)
            assert [box["score"] for box in left] == pytest.approx([box["score"] for box in right], abs=1e-4)


def test_places_are_those_of_the_image_as_it_is_shown(tiny: Tiny):
    """An EXIF turn is counted: the file holds 60 x 40 pixels, what is seen is 40 wide and 60 high."""
    from PIL import Image as pillow

    held, exif, out = pillow.fromarray(pictures()[0].pixels), pillow.Exif(), BytesIO()
    exif[0x0112] = 6
    held.save(out, "PNG", exif=exif)
    upright = Image.of(np.rot90(pictures()[0].pixels, -1).copy())
    assert found(tiny("owlvit"), Image(out.getvalue()), PHRASES) == found(tiny("owlvit"), upright, PHRASES)


def test_a_detector_with_labels_of_its_own(tiny: Tiny):
    seen = found(tiny("yolos"), pictures()[0], ["Traffic Light", "CAT", "n/a", "violin"])
    assert {box["label"] for box in seen} <= {"Traffic Light", "CAT", "n/a"}, "as they were asked for"
    [said] = answers("detect", tiny("yolos"), [asked(pictures()[0], ["violin", "erhu"])])
    assert isinstance(said, CallFailed)
    assert said.reason == "unknown_phrase"
    assert "does not know violin, erhu; it finds Cat, N/A, traffic light" in said.detail


def test_nothing_is_asked_nothing_is_found(tiny: Tiny):
    assert found(tiny("owlvit"), pictures()[0], []) == []
    assert found(tiny("owlvit"), pictures()[0], [" "]) == []
    assert found(tiny("owlvit"), pictures()[0], ["dog"], 1.01) == []


def test_no_detector(tiny: Tiny, tmp_path: Path):
    with pytest.raises(ModelError, match=r"model of type `clip`, which finds nothing in images\.\n.*name OWL-ViT"):
        answer("detect", encoders.clip(tmp_path / "clip"), *asked(pictures()[0], ["dog"]))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"config\.json is absent"):
        answer("detect", empty, *asked(pictures()[0], ["dog"]))
    (empty / "config.json").write_bytes((tiny("owlvit") / "config.json").read_bytes())
    with pytest.raises(ModelError, match=r"cannot be loaded: .*model.safetensors"):
        answer("detect", empty, *asked(pictures()[0], ["dog"]))


corner = st.floats(-50, 150)


@given(st.lists(st.tuples(st.tuples(corner, corner, corner, corner), st.sampled_from("ab"), st.floats(0, 1))))
def test_what_is_kept_lies_within_and_is_in_order(rows: list[Any]):
    raw = [(list(corners), label, score) for corners, label, score in rows]
    kept = boxes(raw, (80, 60), 0.5)
    assert kept == boxes(raw[::-1], (80, 60), 0.5)
    for box in kept:
        assert box["w"] > 0
        assert box["h"] > 0
        assert 0 <= box["x"] <= box["x"] + box["w"] <= 80 + 1e-6
        assert 0 <= box["y"] <= box["y"] + box["h"] <= 60 + 1e-6
        assert box["score"] >= 0.5
    assert [box["score"] for box in kept] == sorted((box["score"] for box in kept), reverse=True)

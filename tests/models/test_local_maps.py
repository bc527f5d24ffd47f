"""DPT, Depth Anything, GLPN and SegFormer in a folder: a number for every pixel, and what a wrong model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked_here import answer, answers, together_and_alone
from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local.maps import metres, ranked
from leaven.models.calls import Answer, CallFailed
from leaven.records import digest
from tiny import lookers, mappers

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, made = tmp_path_factory.mktemp("tiny"), {}

    def model(name: str) -> Path:
        if name not in made:
            made[name] = getattr(mappers, name)(folder / name)
        return made[name]

    return model


def picture(width: int = 90, height: int = 40, seed: int = 0) -> Image:
    return Image.of(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


def asked(image: Image, top: int = 65535, **more: float) -> tuple[Any, Any, Any]:
    name = digest(image.encoded).hex()
    return {"image": name, "top": top, **more}, {name: image}, {}


def codes(folder: Path, *how: Any, **more: float) -> np.ndarray:
    media = answer("map", folder, *asked(*how, **more)).media
    assert isinstance(media, Image)
    return Image(media.encoded).codes


def own(folder: Path, image: Image) -> Any:
    """The model's output by the library's own classes and its own way to the image's size."""
    import torch
    from PIL import Image as pillow
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation, AutoModelForSemanticSegmentation

    eye = AutoImageProcessor.from_pretrained(folder, backend="pil")
    deep = "segformer" not in folder.name and "classes" not in folder.name
    model = (AutoModelForDepthEstimation if deep else AutoModelForSemanticSegmentation).from_pretrained(folder)
    size = [image.size[::-1]]
    with torch.inference_mode():
        said = model(**eye(pillow.fromarray(image.pixels), return_tensors="pt"))
        if deep:
            return eye.post_process_depth_estimation(said, target_sizes=size)[0]["predicted_depth"].numpy()
        return eye.post_process_semantic_segmentation(said, target_sizes=size)[0].numpy()


@pytest.mark.parametrize("name", ["dpt", "depth_anything"])
def test_depths_without_a_unit_fill_the_range(models: Any, name: str):
    folder, image = models(name), picture()
    found, depth = codes(folder, image), own(folder, image)
    assert found.shape == (40, 90)
    assert found.dtype == np.uint16
    assert (found.min(), found.max()) == (0, 65535)
    expected = (depth - depth.min()) / (depth.max() - depth.min()) * 65535
    assert abs(found - expected).max() <= 2
    small = codes(folder, image, 255)
    assert small.dtype == np.uint8
    assert (small.min(), small.max()) == (0, 255)
    assert (codes(folder, picture(seed=1)) != found).any()


def test_depths_in_metres(models: Any):
    folder, image = models("glpn"), picture()
    depth = own(folder, image)
    assert 0 < depth.min() < depth.max() < 10
    assert abs(codes(folder, image) - 1000 * depth).max() <= 1
    assert abs(codes(folder, image, metre=256.0) - 256 * depth).max() <= 1


def test_a_metric_depth_anything_measures(tmp_path: Path):
    folder, image = mappers.depth_anything(tmp_path / "metric", metric=True), picture()
    assert abs(codes(folder, image, metre=100.0) - np.clip(100 * own(folder, image), 0, None)).max() <= 1


def test_numbers():
    depth = np.array([[-0.01, 0.0, 1.2344, 70.0]])
    assert metres(depth, 1000).tolist() == [[0, 0, 1234, 65535]]
    assert metres(depth, 256).tolist() == [[0, 0, 316, 17920]]
    assert ranked(np.array([[-3.0, 0.0, 3.0]]), 65535).tolist() == [[0, 32768, 65535]]
    assert ranked(np.array([[-3.0, 0.0, 1.0]]), 4).tolist() == [[0, 3, 4]]
    assert ranked(np.full((1, 2), 7.0), 65535).tolist() == [[0, 0]]


@pytest.mark.parametrize("name", ["segformer", "dpt_classes"])
def test_classes(models: Any, name: str):
    image = picture()
    found = codes(models(name), image)
    assert found.dtype == np.uint8
    assert (found == own(models(name), image)).all()
    assert {0, 1, 2, 3} >= set(np.unique(found)) > {found[0, 0]}


def test_the_same_alone_and_beside_others(models: Any):
    calls = [asked(picture(40 + 9 * i, 40, i)) for i in range(3)]
    beside = [
        said.media.encoded
        for said in answers("map", models("dpt"), calls * 2)
        if isinstance(said, Answer) and said.media
    ]
    assert beside[:3] == beside[3:]
    assert len(set(beside)) == 3
    alone = answer("map", models("dpt"), *calls[1]).media
    assert alone is not None
    assert beside[1] == alone.encoded


@pytest.mark.parametrize("name", ["depth_anything", "segformer"])
def test_several_as_a_gpu_gets_them(models: Any, name: str):
    """Images of other sizes and ratios in one batch, each under its own answer."""
    calls = [asked(picture(*size, seed)) for seed, size in enumerate([(90, 40), (40, 90), (88, 41)])]
    for one, other, call in zip(*together_and_alone("map", models(name), calls), calls, strict=True):
        assert isinstance(one.media, Image)
        assert isinstance(other.media, Image)
        [image] = call[1].values()
        assert one.media.size == other.media.size == image.size
        assert (abs(one.media.codes.astype(int) - other.media.codes.astype(int)) < 16).mean() > 0.99


def test_what_a_model_cannot(models: Any, tmp_path: Path):
    with pytest.raises(ModelError, match=r"tells only what is nearer, and metres are asked for\.\n.*leave `metre` out"):
        answer("map", models("dpt"), *asked(picture(), metre=1000.0))
    with pytest.raises(ModelError, match="gives classes, and metres are asked for"):
        answer("map", models("segformer"), *asked(picture(), metre=1000.0))
    with pytest.raises(ModelError, match=r"of type `yolos`, which gives no map\.\n.*name DPT, Depth Anything or GLPN"):
        answer("map", lookers.yolos(tmp_path / "yolos"), *asked(picture()))
    other = tmp_path / "zoe"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "zoedepth", "architectures": ["ZoeDepthForDepthEstimation"]}')
    with pytest.raises(ModelError, match="`zoedepth`, whose processor needs torchvision"):
        answer("map", other, *asked(picture()))
    (other / "config.json").write_bytes((models("dpt") / "config.json").read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded"):
        answer("map", other, *asked(picture()))
    [said] = answers("map", models("glpn"), [asked(picture(20, 20))])  # it sees squares of 32 pixels
    assert isinstance(said, CallFailed)
    assert said.reason == "model_error"

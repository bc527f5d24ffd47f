"""SAM in a folder: the mask of a box, and what a wrong model says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked_here import answer, answers, together_and_alone
from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.calls import Answer, CallFailed
from leaven.records import digest
from tiny import lookers

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lookers.sam(tmp_path_factory.mktemp("tiny") / "sam")


def picture(width: int = 90, height: int = 40, seed: int = 0) -> Image:
    return Image.of(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


def asked(image: Image, *box: float) -> tuple[Any, Any, Any]:
    name = digest(image.encoded).hex()
    return {"image": name, "box": list(box)}, {name: image}, {}


def mask(folder: Path, image: Image, *box: float) -> np.ndarray:
    media = answer("segment", folder, *asked(image, *box)).media
    assert isinstance(media, Image)
    return media.codes


def test_a_mask_of_the_size_of_the_image(sam: Path):
    for size in ((90, 40), (31, 64), (8, 8)):
        codes = mask(sam, picture(*size), 1, 1, 6, 5)
        assert codes.shape == size[::-1]
        assert codes.dtype == np.uint8
        assert set(np.unique(codes)) <= {0, 1}
    one, other = mask(sam, picture(), 5, 5, 30, 20), mask(sam, picture(), 50, 2, 39, 37)
    assert 0 < one.mean() < 1
    assert (one != other).any(), "the box is seen"


def test_the_surest_of_the_masks_of_the_whole_processor(sam: Path):
    import torch
    from PIL import Image as pillow
    from transformers import AutoProcessor, SamModel

    read, model = AutoProcessor.from_pretrained(sam), SamModel.from_pretrained(sam)
    given = read(pillow.fromarray(picture().pixels), input_boxes=[[[5.0, 6.0, 35.0, 26.0]]], return_tensors="pt")
    with torch.inference_mode():
        said = model(**given)
    [masks] = read.image_processor.post_process_masks(
        said.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
    )
    best = int(said.iou_scores[0, 0].argmax())
    assert (mask(sam, picture(), 5, 6, 30, 20) == masks[0, best].numpy()).all()


def test_the_same_alone_and_beside_others(sam: Path):
    calls = [asked(picture(seed=i), 5 * i, 3, 30, 20) for i in range(3)]
    beside = [
        said.media.encoded for said in answers("segment", sam, calls * 2) if isinstance(said, Answer) and said.media
    ]
    assert beside[:3] == beside[3:]
    assert len(set(beside)) == 3
    one = answer("segment", sam, *calls[0]).media
    assert one is not None
    assert beside[0] == one.encoded


def test_an_image_is_looked_at_once(sam: Path, monkeypatch: pytest.MonkeyPatch):
    """Many boxes of few images: only the boxes are new, and the masks are those of calls alone."""
    from transformers import SamModel

    looked = []
    own = SamModel.get_image_embeddings

    def counted(self: Any, pixels: Any) -> Any:
        looked.append(len(pixels))
        return own(self, pixels)

    monkeypatch.setattr(SamModel, "get_image_embeddings", counted)
    calls = [asked(picture(seed=seed), 4 * i, 3, 30, 20) for seed in range(3) for i in range(6)]
    media = [said.media for said in answers("segment", sam, calls) if isinstance(said, Answer)]
    assert 3 <= len(looked) <= 3 * (os.cpu_count() or 1)
    for call, found in zip(calls[::5], media[::5], strict=True):
        alone = answer("segment", sam, *call).media
        assert alone is not None
        assert found is not None
        assert alone.encoded == found.encoded


def test_sam_hq(tmp_path: Path):
    folder = lookers.sam_hq(tmp_path / "sam_hq")
    assert mask(folder, picture(), 5, 5, 30, 20).shape == (40, 90)
    assert (mask(folder, picture(), 5, 5, 30, 20) != mask(folder, picture(), 50, 2, 39, 37)).any()


def test_several_as_a_gpu_gets_them(sam: Path):
    calls = [asked(picture(90, 40, 0), 5, 3, 30, 20), asked(picture(33, 60, 1), 5, 3, 20, 20)]
    for one, other in zip(*together_and_alone("segment", sam, calls), strict=True):
        assert isinstance(one.media, Image)
        assert isinstance(other.media, Image)
        assert (one.media.codes == other.media.codes).mean() > 0.99


def test_a_box_outside_of_the_image(sam: Path):
    assert (mask(sam, picture(), -20, -20, 60, 40) == mask(sam, picture(), 0, 0, 40, 20)).all(), "cut off at the edges"
    [said] = answers("segment", sam, [asked(picture(), 95, 5, 10, 10)])
    assert isinstance(said, CallFailed)
    assert said.reason == "no_box"


def test_no_model_for_a_box(sam: Path, tmp_path: Path):
    with pytest.raises(ModelError, match=r"of type `segformer`, which is asked with no box\.\n.*name SAM"):
        answer("segment", lookers.segformer(tmp_path / "segformer"), *asked(picture(), 0, 0, 5, 5))
    other = tmp_path / "sam2"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "sam2"}')
    with pytest.raises(ModelError, match="`sam2`, whose processor needs torchvision"):
        answer("segment", other, *asked(picture(), 0, 0, 5, 5))
    (other / "config.json").write_bytes((sam / "config.json").read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded"):
        answer("segment", other, *asked(picture(), 0, 0, 5, 5))

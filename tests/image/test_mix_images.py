"""Two images laid over each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven import operators
from leaven.errors import RecipeError
from leaven.image.mix_images import MixImages, joined, laid_over
from leaven.media.image import Image


def flat(value: int, width: int = 4, height: int = 2, **fields: Any) -> dict[str, Any]:
    return {"image": np.full((height, width, 3), value, np.uint8), **fields}


def box(x: float, y: float, w: float, h: float, label: str = "cup", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def test_half_of_each_and_both_captions():
    """MixGen."""
    [row] = MixImages()(flat(200, caption="a cat"), source=[flat(100, caption="a dog on a mat")])
    assert (row["image"].pixels == 150).all()
    assert row["caption"] == "a cat a dog on a mat"


def test_lam_one_is_the_image_with_both_captions():
    [row] = MixImages(lam=1)(flat(200, caption="a cat"), source=[flat(100, caption="a dog")])
    assert (row["image"].pixels == 200).all()
    assert row["caption"] == "a cat a dog"


def test_the_first_caption_alone():
    [row] = MixImages(texts="first")(flat(200, caption="a cat"), source=[flat(100, caption="a dog")])
    assert row["caption"] == "a cat"


def test_one_caption_is_none_of_both_images():
    [row] = MixImages()(flat(200, caption="a cat"), source=[flat(100, caption=None)])
    assert row["caption"] is None


def test_several_captions_are_joined_each_with_the_one_in_its_place():
    several = {"caption": ["a dog", "a dog on a mat"]}
    [row] = MixImages()(flat(200, caption=["a cat", "a black cat", "cat"]), source=[flat(100, **several)])
    assert row["caption"] == ["a cat a dog", "a black cat a dog on a mat"]
    assert joined("a cat", None) is None
    assert joined(None, ["a dog"]) is None


def test_rounded_not_cut_off():
    [row] = MixImages(lam=0.3)(flat(0), source=[flat(3)])
    assert row["image"].pixels[0, 0].tolist() == [2, 2, 2], "2.1"
    [row] = MixImages(lam=0.3)(flat(3), source=[flat(0)])
    assert row["image"].pixels[0, 0].tolist() == [1, 1, 1], "0.9"


@pytest.mark.parametrize(("lam", "larger"), [(0.75, "cat"), (0.25, "dog"), (0.5, "cat")])
def test_labels_by_their_shares(lam: float, larger: str):
    [row] = MixImages(lam=lam, soft=True)(flat(0, label="cat"), source=[flat(0, label="dog")])
    assert row["label_probs"] == {"cat": lam, "dog": 1 - lam}
    assert row["label"] == larger
    [row] = MixImages(lam=lam)(flat(0, label="cat"), source=[flat(0, label="dog")])
    assert row["label"] == larger
    assert "label_probs" not in row


def test_equal_labels_add_up():
    [row] = MixImages(lam=0.25, soft=True)(flat(0, label="cat"), source=[flat(0, 5, label="cat")])
    assert row["label_probs"] == {"cat": 1.0}


def test_soft_labels_are_mixed_again():
    record = flat(0, label="cat", label_probs={"cat": 0.5, "dog": 0.5})
    [row] = MixImages(lam=0.5, soft=True)(record, source=[flat(0, label="dog", label_probs=None)])
    assert row["label_probs"] == {"cat": 0.25, "dog": 0.75}
    assert row["label"] == "dog"


def test_a_label_that_is_not_known_has_no_share():
    [row] = MixImages(soft=True)(flat(0, label="cat"), source=[flat(0, label=None)])
    assert row["_reason"] == "no_label"
    assert MixImages(soft=True).needs == {"label"}
    assert MixImages().needs == frozenset()


def test_the_drawn_image_takes_the_size_and_its_boxes_with_it():
    record = flat(200, 4, 2, boxes=[box(0, 0, 1, 1)], points=[{"x": 3, "y": 1, "label": "eye"}])
    other = flat(
        100, 8, 6, boxes=[box(4, 3, 4, 3, "hat", [[4, 3, 8, 3, 8, 6]])], points=[{"x": 2, "y": 3, "label": "tip"}]
    )
    [row] = MixImages()(record, source=[other])
    assert row["image"].size == (4, 2)
    assert (row["image"].pixels == 150).all()
    assert row["boxes"] == [box(0, 0, 1, 1), box(2, 1, 2, 1, "hat", [[2, 1, 4, 1, 4, 2]])]
    assert row["points"] == [{"x": 3, "y": 1, "label": "eye"}, {"x": 1, "y": 1, "label": "tip"}]


def test_what_is_not_seen_has_no_boxes():
    record, other = flat(200, boxes=[box(0, 0, 1, 1, "cup")]), flat(100, boxes=[box(0, 0, 1, 1, "hat")])
    assert [b["label"] for b in MixImages(lam=1)(record, source=[other])[0]["boxes"]] == ["cup"]
    assert [b["label"] for b in MixImages(lam=0)(record, source=[other])[0]["boxes"]] == ["hat"]
    assert [b["label"] for b in MixImages(lam=0.9)(record, source=[other])[0]["boxes"]] == ["cup", "hat"]


def test_each_child_has_a_partner_of_its_own():
    source = [flat(value) for value in (10, 30, 50, 70, 90, 110, 130, 150)]
    rows = MixImages(n=6, lam=0)(flat(200), source=source)
    values = [int(row["image"].pixels[0, 0, 0]) for row in rows]
    assert len(values) == 6
    assert len(set(values)) >= 3
    fewer = MixImages(n=2, lam=0)(flat(200), source=source)
    assert [int(row["image"].pixels[0, 0, 0]) for row in fewer] == values[:2], "a child more leaves the others"


def test_nothing_to_mix_with():
    record = flat(200)
    assert MixImages()(record, source=[record])[0]["_reason"] == "no_partner"
    assert MixImages()(record, source=[{"image": None}])[0]["_reason"] == "no_partner"
    for one, other in ((None, []), ([], None)):
        [row] = MixImages()({**record, "boxes": one}, source=[flat(9, boxes=other)])
        assert row["_reason"] == "no_boxes", "an empty list would say that there is nothing in either"
    [row] = MixImages()({**record, "boxes": None}, source=[flat(9, boxes=None)])
    assert "_reason" not in row


def test_a_share_of_the_records():
    made = [len(MixImages(share=0.25)(flat(value), source=[flat(0)])) for value in range(1, 201)]
    assert set(made) == {0, 1}
    assert 0.15 < np.mean(made) < 0.35


def test_a_gray_image_takes_colours_on():
    gray, red = np.full((2, 2), 100, np.uint8), np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    [row] = MixImages()({"image": Image.of(gray)}, source=[{"image": Image.of(red)}])
    assert Image(row["image"].encoded).pixels[0, 0].tolist() == [150, 50, 50]


def test_neither_image_is_changed():
    record, other = flat(200), flat(100)
    MixImages()(record, source=[other])
    assert (record["image"] == 200).all()
    assert (other["image"] == 100).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_mean_is_the_mixture_of_the_means(lam: float, seed: int):
    a, b = np.random.default_rng(seed).integers(0, 256, (2, 6, 5, 3), np.uint8)
    assert laid_over(a, b, lam).mean() == pytest.approx(lam * a.mean() + (1 - lam) * b.mean(), abs=0.5)


def test_parameters_are_held_to_their_limits():
    for wrong in ({"lam": 1.1}, {"share": 0}, {"n": 0}, {"texts": "both"}):
        with pytest.raises(RecipeError):
            MixImages(**wrong)
    assert operators.find("mix_images") is MixImages

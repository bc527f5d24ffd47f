"""Random erasing and GridMask: what is hidden, and what of it is still labelled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.image.erase import Erase
from leaven.image.holes import erased_box, grid_holes, hidden
from leaven.media.image import Image


def box(x: float, y: float, w: float, h: float, polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": "a", "polygons": polygons}


def photo(height: int = 40, width: int = 60, value: int = 200) -> Image:
    return Image.of(np.full((height, width, 3), value, np.uint8))


def test_a_small_grid():
    kept = ["#" * 10 if y % 5 < 3 else "###..###.." for y in range(10)]
    side = 15  # of the square about 10 x 10: its first 2 rows and columns are cut off
    assert side == int(np.ceil(np.hypot(10, 10)))
    holes = grid_holes((10, 10), 5, (2, 2))
    assert ["".join(".#"[int(not hole)] for hole in row) for row in holes] == kept
    assert (grid_holes((10, 10), 5, (2, 2), stripes=False) == ~holes).all()


@pytest.mark.parametrize("d", [96, 100, 150, 223])
def test_grid_keeps_84_percent(d: int):
    rng = np.random.default_rng(d)
    kept = [1 - grid_holes((512, 512), d, tuple(rng.integers(0, d, 2).tolist())).mean() for _ in range(20)]
    assert np.mean(kept) == pytest.approx(0.84, abs=0.03)
    squares = 1 - grid_holes((512, 512), d, (0, 0), stripes=False).mean()
    assert squares == pytest.approx(1 - (1 - grid_holes((512, 512), d, (0, 0)).mean()))


def test_a_turned_grid():
    upright, turned = grid_holes((60, 60), 20, (3, 7)), grid_holes((60, 60), 20, (3, 7), angle=90)
    assert (np.rot90(upright) == turned).mean() > 0.9  # the middle of an even side lies between pixels
    skew = grid_holes((200, 100), 40, (0, 0), angle=45)
    assert skew.shape == (100, 200)
    assert skew.mean() == pytest.approx(0.16, abs=0.04)


def test_draws_of_the_grid_are_the_paper_s_at_224():
    op, found = Erase(how="grid"), []
    for seed in range(600):
        _, drawn = op.draw((224, 300), np.random.default_rng(seed))
        found.append(drawn["d"])
        assert all(0 <= offset < drawn["d"] for offset in drawn["offsets"])
        assert 0 <= drawn["angle"] < 360
    assert (min(found), max(found)) == (96, 223)
    _, drawn = Erase(how="grid", d=(10, 11), rotate=0).draw((224, 224), np.random.default_rng(0))
    assert (drawn["d"], drawn["angle"]) == (10, 0)


@given(st.integers(2, 90), st.integers(2, 90), st.integers(0, 999))
def test_erased_boxes(width: int, height: int, seed: int):
    found = erased_box((width, height), (0.1, 0.4), (0.3, 3.3), np.random.default_rng(seed))
    if found:
        x, y, w, h = found
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        assert 0 < w < width
        assert 0 < h < height
        assert abs(w * h - 0.25 * width * height) <= 0.15 * width * height + (w + h) / 2 + 0.5
        assert (h + 0.5) / (w - 0.5) >= 0.3
        assert (h - 0.5) / (w + 0.5) <= 3.3


def test_area_and_form_are_drawn_evenly():
    found = [erased_box((400, 400), (0.05, 0.15), (0.5, 2), np.random.default_rng(seed)) for seed in range(1000)]
    area = np.array([b[2] * b[3] / 160_000 for b in found if b])
    form = np.log([b[3] / b[2] for b in found if b])
    assert area.mean() == pytest.approx(0.1, abs=0.003)
    assert form.mean() == pytest.approx(0, abs=0.05)
    assert form.std() == pytest.approx(np.log(4) / np.sqrt(12), abs=0.03)


@pytest.mark.parametrize(("fill", "shown"), [(7, {7}), ("mean", {90})])
def test_fill(fill: Any, shown: set[int]):
    pixels = np.full((10, 10, 3), 60, np.uint8)
    pixels[:, 5:] = 120
    [row] = Erase(area=(0.25, 0.25), aspect=(1, 1), fill=fill)({"image": Image.of(pixels)})
    changed = row["image"].pixels != pixels
    assert set(row["image"].pixels[changed].tolist()) == shown
    assert changed[..., 0].sum() == 25


def test_noise_is_of_all_colours_and_gray_in_a_gray_image():
    [row] = Erase(area=(0.5, 0.5), aspect=(1, 1), fill="noise")({"image": photo()})
    inside = row["image"].pixels[(row["image"].pixels != 200).any(-1)]
    assert len(np.unique(inside)) > 200
    assert (inside[:, 0] != inside[:, 1]).any()
    gray = Image.of(np.full((30, 30), 200, np.uint8))
    [row] = Erase(area=(0.5, 0.5), aspect=(1, 1), fill="noise")({"image": gray})
    pixels = row["image"].pixels
    assert (pixels == pixels[..., :1]).all()
    assert len(np.unique(pixels)) > 100


def test_count():
    for row in Erase(area=(0.01, 0.01), aspect=(1, 1), count=5, fill=0, n=5)({"image": photo(100, 100)}):
        assert 200 <= (row["image"].pixels[..., 0] == 0).sum() <= 500


def test_hidden_shares():
    holes = np.zeros((10, 10), bool)
    holes[:, 5:] = True
    given = [box(0, 0, 10, 10), box(5, 0, 5, 5), box(0, 0, 4, 4), box(4, 0, 2, 2), box(-5, 2, 12, 2), box(30, 0, 5, 5)]
    assert hidden(given, holes) == [0.5, 1.0, 0.0, 0.5, pytest.approx(2 / 7), 0.0]
    left_half = box(0, 0, 10, 10, [[0, 0, 6, 0, 6, 10, 0, 10]])
    assert hidden([left_half], holes) == [pytest.approx(1 / 6)]


def test_what_is_hidden_loses_its_box_and_the_mask_stays():
    mask = Image.of_codes(np.full((40, 60), 2, np.uint8))
    boxes = [box(x, y, 6, 6) for x in range(0, 60, 6) for y in range(0, 36, 6)]
    points = [{"x": float(x), "y": 20.0, "label": "p"} for x in range(60)]
    record = {"image": photo(), "mask": mask, "boxes": boxes, "points": points}
    for row in Erase(area=(0.3, 0.3), fill=0, covered=0.6, n=5)(record):
        holes = (row["image"].pixels == 0).all(-1)
        shares = [holes[int(b["y"]) : int(b["y"]) + 6, int(b["x"]) : int(b["x"]) + 6].mean() for b in boxes]
        assert row["boxes"] == [b for b, share in zip(boxes, shares, strict=True) if share <= 0.6]
        assert row["points"] == [p for p in points if not holes[20, int(p["x"])]]
        assert len(row["boxes"]) < len(boxes)
        assert len(row["points"]) < len(points)
        assert row["mask"] is mask


def test_no_room():
    [row] = Erase()({"image": photo(1, 1)})
    assert row["_reason"] == "no_room"
    [row] = Erase(area=(1, 1))({"image": photo(5, 5)})
    assert row["_reason"] == "no_room"


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2, 2), (3, 40)])
def test_tiny_images(size: tuple[int, int]):
    for how in ("box", "grid"):
        rows = Erase(how=how, n=10, fill="noise")({"image": photo(*size), "boxes": [box(0, 0, size[1], size[0])]})
        assert {row["image"].size for row in rows} == {size[::-1]}


def test_wrong_parameters():
    with pytest.raises(RecipeError, match="area is"):
        Erase(area=(0.5, 0.1))
    with pytest.raises(RecipeError, match="d of erase is"):
        Erase(how="grid", d=(5, 5))
    with pytest.raises(RecipeError, match="mean"):
        Erase(fill="black")

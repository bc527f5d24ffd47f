"""structure and instances: edges, scribbles, distances, and single things out of them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from leaven.errors import RecipeError
from leaven.image.instances import Instances, parted
from leaven.image.sides import sides, things
from leaven.image.structure import Structure, distance, edges, scribble, voc_colour
from leaven.image.thinned import thinned
from leaven.media.image import Image
from leaven.media.opencv import opencv


def disk(*centres: tuple[int, int], radius: int = 8, size: int = 60) -> np.ndarray:
    """Numbered disks."""
    y, x = np.mgrid[:size, :size]
    codes = np.zeros((size, size), np.uint8)
    for number, (cx, cy) in enumerate(centres, 1):
        codes[(x - cx) ** 2 + (y - cy) ** 2 <= radius**2] = number
    return codes


def parts(pixels: np.ndarray) -> int:
    return int(opencv().connectedComponents(pixels.astype(np.uint8), connectivity=8)[0]) - 1


def test_edges_of_a_square():
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[5:15, 5:15] = 255
    drawn = edges(pixels, 100, 200)
    assert set(np.unique(drawn)) == {0, 255}
    assert 30 <= (drawn > 0).sum() <= 50
    assert not drawn[8:12, 8:12].any()
    assert not drawn[:4].any()
    [row] = Structure()({"image": pixels})
    assert (row["structure"].pixels[..., 0] == drawn).all()
    assert not edges(np.full((9, 9, 3), 7, np.uint8), 100, 200).any()


def test_a_bar_is_thinned_to_its_middle_line():
    bar = np.zeros((11, 30), bool)
    bar[3:8, 4:26] = True
    line = thinned(bar)
    assert (line.sum(0) <= 1).all()
    assert line[5, 8:22].all()
    assert not (line & ~bar).any()


@settings(max_examples=40)
@given(arrays.arrays(np.bool_, (12, 13)))
def test_lines_lie_within_and_hang_together_as_the_region_does(region: Any):
    line = thinned(region)
    assert not (line & ~region).any()
    assert parts(line) == parts(region)
    assert (thinned(line) == line).all()


def test_scribbles_of_classes():
    codes = np.zeros((20, 40), np.uint8)
    codes[4:12, 2:18], codes[4:12, 22:38], codes[15:18, :] = 1, 15, 255
    white = scribble(codes, 1, [0, 255])
    assert set(np.unique(white)) == {0, 255}
    assert not white[13:].any(), "nobody knows what is there"
    coloured = scribble(codes, 3, [0, 255], coloured=True)
    colours = {tuple(colour) for colour in coloured.reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), (128, 0, 0), (192, 128, 128)}
    for code in (1, 15):
        inside = (coloured == voc_colour(code)).all(-1)
        assert (codes[inside] == code).all()
        assert 10 < inside.sum() < (codes == code).sum()
    assert (scribble(codes, 9) > 0).sum() > (scribble(codes, 1) > 0).sum()


def test_colours_of_voc():
    assert [voc_colour(code) for code in (0, 1, 2, 8, 15, 20)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (64, 0, 0), (192, 128, 128), (0, 64, 128),
    ]  # fmt: skip


def test_distances_are_greatest_in_the_middle_of_each():
    codes = disk((15, 15), (40, 40), radius=9)
    codes[40 + 3 :, :] = 0  # the second is cut
    drawn = distance(codes)
    assert drawn[15, 15] == 255
    assert drawn[codes == 2].max() == 255, "of each its own"
    assert (drawn > 0).tolist() == (codes > 0).tolist()
    assert drawn[15, 7] < 60


def test_disks_that_touch_come_apart_again():
    """The sheet's check of nuclei: two disks that touch are two."""
    for codes in (disk((20, 20), (36, 20)), disk((20, 20), (33, 20), (20, 50))):
        found = parted(distance(codes), 0.5, 0.0, 10)
        assert found.max() == codes.max()
        assert ((found > 0) == (codes > 0)).all()
        for number in range(1, int(codes.max()) + 1):
            assert np.bincount(found[codes == number]).max() > 0.95 * (codes == number).sum()


def test_the_sides_of_a_disk():
    """The sheet's check: the map of a disk reaches from one end to the other, and is odd."""
    drawn = sides(disk((20, 24), size=50), [1])
    assert ((drawn[..., 0] == 255) == (disk((20, 24), size=50) == 1)).all()
    assert drawn[24, 12:29, 1].tolist() == [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert (drawn[16:33, 20, 2] == drawn[24, 12:29, 1]).all()
    assert (drawn[0, 0] == [0, 128, 128]).all()


@pytest.mark.parametrize("centres", [((40, 40),), ((25, 40), (48, 40)), ((25, 25), (25, 47), (60, 60)), ()])
def test_things_by_their_sides(centres: tuple[tuple[int, int], ...]):
    """The sheet's check: two disks that touch are two, also where a map is mirrored or the two are exchanged."""
    codes = disk(*centres, radius=12, size=80)
    drawn = sides(codes, list(range(1, len(centres) + 1)))
    mirrored, exchanged = drawn.copy(), np.ascontiguousarray(drawn[..., [0, 2, 1]])
    mirrored[..., 1] = 255 - mirrored[..., 1]
    for way, turned in ((drawn, False), (drawn, True), (mirrored, True), (exchanged, True)):
        found = things(way, 10, turned=turned)
        assert int(found.max()) == len(centres)
        assert not found[codes == 0].any()
        for number in range(1, len(centres) + 1):
            assert np.bincount(found[codes == number]).max() > 0.95 * (codes == number).sum()


def test_sides_from_a_mask_and_back():
    codes = disk((14, 14), (44, 44))
    codes[50:52, 2:4] = 3  # of four pixels
    record = {"image": np.zeros((60, 60, 3), np.uint8), "mask": codes}
    [row] = Structure("sides")(record)
    [back] = Instances(how="sides")({**record, **row})
    assert back["mask"].codes.tolist() == np.where(codes == 3, 0, codes).tolist()
    [none] = Instances(how="sides")({**record, "structure": Image.of(np.zeros((9, 9, 3), np.uint8))})
    assert not none["mask"].codes.any()


def test_small_things_and_no_things():
    far = np.zeros((20, 20), np.uint8)
    far[2:4, 2:4], far[10:16, 10:16] = 255, 255
    assert np.unique(parted(far, 0.5, 0.1, 10)).tolist() == [0, 1]
    assert np.unique(parted(far, 0.5, 0.1, 4)).tolist() == [0, 1, 2]
    assert not parted(np.zeros((5, 5), np.uint8), 0.5, 0.1, 1).any()
    assert not parted(np.full((5, 5), 100, np.uint8), 0.5, 0.1, 1).any(), "no middle"


def test_from_a_mask_and_back():
    codes = disk((14, 14), (44, 44))
    record = {"image": np.zeros((60, 60, 3), np.uint8), "mask": codes}
    [row] = Structure("distance")(record)
    assert isinstance(row["structure"], Image)
    [back] = Instances(edge=0)({**record, **row, "mask": None})
    assert back["mask"].codes.tolist() == codes.tolist()


def test_what_is_wrong():
    with pytest.raises(RecipeError, match=r"edges is \[9\.0, 3\.0\]; it is a low and a high threshold"):
        Structure(edges=[9, 3])
    with pytest.raises(RecipeError, match="structure `scribble` is drawn from a field of type mask; the data has none"):
        Structure("scribble")({"image": np.zeros((5, 5, 3), np.uint8)})

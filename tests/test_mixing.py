"""The arithmetic of mixing, for numpy arrays and torch tensors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.mixing import cut_switch, cutmix, cutmix_box, mix, mixgen, mixgen_batch, mixgen_texts, soft_labels

torch = pytest.importorskip("torch")
KINDS: list[Any] = [np.array, torch.tensor]
both = pytest.mark.parametrize("array", KINDS, ids=["numpy", "torch"])


# -- CutMix: the worked numbers of the paper's code ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("lam", "centre", "box", "real"),
    [
        (0.75, (16, 16), (8, 24, 8, 24), 0.75),
        (0.75, (0, 0), (0, 8, 0, 8), 0.9375),
        (0.5, (16, 16), (5, 27, 5, 27), 0.52734375),
        (1.0, (16, 16), (16, 16, 16, 16), 1.0),
        (0.0, (16, 16), (0, 32, 0, 32), 0.0),
    ],
)
def test_cutmix_box(lam: float, centre: tuple[int, int], box: tuple[int, ...], real: float):
    assert cutmix_box(32, 32, lam, *centre) == (*box, real)


def test_height_and_width_are_not_exchanged():
    assert cutmix_box(40, 20, 0.75, 20, 10) == (10, 30, 5, 15, 0.75)
    assert cutmix_box(40, 20, 0.75, 39, 0) == (29, 40, 0, 5, 1 - 11 * 5 / 800)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.data())
def test_cutmix_box_lies_inside_and_lam_is_its_area(height: int, width: int, lam: float, data: st.DataObject):
    cy, cx = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y0, y1, x0, x1, real = cutmix_box(height, width, lam, cy, cx)
    assert 0 <= y0 <= y1 <= height
    assert 0 <= x0 <= x1 <= width
    assert real == 1 - (y1 - y0) * (x1 - x0) / (height * width)
    assert real >= lam - 1e-9, "clipped and rounded down, the box is never larger than asked"


@both
def test_cutmix_takes_the_same_region_of_the_other(array: Any):
    a, b = array([[0, 0, 0], [0, 0, 0]]), array([[1, 2, 3], [4, 5, 6]])
    mixed = cutmix(a, b, (0, 2, 1, 3), channels_last=False)
    assert mixed.tolist() == [[0, 2, 3], [0, 5, 6]]
    assert a.tolist() == [[0, 0, 0], [0, 0, 0]]
    mixed = cutmix(a.reshape(1, 2, 3, 1), b.reshape(1, 2, 3, 1), (0, 2, 1, 3, 0.5))
    assert mixed.reshape(2, 3).tolist() == [[0, 2, 3], [0, 5, 6]]


# -- mixup ---------------------------------------------------------------------------------------------------------


@both
def test_mix_of_two(array: Any):
    a, b = array([0.0, 1.0, 4.0]), array([2.0, 1.0, 0.0])
    assert mix(a, b, 0.5).tolist() == [1.0, 1.0, 2.0]
    assert mix(a, b, 0.25).tolist() == [1.5, 1.0, 1.0]
    assert mix(a, b, 1.0).tolist() == a.tolist()


@both
def test_each_item_of_a_batch_may_have_its_own_lam(array: Any):
    batch = array([[[8.0, 8.0]], [[0.0, 4.0]]])
    assert mix(batch, batch[[1, 0]], array([0.25, 1.0])).tolist() == [[[2.0, 5.0]], [[0.0, 4.0]]]


def test_whole_numbers_are_rounded_not_cut_off():
    a, b = np.array([0, 3, 255], np.uint8), np.array([3, 0, 254], np.uint8)
    mixed = mix(a, b, 0.3)
    assert mixed.dtype == np.uint8
    assert mixed.tolist() == [2, 1, 254], "2.1, 0.9 and 254.3"
    mixed = mix(torch.from_numpy(a), torch.from_numpy(b), 0.3)
    assert mixed.dtype == torch.uint8
    assert mixed.tolist() == [2, 1, 254]


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=20), st.floats(0, 1))
def test_the_mean_is_the_mixture_of_the_means(pairs: list[tuple[float, float]], lam: float):
    a, b = np.array(pairs).T
    assert mix(a, b, lam).mean() == pytest.approx(lam * a.mean() + (1 - lam) * b.mean(), abs=1e-9)


@both
def test_gradients_and_types_survive(array: Any):
    a = array([1.0, 2.0]).astype(np.float32) if array is np.array else array([1.0, 2.0], requires_grad=True)
    mixed = mix(a, a[[1, 0]], 0.5)
    assert mixed.dtype == a.dtype
    if array is torch.tensor:
        mixed.sum().backward()
        assert a.grad.tolist() == [1.0, 1.0]


# -- labels --------------------------------------------------------------------------------------------------------


@both
def test_labels_as_arrays(array: Any):
    assert soft_labels(array([[1, 0]]), array([[0, 1]]), 0.75).tolist() == [[0.75, 0.25]]
    labels = array([[1.0, 0.0], [0.0, 1.0]])
    assert soft_labels(labels, labels[[1, 0]], array([0.75, 0.5])).tolist() == [[0.75, 0.25], [0.5, 0.5]]


# -- MixGen --------------------------------------------------------------------------------------------------------


@both
def test_mixgen_mixes_the_first_pairs_with_those_num_places_on(array: Any):
    images, texts = array([[0.0], [1.0], [2.0], [3.0], [9.0]]), ["a", "b", "c", "d", "e"]
    mixed, joined = mixgen(images, texts, 2)
    assert mixed.tolist() == [[1.0], [2.0], [2.0], [3.0], [9.0]]
    assert joined == ["a c", "b d", "c", "d", "e"]
    assert images.tolist() == [[0.0], [1.0], [2.0], [3.0], [9.0]]
    assert texts == ["a", "b", "c", "d", "e"]


@given(st.integers(0, 4), st.floats(0, 1), st.lists(st.floats(-9, 9), min_size=8, max_size=8))
def test_mixgen_moves_each_image_towards_its_partner(num: int, lam: float, values: list[float]):
    images = np.array(values)[:, None]
    mixed, _ = mixgen(images, list("abcdefgh"), num, lam)
    for i in range(num):
        towards = mixed[i] - images[i + num]
        assert towards == pytest.approx(lam * (images[i] - images[i + num]), abs=1e-9)
    assert (mixed[num:] == images[num:]).all()


def test_mixgen_of_nothing_and_of_too_many():
    images = np.arange(4.0)
    mixed, joined = mixgen(images, list("abcd"), 0)
    assert mixed.tolist() == [0, 1, 2, 3]
    assert joined == list("abcd")
    with pytest.raises(ValueError, match="needs a batch of 6 or more, and it has 4"):
        mixgen(images, list("abcd"), 3)
    with pytest.raises(ValueError, match="4 images and 2 texts"):
        mixgen(images, ["a", "b"], 1)


def test_mixgen_with_lam_one_still_joins_the_texts():
    mixed, joined = mixgen(np.array([0.0, 1.0]), ["a", "b"], 1, lam=1.0)
    assert mixed.tolist() == [0.0, 1.0]
    assert joined == ["a b", "b"]


@both
def test_mixgen_of_a_whole_batch_reads_partners_as_they_were(array: Any):
    """The released code, in place, gives 0.5, 0.75, 2.5, 2.75."""
    mixed, joined = mixgen_batch(array([0.0, 1.0, 2.0, 3.0]), list("abcd"), [1, 0, 3, 2])
    assert mixed.tolist() == [0.5, 0.5, 2.5, 2.5]
    assert joined == ["a b", "b a", "c d", "d c"]
    mixed, joined = mixgen_batch(array([4.0, 1.0]), ["a", "b"], [0, 1])
    assert mixed.tolist() == [4.0, 1.0]
    assert joined == ["a a", "b b"], "a fixed point is mixed with itself"


def test_mixgen_texts_refuse_a_wrong_permutation():
    assert mixgen_texts(["a", "b"], 1) == ["a b", "b"]
    with pytest.raises(ValueError, match=r"\[0, 0\] is no permutation of 2 pairs"):
        mixgen_batch(np.zeros(2), ["a", "b"], [0, 0])


# -- Cut-Switch ----------------------------------------------------------------------------------------------------


def scene(array: Any) -> list[Any]:
    return [array([[i * 100 + 10 * y + x for x in range(4)] for y in range(3)]) for i in range(3)]


@both
def test_cut_switch_hands_the_contents_of_the_box_round(array: Any):
    a, b, c = cut_switch(scene(array), (0, 1, 1, 3), [1, 2, 0], channels_last=False)
    assert a.tolist() == [[0, 101, 102, 3], [10, 11, 12, 13], [20, 21, 22, 23]]
    assert b.tolist()[0] == [100, 201, 202, 103]
    assert c.tolist()[0] == [200, 1, 2, 203]


@st.composite
def switches(draw: st.DrawFn) -> tuple[list[np.ndarray], tuple[int, ...], list[int]]:
    count, height, width = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    images = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (count, height, width, 3), np.uint8)
    y = sorted(draw(st.tuples(*[st.integers(0, height)] * 2)))
    x = sorted(draw(st.tuples(*[st.integers(0, width)] * 2)))
    return list(images), (*y, *x), draw(st.permutations(range(count)))


@given(switches())
def test_cut_switch_loses_no_value(given_scene: tuple[list[np.ndarray], tuple[int, ...], list[int]]):
    images, (y0, y1, x0, x1), permutation = given_scene
    switched = cut_switch(images, (y0, y1, x0, x1), permutation)
    assert (np.sort(np.stack(switched), axis=0) == np.sort(np.stack(images), axis=0)).all()
    outside = np.ones(images[0].shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert all((new[outside] == old[outside]).all() for new, old in zip(switched, images, strict=True))
    inverse = [permutation.index(i) for i in range(len(images))]
    back = cut_switch(switched, (y0, y1, x0, x1), inverse)
    assert all((new == old).all() for new, old in zip(back, images, strict=True))
    if len(images) == 1 or y0 == y1 or x0 == x1:
        assert all((new == old).all() for new, old in zip(switched, images, strict=True))


def test_cut_switch_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="differ in shape"):
        cut_switch([np.zeros((2, 2, 3)), np.zeros((3, 2, 3))], (0, 1, 0, 1), [1, 0])
    with pytest.raises(ValueError, match=r"\[0\] is no permutation of 2 images"):
        cut_switch([np.zeros((2, 2, 3))] * 2, (0, 1, 0, 1), [0])


def test_it_loads_neither_numpy_nor_torch():
    import subprocess

    code = "import sys; from leaven import mixing; print([m for m in ('numpy', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

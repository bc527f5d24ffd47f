"""Batches mixed: literal values, label mass, gradients, and the same draws for arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.train import cut_switch, cutmix, mixgen, mixgen_batch, mixup

torch = pytest.importorskip("torch")


def gen(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain(n: int, side: int = 1, channels: int = 1) -> Any:
    """Images whose every pixel is the image's number."""
    return torch.arange(n, dtype=torch.float32).reshape(n, 1, 1, 1).expand(n, channels, side, side).clone()


def numbers(images: Any) -> list[float]:
    return [float(image.reshape(-1)[0]) for image in images]


# -- mixup ------------------------------------------------------------------------------------------------------------


def test_mixup_mixes_images_and_labels_by_one_lam():
    images, labels = plain(4, 2), torch.eye(4)
    mixed, shares = mixup(images, labels, alpha=1.0, generator=gen())
    rng = gen()
    lam, order = rng.beta(1.0, 1.0), rng.permutation(4)
    assert numbers(mixed) == pytest.approx([lam * i + (1 - lam) * int(k) for i, k in enumerate(order)])
    assert shares.sum(1).tolist() == pytest.approx([1, 1, 1, 1])
    assert (shares @ torch.arange(4.0)).tolist() == pytest.approx(numbers(mixed))
    assert numbers(images) == [0, 1, 2, 3]


def test_alpha_0_leaves_everything():
    images, labels = torch.rand(5, 3, 4, 4), torch.tensor([0, 1, 2, 1, 0])
    mixed, shares = mixup(images, labels, alpha=0, generator=gen(), classes=3)
    assert torch.equal(mixed, images)
    assert torch.equal(shares, torch.eye(3)[labels])
    assert shares.dtype == torch.float32
    cut, shares = cutmix(images, labels, alpha=0, generator=gen(), classes=3)
    assert torch.equal(cut, images)
    assert torch.equal(shares, torch.eye(3)[labels])


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 4), st.floats(0.05, 5))
def test_the_mass_of_labels_is_one(seed: int, n: int, classes: int, alpha: float):
    labels = gen(seed).integers(0, classes, n)
    images = gen(seed).random((n, 7, 5, 3)).astype(np.float32)
    for function in (mixup, cutmix):
        mixed, shares = function(images, labels, alpha=alpha, generator=gen(seed), classes=classes)
        assert shares.shape == (n, classes)
        assert mixed.shape == images.shape
        assert mixed.dtype == shares.dtype == np.float32
        assert np.allclose(shares.sum(1), 1, atol=1e-6)
        assert (shares >= 0).all()


def test_soft_labels_may_come_in():
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    _, mixed = mixup(plain(2), shares, alpha=1, generator=gen(4))
    assert mixed.sum(1).tolist() == pytest.approx([1, 1])
    assert mixed.sum().item() == pytest.approx(2)


# -- cutmix -----------------------------------------------------------------------------------------------------------


class Fixed(np.random.Generator):
    """Draws that a test says: lam, the permutation and the centre of the box."""

    def __init__(self, lam: float, order: list[int], centre: tuple[int, int]) -> None:
        super().__init__(np.random.Philox(0))
        self.said = lam, order, centre

    def beta(self, *_: Any) -> Any:
        return self.said[0]

    def permutation(self, *_: Any) -> Any:
        return np.array(self.said[1])

    def integers(self, *_: Any) -> Any:
        return np.array(self.said[2])


@pytest.mark.parametrize(
    ("lam", "centre", "box", "stays"),
    [
        (0.75, (16, 16), (8, 24, 8, 24), 0.75),
        (0.75, (0, 0), (0, 8, 0, 8), 0.9375),
        (0.5, (16, 16), (5, 27, 5, 27), 0.52734375),
        (1.0, (16, 16), (16, 16, 16, 16), 1.0),
        (0.0, (16, 16), (0, 32, 0, 32), 0.0),
    ],
)
def test_cutmix_counts_labels_by_the_true_area(
    lam: float, centre: tuple[int, int], box: tuple[int, int, int, int], stays: float
):
    images = plain(2, 32, 3)
    mixed, shares = cutmix(images, torch.tensor([0, 1]), generator=Fixed(lam, [1, 0], centre), classes=2)
    y0, y1, x0, x1 = box
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[y0:y1, x0:x1] = True
    assert torch.equal(mixed[0], inside.float().expand(3, 32, 32))
    assert torch.equal(mixed[1], (~inside).float().expand(3, 32, 32))
    assert shares.tolist() == [[stays, 1 - stays], [1 - stays, stays]]
    assert numbers(images) == [0, 1]


@given(st.integers(0, 10**6), st.integers(2, 20), st.integers(2, 20))
def test_the_share_is_what_can_be_counted(seed: int, height: int, width: int):
    images = np.zeros((2, height, width, 3), np.uint8)
    images[1] = 1
    mixed, shares = cutmix(images, np.array([0, 1]), generator=gen(seed), classes=2)
    assert mixed.dtype == np.uint8
    assert shares[0, 1] == pytest.approx(mixed[0].mean(), abs=1e-6)
    assert shares[1, 0] == pytest.approx(1 - mixed[1].mean(), abs=1e-6)


# -- MixGen -----------------------------------------------------------------------------------------------------------


def test_mixgen_mixes_the_first_pairs_with_those_further_on():
    images, texts = plain(5), ["a", "b", "c", "d", "e"]
    mixed, joined = mixgen(images, texts, 2, lam=0.75)
    assert numbers(mixed) == [0.5, 1.5, 2, 3, 4]
    assert joined == ["a c", "b d", "c", "d", "e"]
    assert numbers(images) == [0, 1, 2, 3, 4]
    assert texts == ["a", "b", "c", "d", "e"]
    assert mixed is not images
    assert numbers(mixgen(images, texts, 2)[0]) == [1, 2, 2, 3, 4]


def test_mixgen_at_its_ends():
    images, texts = torch.rand(4, 3, 2, 2), ["a", "b", "c", "d"]
    same, joined = mixgen(images, texts, 2, lam=1)
    assert torch.equal(same, images)
    assert joined == ["a c", "b d", "c", "d"]
    same, joined = mixgen(images, texts, 0)
    assert torch.equal(same, images)
    assert joined == texts


def test_mixgen_batch_reads_partners_as_they_were():
    seed = next(s for s in range(1000) if gen(s).permutation(4).tolist() == [1, 0, 3, 2])
    images, texts = plain(4), ["a", "b", "c", "d"]
    mixed, joined = mixgen_batch(images, texts, generator=gen(seed))
    assert numbers(mixed) == [0.5, 0.5, 2.5, 2.5]
    assert joined == ["a b", "b a", "c d", "d c"]
    assert numbers(images) == [0, 1, 2, 3]
    assert texts == ["a", "b", "c", "d"]


# -- Cut-Switch -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.5, 1.0]))
def test_cut_switch_loses_no_pixel(seed: int, count: int, height: int, width: int, p: float):
    scene = [gen(seed + m).random((3, 2, height, width)) for m in range(count)]
    given_ = [torch.tensor(m) for m in scene]
    out = cut_switch(given_, p=p, generator=gen(seed))
    before, after = np.stack(scene), np.stack([m.numpy() for m in out])
    assert np.array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    assert all(np.array_equal(m.numpy(), s) for m, s in zip(given_, scene))
    for item in range(3):
        moved = (before[:, item] != after[:, item]).any(axis=(0, 1))
        if moved.any():  # one box, and in it no pixel of all modalities stays
            ys, xs = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
            assert moved[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].all()


def test_cut_switch_switches_whom_it_should():
    two = [torch.zeros(400, 1, 8, 8), torch.ones(400, 1, 8, 8)]
    assert all(torch.equal(a, b) for a, b in zip(cut_switch(two, p=0, generator=gen()), two))
    half = cut_switch(two, p=0.5, generator=gen())[0].reshape(400, -1)
    assert 0.35 < (half.sum(1) > 0).float().mean() < 0.5  # half of them, but for boxes of no pixel
    [alone] = cut_switch(two[1:], p=1, generator=gen())
    assert torch.equal(alone, two[1])
    arrays = [np.zeros((6, 8, 8, 3), np.uint8), np.ones((6, 8, 8, 3), np.uint8)]
    first, second = cut_switch(arrays, p=1, generator=gen())
    assert (first + second == 1).all()
    assert first.any()
    assert not arrays[0].any()


# -- both kinds, devices, types, gradients ----------------------------------------------------------------------------


def test_arrays_and_tensors_are_mixed_alike():
    channels_last = gen(1).random((6, 9, 7, 3)).astype(np.float32)
    tensor = torch.from_numpy(channels_last).permute(0, 3, 1, 2)
    labels = np.array([0, 1, 2, 0, 1, 2])
    for function in (mixup, cutmix):
        array, of_array = function(channels_last, labels, alpha=0.4, generator=gen(3), classes=3)
        mixed, of_tensor = function(tensor, torch.from_numpy(labels), alpha=0.4, generator=gen(3), classes=3)
        assert np.allclose(mixed.permute(0, 2, 3, 1).numpy(), array)
        assert np.allclose(of_tensor.numpy(), of_array)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_type_of_float_stays(dtype: Any):
    images = torch.rand(4, 3, 8, 8).to(dtype)
    labels = torch.tensor([0, 1, 0, 1])
    torch_gen = torch.Generator().manual_seed(0)
    assert mixup(images, labels, alpha=1, generator=torch_gen, classes=2)[0].dtype == dtype
    assert cutmix(images, labels, generator=torch_gen, classes=2)[0].dtype == dtype
    assert mixgen(images, list("abcd"), 2)[0].dtype == dtype
    assert mixgen_batch(images, list("abcd"), generator=torch_gen)[0].dtype == dtype
    assert cut_switch([images, images], generator=torch_gen)[0].dtype == dtype


def test_a_torch_generator_decides_and_moves_on():
    images, labels = torch.rand(8, 3, 8, 8), torch.arange(8)

    def twice(seed: int) -> list[Any]:
        generator = torch.Generator().manual_seed(seed)
        return [mixup(images, labels, alpha=1, generator=generator, classes=8)[0] for _ in range(2)]

    one, again, other = twice(0), twice(0), twice(1)
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other[0])


def test_gradients_flow_by_what_was_mixed():
    images = torch.rand(4, 1, 2, 2, requires_grad=True)
    mixgen(images, list("abcd"), 1, lam=0.75)[0][0].sum().backward()
    assert numbers(images.grad) == [0.75, 0.25, 0, 0]
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    mixed, _ = cutmix(images, torch.tensor([0, 1]), generator=Fixed(0.75, [1, 0], (4, 4)), classes=2)
    mixed[0].sum().backward()
    assert images.grad.sum(dim=(1, 2, 3)).tolist() == [48, 16]
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    cut_switch([images, torch.zeros(2, 1, 8, 8)], p=1, generator=gen(2))[1].sum().backward()
    assert 0 < images.grad.sum() < 128
    images = torch.rand(4, 3, requires_grad=True)  # features, not images
    labels = torch.tensor([0, 1, 0, 1])
    mixed, shares = mixup(images, labels, alpha=1, generator=gen(), classes=2)
    torch.nn.functional.cross_entropy(mixed @ torch.rand(3, 2), shares).backward()
    assert images.grad.abs().sum() > 0


def test_inside_of_what_is_compiled_they_do_the_same():
    images = torch.rand(4, 3, 8, 8)

    def step(first: Any, second: Any, draws: Any) -> Any:
        switched = cut_switch([first, second], p=1, generator=draws)
        return mixgen(switched[0] * 2 + switched[1], list("abcd"), 2)

    fast = torch.compile(step, backend="eager")
    for seed in (0, 1):  # the second draws another box, which is no constant of what was compiled
        wanted, joined = step(images, -images, torch.Generator().manual_seed(seed))
        mixed, said = fast(images, -images, torch.Generator().manual_seed(seed))
        assert torch.equal(mixed, wanted)
        assert said == joined == ["a c", "b d", "c", "d"]
    whole = torch.compile(lambda images: mixgen(images, list("abcd"), 2)[0], backend="eager", fullgraph=True)
    assert torch.equal(whole(images), mixgen(images, list("abcd"), 2)[0])


# -- errors -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_mixed_says_so():
    images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 1])
    wrong = [
        (lambda: mixup(images.byte(), labels, alpha=1, generator=gen(), classes=3), "mixup mixes floats.*torch.uint8"),
        (lambda: mixgen(images.byte(), list("abcd"), 1), "mixgen mixes floats"),
        (lambda: mixgen(images, list("abcd"), 3), "mixgen of 3 pairs .* the batch holds 4 pairs"),
        (lambda: mixgen(images, list("abcd"), -1), "mixgen of -1 pairs"),
        (lambda: mixgen(images, list("abc"), 1), "4 images and 3 texts"),
        (lambda: mixgen(images, list("abcd"), 1, lam=1.5), "lam is 1.5"),
        (lambda: mixup(images, labels, alpha=1, generator=gen()), "how many classes there are is not said"),
        (lambda: mixup(images, labels, alpha=1, generator=gen(), classes=2), "labels go from 0 to 2; 2 classes"),
        (lambda: mixup(images, labels[:3], alpha=1, generator=gen(), classes=3), "4 images and 3 labels"),
        (lambda: mixup(images, labels.float(), alpha=1, generator=gen()), "n whole numbers or n x k floats"),
        (lambda: mixup(images, labels, alpha=-1, generator=gen(), classes=3), "alpha is -1"),
        (lambda: mixup(images, labels, alpha=1, generator=7, classes=3), "generator is of type int"),
        (lambda: cutmix(images[0], labels[:3], generator=gen(), classes=3), "n x channels x height x width"),
        (lambda: cut_switch([images, images[:, :1]], generator=gen()), r"one shape and type.*\(4, 1, 8, 8\)"),
        (lambda: cut_switch([images, images.half()], generator=gen()), "one shape and type"),
        (lambda: cut_switch([], generator=gen()), "got none"),
        (lambda: cut_switch([images], p=2, generator=gen()), "p is 2"),
    ]
    for call, said in wrong:
        with pytest.raises(DataError, match=said):
            call()

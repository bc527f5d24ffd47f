"""SLUMA's losses: what is sure counts, and what is alike is pulled together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from leaven.train import distance_smoothing, pseudo_label_loss  # noqa: E402

PLACE = st.floats(-2, 2, width=32)
SURE, UNSURE = [4.0, 0.0], [0.1, 0.0]


def test_only_sure_rows_count():
    logits = torch.tensor([SURE, UNSURE], requires_grad=True)
    loss = pseudo_label_loss(logits, 0.9)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-4)) / 2, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].tolist() == [0.0, 0.0]
    assert pseudo_label_loss(logits, 0.999).item() == 0.0
    assert pseudo_label_loss(logits[:0], 0.5).item() == 0.0
    probability = 1 / (1 + math.exp(-4))
    assert pseudo_label_loss(torch.tensor([SURE], dtype=torch.float64), probability).item() == 0.0  # above, not at


def test_a_teacher_says_the_labels_and_learns_nothing():
    student = torch.tensor([[0.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[0.0, 5.0]], requires_grad=True)
    loss = pseudo_label_loss(student, 0.9, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.tolist() == [[0.5, -0.5]]


def test_the_distances_of_a_triple():
    x = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    alike = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    # i = 0: j = 1 at .3, k = 2 at .5; i = 1: j = 0 at .3, k = 2 at sqrt(.34)
    far = math.sqrt(0.34)
    each = [(0.09 + (1 - k) ** 2) / (1 + math.exp(0.3 - k)) for k in (0.5, far)]
    assert distance_smoothing(x, alike).item() == pytest.approx(sum(each) / 2)
    assert distance_smoothing(x, alike, margin=0.4).item() == pytest.approx(
        sum(0.09 / (1 + math.exp(0.3 - k)) for k in (0.5, far)) / 2
    )


def test_it_is_nothing_where_all_is_well():
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]], requires_grad=True)
    alike = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    loss = distance_smoothing(x, alike)
    assert loss.item() == 0.0
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert distance_smoothing(torch.ones(3, 2)).item() == 0.0  # all alike: nothing to push
    with pytest.raises(ValueError, match="n x d"):
        distance_smoothing(torch.ones(3, 2), torch.ones(2, 2, dtype=torch.bool))


def test_who_is_alike_is_read_off_the_cosines():
    x = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]])
    alike = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    assert distance_smoothing(x).item() == distance_smoothing(x, alike).item() > 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(PLACE, PLACE), min_size=2, max_size=5), st.integers(0, 9))
def test_it_is_never_below_nothing_and_learns(points: list[tuple[float, float]], seed: int):
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    luck = torch.rand(len(points), len(points), generator=torch.Generator().manual_seed(seed))
    alike = (luck + luck.T) > 1
    loss = distance_smoothing(x, alike)
    assert loss.item() >= 0
    loss.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_compiled_it_is_the_same():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for loss in (distance_smoothing, lambda x: pseudo_label_loss(x, 0.5)):
        assert torch.compile(loss, backend="eager", fullgraph=True)(x).item() == pytest.approx(loss(x).item())

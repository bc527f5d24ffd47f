"""CFT-CLIP's loss: the worked values of its fact sheet, and what may change it."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from leaven.train import counterfactual_loss  # noqa: E402


def rows(*angles: float) -> torch.Tensor:
    return torch.tensor([[math.cos(a), math.sin(a)] for a in angles], dtype=torch.float64)


def test_worked_values():
    same = rows(0, 0)
    assert counterfactual_loss(same, same, same).item() == pytest.approx(math.log(4))
    assert counterfactual_loss(same[:1], same[:1], 3 * same[:1]).item() == pytest.approx(math.log(2))
    # Cosines: .3 with its own text, .2 with the other, .25 and .2 with the counterfactual ones; both images are alike.
    image = torch.eye(5, dtype=torch.float64)[:1].repeat(2, 1)

    def at(cosine: float, axis: int) -> torch.Tensor:
        found = torch.zeros(5, dtype=torch.float64)
        found[0], found[axis] = cosine, (1 - cosine**2) ** 0.5
        return found

    texts, negatives = torch.stack([at(0.3, 1), at(0.2, 2)]), torch.stack([at(0.25, 3), at(0.2, 4)])
    logits = torch.tensor([0.3, 0.2, 0.25, 0.2], dtype=torch.float64) / 0.05
    first, second = (-(logits.log_softmax(0))[i].item() for i in (0, 1))
    assert first == pytest.approx(0.4938, abs=5e-5)
    assert counterfactual_loss(image, texts, negatives).item() == pytest.approx((first + second) / 2)


def test_a_text_in_place_of_its_negative_costs_and_an_order_does_not():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    texts = images + 0.3 * torch.randn(6, 8, generator=generator, dtype=torch.float64)
    negatives = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    loss = counterfactual_loss(images, texts, negatives)
    swapped, other = texts.clone(), negatives.clone()
    swapped[2], other[2] = negatives[2], texts[2]
    assert counterfactual_loss(images, swapped, other) > loss
    assert counterfactual_loss(images, texts, negatives.flip(0)).item() == pytest.approx(loss.item())


def test_gradients_reach_all_three():
    given = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(counterfactual_loss, given)
    with pytest.raises(ValueError, match="three B x d"):
        counterfactual_loss(given[0], given[1], given[2][:2])

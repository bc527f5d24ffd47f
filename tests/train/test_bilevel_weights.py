"""SunGen's weights with a student of torch: its losses, its cut, and the gradient beside that of a linear student."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from leaven.models.backends import bilevel  # noqa: E402
from leaven.train import Batches, BilevelWeights, alone, fit, reverse_cross_entropy  # noqa: E402


@pytest.mark.parametrize(("logits", "y", "loss"), [((2, 0), 0, 0.596037), ((2, 0), 1, 4.404008), ((0, 0), 0, 2.500023)])
def test_the_outer_loss(logits: tuple[float, float], y: int, loss: float):
    found = reverse_cross_entropy(torch.tensor([logits], dtype=torch.float64), torch.tensor([y]))
    assert found.tolist() == [pytest.approx(loss, abs=1e-6)]
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: reverse_cross_entropy(x, torch.tensor([0, 1, 2, 0])), (x,))


def test_the_cut_and_the_beginning():
    weights = BilevelWeights(torch.zeros(10, dtype=torch.long))
    assert weights().tolist() == [0.5] * 10
    assert weights.heaviest().all()
    with torch.no_grad():
        weights.theta.copy_(torch.logit(torch.tensor([0.9, 0.8, 0.8, 0.1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])))
    assert (~weights.heaviest()).nonzero().flatten().tolist() == [3]
    assert weights(torch.tensor([0, 3])).tolist() == pytest.approx([0.9, 0.1])
    drawn = BilevelWeights(torch.zeros(10, dtype=torch.long), outer=4, generator=torch.Generator().manual_seed(0))
    assert len(set(drawn.outer.tolist())) == 4
    with pytest.raises(ValueError, match="n whole numbers"):
        BilevelWeights(torch.zeros(3))
    with pytest.raises(ValueError, match="share is above 0"):
        BilevelWeights(torch.zeros(3, dtype=torch.long), share=0)


def test_labels_in_fewer_bits():
    x = torch.eye(2).repeat(2, 1)
    found = []
    for kind in (torch.int32, torch.int64):
        net, weights = nn.Linear(2, 2), BilevelWeights(torch.tensor([0, 1, 1, 1], dtype=kind))
        nn.init.eye_(net.weight)
        nn.init.zeros_(net.bias)
        weights.backward(lambda rows, net=net: net(x[rows]), net.parameters())
        assert weights.theta.grad is not None
        found.append(weights.theta.grad.tolist())
    assert found[0] == found[1] != [0.0] * 4


def test_the_gradient_is_that_of_the_linear_student_in_numpy():
    rng = np.random.default_rng(0)
    n, k = 12, 3
    X, y, theta = rng.standard_normal((n, 4)), rng.integers(0, k, n), rng.normal(size=n)
    net = nn.Linear(4, k).double()
    unused = nn.Parameter(torch.ones(1))
    weights = BilevelWeights(torch.from_numpy(y), rate=1e-4).double()
    with torch.no_grad():
        weights.theta.copy_(torch.from_numpy(theta))
    before = [p.detach().clone() for p in net.parameters()]
    loss = weights.backward(lambda rows: net(torch.from_numpy(X)[rows]), [*net.parameters(), unused], batch=5)
    table = np.vstack([net.weight.detach().numpy().T, net.bias.detach().numpy()])
    w = bilevel.sigmoid(theta)
    towards = bilevel.outer_gradient(X, y, np.flatnonzero(bilevel.chosen(w, 0.9)), table)
    wanted = bilevel.through_a_step(X, y, w, table, towards, 1e-4)
    assert weights.theta.grad is not None
    assert weights.theta.grad.numpy() == pytest.approx(wanted, rel=1e-6)
    chosen = bilevel.chosen(w, 0.9)
    scores = X[chosen] @ table[:-1] + table[-1]
    assert float(loss) == pytest.approx(bilevel.reverse_cross_entropy(scores, y[chosen]).mean(), rel=1e-6)
    assert all(p.grad is None and torch.equal(p, was) for p, was in zip(net.parameters(), before, strict=True))


def test_the_gradient_is_clipped():
    weights = BilevelWeights(torch.tensor([0, 1]), rate=1e9)
    net = nn.Linear(2, 2)
    weights.backward(lambda rows: net(torch.eye(2)[rows]), net.parameters())
    assert weights.theta.grad is not None
    assert weights.theta.grad.norm().item() == pytest.approx(3.0)


def found(seed: int) -> torch.Tensor:
    """One flipped row among its neighbours, and a student that is not linear."""
    x, y = torch.eye(2).repeat(20, 1), torch.tensor([0, 1]).repeat(20)
    y[0] = 1
    with alone(seed):
        net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        first = {name: value.clone() for name, value in net.state_dict().items()}
        weights = BilevelWeights(y)
        outer = torch.optim.Adam([weights.theta], lr=0.25)

        def loss(rows: torch.Tensor) -> torch.Tensor:
            return (
                weights(rows).detach() * nn.functional.cross_entropy(net(x[rows]), y[rows], reduction="none")
            ).mean()

        for _ in range(6):
            net.load_state_dict(first)
            fit(loss, torch.optim.Adam(net.parameters(), lr=1e-2), Batches(40, 32, seed=seed), steps=60)
            weights.backward(lambda rows: net(x[rows]), net.parameters())
            outer.step()
    return weights().detach()


def test_a_flipped_row_weighs_less_than_its_neighbours():
    weights = found(0)
    assert weights[0] < 0.3 < 0.5 < weights[2::2].min()
    assert torch.equal(found(0), weights)


def test_its_state_goes_with_it():
    one = BilevelWeights(torch.tensor([0, 1, 1]), outer=2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one.theta.add_(torch.tensor([1.0, -1.0, 0.5]))
    other = BilevelWeights(torch.tensor([1, 1, 1]), outer=2)
    other.load_state_dict(one.state_dict())
    assert other().tolist() == one().tolist()
    assert other.outer.tolist() == one.outer.tolist()
    compiled = torch.compile(one, backend="eager", fullgraph=True)
    assert compiled(torch.tensor([2, 0])).tolist() == one(torch.tensor([2, 0])).tolist()

"""The small training loop: so many steps, each loss for its own parameters, the same numbers twice."""

from __future__ import annotations

from itertools import islice

import pytest

torch = pytest.importorskip("torch")

from leaven.train import Batches, alone, fit, jensen_shannon, normal_kl, scale_gradient, warm_and_fall  # noqa: E402


def batches(*args: int, n: int = 4, **more: object) -> list[list[int]]:
    return [rows.tolist() for rows in islice(Batches(*args, **more), n)]  # type: ignore[arg-type]


def test_batches_show_every_row_once_an_epoch():
    first, second, third, fourth = batches(5, 2, seed=0)
    assert [len(some) for some in (first, second, third, fourth)] == [2, 2, 1, 2]
    assert sorted(first + second + third) == [0, 1, 2, 3, 4]
    assert batches(5, 2, seed=0) == [first, second, third, fourth]
    assert batches(5, 2, seed=1) != [first, second, third, fourth]
    assert [len(some) for some in batches(5, 2, seed=0, whole=True)] == [2, 2, 2, 2]
    assert batches(2, 8, seed=0, n=1)[0] in ([0, 1], [1, 0])


def test_batches_by_weights():
    drawn = [row for some in batches(3, 3, seed=0, n=200, weights=[1, 0, 3]) for row in some]
    assert set(drawn) == {0, 2}
    assert 0.7 < drawn.count(2) / len(drawn) < 0.8
    with pytest.raises(ValueError, match="weights are 3 numbers from 0"):
        Batches(3, 1, seed=0, weights=[1, 2])
    with pytest.raises(ValueError, match="not all of them 0"):
        Batches(3, 1, seed=0, weights=[0, 0, 0])
    with pytest.raises(ValueError, match="0 rows"):
        Batches(0, 1, seed=0)


def line(seed: int = 0) -> tuple[list[list[float]], torch.Tensor]:
    """y = 2 x + 1, learned from ten rows."""
    with alone(seed):
        net = torch.nn.Linear(1, 1)
        x = torch.arange(10.0)[:, None] / 10
        optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
        told: list[int] = []
        losses = fit(
            lambda rows: (net(x[rows]) - 2 * x[rows] - 1).square().mean(),
            optimiser,
            Batches(10, 5, seed=seed),
            steps=60,
            told=lambda step, losses: told.append(step),
        )
    assert told == list(range(1, 61))
    return losses, torch.cat([p.detach().flatten() for p in net.parameters()])


def test_it_learns_and_leaves_torchs_numbers_alone():
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    losses, weights = line()
    assert torch.equal(torch.rand(1), wanted)
    assert len(losses) == 60
    assert losses[-1][0] < 0.01 < losses[0][0]
    assert torch.allclose(weights, torch.tensor([2.0, 1.0]), atol=0.2)
    again, same = line()
    assert (again, same.tolist()) == (losses, weights.tolist())
    assert line(1)[1].tolist() != weights.tolist()


def test_each_of_several_losses_moves_its_own_parameters_alone():
    a, b = (torch.nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    optimisers = [torch.optim.SGD([p], lr=0.1) for p in (a, b)]

    def loss(rows: torch.Tensor) -> list[torch.Tensor]:
        return [(a * b).sum(), -(a * b).sum()]  # a wants it small, b large

    found = fit(loss, optimisers, Batches(1, 1, seed=0), steps=1, schedule=flat, clip=None)
    assert found == [[1.0, -1.0]]
    assert a.item() == pytest.approx(0.9)  # by b as it was, for both were read before either moved
    assert b.item() == pytest.approx(1.1)
    with pytest.raises(ValueError, match="2 losses for 1 optimisers"):
        fit(loss, optimisers[0], Batches(1, 1, seed=0), steps=1)


def test_what_is_frozen_stays_beside_several_losses():
    a, frozen, b = (torch.nn.Parameter(torch.tensor([1.0])) for _ in range(3))
    frozen.requires_grad_(False)
    optimisers = [torch.optim.SGD([a, frozen], lr=0.1), torch.optim.SGD([b], lr=0.1)]
    fit(
        lambda rows: [(a * frozen).sum(), (2 * b).sum()],
        optimisers,
        Batches(1, 1, seed=0),
        steps=1,
        schedule=flat,
        clip=None,
    )
    assert [p.item() for p in (a, frozen, b)] == pytest.approx([0.9, 1.0, 0.8])


def flat(optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0)


def test_gradients_are_clipped_and_batches_begin_anew():
    p = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([p], lr=1.0)
    seen: list[int] = []

    def loss(batch: int) -> torch.Tensor:
        seen.append(batch)
        return (p * torch.tensor([30.0, 40.0])).sum()

    fit(loss, optimiser, [7, 8], steps=3, schedule=flat, clip=0.5)
    assert seen == [7, 8, 7]
    assert p.tolist() == pytest.approx([-0.9, -1.2], abs=1e-5)  # three steps of 0.5 along (0.6, 0.8)
    with pytest.raises(ValueError, match="no batches"):
        fit(loss, optimiser, [], steps=1)
    with pytest.raises(ValueError, match="do not begin anew: give a loader or a list"):
        fit(loss, optimiser, iter([7, 8]), steps=3)


def test_a_loss_that_is_no_number_ends_it():
    p = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(FloatingPointError, match="at step 0: try a lower rate"):
        fit(lambda rows: (p * float("nan")).sum(), torch.optim.SGD([p], lr=0.1), Batches(1, 1, seed=0), steps=2)


def test_the_rate_rises_and_falls():
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=2.0)
    later, rates = warm_and_fall(10, warm=0.2)(optimiser), []
    for _ in range(11):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        later.step()
    assert rates[:3] == [1.0, 2.0, 2.0]
    assert rates[6] == pytest.approx(1.0)
    assert rates[10] == pytest.approx(0.0)


def test_gradients_turned_around():
    p = torch.tensor(2.0, requires_grad=True)
    z = scale_gradient(3 * p, -1e-4)
    assert z.item() == 6.0
    (5 * z).backward()
    assert p.grad is not None
    assert p.grad.item() == pytest.approx(-0.0015)


def test_divergences():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert jensen_shannon(a, b).tolist() == pytest.approx([0.11094], abs=1e-5)
    assert jensen_shannon(a, a).tolist() == [0.0]
    assert jensen_shannon(torch.tensor([200.0, 0.0]), torch.tensor([0.0, 200.0])).item() == pytest.approx(0.693147)
    assert normal_kl(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0.0, 0.0]
    assert normal_kl(torch.tensor([1.0]), torch.tensor([0.0])).item() == 0.5
    far = torch.tensor([300.0, 0.0], requires_grad=True)
    jensen_shannon(far, torch.tensor([0.0, 300.0])).backward()
    assert far.grad is not None
    assert far.grad.isfinite().all()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(jensen_shannon, (x, x.detach() + torch.arange(3.0).double()))


def test_the_divergence_where_probabilities_are_nothing():
    a, b = torch.tensor([[0.0, 30.0, -200.0]]), torch.tensor([[0.0, 30.0, -torch.inf]])
    found = jensen_shannon(a.half(), a.half())
    assert (found.dtype, found.tolist()) == (torch.float32, [0.0])
    assert jensen_shannon(b, b).tolist() == [0.0]
    assert jensen_shannon(torch.tensor([0.0, -torch.inf]), torch.tensor([-torch.inf, 0.0])).item() == pytest.approx(
        0.693147
    )
    b.requires_grad_()
    jensen_shannon(b, a + torch.tensor([5.0, 0.0, 0.0])).sum().backward()
    assert b.grad is not None
    assert b.grad.isfinite().all()
    try:
        torch.set_flush_denormal(True)  # as some compiled kernels do
        assert jensen_shannon(a, a).tolist() == [0.0]
    finally:
        torch.set_flush_denormal(False)

"""GAN-BERT: its losses worked by hand, who learns from which, and that the generated rows come to lie with the real."""

from __future__ import annotations

from math import log

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from leaven.train import Batches, GanBert, alone, fit  # noqa: E402

LABELS = torch.tensor([0, 1, 2, -100, -100, -100])


def vectors(rows: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


def gan(seed: int = 0, dropout: float = 0.1) -> GanBert:
    torch.manual_seed(seed)
    return GanBert(8, 3, dropout=dropout)


def by_hand() -> GanBert:
    """Features are the vectors themselves; what is generated is (3, 1); p(generated) is .2 of (1, .) and .6 of that."""
    net = GanBert(2, 2, hidden=2, dropout=0.0)
    with torch.no_grad():
        for one in net.parameters():
            one.zero_()
        net.generator[-1].bias.copy_(torch.tensor([3.0, 1.0]))
        net.discriminator.inside[1].weight.copy_(torch.eye(2))
        slope = log(6) / 2
        net.discriminator.out.weight[2, 0] = slope
        net.discriminator.out.bias.copy_(torch.tensor([log(0.5), log(0.3), log(0.2) - slope]))
    return net


def test_the_losses_worked_by_hand():
    net, x = by_hand(), torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 5.0]])
    found = [one.item() for one in net(x, torch.tensor([0, 1, -100]))]
    supervised = -(log(0.5 / 0.8) + log(0.3 / 0.8)) / 2
    assert found[0] == pytest.approx(supervised - log(1 - 0.2) - log(0.6), abs=1e-5) == pytest.approx(1.459387)
    assert found[1] == pytest.approx(-log(1 - 0.6) + (3 - 1) ** 2 + (1 - 3) ** 2, abs=1e-5)  # means (3, 1), (1, 3)
    none = net(x, torch.tensor([-100, -100, -100]))[0]
    assert none.item() == pytest.approx(-log(0.8) - log(0.6), abs=1e-5)
    assert net.classify(x).softmax(1)[0].tolist() == pytest.approx([0.625, 0.375])


def test_the_widths_of_the_paper():
    net = GanBert(768, 5)
    assert [tuple(p.shape) for p in net.generator.parameters() if p.ndim == 2] == [(768, 100), (768, 768)]
    assert [tuple(p.shape) for p in net.discriminator.parameters() if p.ndim == 2] == [(768, 768), (6, 768)]
    kept = [one for one in net.modules() if isinstance(one, (nn.LeakyReLU, nn.Dropout))]
    assert {one.negative_slope for one in kept if isinstance(one, nn.LeakyReLU)} == {0.2}
    assert [one.p for one in kept if isinstance(one, nn.Dropout)] == [0.1, 0.1, 0.1]


def test_each_loss_reaches_its_own_half():
    net, x = gan(dropout=0.0), vectors().requires_grad_()
    first, second = net(x, LABELS)
    first.backward(retain_graph=True)
    assert all(p.grad is None for p in net.generator.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.discriminator.parameters())
    assert x.grad.abs().sum() > 0
    was = [p.grad.clone() for p in net.discriminator.parameters()] + [x.grad.clone()]
    second.backward()
    assert all(p.grad.abs().sum() > 0 for p in net.generator.parameters())
    kept = [p.grad for p in net.discriminator.parameters()] + [x.grad]
    assert all(torch.equal(a, b) for a, b in zip(was, kept, strict=True))


def test_the_gradients_are_those_of_the_losses():
    net, x = gan(dropout=0.0).double(), vectors().double()

    def first(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return net(x, LABELS[1:4])[0]

    with alone(0):
        assert torch.autograd.gradcheck(first, (x[:3].requires_grad_(),))
    torch.manual_seed(1)
    found = torch.autograd.grad(net(x, LABELS)[1], net.generator[-1].bias)[0]
    torch.manual_seed(1)
    made = net.generated(6)
    (seen, said), (real, _) = net.discriminator(made), net.discriminator(x)
    plain = (seen.mean(0) - real.mean(0)).square().sum() - (1 - said.softmax(1)[:, -1]).log().mean()
    assert found.tolist() == pytest.approx(torch.autograd.grad(plain, net.generator[-1].bias)[0].tolist())


def trained(seed: int) -> tuple[GanBert, Tensor]:
    """Two heaps, three rows of each with a label, 200 without."""
    places = torch.tensor([[2.0, 0.0], [2.0, 3.0]])
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(206) % 2
    x = places[labels] + 0.3 * torch.randn(206, 2, generator=draws)
    known = torch.where(torch.arange(206) < 6, labels, -100)
    with alone(seed):
        net = GanBert(2, 2, hidden=16)
        halves = [torch.optim.Adam(half.parameters(), 5e-3) for half in (net.discriminator, net.generator)]
        fit(lambda rows: net(x[rows], known[rows]), halves, Batches(206, 64, seed=seed), steps=120)
        net.eval()
        with torch.no_grad():
            assert (net.classify(x).argmax(1) == labels).float().mean() > 0.95
            return net, net.generated(200)


def test_what_is_generated_comes_to_lie_with_the_real():
    net, made = trained(0)
    assert made.mean(0).tolist() == pytest.approx([2.0, 1.5], abs=0.5)
    assert torch.equal(trained(0)[1], made)
    other = GanBert(2, 2, hidden=16)
    other.load_state_dict(net.state_dict())
    other.eval()
    x = torch.eye(2)
    assert torch.equal(other.classify(x), net.classify(x))


def test_dropout_is_of_training_alone():
    net, x = gan(dropout=0.5), vectors()
    assert not torch.equal(net.classify(x), net.classify(x))
    net.eval()
    assert torch.equal(net.classify(x), net.classify(x))


def test_compiled_and_in_bfloat16():
    net, x = gan(), vectors()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.manual_seed(1)
    found = compiled(x, LABELS)
    torch.manual_seed(1)
    plain = net(x, LABELS)
    assert [one.item() for one in found] == [one.item() for one in plain]
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = net(x, LABELS)
    assert [one.item() for one in coarse] == pytest.approx([one.item() for one in plain], rel=0.05)


@pytest.mark.parametrize(("x", "y"), [((6, 7), 6), ((6, 8), 5), ((2, 3, 8), 2)])
def test_shapes_that_do_not_fit(x: tuple[int, ...], y: int):
    with pytest.raises(ValueError, match="n x 8 vectors and n labels: got"):
        gan()(torch.zeros(x), torch.zeros(y, dtype=torch.long))

"""An adversary that tells made from real: its loss worked by hand, its gradient turned around, and what it is for."""

from __future__ import annotations

from math import log

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy  # noqa: E402

from leaven.train import DomainAdversary, alone, fit, reversal_schedule  # noqa: E402

MADE = torch.tensor([True, False, True, False, False, False])


def features(seed: int = 0) -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))


def adversary() -> DomainAdversary:
    torch.manual_seed(0)
    return DomainAdversary(4)


def test_the_loss_worked_by_hand():
    net = adversary()
    with torch.no_grad():
        net.net[-1].weight.zero_()
        net.net[-1].bias.fill_(log(4))  # every row is made with probability .8
    x = features()
    assert net(x, MADE).item() == pytest.approx(-(2 * log(0.8) + 4 * log(0.2)) / 6)
    sides = torch.where(MADE, 1 / 2, 1 / 4)
    assert net(x, MADE, weights=sides).item() == pytest.approx(-(log(0.8) + log(0.2)) / 2)
    assert net(x, MADE.long(), weights=3 * sides).item() == pytest.approx(-(log(0.8) + log(0.2)) / 2)


@pytest.mark.parametrize("reversal", [1.0, 0.25, 0.0])
def test_the_gradient_is_turned_around_for_the_features_alone(reversal: float):
    net, x = adversary().double(), features().double().requires_grad_()
    net(x, MADE, reversal=reversal).backward()
    plain = binary_cross_entropy_with_logits(net.net(x)[:, 0], MADE.double())
    towards, *own = torch.autograd.grad(plain, [x, *net.parameters()])
    assert x.grad.flatten().tolist() == pytest.approx((-reversal * towards).flatten().tolist())
    assert (x.grad == 0).all() == (reversal == 0)
    for p, wanted in zip(net.parameters(), own, strict=True):
        assert p.grad.flatten().tolist() == pytest.approx(wanted.flatten().tolist())


@pytest.mark.parametrize(("progress", "wanted"), [(0, 0), (0.1, 0.462117), (0.5, 0.986614), (1, 0.999909)])
def test_the_schedule(progress: float, wanted: float):
    assert reversal_schedule(progress) == pytest.approx(wanted, abs=1e-6)


def told(reversal: float) -> tuple[float, float, float]:
    """What the adversary's loss is in the end, how much of the side goes into the features, and the share right.

    Of a row the second number is the label; the first says which side it is of.
    """
    draws = torch.Generator().manual_seed(0)
    labels, made = torch.arange(240) % 2, torch.arange(240) % 4 > 1
    x = 0.5 * torch.randn(240, 2, generator=draws)
    x += torch.stack([4.0 * made, 2.0 * labels - 1], 1)
    with alone(0):
        encoder, head, net = nn.Linear(2, 4), nn.Linear(4, 2), DomainAdversary(4, hidden=16)
        every = [p for part in (encoder, head, net) for p in part.parameters()]
        losses = []

        def loss(_: int) -> Tensor:
            z = encoder(x)
            losses.append(net(z, made, reversal=reversal))
            return cross_entropy(head(z), labels) + losses[-1]

        fit(loss, torch.optim.SGD(every, 0.3), [0], steps=150)
        right = (head(encoder(x)).argmax(1) == labels).float().mean()
    return losses[-1].item(), encoder.weight[:, 0].norm().item(), right.item()


def test_the_sides_come_together_and_the_labels_stay():
    seen, hidden = told(0.0), told(1.0)
    assert seen[0] < 0.2
    assert hidden[0] == pytest.approx(log(2), abs=0.02)  # a guess
    assert hidden[1] < seen[1] / 3
    assert hidden[2] > 0.95
    assert told(1.0) == hidden


def test_state_compiled_and_in_bfloat16():
    net, x = adversary(), features()
    other = DomainAdversary(4)
    other.load_state_dict(net.state_dict())
    plain = net(x, MADE).item()
    assert other(x, MADE).item() == plain
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert compiled(x, MADE, reversal=0.5).item() == plain
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x, MADE).item() == pytest.approx(plain, rel=0.02)


def test_shapes_that_do_not_fit():
    net = adversary()
    with pytest.raises(ValueError, match=r"n x 4 features and n of made: got \(6, 3\) and \(6,\)"):
        net(torch.zeros(6, 3), MADE)
    with pytest.raises(ValueError, match=r"n x 4 features and n of made: got \(5, 4\) and \(6,\)"):
        net(torch.zeros(5, 4), MADE)
    with pytest.raises(ValueError, match=r"6 weights, one a row: got \(1,\)"):
        net(features(), MADE, weights=torch.ones(1))

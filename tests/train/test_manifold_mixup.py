"""Manifold mixup by hooks: what is mixed, by how much, and that the net is as it was afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from leaven.train import ManifoldMixup  # noqa: E402

LABELS = torch.tensor([0, 1, 2, 0])


def net_of() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 3))


def hooks(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def drawn(seed: int, layers: int, rows: int, alpha: float = 2.0) -> tuple[int, float, Tensor]:
    rng = np.random.default_rng(seed)
    return int(rng.integers(layers)), float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(rows))


def upto(net: nn.Sequential, stop: int, x: Tensor) -> tuple[Tensor, nn.Module]:
    return net[:stop](x), net[stop:]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), name=st.sampled_from(["", "0", "2", "3"]), alpha=st.sampled_from([0.2, 2.0]))
def test_one_layer_is_mixed_as_the_labels_are(seed, name, alpha):
    net, x = net_of().double(), torch.randn(4, 5, dtype=torch.float64)
    mix = ManifoldMixup(net, [name], alpha=alpha, classes=3, generator=np.random.default_rng(seed))
    with mix(LABELS) as shares:
        found = net(x)
    _, lam, order = drawn(seed, 1, 4, alpha)
    before, rest = upto(net, int(name) + 1 if name else 0, x)
    assert torch.allclose(found, rest(lam * before + (1 - lam) * before[order]))
    one_hot = torch.eye(3)[LABELS]
    assert torch.allclose(shares, lam * one_hot + (1 - lam) * one_hot[order])
    assert torch.allclose(shares.sum(1), torch.ones(4))


def test_layers_are_drawn_evenly_and_lam_is_of_beta_2_2():
    net, counts, lams = net_of(), {"": 0, "0": 0, "2.0": 0}, []
    x = torch.randn(2, 5)
    mix = ManifoldMixup(net, list(counts), classes=2, generator=torch.Generator().manual_seed(0))
    for _ in range(600):
        with mix(torch.tensor([0, 1])) as shares:
            name = next(n for n, m in net.named_modules() if m._forward_hooks or m._forward_pre_hooks)
            counts[name] += 1
            net(x)
        lams.append(shares[0, 0].item())
    assert all(150 < count < 250 for count in counts.values())
    mixed = [lam for lam in lams if lam < 1]  # half of the permutations of two leave all in place
    assert 0.4 < len(mixed) / 600 < 0.6
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.03)
    assert np.var(mixed) == pytest.approx(0.05, abs=0.01)


def test_the_net_is_as_it_was():
    net, x = net_of(), torch.randn(4, 5)
    plain = net(x)
    mix = ManifoldMixup(net, ["", "0", "2"], classes=3, generator=torch.Generator().manual_seed(0))
    for _ in range(6):
        with mix(LABELS):
            net(x)
            assert hooks(net) == 1
        assert hooks(net) == 0
    with pytest.raises(RuntimeError), mix(LABELS):
        net(torch.randn(4, 6))  # a wrong width: an error of the net itself
    assert hooks(net) == 0
    assert torch.equal(net(x), plain)


def test_what_cannot_be_mixed_is_told():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.pair, self.unused = nn.Linear(2, 2), nn.LSTM(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.pair(x)
            return self.inside(self.inside(x))

    net, x = Twice(), torch.randn(4, 2)

    def of(name: str, x: Tensor = x) -> None:
        with ManifoldMixup(net, [name], classes=3, generator=np.random.default_rng(0))(LABELS):
            net(x)
        assert hooks(net) == 0

    with pytest.raises(ValueError, match="a second pass in the block, or a net that runs what layer 'inside' gives"):
        of("inside")
    with pytest.raises(ValueError, match="what layer 'pair' gives is tuple, and mixing needs floats of 4 rows"):
        of("pair")
    with pytest.raises(ValueError, match="the pass did not come by what layer 'unused' gives"):
        of("unused")
    with pytest.raises(ValueError, match=r"goes into the net is torch.int64 \(4, 2\)"):
        of("", x.long())
    with pytest.raises(ValueError, match=r"goes into the net is torch.float32 \(3, 2\)"):
        of("", x[:3])
    assert hooks(net) == 0
    with pytest.raises(ValueError, match="no layer 'insides'; it has inside, pair, unused"):
        ManifoldMixup(net, ["insides"], generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="one layer or more, alpha above 0"):
        ManifoldMixup(net, ["inside"], alpha=0, generator=np.random.default_rng(0))


def test_gradients_come_from_both_rows():
    net, x = net_of().double(), torch.randn(4, 5, dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor) -> Tensor:
        with ManifoldMixup(net, ["2"], classes=3, generator=np.random.default_rng(1))(LABELS) as shares:
            found = net(x)
        return cross_entropy(found, shares.double())

    assert torch.autograd.gradcheck(loss, [x])
    order = drawn(1, 1, 4)[2].tolist()
    i = next(i for i in range(4) if order[i] != i)
    with ManifoldMixup(net, ["2"], classes=3, generator=np.random.default_rng(1))(LABELS):
        found = net(x)
    (slope,) = torch.autograd.grad(found[i].sum(), x)
    assert [row for row in range(4) if slope[row].abs().max() > 0] == sorted({i, order[i]})


def test_a_compiled_net_does_not_go_by_unmixed():
    """What was compiled before does not look for hooks: labels would be mixed, and rows not."""
    net, x = net_of(), torch.randn(4, 5)
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager")
    plain = compiled(x)
    mix = ManifoldMixup(net, ["0"], classes=3, generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="run the net, not compiled, in the block"), mix(LABELS):
        compiled(x)
    assert torch.equal(compiled(x), plain)

"""Statistics noise (DSU), MixStyle and importance: what becomes of means and spreads, and of gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from leaven.train import MixStyle, StatisticsNoise, feature_importance  # noqa: E402

BOTH = [StatisticsNoise, MixStyle]


def maps(rows: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    scale = torch.rand(rows, 3, 1, 1, generator=drawn, dtype=dtype) + 0.5
    shift = torch.randn(rows, 3, 1, 1, generator=drawn, dtype=dtype)
    return torch.randn(rows, 3, 8, 8, generator=drawn, dtype=dtype) * scale + shift


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean((2, 3)), x.std((2, 3), correction=0)


def normal(x: Tensor) -> Tensor:
    mean, spread = statistics(x)
    return (x - mean[..., None, None]) / spread[..., None, None]


@pytest.mark.parametrize("kind", BOTH)
def test_only_means_and_spreads_change(kind):
    torch.manual_seed(0)
    x = maps()
    out = kind(p=1)(x)
    assert not torch.allclose(out, x)
    old, new = normal(x), normal(out)
    signs = torch.sign((old * new).sum((2, 3), keepdim=True))  # DSU may draw a spread below 0
    torch.testing.assert_close(new * signs, old, rtol=1e-4, atol=1e-4)


def test_noise_of_statistics_is_as_wide_as_the_batch_spreads():
    torch.manual_seed(0)
    x, module = maps(4), StatisticsNoise(p=1)
    mean, _ = statistics(x)
    means = torch.stack([statistics(module(x))[0] for _ in range(1500)])
    torch.testing.assert_close(means.mean(0), mean, atol=0.12, rtol=0)
    wide = mean.std(0, correction=0).expand(4, 3)
    torch.testing.assert_close(means.std(0), wide, rtol=0.08, atol=0)


def test_noise_by_the_formula():
    x = torch.tensor([[[0.0, 2.0]], [[4.0, 8.0]]], dtype=torch.float64)  # means 1 and 6, spreads 1 and 2
    torch.manual_seed(5)
    out = StatisticsNoise(p=1)(x)
    torch.manual_seed(5)
    b, a = torch.randn(2, 1, 1, dtype=torch.float64), torch.randn(2, 1, 1, dtype=torch.float64)
    wanted = torch.stack(
        [
            (1 + a[0] * 0.5) * torch.tensor([[-1.0, 1.0]]) + 1 + b[0] * 2.5,
            (2 + a[1] * 0.5) * torch.tensor([[-1.0, 1.0]]) + 6 + b[1] * 2.5,
        ]
    )
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-5)


def test_styles_lie_between_those_of_two_rows():
    x = torch.tensor([[[0.0, 2.0]], [[4.0, 8.0]]], dtype=torch.float64)
    seen = set()
    torch.manual_seed(1)
    for _ in range(40):
        out = MixStyle(p=1, alpha=1.0)(x)
        mean, spread = out.mean(2).flatten(), out.std(2, correction=0).flatten()
        lam = (6 - mean) / 5  # of the first row's statistics
        torch.testing.assert_close(spread, 1 * lam + 2 * (1 - lam), rtol=1e-5, atol=1e-5)
        assert ((lam > -1e-6) & (lam < 1 + 1e-6)).all()
        seen.add(bool((mean - torch.tensor([1.0, 6.0])).abs().max() < 1e-9))
    assert seen == {True, False}  # half of the permutations of two leave all in place


def test_styles_are_mixed_by_beta_a_tenth():
    torch.manual_seed(0)
    x = torch.zeros(3000, 1, 2, dtype=torch.float64)
    x[::2] = 1
    shares = MixStyle(p=1)(x)[:, 0].mean(1)  # of rows with a partner of the other kind, lam or 1 - lam
    lams = shares[(shares > 0) & (shares < 1)]
    assert 1400 < len(lams) < 1600
    assert lams.mean().item() == pytest.approx(0.5, abs=0.04)
    assert lams.var().item() == pytest.approx(0.2083, abs=0.02)


@pytest.mark.parametrize("kind", BOTH)
def test_half_of_the_batches_and_none_in_eval(kind):
    torch.manual_seed(0)
    x, module = maps(), kind()
    changed = sum(not torch.equal(module(x), x) for _ in range(400))
    assert 150 < changed < 250
    assert torch.equal(kind(p=0)(x), x)
    module.train(False)
    assert all(module(x) is x for _ in range(5))
    assert module.state_dict() == {}


@pytest.mark.parametrize("kind", BOTH)
def test_the_same_seed_the_same_maps_compiled_too(kind):
    x, module = maps(dtype=torch.float32), kind(p=1)
    found = []
    for run in (module, module, torch.compile(module, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(4)
        found.append(run(x))
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize("kind", BOTH)
def test_in_16_bits_statistics_are_taken_in_32(kind):
    x = maps(dtype=torch.float32)
    torch.manual_seed(2)
    whole = kind(p=1)(x.bfloat16().float())
    torch.manual_seed(2)
    halves = kind(p=1)(x.bfloat16())
    assert halves.dtype == torch.bfloat16
    torch.testing.assert_close(halves, whole.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert kind(p=1)(nn.Conv2d(3, 4, 1)(x)).dtype == torch.bfloat16


def seeded(module: nn.Module) -> object:
    def run(x: Tensor) -> Tensor:
        torch.manual_seed(9)
        return module(x)

    return run


def test_gradients():
    x = maps(2)[:, :2, :2, :2].requires_grad_()
    assert torch.autograd.gradcheck(seeded(StatisticsNoise(p=1)), x)
    torch.manual_seed(4)
    mixed, weights = MixStyle(p=1)(x), maps(2, seed=1)[:, :2, :2, :2]
    assert not torch.allclose(mixed, x)
    slope = (mixed.std((2, 3), correction=0) / x.std((2, 3), correction=0)).detach()
    (mixed * weights).sum().backward()  # nothing but the scale of a channel: its statistics are constants
    torch.testing.assert_close(x.grad, slope[..., None, None] * weights, rtol=1e-4, atol=1e-4)
    flat = torch.zeros(3, 2, 4, 4, requires_grad=True)  # spreads of 0
    for kind in BOTH:
        kind(p=1)(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_one_row_keeps_its_style():
    torch.manual_seed(0)
    x = maps(1)
    torch.testing.assert_close(MixStyle(p=1)(x), x)
    torch.testing.assert_close(StatisticsNoise(p=1)(x), x, atol=0.02, rtol=0)


def test_importance_is_gradient_times_feature():
    x = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]], requires_grad=True)
    weight = nn.Parameter(torch.tensor([3.0, -1.0, 0.0]))
    loss = (x * weight).sum()
    assert feature_importance(loss, x).tolist() == [[3, 2, 0], [0, 1, 0]]
    assert x.grad is None
    assert weight.grad is None
    loss.backward()
    assert weight.grad.tolist() == [1, 1, 7]
    own = torch.tensor([[[1.0, -1.0], [2.0, 2.0]]], requires_grad=True)
    assert feature_importance(3 * own.sum(), own).tolist() == [[0, 12]]
    assert not feature_importance(own.sum(), own).requires_grad


def test_what_is_wrong_is_said():
    for kind in BOTH:
        for x in (torch.rand(4, 3), torch.ones(4, 3, 2, dtype=torch.long)):
            with pytest.raises(ValueError, match="B x C x"):
                kind()(x)
        with pytest.raises(ValueError, match="chance"):
            kind(p=1.5)
    with pytest.raises(ValueError, match="above 0"):
        MixStyle(alpha=0)
    x = torch.rand(2, 3)
    with pytest.raises(ValueError, match="no gradient"):
        feature_importance(x.sum(), x)
    own = x.clone().requires_grad_()
    with pytest.raises(ValueError, match="not computed"):
        feature_importance(torch.ones(2, requires_grad=True).sum(), own)
    with pytest.raises(ValueError, match="scalar"):
        feature_importance(own.sum(1), own)

"""Views by diffusion: the schedule's closed form, nothing changed at no strength, and views that keep the condition."""

from __future__ import annotations

from functools import cache
from math import cos, exp, log, pi

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from leaven.train import Batches, DiffusionViews, alone, fit, info_nce  # noqa: E402
from leaven.train.diffusion_views import cosine_schedule  # noqa: E402


def rows(n: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def views(**more: object) -> DiffusionViews:
    torch.manual_seed(0)
    return DiffusionViews(4, 2, hidden=16, **more)


def drawn(net: DiffusionViews, x: Tensor, seed: int = 0, **more: object) -> Tensor:
    with alone(0):
        return net.draw(x, x[:, :2], generator=torch.Generator().manual_seed(seed), **more)


def test_the_schedule_has_a_closed_form():
    signal = cosine_schedule(100)
    assert len(signal) == 101
    assert signal[0] == 1.0
    assert signal[50].item() == pytest.approx(cos(0.508 / 1.008 * pi / 2) ** 2 / cos(0.008 / 1.008 * pi / 2) ** 2)
    assert signal[50].item() == pytest.approx(0.493846, abs=1e-5)
    assert signal[100].item() == pytest.approx(0, abs=1e-9)
    assert (signal.diff() < 0).all()
    with pytest.raises(ValueError, match="steps are 1 or more: got 0"):
        cosine_schedule(0)


def test_the_loss_is_how_far_off_the_vector_is():
    net = views(mean=1.0, std=2.0, steps=1)  # all noise
    with torch.no_grad():
        net.out[1].bias.fill_(-0.5)  # whatever it sees, it takes the vector for .5
    x = torch.tensor([[1.0, 3.0, -1.0, 1.0]])  # 0, 1, -1, 0 in units of std about the mean
    assert net(x, x[:, :2]).item() == pytest.approx((0.25 + 0.25 + 2.25 + 0.25) / 4)
    assert drawn(net, x).flatten().tolist() == pytest.approx([2.0] * 4, abs=1e-5)


def test_the_loss_is_that_of_v():
    net, x = views(steps=10), rows()
    with torch.no_grad():
        net.out[1].weight.normal_()
    torch.manual_seed(5)
    found = net(x, x[:, :2]).item()
    torch.manual_seed(5)
    at, kept, noise = torch.randint(1, 11, (6,)), torch.rand(6) >= 0.1, torch.randn(6, 4)
    share = cosine_schedule(10)[at][:, None]
    seen = share.sqrt() * x + (1 - share).sqrt() * noise
    wanted = share.sqrt() * noise - (1 - share).sqrt() * x
    v = (share.sqrt() * seen - net.denoised(seen, at, x[:, :2], kept)) / (1 - share).sqrt()
    assert found == pytest.approx((v - wanted).square().mean().item(), rel=1e-4)


def test_no_strength_changes_nothing_and_little_changes_little():
    net, x = views(), rows()
    same = drawn(net, x, strength=0.0)
    assert torch.equal(same, x)
    assert same is not x
    assert torch.equal(drawn(net, x, strength=0.004), x)  # rounds to no level
    assert 0 < (drawn(net, x, strength=0.01) - x).abs().max() < 0.2


def test_a_net_that_knows_the_vector_gives_it_back(monkeypatch: pytest.MonkeyPatch):
    net, x = views(), rows()
    monkeypatch.setattr(net, "denoised", lambda seen, at, condition, kept: x)
    for steps in (1, 7, 200):
        assert drawn(net, x, steps=steps).flatten().tolist() == pytest.approx(x.flatten().tolist(), abs=1e-5)


def test_seeds():
    net, x = views(), rows()
    assert torch.equal(drawn(net, x, 1), drawn(net, x, 1))
    assert not torch.equal(drawn(net, x, 1), drawn(net, x, 2))
    torch.manual_seed(3)
    first = net.draw(x, x[:, :2])
    torch.manual_seed(3)
    assert torch.equal(net.draw(x, x[:, :2]), first)


def test_gradients_stay_inside():
    net, x = views(), rows().requires_grad_()
    encoder = nn.Linear(4, 2)
    net(x, encoder(x)).backward()
    assert x.grad is None
    assert encoder.weight.grad is None
    assert all(p.grad is not None for p in net.parameters())
    assert not net.draw(x, encoder(x)).requires_grad


def test_the_condition_counts_unless_it_is_left_out():
    net, x = learnt()[0], rows()
    conditions = (x[:, :2], -x[:, :2], torch.zeros(6, 2), None)
    found = [net.draw(x, one, steps=5, generator=torch.Generator().manual_seed(0)) for one in conditions]
    assert all(not torch.equal(found[i], found[j]) for i in range(4) for j in range(i))
    at, kept = torch.ones(6, dtype=torch.long), torch.zeros(6, dtype=torch.bool)
    assert torch.equal(net.denoised(x, at, x[:, :2], kept), net.denoised(x, at, -x[:, :2], kept))


def test_what_it_is_told_of_the_noise_counts():
    net, x = learnt()[0], rows()
    kept, share = torch.ones(6, dtype=torch.bool), cosine_schedule(100)
    v = []
    for level in (20, 80):
        clean = net.denoised(x, torch.full((6,), level), x[:, :2], kept)
        v.append((share[level].sqrt() * x - clean) / (1 - share[level]).sqrt())
    assert (v[0] - v[1]).abs().max() > 0.1


@cache
def learnt() -> tuple[DiffusionViews, Tensor]:
    """Two numbers that are the condition, and two of which nothing is said."""
    x = rows(400) * torch.tensor([1.0, 1.0, 1.0, 0.2]) + torch.tensor([0.0, 0.0, 5.0, 0.0])
    with alone(0):
        net = DiffusionViews(4, 2, mean=x.mean(0), std=x.std(0), hidden=32)
        fit(
            lambda some: net(x[some], x[some][:, :2]),
            torch.optim.Adam(net.parameters(), 1e-2),
            Batches(400, 100, seed=0),
            steps=200,
        )
    return net, x


def test_views_keep_the_condition_and_are_free_in_the_rest():
    net, x = learnt()
    made = drawn(net, x)
    alike = [torch.corrcoef(torch.stack([made[:, i], x[:, i]]))[0, 1].item() for i in range(4)]
    assert min(alike[:2]) > 0.9 > 0.3 > max(map(abs, alike[2:]))
    assert made.mean(0).tolist() == pytest.approx([0, 0, 5, 0], abs=0.25)
    assert (made.std(0) / x.std(0)).tolist() == pytest.approx([1] * 4, abs=0.3)
    far = [(drawn(net, x, strength=s) - x).norm(dim=1).mean().item() for s in (0.1, 0.3, 0.6, 1.0)]
    assert far == sorted(far)


def test_state_compiled_and_in_bfloat16():
    net, x = learnt()[0], rows()
    other = DiffusionViews(4, 2, hidden=32)
    other.load_state_dict(net.state_dict())
    assert torch.equal(drawn(other, x), drawn(net, x))
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.manual_seed(1)
    plain = net(x, x[:, :2]).item()
    torch.manual_seed(1)
    assert compiled(x, x[:, :2]).item() == plain
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x, x[:, :2]).item() == pytest.approx(plain, rel=0.05)


def test_a_whole_model_in_bfloat16():
    net, x = views().bfloat16(), torch.randn(500, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert net(x, x[:, :2]).isfinite()
    assert drawn(net, x, steps=100).isfinite().all()


def test_the_mean_that_is_given_is_a_number():
    encoder = nn.Linear(4, 4)
    z = encoder(rows())
    net = views(mean=z.mean(0), std=z.std())
    assert not net.mean.requires_grad
    assert not net.std.requires_grad
    for _ in range(2):
        net(z, z[:, :2]).backward()
    assert encoder.weight.grad is None


def test_the_contrastive_loss():
    one = torch.eye(2, dtype=torch.float64)
    assert info_nce(one, 3 * one, temperature=1.0).item() == pytest.approx(log(1 + exp(-1)))
    assert info_nce(one, one).item() == pytest.approx(log(1 + exp(-10)))
    assert info_nce(one, one.flip(0), temperature=1.0).item() == pytest.approx(log(1 + exp(1)))
    x, y = rows(3).double().requires_grad_(), rows(3, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(info_nce, (x, y))
    with pytest.raises(ValueError, match=r"n x d twice: got \(2, 2\) and \(3, 4\)"):
        info_nce(one, rows(3))


def test_what_does_not_fit():
    net, x = views(), rows()
    with pytest.raises(ValueError, match=r"n x 4 vectors and n x 2 of the condition: got \(6, 4\) and \(6, 3\)"):
        net(x, x[:, :3])
    with pytest.raises(ValueError, match=r"got \(6, 4\) and \(1, 2\)"):
        net.draw(x, x[:1, :2])
    with pytest.raises(ValueError, match=r"strength is from 0 to 1 and steps 1 or more: got 1\.5 and 20"):
        net.draw(x, strength=1.5)
    with pytest.raises(ValueError, match="std is above 0 in every place"):
        DiffusionViews(4, 2, std=torch.tensor([1.0, 0.0, 1.0, 1.0]))

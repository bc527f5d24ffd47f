"""TMMDA: which token comes from where, who learns from which loss, and that both adversaries move."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from leaven.train import TMMDA, alone, fit, jensen_shannon, token_mix  # noqa: E402

WIDTHS = (16, 5, 3)


def drawn(seed: int) -> Any:
    return torch.Generator().manual_seed(seed)


def sources(b: int, t: int, d: int = 4) -> list[Tensor]:
    """Tokens that say whose they are and at which place: 1000, 2000 and 3000 plus the place."""
    places = torch.arange(float(b * t)).reshape(b, t, 1).expand(b, t, d)
    return [1000 * m + places for m in (1, 2, 3)]


def whose(tokens: Tensor) -> Tensor:
    """1 text, 2 visual, 3 acoustic, 0 a pad: B x T; each token must be one of these as a whole."""
    b, t, _ = tokens.shape
    assert bool((tokens == tokens[..., :1]).all())
    found = tokens[..., 0]
    owner = (found // 1000).long()
    places = torch.arange(b * t).reshape(b, t)
    assert torch.equal(found - 1000 * owner, torch.where(owner > 0, places, 0).float())
    return owner


def module(seed: int = 0, **given_: Any) -> TMMDA:
    torch.manual_seed(seed)
    return TMMDA(WIDTHS, **given_)


def inputs(b: int = 3, t: int = 5, *, dtype: Any = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """With lengths t, t - 1, ... and numbers at the pads too."""
    tokens = (torch.randn(b, t, width, generator=drawn(width), dtype=dtype) for width in WIDTHS)
    mask = torch.arange(t) < (t - torch.arange(b))[:, None]
    return (*tokens, mask)  # type: ignore[return-value]


# -- the mixing -------------------------------------------------------------------------------------------------------


def test_each_token_by_its_draw():
    mask = torch.tensor([[True] * 7 + [False]])
    three = [whose(m)[0].tolist() for m in token_mix(*sources(1, 8), mask, generator=drawn(4))]
    u = torch.rand((1, 8), generator=drawn(4))[0].tolist()
    kinds = ["above" if x > 0.85 else "below" if x < 0.15 else "own" for x in u[:7]] + ["pad"]
    assert {"above", "below", "own"} <= set(kinds)
    wanted = {"own": (1, 2, 3), "above": (2, 1, 2), "below": (3, 3, 1), "pad": (0, 0, 0)}
    assert list(zip(*three, strict=True)) == [wanted[kind] for kind in kinds]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), b=st.integers(1, 4), t=st.integers(1, 9), rho1=st.floats(0, 1))
def test_one_draw_for_all_three_and_pads_0(seed: int, b: int, t: int, rho1: float):
    mask = torch.rand(b, t, generator=drawn(seed)) < 0.7
    how = {"rho1": rho1, "rho2": rho1 / 2}
    text, visual, acoustic = map(whose, token_mix(*sources(b, t), mask, **how, generator=drawn(seed)))
    for own, other in ((visual, {1: 2, 2: 1, 3: 3, 0: 0}), (acoustic, {1: 3, 2: 2, 3: 1, 0: 0})):
        assert torch.equal(own, text.clone().apply_(lambda k, other=other: other[int(k)]))
    assert torch.equal(text == 0, ~mask)


def test_rho_1_and_0_leave_everything():
    given_ = sources(3, 50)
    mask = torch.ones(3, 50, dtype=torch.bool)
    for own, mixed in zip(given_, token_mix(*given_, mask, rho1=1, rho2=0), strict=True):
        assert torch.equal(own, mixed)


def test_70_15_15_of_a_hundred_thousand():
    given_ = [torch.full((100, 1000, 1), float(m)) for m in (1, 2, 3)]
    three = token_mix(*given_, torch.ones(100, 1000, dtype=torch.bool), generator=drawn(0))
    for mixed, order in zip(three, ((1, 2, 3), (2, 1, 3), (3, 2, 1)), strict=True):
        shares = [(mixed == k).double().mean().item() for k in order]
        assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.01)


def test_the_same_seed_draws_the_same_and_types_stay():
    given_, mask = [one.bfloat16() for one in sources(2, 6)], torch.ones(2, 6, dtype=torch.bool)
    once, again, other = (token_mix(*given_, mask, generator=drawn(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0])
    assert once[0].dtype == torch.bfloat16
    torch.manual_seed(3)
    own = token_mix(*given_, mask)
    torch.manual_seed(3)
    assert torch.equal(own[1], token_mix(*given_, mask)[1])


def test_gradients_go_to_whom_a_token_came_from():
    given_ = [one.double().requires_grad_() for one in sources(2, 6, 2)]
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    mixed = token_mix(*given_, mask, generator=drawn(4))
    mixed[0].sum().backward()
    for k, own in enumerate(given_, 1):
        assert torch.equal(own.grad[..., 0] == 1, whose(mixed[0].detach()) == k)
        assert set(own.grad.flatten().tolist()) <= {0.0, 1.0}
    assert torch.autograd.gradcheck(lambda *three: token_mix(*three, mask, generator=drawn(4)), given_)


# -- the module -------------------------------------------------------------------------------------------------------


def test_shapes_pads_and_the_mask():
    fused = module()(*inputs())
    assert fused.tokens.shape == (3, 15, 16)
    assert fused.mask.tolist() == [[True] * 15, ([True] * 4 + [False]) * 3, ([True] * 3 + [False] * 2) * 3]
    assert fused.tokens[~fused.mask].abs().sum() == 0
    assert fused.tokens[fused.mask].abs().min() > 0


def test_what_stands_at_pads_changes_nothing():
    text, visual, acoustic, mask = inputs()
    for mode in (True, False):
        net = module().train(mode)
        results = []
        for pad in (0.0, 7.0, float("nan")):
            torch.manual_seed(5)
            given_ = (torch.where(mask[..., None], one, pad) for one in (text, visual, acoustic))
            results.append(net(*given_, mask))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert torch.equal(a, b)


def test_an_item_alone_is_what_it_is_in_a_batch():
    text, visual, acoustic, mask = inputs()
    net = module().eval()
    whole = net(text, visual, acoustic, mask)
    for i, length in enumerate((5, 4, 3)):
        single = net(*(one[i : i + 1, :length] for one in (text, visual, acoustic, mask)))
        assert torch.allclose(whole.tokens[i][whole.mask[i]], single.tokens[0], atol=1e-5)


def test_what_is_read_where_attention_says_nothing():
    text, visual, acoustic, mask = inputs()
    net = module().eval()
    for own in net.attentions:
        nn.init.zeros_(own.out_proj.weight)
    net.together = Same()
    tokens = net(text, visual, acoustic, mask).tokens[0]
    assert torch.allclose(tokens[:5], 2 * text[0])
    assert torch.allclose(tokens[5:10], net.visual(visual)[0])
    assert torch.allclose(tokens[10:], net.acoustic(acoustic)[0])


class Same(nn.Module):
    def forward(self, tokens: Tensor, src_key_padding_mask: Tensor) -> Tensor:
        return tokens


def test_an_item_without_a_token_spoils_no_other():
    text, visual, acoustic, mask = inputs()
    net = module().eval()
    whole = net(text, visual, acoustic, mask).tokens
    mask[2] = False
    asked: list[bool] = []  # a softmax of nothing is not the same in every backend

    def some(_: nn.Module, given_: Any, how: dict[str, Any]) -> None:
        asked.append(not bool(how["key_padding_mask"].all(1).any()))

    for own in net.attentions:
        own.register_forward_pre_hook(some, with_kwargs=True)
    with torch.no_grad():
        fused = net(text, visual, acoustic, mask)
    assert asked == [True] * 3
    assert torch.allclose(fused.tokens[:2], whole[:2], atol=1e-6)
    assert fused.tokens[2].abs().sum() == 0
    none = net.train()(text, visual, acoustic, torch.zeros_like(mask))
    assert [one.item() for one in none[2:]] == [0.0, 0.0]


def test_losses_by_hand():
    """Nothing drawn: generators that give zeros, discriminators that say nothing, then ones that are sure."""
    net = module(dropout=0.0, noise=0.0, rho1=1.0, rho2=0.0)
    text, visual, acoustic, mask = inputs()
    for own in net.generators:
        nn.init.zeros_(own[-1].weight)
        nn.init.zeros_(own[-1].bias)
    for own in net.discriminators:
        nn.init.zeros_(own[-1].weight)
        nn.init.zeros_(own[-1].bias)
    fused = net(text, visual, acoustic, mask)
    assert fused.adversarial.item() == pytest.approx(2 * math.log(2), abs=1e-6)
    real = (text, net.visual(visual), net.acoustic(acoustic))
    apart = [jensen_shannon(own[mask], torch.zeros_like(own[mask])).mean() for own in real]
    assert fused.divergence.item() == pytest.approx(sum(apart).item() / 3, abs=1e-6)
    assert jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(0.11094, abs=5e-6)
    for own in net.discriminators:  # all tokens are said to be real by e^2 to 1
        own[-1].bias.data = torch.tensor([0.0, 2.0])
    said = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))
    assert net(text, visual, acoustic, mask).adversarial.item() == pytest.approx(said, abs=1e-5)


def grads(net: TMMDA, loss: Tensor, given_: tuple[Tensor, ...]) -> dict[str, bool]:
    net.zero_grad(set_to_none=True)
    for one in given_:
        one.grad = None
    loss.backward(retain_graph=True)
    names = ("generators", "discriminators", "attentions", "together", "visual", "acoustic")
    moved = {n: any(p.grad is not None and bool(p.grad.any()) for p in getattr(net, n).parameters()) for n in names}
    return moved | {"what comes in": any(one.grad is not None and bool(one.grad.any()) for one in given_)}


def test_each_loss_reaches_whom_it_should_and_nobody_else():
    *three, mask = inputs()
    given_ = tuple(one.requires_grad_() for one in three)
    net = module()
    fused = net(*given_, mask)
    reached = {
        "task": {n for n, moved in grads(net, fused.tokens.square().sum(), given_).items() if moved},
        "adversarial": {n for n, moved in grads(net, fused.adversarial, given_).items() if moved},
        "divergence": {n for n, moved in grads(net, fused.divergence, given_).items() if moved},
    }
    assert reached == {
        "task": {"generators", "attentions", "together", "visual", "acoustic", "what comes in"},
        "adversarial": {"generators", "discriminators"},
        "divergence": {"generators"},
    }
    assert all(one.grad is None for one in given_)  # not even zeros


def test_generators_climb_what_discriminators_descend():
    """A small step along the gradient of one of them alone, draws the same."""
    given_ = inputs(8, 6)

    def loss(net: TMMDA) -> Tensor:
        torch.manual_seed(9)
        return net(*given_).adversarial

    for name, sign in (("discriminators", -1), ("generators", 1)):
        net = module()
        before = loss(net)
        before.backward()
        with torch.no_grad():
            for p in getattr(net, name).parameters():
                p -= 0.1 * p.grad
            assert sign * (loss(net) - before).item() > 1e-4


def test_one_backward_trains_both():
    """Discriminators learn to see through generators that stand, generators to look real to those that stand."""
    given_ = inputs(8, 6)

    def course(part: str, name: str) -> tuple[float, float]:
        with alone(0):
            net = module()
            optimiser = torch.optim.Adam(getattr(net, part).parameters(), lr=1e-2)
            found = fit(lambda _: getattr(net(*given_), name), optimiser, [0], steps=20)
        return found[0][0], found[-1][0]

    first, last = course("discriminators", "adversarial")
    assert last < first - 0.2
    first, last = course("generators", "adversarial")
    assert last > first + 0.01
    first, last = course("generators", "divergence")
    assert last < 0.9 * first


def test_training_draws_and_eval_does_not():
    given_, net = inputs(), module()
    torch.manual_seed(1)
    once, other = net(*given_), net(*given_)
    torch.manual_seed(1)
    again = net(*given_)
    assert torch.equal(once.tokens, again.tokens)
    assert torch.equal(once.adversarial, again.adversarial)
    assert not torch.equal(once.tokens, other.tokens)
    net.eval()
    before = torch.get_rng_state()
    fused = net(*given_)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(fused.tokens, net(*given_).tokens)
    assert [one.item() for one in fused[2:]] == [0.0, 0.0]
    quiet = module(dropout=0.0, noise=0.0, rho1=1.0, rho2=0.0)  # training without draws: what eval mode gives
    loud = quiet(*given_).tokens
    assert torch.allclose(quiet.eval()(*given_).tokens, loud, atol=1e-6)
    assert not torch.allclose(module(dropout=0.0, noise=0.0)(*given_).tokens, loud, atol=1e-3)
    assert not torch.allclose(module(dropout=0.0, rho1=1.0, rho2=0.0)(*given_).tokens, loud, atol=1e-3)


def test_a_state_dict_brings_it_back():
    given_, net, other = inputs(), module(0).eval(), module(1).eval()
    assert not torch.equal(net(*given_).tokens, other(*given_).tokens)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(*given_).tokens, other(*given_).tokens)


def test_gradcheck_of_the_fusion():
    *three, mask = inputs(2, 2, dtype=torch.float64)
    net = module().double().eval()
    given_ = [one.requires_grad_() for one in three]
    assert torch.autograd.gradcheck(lambda *some: net(*some, mask).tokens, given_, fast_mode=True)


def test_compiled_it_is_the_same():
    given_, net = inputs(), module()
    fast = torch.compile(net, backend="eager", fullgraph=True)
    results = []
    for one in (net, fast):
        net.zero_grad()
        torch.manual_seed(2)
        fused = one(*given_)
        (fused.tokens.sum() + fused.adversarial + fused.divergence).backward()
        results.append([*fused, *(p.grad.clone() for p in net.parameters())])
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_in_bfloat16():
    given_, net = inputs(), module()
    with torch.autocast("cpu", torch.bfloat16):
        fused = net(*given_)
    assert fused.adversarial.dtype == fused.divergence.dtype == torch.float32
    (fused.tokens.float().sum() + fused.adversarial + fused.divergence).backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters())
    whole = module().bfloat16()(*(one.bfloat16() for one in given_[:3]), given_[3])
    assert whole.tokens.dtype == torch.bfloat16
    assert bool(whole.tokens.isfinite().all())


def test_shapes_that_do_not_fit_are_refused():
    text, visual, acoustic, mask = inputs()
    net = module()
    same = (text, text, text)
    wrong = [
        (lambda: token_mix(text, visual, acoustic, mask), r"of one shape: got \(3, 5, 16\), \(3, 5, 5\), \(3, 5, 3\)"),
        (lambda: token_mix(*same, mask.long()), r"B x T of bools.*got torch.int64 \(3, 5\)"),
        (lambda: token_mix(*same, mask, rho1=0.1, rho2=0.2), "0 <= rho2 <= rho1 <= 1: got 0.2 and 0.1"),
        (lambda: token_mix(text[0], text[0], text[0], mask), r"B x T x width, and a mask \(3, 5\): got \(5, 16\)"),
        (lambda: net(text[:, :4], visual, acoustic, mask), r"a mask \(3, 5\): got \(3, 4, 16\)"),
        (lambda: net(text, acoustic, visual, mask), r"B x T x 16, 5, 3: got \(3, 5, 16\), \(3, 5, 3\), \(3, 5, 5\)"),
        (lambda: TMMDA((12, 5, 3)), r"a multiple of 8 heads.*got \(12, 5, 3\)"),
        (lambda: TMMDA((16, 5)), r"got \(16, 5\)"),
    ]
    for call, said in wrong:
        with pytest.raises(ValueError, match=said):
            call()

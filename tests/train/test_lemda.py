"""LeMDA: the worked values of its fact sheet, who learns from what, and that the network moves at all."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import cross_entropy, mse_loss  # noqa: E402

from leaven.train import AttentionVae, LeMDA, MlpVae, alone, fit, scale_gradient  # noqa: E402
from leaven.train.lemda import consistency  # noqa: E402

KINDS = (MlpVae, AttentionVae)
LABELS = torch.tensor([0, 1, 0, 1, 1, 2])


def augmenter(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return MlpVae(3, 16) if kind is MlpVae else AttentionVae(3, 16, layers=1, feedforward=32)


def head_of(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


def features(seed: int = 2, rows: int = 6) -> Tensor:
    return torch.randn(rows, 3, 16, generator=torch.Generator().manual_seed(seed))


def moved(net: nn.Module, by: float = 0.05) -> nn.Module:
    """With a last layer that is no longer 0."""
    with torch.no_grad():
        net.decoder[-1].weight.normal_(std=by)
    return net


def far(net: nn.Module, z: Tensor) -> float:
    """The largest change in eval mode."""
    net.eval()
    with torch.no_grad():
        found = (net(z)[0] - z).abs().max().item()
    net.train()
    return found


def test_widths_of_the_paper():
    net = MlpVae(3, 768)
    assert net.widths == [1845, 1386, 927, 468]
    assert [tuple(p.shape) for p in net.parameters() if p.ndim == 2] == [
        (1845, 2304),
        (1386, 1845),
        (927, 1386),
        (468, 927),
        (8, 468),
        (8, 468),
        (468, 8),
        (927, 468),
        (1386, 927),
        (1845, 1386),
        (2304, 1845),
    ]
    assert [type(layer) for layer in net.encoder[0]] == [nn.LayerNorm, nn.Linear, nn.ReLU, nn.Dropout]
    assert [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)] == 8 * [0.5]
    with pytest.raises(ValueError, match="4 layers from 9 features down to 8: give fewer layers"):
        MlpVae(3, 3)


def test_attention_of_the_paper():
    net = AttentionVae(3, 16)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.TransformerEncoderLayer)]
    assert len(layers) == 8
    one = layers[0]
    assert (one.self_attn.num_heads, one.linear1.out_features, one.norm_first) == (8, 2048, True)
    assert one.self_attn.batch_first
    assert net(features())[1].shape == net(features())[2].shape == (6, 3, 8)
    with pytest.raises(ValueError, match="features of 12 numbers do not divide into 8 heads"):
        AttentionVae(3, 12)


def test_the_gradient_of_the_adversary_is_turned_around():
    p = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (5 * scale_gradient(3 * p, -1e-4)).backward()
    assert p.grad.item() == pytest.approx(-0.0015)


def test_consistency_is_the_kl_of_made_from_real_and_only_of_sure_rows():
    made, real = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert consistency(made, real, 0.5).item() == pytest.approx(0.06713, abs=5e-6)
    assert consistency(real, made, 0.5).item() == pytest.approx(0.08261, abs=5e-6)
    assert real.softmax(1).max().item() == pytest.approx(0.7311, abs=5e-5)
    assert consistency(made, real, 0.8).item() == 0.0
    two = consistency(made.repeat(2, 1), torch.tensor([[1.0, 0.0], [0.5, 0.0]]), 0.7)
    assert two.item() == pytest.approx(0.06713 / 2, abs=5e-6)  # the unsure row counts as 0 in the mean
    free = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    held = 3 * torch.randn(4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: consistency(a, held, 0.5), [free])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_at_first_and_something_after_a_few_steps(kind):
    net, head, z = augmenter(kind), head_of(), features()
    assert torch.equal(net(z)[0], z)
    lemda = LeMDA(net)
    optimisers = [torch.optim.AdamW(head.parameters(), 1e-4), torch.optim.Adam(lemda.parameters(), 1e-4, eps=1e-6)]
    fit(lambda rows: lemda(z[rows], LABELS[rows], head), optimisers, [torch.arange(6)], steps=5)
    assert 1e-6 < far(net, z) < 0.1


def test_the_published_last_unit_never_moves():
    """What the sheet found in the released code: a ReLU after a layer of zeros."""
    net, head, z = augmenter(MlpVae), head_of(), features()
    net.decoder.append(nn.ReLU())
    lemda = LeMDA(net)
    optimiser = torch.optim.Adam(lemda.parameters(), 1e-2)
    fit(lambda _: lemda(z, LABELS, head), optimiser, [0], steps=5)
    assert far(net, z) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_sum_it_says(kind):
    net, head, z = moved(augmenter(kind)), head_of(), features()
    lemda = LeMDA(net, adversarial=0.5, consistency=2.0, confidence=0.4, distance=3.0, prior=5.0, unimodal=7.0)
    alone_ = [torch.randn(6, 3), torch.randn(6, 3)]
    torch.manual_seed(3)
    found = lemda(z, LABELS, head, alone_)
    torch.manual_seed(3)
    made, mean, log_variance = net(z)
    kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / 6 / 8
    p, q = head(made).softmax(1), head(z).softmax(1)
    gate = (q.max(1).values > 0.4).float()
    assert 0 < gate.sum() < 6
    wanted = (
        (cross_entropy(head(z), LABELS) + cross_entropy(head(made), LABELS)) / 2
        + 7 * (cross_entropy(alone_[0], LABELS) + cross_entropy(alone_[1], LABELS))
        + 2 * (gate * (p * (p / q).log()).sum(1)).mean()
        + 3 * ((made - z) ** 2).mean()
        + 5 * kl
    )
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_each_learns_from_its_own_part():
    """The net from the task alone; the augmenter from its own terms, and from the task turned around."""
    net, head = moved(augmenter(AttentionVae)), head_of()
    encoder = nn.Linear(4, 48)
    x = torch.randn(6, 4)
    lemda = LeMDA(net, adversarial=0.5, consistency=2.0, confidence=0.0, distance=3.0, prior=5.0)

    def grads(loss: Tensor, of: nn.Module) -> list[Tensor]:
        return list(torch.autograd.grad(loss, list(of.parameters()), retain_graph=True))

    z = encoder(x).reshape(6, 3, 16)
    torch.manual_seed(3)
    found = lemda(z, LABELS, head)
    torch.manual_seed(3)
    made, mean, log_variance = net(z.detach())
    on_z, on_made = (cross_entropy(head(one), LABELS) / 2 for one in (z, made))
    kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / 6 / 8
    agree = consistency(head(made), head(z).detach(), 0.0)
    own = -0.5 * on_made + 2 * agree + 3 * ((made - z.detach()) ** 2).mean() + 5 * kl
    for part, of in ((on_z + on_made, head), (own, net), (on_z, encoder)):
        for seen, wanted in zip(grads(found, of), grads(part, of), strict=True):
            assert torch.allclose(seen, wanted, atol=1e-6)
            assert wanted.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_in_eval_mode_there_is_no_augmenter(kind):
    net, head, z = moved(augmenter(kind)), head_of(), features()
    lemda = LeMDA(net).eval()
    assert torch.equal(lemda(z, LABELS, head), cross_entropy(head(z), LABELS))
    with torch.no_grad():
        assert torch.equal(net(z)[0], net(z)[0])
    net.train()
    assert not torch.equal(net(z)[0], net(z)[0])
    with torch.no_grad():  # a Trainer asks for the loss of what it evaluates too
        assert LeMDA(net)(z, LABELS, head).isfinite()


def test_rows_do_not_see_each_other_and_modalities_do():
    net, z = moved(augmenter(AttentionVae)).eval(), features()
    other = z.clone()
    other[4] += 1.0 * features(5)[0]
    assert torch.allclose(net(other)[0][[0, 1, 2, 3, 5]], net(z)[0][[0, 1, 2, 3, 5]], atol=1e-6)
    other = z.clone()
    other[:, 2] += features(5)[:, 0]
    assert (net(other)[0][:, 0] - net(z)[0][:, 0]).abs().min(1).values.max() > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_flat_features_are_the_same(kind):
    net, z = moved(augmenter(kind)).eval(), features()
    assert torch.equal(net(z.flatten(1))[0], net(z)[0].flatten(1))
    with pytest.raises(ValueError, match=r"features are B x 3 x 16 or B x 48, not \(6, 16, 3\)"):
        net(z.transpose(1, 2))


def test_wrong_shapes_are_told():
    lemda, head = LeMDA(augmenter(MlpVae)), head_of()
    with pytest.raises(ValueError, match="features of 6 rows and labels of 5"):
        lemda(features(), LABELS[:5], head)
    with pytest.raises(ValueError, match=r"the head gives \(4, 3\) for labels of \(12,\)"):
        lemda(features(), LABELS, lambda z: head(z)[:4])
    with pytest.raises(ValueError, match=r"the head gives \(12, 1\) for labels of \(12,\)"):
        LeMDA(augmenter(MlpVae), regression=True)(features(), LABELS.float(), lambda z: head(z)[:, :1])


def test_shares_and_numbers():
    net, z = moved(augmenter(MlpVae)), features()
    shares = torch.eye(3)[LABELS]
    found = []
    for labels in (LABELS, shares):
        torch.manual_seed(3)
        found.append(LeMDA(net)(z, labels, head_of()).item())
    assert found[0] == pytest.approx(found[1])
    numbers, head = LABELS.float(), lambda z: z.flatten(1)[:, 0]
    lemda = LeMDA(net, regression=True, consistency=2.0, distance=0.0, prior=0.0)
    torch.manual_seed(3)
    loss = lemda(z, numbers, head)
    torch.manual_seed(3)
    made = net(z)[0]
    wanted = (mse_loss(head(z), numbers) + mse_loss(head(made), numbers)) / 2 + 2 * mse_loss(head(made), head(z))
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_trains_the_same_network_and_its_state_is_all_of_it(kind):
    def trained() -> nn.Module:
        with alone(4):
            lemda, head = LeMDA(augmenter(kind)), head_of()
            fit(lambda _: lemda(features(), LABELS, head), torch.optim.Adam(lemda.parameters(), 1e-2), [0], steps=3)
        return lemda

    first, second = trained(), trained()
    fresh = LeMDA(augmenter(kind, seed=9))
    fresh.load_state_dict(first.state_dict())
    made = [lemda.augmenter.eval()(features())[0] for lemda in (first, second, fresh)]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert not torch.equal(made[0], features())


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_network_is_the_same(kind):
    net, z = moved(augmenter(kind)), features()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    found = []
    for one in (net, compiled):
        torch.manual_seed(3)
        found.append(one(z))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_in_half_precision_and_on_a_device(kind):
    net, head, z = moved(augmenter(kind)), head_of(), features().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = LeMDA(net)(z, LABELS, head)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in (*net.parameters(), *head.parameters(), z))
    net, head = net.to("meta"), head.to("meta")  # whatever were made on another device would stop this
    assert LeMDA(net)(z.to("meta"), LABELS.to("meta"), head).device.type == "meta"

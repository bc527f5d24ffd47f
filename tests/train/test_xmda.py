"""XmDA: frames and their glosses aligned exactly, segments of them exchanged, and the loss over both."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from leaven.train import cross_modality_mixup, forced_alignment, xmda_loss  # noqa: E402


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_six_frames_that_are_clearly_three_and_three():
    log_probs = torch.tensor([[0.05, 0.9, 0.05]] * 3 + [[0.05, 0.05, 0.9]] * 3)[None].log()
    assert forced_alignment(log_probs, numbers(1, 2)[None], numbers(6), numbers(2)).tolist() == [[0, 0, 0, 1, 1, 1]]
    # what is unlikely everywhere still gets a frame, the one where it costs least; a gloss may come twice
    log_probs[0, 2, 0] = -1.0
    assert forced_alignment(log_probs, numbers(1, 0, 2)[None], numbers(6), numbers(3)).tolist() == [[0, 0, 1, 2, 2, 2]]
    there = forced_alignment(log_probs, numbers(1, 2, 2)[None], numbers(6), numbers(3))
    assert there.tolist()[0][:3] == [0, 0, 0]
    assert sorted(set(there.tolist()[0][3:])) == [1, 2]


def test_pads_of_a_batch_are_in_no_segment_and_change_nothing():
    log_probs = torch.rand((2, 7, 4), generator=drawn(0)).log_softmax(-1)
    log_probs[1, 4:] = float("nan")
    glosses = numbers(1, 2, 3, 3, 1, -100).reshape(2, 3)
    both = forced_alignment(log_probs, glosses, numbers(7, 4), numbers(3, 2))
    assert both[1, 4:].tolist() == [-1, -1, -1]
    assert both[:1].tolist() == forced_alignment(log_probs[:1], glosses[:1], numbers(7), numbers(3)).tolist()
    alone = forced_alignment(log_probs[1:, :4], glosses[1:, :2], numbers(4), numbers(2))
    assert both[1:, :4].tolist() == alone.tolist()


def best_of_all(log_probs: torch.Tensor, glosses: list[int]) -> float:
    """The sum of the best alignment, by trying every one."""
    frames, sums = len(log_probs), []
    for cuts in combinations(range(1, frames), len(glosses) - 1):
        ends = (0, *cuts, frames)
        sums.append(sum(float(log_probs[a:b, k].sum()) for k, a, b in zip(glosses, ends, ends[1:], strict=False)))
    return max(sums)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_no_alignment_is_better(data: st.DataObject, seed: int):
    sizes = [
        (length, data.draw(st.integers(length, 7)))
        for length in data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    ]
    most_glosses, most_frames = (max(size[axis] for size in sizes) for axis in (0, 1))
    log_probs = (3 * torch.randn((len(sizes), most_frames, 3), generator=drawn(seed))).double().log_softmax(-1)
    glosses = torch.randint(3, (len(sizes), most_glosses), generator=drawn(seed))
    lengths, frames = (torch.tensor(axis) for axis in zip(*sizes, strict=True))
    places = forced_alignment(log_probs, glosses, frames, lengths)
    for row, (length, many) in enumerate(sizes):
        own = places[row, :many].tolist()
        assert own == sorted(own)
        assert set(own) == set(range(length))
        assert set(places[row, many:].tolist()) <= {-1}
        got = float(log_probs[row].gather(1, glosses[row][places[row, :many], None])[:many].sum())
        assert got == pytest.approx(best_of_all(log_probs[row, :many], glosses[row, :length].tolist()), abs=1e-9)


def test_an_alignment_where_nothing_is_possible_is_still_one():
    impossible = torch.full((1, 3, 2), float("-inf"))
    places = forced_alignment(impossible, numbers(1, 0)[None], numbers(3), numbers(2)).tolist()[0]
    assert places == sorted(places)
    assert set(places) == {0, 1}
    once = torch.full((1, 4, 2), 0.5).log()
    once[0, [0, 1, 3], 0] = float("-inf")
    assert forced_alignment(once, numbers(1, 0, 1)[None], numbers(4), numbers(3)).tolist() == [[0, 0, 1, 2]]


@pytest.mark.parametrize(
    ("frames", "lengths", "said"),
    [
        ((5, 2), (2, 3), "sentence 1 of the batch has 2 frames for 3 glosses: each needs one at least"),
        ((5, 6), (2, 3), "go beyond 5 frames and 3 glosses"),
        ((5, 5), (2, 4), "go beyond 5 frames and 3 glosses"),
        ((5, 5), (0, 3), "a sentence without a gloss"),
        ((5,), (2, 3), r"B frames and B lengths: got \(1,\) and \(2,\)"),
    ],
)
def test_lengths_that_do_not_fit(frames: tuple[int, ...], lengths: tuple[int, ...], said: str):
    with pytest.raises(ValueError, match=said):
        forced_alignment(torch.zeros(2, 5, 4), torch.zeros(2, 3, dtype=torch.long), numbers(*frames), numbers(*lengths))
    with pytest.raises(ValueError, match=r"B x T x k and B x U: got \(2, 5, 4\) and \(3, 3\)"):
        forced_alignment(torch.zeros(2, 5, 4), torch.zeros(3, 3, dtype=torch.long), numbers(5, 5), numbers(2, 3))


PLACES = torch.tensor([[0, 0, 0, 1, 1, 1, -1], [0, 1, 1, 2, 2, 2, 2]])
FRAMES = torch.arange(28.0).reshape(2, 7, 2)
GLOSSES = -torch.arange(1.0, 13.0).reshape(2, 3, 2)


def test_all_signs_or_all_glosses():
    assert torch.equal(cross_modality_mixup(FRAMES, GLOSSES, PLACES, lam=1), FRAMES)
    spelled = cross_modality_mixup(FRAMES, GLOSSES, PLACES, lam=0)
    assert spelled[0, :, 0].tolist() == [-1, -1, -1, -3, -3, -3, 12]  # the pad stays
    assert spelled[1, :, 1].tolist() == [-8, -10, -10, -12, -12, -12, -12]


def test_a_segment_is_of_one_kind_and_lam_is_the_share_of_signs():
    frames, glosses = torch.ones(4000, 7, 1), torch.zeros(4000, 3, 1)
    places = PLACES[1:].expand(4000, -1)
    mixed = cross_modality_mixup(frames, glosses, places, generator=drawn(0))[..., 0]
    assert torch.equal(mixed[:, 1], mixed[:, 2])
    assert torch.equal(mixed[:, 3:], mixed[:, 3:4].expand(-1, 4))
    kinds = mixed[:, [0, 1, 3]]
    assert kinds.mean(0).tolist() == pytest.approx([0.6, 0.6, 0.6], abs=0.03)
    assert torch.corrcoef(kinds.T)[0, 1:].abs().max() < 0.05  # each segment has a draw of its own
    assert torch.equal(mixed, cross_modality_mixup(frames, glosses, places, generator=drawn(0))[..., 0])
    assert not torch.equal(mixed, cross_modality_mixup(frames, glosses, places, generator=drawn(1))[..., 0])


def test_gradients_go_where_the_values_came_from():
    frames, glosses = FRAMES.clone().requires_grad_(), GLOSSES.clone().requires_grad_()
    mixed = cross_modality_mixup(frames, glosses, PLACES, lam=0.5, generator=drawn(0))
    mixed.sum().backward()
    assert frames.grad is not None
    assert glosses.grad is not None
    signed = (mixed == FRAMES).all(-1)
    assert 0 < signed.sum() < 13
    assert torch.equal(frames.grad[..., 0], signed.float())
    counts = torch.tensor([[float(((PLACES[b] == u) & ~signed[b]).sum()) for u in range(3)] for b in range(2)])
    assert torch.equal(glosses.grad[..., 0], counts)


def test_mixing_compiled_and_in_half_precision():
    torch.manual_seed(0)
    eager = cross_modality_mixup(FRAMES, GLOSSES, PLACES)
    torch.manual_seed(0)
    compiled = torch.compile(cross_modality_mixup, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(FRAMES, GLOSSES, PLACES), eager)
    half = cross_modality_mixup(FRAMES.bfloat16(), GLOSSES, PLACES, lam=0)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half.float(), cross_modality_mixup(FRAMES, GLOSSES, PLACES, lam=0))


def test_shapes_that_do_not_mix():
    with pytest.raises(ValueError, match="B x T places"):
        cross_modality_mixup(FRAMES, GLOSSES, PLACES[:, :5])
    with pytest.raises(ValueError, match=r"B x U x d glosses for \(2, 7, 2\) frames: got \(2, 3, 1\)"):
        cross_modality_mixup(FRAMES, GLOSSES[..., :1], PLACES)
    with pytest.raises(ValueError, match=r"a chance from 0 to 1: got 1\.5"):
        cross_modality_mixup(FRAMES, GLOSSES, PLACES, lam=1.5)


HEARD = (torch.full((2, 4, 3), 1 / 3).log(), numbers(1, 2, 1, 0).reshape(2, 2), numbers(2, 1), numbers(2, 1))
"""Two sentences over a blank and two glosses, each of which has one reading: ln 9 and ln 3."""
TARGETS = numbers(0, 1, 1, -100).reshape(2, 2)


def told(first: float) -> torch.Tensor:
    logits = torch.zeros(2, 2, 2)
    logits[0, 0, 0] = first
    logits[1, 1] = torch.tensor([50.0, -50.0]) * first  # where there is no token
    return logits


def test_the_loss_by_hand():
    """Of the pad nothing counts."""
    same = xmda_loss(*HEARD, told(0.0), told(0.0), TARGETS)
    assert same.item() == pytest.approx((3 * 1.0986123 + 2 * 3 * 0.6931472) / 2)
    # one token at ln(1 + 1/e) in place of ln 2, and JSD of (1, 0) with (0, 0)
    apart = xmda_loss(*HEARD, told(1.0), told(0.0), TARGETS)
    jsd = 0.0285353
    assert apart.item() == pytest.approx((3 * 1.0986123 + 5 * 0.6931472 + 0.3132617 + jsd) / 2, abs=1e-5)
    much = xmda_loss(*HEARD, told(1.0), told(0.0), TARGETS, consistency=45.0)
    assert (much - apart).item() == pytest.approx(44 * jsd / 2, abs=1e-5)
    # targets padded with another number
    assert xmda_loss(*HEARD, told(1.0), told(0.0), TARGETS.where(TARGETS >= 0, 7), pad=7).item() == apart.item()


def test_the_losses_gradients():
    heard, signed, mixed = (
        torch.randn(shape, generator=drawn(0), dtype=torch.float64, requires_grad=True)
        for shape in ((2, 4, 3), (2, 2, 2), (2, 2, 2))
    )
    _, glosses, frames, lengths = HEARD

    def loss(heard: torch.Tensor, signed: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        return xmda_loss(heard.log_softmax(-1), glosses, frames, lengths, signed, mixed, TARGETS)

    assert torch.autograd.gradcheck(loss, (heard, signed, mixed))
    loss(heard, signed, mixed).backward()
    for found in (signed.grad, mixed.grad):
        assert found is not None
        assert found[1, 1].tolist() == [0.0, 0.0]  # the pad
        assert found[0, 0].abs().min() > 0
    assert heard.grad is not None
    assert heard.grad[0, 2:].abs().max() == 0  # frames that do not count


def test_the_loss_in_halves_and_with_too_few_frames():
    eager = xmda_loss(*HEARD, told(1.0), told(0.0), TARGETS)
    with torch.autocast("cpu", torch.bfloat16):
        halves = xmda_loss(HEARD[0].bfloat16(), *HEARD[1:], told(1.0).bfloat16(), told(0.0).bfloat16(), TARGETS)
    assert halves.item() == pytest.approx(eager.item(), rel=0.01)
    _, glosses, _, lengths = HEARD
    short = xmda_loss(HEARD[0], glosses, numbers(1, 1), lengths, told(0.0), told(0.0), TARGETS)
    assert short.item() == pytest.approx((1.0986123 + 6 * 0.6931472) / 2)  # one frame cannot say two glosses


def test_losses_of_wrong_shapes():
    with pytest.raises(ValueError, match="B x L x w logits twice"):
        xmda_loss(*HEARD, told(0.0), told(0.0)[:, :1], TARGETS)
    with pytest.raises(ValueError, match="2 sentences signed and 1 told"):
        xmda_loss(*HEARD, told(0.0)[:1], told(0.0)[:1], TARGETS[:1])


@pytest.mark.parametrize("gloss", [4, -1])
def test_a_gloss_without_a_probability_is_refused(gloss: int):
    log_probs, six, two = torch.zeros(1, 6, 4), torch.tensor([6]), torch.tensor([2])
    with pytest.raises(ValueError, match="glosses are numbers from 0 to 3"):
        forced_alignment(log_probs, torch.tensor([[1, gloss]]), six, two)
    assert forced_alignment(log_probs, torch.tensor([[1, gloss]]), six, two - 1).tolist() == [[0] * 6]  # a pad

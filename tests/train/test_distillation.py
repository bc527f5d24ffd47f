"""Distillation: from logits, and from what teachers make of the rows."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from leaven.errors import DataError  # noqa: E402
from leaven.train import Drawn, distillation_loss, sequence_distillation  # noqa: E402

STUDENT = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
TEACHER = torch.tensor([[2.0, 0.0], [0.0, 0.0]])


def test_the_loss_by_hand():
    """At T = 2 the teacher says (.7310586, .2689414) of the first row, and what the student says of the second."""
    soft = 4 * 0.1109440 / 2
    assert distillation_loss(STUDENT, TEACHER).item() == pytest.approx(soft, abs=1e-6)
    labelled = distillation_loss(STUDENT, TEACHER, torch.tensor([0, 1]))
    assert labelled.item() == pytest.approx(soft + 0.5 * 0.6931472, abs=1e-6)
    one = distillation_loss(STUDENT, TEACHER, torch.tensor([0, -100]), hard=1.0)
    assert one.item() == pytest.approx(soft + 0.6931472 / 2, abs=1e-6)  # a mean over all rows
    plain = distillation_loss(STUDENT, TEACHER, temperature=1.0)
    assert plain.item() == pytest.approx(0.3278133 / 2, abs=1e-6)


def test_probabilities_are_logits_by_their_logarithm():
    of_logits = distillation_loss(STUDENT, TEACHER, temperature=3.0)
    assert distillation_loss(STUDENT, TEACHER.softmax(-1).log(), temperature=3.0).item() == pytest.approx(
        of_logits.item()
    )
    sure = torch.tensor([[0.0, float("-inf")]])  # of which one is 0
    assert distillation_loss(STUDENT[:1], sure).item() == pytest.approx(4 * 0.6931472)


def test_gradients_to_the_student_alone_and_of_one_size_at_any_temperature():
    student, teacher = (
        torch.randn((4, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
        for seed in (0, 1)
    )
    labels = torch.tensor([0, 2, -100, 1])
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, labels), (student,))
    sizes = []
    for temperature in (100.0, 200.0):
        [found] = torch.autograd.grad(distillation_loss(student, teacher, temperature=temperature), [student])
        sizes.append(found)
    assert torch.allclose(sizes[0], sizes[1], atol=1e-3)
    # far up it is the distance of the logits about their means, as the paper has it
    middle = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    assert torch.allclose(sizes[1], (middle / 3 / 4).detach(), rtol=0.05, atol=1e-3)
    distillation_loss(student, teacher, labels).backward()
    assert teacher.grad is None
    same = student.detach().requires_grad_()
    distillation_loss(same, student.detach()).backward()
    assert same.grad is not None
    assert same.grad.abs().max() < 1e-12


def test_compiled_and_in_half_precision():
    eager = distillation_loss(STUDENT, TEACHER, torch.tensor([0, -100]))
    compiled = torch.compile(distillation_loss, backend="aot_eager", fullgraph=True)
    assert compiled(STUDENT, TEACHER, torch.tensor([0, -100])).item() == pytest.approx(eager.item())
    with torch.autocast("cpu", torch.bfloat16):
        halves = distillation_loss(STUDENT.bfloat16(), TEACHER.bfloat16(), torch.tensor([0, -100]))
    assert halves.item() == pytest.approx(eager.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"teacher": TEACHER[:1]}, r"n x k logits twice: got \(2, 2\) and \(1, 2\)"),
        ({"teacher": TEACHER, "labels": torch.tensor([0])}, r"2 labels, one a row: got \(1,\)"),
        ({"teacher": TEACHER, "temperature": 0.0}, "temperature is above 0"),
    ],
)
def test_what_does_not_fit(of: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        distillation_loss(STUDENT, **of)  # type: ignore[arg-type]


SIGNED = [
    {"_id": "a", "sign": 1, "gloss": "RAIN TOMORROW", "text": "Tomorrow it rains."},
    {"sign": 2, "gloss": "SUN", "text": "It is sunny."},
]


def lower(glosses: list[str]) -> list[str]:
    return [gloss.lower() for gloss in glosses]


def last(glosses: list[str]) -> list[str]:
    return [gloss.split()[-1] for gloss in glosses]


def test_every_teacher_adds_all_rows_and_the_gold_stays():
    rows = sequence_distillation(SIGNED, [lower, last], of="gloss", target="text")
    assert [(row["_id"], row["sign"], row["text"]) for row in rows] == [
        ("a", 1, "Tomorrow it rains."),
        ("1", 2, "It is sunny."),
        ("a-teacher-1", 1, "rain tomorrow"),
        ("1-teacher-1", 2, "sun"),
        ("a-teacher-2", 1, "TOMORROW"),
        ("1-teacher-2", 2, "SUN"),
    ]
    assert [row.get("_parents") for row in rows] == [None, None, ["a"], ["1"], ["a"], ["1"]]
    assert SIGNED[1] == {"sign": 2, "gloss": "SUN", "text": "It is sunny."}
    assert [row["text"] for row in sequence_distillation(SIGNED, [], of="gloss", target="text")] == [
        "Tomorrow it rains.",
        "It is sunny.",
    ]


def test_the_rows_are_drawn_from_as_any_made_ones():
    drawn = Drawn(sequence_distillation(SIGNED, [lower], of="gloss", target="text"), one_per="root", redraw="epoch")
    texts = set()
    for epoch in range(20):
        drawn.set_epoch(epoch)
        assert len(drawn) == 2
        texts |= {drawn[i]["text"] for i in range(2)}
    assert texts == {"Tomorrow it rains.", "It is sunny.", "rain tomorrow", "sun"}


def test_rows_and_teachers_that_do_not_fit():
    with pytest.raises(DataError, match="row 0 has no `glosses`"):
        sequence_distillation(SIGNED, [lower], of="glosses", target="text")
    with pytest.raises(DataError, match="teacher 2 gave 1 answers to 2 rows"):
        sequence_distillation(SIGNED, [lower, lambda given: lower(given)[:1]], of="gloss", target="text")
    with pytest.raises(DataError, match="two rows have the id 'a'"):
        sequence_distillation([SIGNED[0], SIGNED[0]], [], of="gloss", target="text")

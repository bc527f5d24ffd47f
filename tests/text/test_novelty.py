"""What is new and what is copied, against the same found by looking at every run."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.text.novelty import Novelty
from leaven.text.words import words

DESK = [
    {"text": "I have lost my card, please block it", "label": "card"},
    {"text": "Are you open on Sunday?", "label": "hours"},
    {"text": "please block my card", "label": "card"},
]
short = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9).map(" ".join)


def noted(text: str, source: list[dict[str, Any]] = DESK, **how: Any) -> dict[str, Any]:
    [row] = Novelty(**how)({"text": text}, source=source)
    return {name: row[name] for name in ("novelty", "copied", "copied_share", "copied_from")}


@pytest.mark.parametrize(
    ("text", "novelty", "copied", "share"),
    [
        ("Are you open on Sunday?", 0, 5, 1),
        ("ARE you: open... on Sunday", 0, 5, 1),
        ("are you open on monday", 1 / 3, 4, 0.8),
        ("you are open", 1, 1, 1 / 3),
        ("I lost my card, block it please", 4 / 5, 3, 3 / 7),
        ("lost my card, please block my card", 0, 5, 5 / 7),  # of two rows, each run of three in one of them
        ("on Sunday", 0, 2, 1),
        ("Sunday on", 1, 1, 1 / 2),
        ("yes", 1, 0, 0),
        ("", 0, 0, 0),
        ("?!", 0, 0, 0),
    ],
)
def test_by_hand(text: str, novelty: float, copied: int, share: float):
    found = noted(text)
    assert (found["novelty"], found["copied"], found["copied_share"]) == pytest.approx(
        (novelty, copied, share), abs=1e-6
    )
    assert (found["copied_from"] is None) == (copied == 0)


def test_the_row_that_it_is_copied_from():
    rows = [{**row, "_id": f"r{i}"} for i, row in enumerate(DESK)]
    assert noted("when are you open on sunday", rows)["copied_from"] == "r1"
    assert noted("block my card", rows)["copied_from"] == "r2"


def test_runs_of_other_lengths():
    assert noted("are you open on monday", n=1)["novelty"] == 0.2
    assert noted("are you open on monday", n=5)["novelty"] == 1
    assert noted("are you open on sunday", n=20)["novelty"] == 0


def test_scripts_without_blanks():
    source = [{"text": "我的银行卡丢了"}]
    assert noted("我的卡丢了", source) == pytest.approx(
        {"novelty": 2 / 3, "copied": 3, "copied_share": 0.6, "copied_from": noted("丢了", source)["copied_from"]},
        abs=1e-6,
    )
    assert words("GPT4 说 Straße, don't") == ["gpt4", "说", "strasse", "don't"]


@given(short, st.lists(short, min_size=1, max_size=5), st.integers(1, 4))
def test_as_by_looking_at_every_run(text: str, source: list[str], n: int):
    found = noted(text, [{"text": row, "label": "real"} for row in source], n=n)
    said, known = text.split(), [row.split() for row in source]

    def holds(run: list[str]) -> bool:
        return any(run == row[i : i + len(run)] for row in known for i in range(len(row)))

    size = min(n, len(said)) or 1
    every = [said[i : i + size] for i in range(len(said) - size + 1)] if said else []
    assert found["novelty"] == pytest.approx(sum(not holds(run) for run in every) / max(1, len(every)), abs=1e-6)
    lengths = [j - i for i in range(len(said)) for j in range(i + 1, len(said) + 1) if holds(said[i:j])]
    assert found["copied"] == max(lengths, default=0)


@settings(max_examples=40)
@given(st.lists(short, min_size=1, max_size=6))
def test_a_real_row_is_not_compared_with_itself(texts: list[str]):
    from leaven.context import Context, Rows
    from leaven.one_record import table
    from leaven.records import Record

    op = Novelty().model_copy(update={"on": "text"})
    rows = [{"_id": f"r{i}", "text": text} for i, text in enumerate(texts)]
    ctx = Context(state=op.fit({"source": Rows(table(rows))}, Context()))
    records = [Record(row["_id"], {"text": row["text"]}, root=row["_id"]) for row in rows]
    together = list(op.notes(records, ctx))
    assert together[::-1] == list(op.notes(records[::-1], ctx))
    for i, row in enumerate(rows):
        rest = [other for other in rows if other is not row] or [{"_id": "none", "text": ""}]
        assert together[i] == noted(row["text"], rest)
        assert together[i]["copied_from"] != row["_id"]


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_text(text: str):
    found = noted(text)
    assert 0 <= found["novelty"] <= 1
    assert 0 <= found["copied_share"] <= 1
    assert noted(text, [*DESK, {"text": text, "label": "card"}])["copied"] == len(words(text))


def test_a_long_text_takes_no_long():
    long = "the same words over and over again " * 30_000  # 1 MB
    began = time.perf_counter()
    found = noted(long, [*DESK, {"text": long[:-30]}])
    assert found["copied"] > 200_000
    assert time.perf_counter() - began < 8

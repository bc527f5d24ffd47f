"""The parts of the page that can be asked alone: marked words, even draws, histograms."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.report.charts import histogram, ticks
from leaven.report.fit import within
from leaven.report.map import principal
from leaven.report.marked import LONGEST, cut, differing, plain
from leaven.report.rows import Rows, even

ANY = st.text(st.characters(codec=None), max_size=60)


def visible(marked: str) -> str:
    """What is left of HTML once its tags and what was struck out are taken away."""
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<del>.*?</del>", "", marked, flags=re.DOTALL)))


@given(ANY, ANY)
def test_a_marked_text_is_the_text_and_can_be_written(text: str, parent: str):
    marked = differing(text, parent)
    marked.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", marked)
    assert not re.sub(r"</?(mark|del)>|<span class=\"ctl\">|</span>", "", marked).count("<")
    if text.isprintable() and text.isascii():
        assert "".join(visible(marked).split()) == "".join(text.split())


@given(ANY)
def test_a_plain_text_stands_on_one_line_without_markup(text: str):
    said = plain(text)
    said.encode("utf-8")
    assert "\n" not in said
    assert not set("<>\"'") & set(said)


def test_an_edit_shows_what_left_and_a_new_text_does_not():
    assert differing("I lost my new card", "I lost my card today") == (
        "I lost my <mark>new</mark> card <del>today</del>"
    )
    assert differing("I like tea", "I like tea") == "I like tea"
    anew = differing("When will it get here", "My card has not come")
    assert anew == "<mark>When will it get here</mark>"
    assert differing("卡丢了", "卡坏了") == "卡<del>坏</del> <mark>丢</mark>了"


def test_what_is_cut_is_counted():
    assert cut("a" * (LONGEST + 5)).endswith(" ... 5 more characters</span>")
    assert "9,000 more characters" in cut("a" * LONGEST, length=LONGEST + 9_000)
    assert "more" not in cut("a" * LONGEST)


@given(st.lists(st.sampled_from("abcd"), max_size=60), st.integers(0, 30))
def test_an_even_draw_takes_labels_in_turn(labels: list[str], most: int):
    picked = even([str(i) for i in range(len(labels))], labels, most)
    assert len(set(picked)) == len(picked) == min(most, len(labels))
    taken = {x: sum(labels[i] == x for i in picked) for x in labels}
    for x in taken:  # no label has two more than another that still has rows left
        assert all(taken[x] <= taken[y] + 1 for y in taken if taken[y] < labels.count(y))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float):
    found = ticks(low, low + span)
    assert len(found) <= 6
    assert all(low - 1e-6 * (abs(low) + span) <= t <= low + span + 1e-6 * (abs(low) + span) for t in found)


def test_pieces_stop_where_the_share_ends():
    assert within(["aa", "bb", "cc"], 5) == (["aa", "bb"], False)
    assert within(["aa", "bb"], 4) == (["aa", "bb"], True)


def test_a_histogram_draws_its_cut():
    drawn = histogram("Rows", [0, 0.5, 1], [1, 2], [3, 0], 0.7, "score")
    assert drawn.count('class="made"') == 2
    assert drawn.count('class="refused"') == 1
    assert "cut at 0.7" in drawn
    assert "cut at" not in histogram("Rows", [0, 0.5, 1], [1, 2], [3, 0], None, "score")


def test_rows_are_taken_in_the_order_asked_for(tmp_path: Path):
    for part in range(2):
        table = pa.table({
            "_id": [f"{part}{i}" for i in range(5)],
            "_parents": [[] if i == 0 else [f"p{i}", "other"] for i in range(5)],
            "_synthetic": [i > 0 for i in range(5)],
            "text": ["x" * (i + part * 10) for i in range(5)],
        })  # fmt: skip
        pq.write_table(table, tmp_path / f"part-0000{part}.parquet", row_group_size=2)
    rows = Rows(tmp_path, "")
    assert rows.parents == [None, "p1", "p2", "p3", "p4"] * 2
    assert rows.made.tolist() == [False, True, True, True, True] * 2
    taken = rows.take([9, 0, 3, 3], most=4)
    assert [row["_id"] for row in taken] == ["14", "00", "03", "03"]
    assert taken[0]["text"] == "xxxx"
    assert taken[0]["_length"] == 14
    assert len(Rows(tmp_path / "none", "label")) == 0


def test_principal_axes_hold_the_largest_spread():
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(200, 2)) * [5.0, 2.0]
    turn = np.linalg.qr(draw.normal(size=(6, 6)))[0][:2]
    mean, axes, held = principal(flat @ turn + 1.0)
    assert held == pytest.approx(1.0)
    found = (flat @ turn + 1.0 - mean) @ axes.T
    assert np.abs(np.corrcoef(found[:, 0], flat[:, 0])[0, 1]) > 0.99

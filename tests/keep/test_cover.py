"""Rows that stand for all: the sets of the fact sheet on MinPrompt, and points on a line."""

from __future__ import annotations

import heapq
import tracemalloc
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.context import Context
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.keep import dominating as greedy
from leaven.keep.cover import Cover, _as_text, _keys, farthest_first
from leaven.keep.dominating import dominating
from leaven.keep.middles import most_marginal, nearest_to_middles


class Plane:
    """A text is its own vector."""

    def embed(self, texts: Any) -> Any:
        return np.array([[float(x) for x in text.split()] for text in texts], np.float32).reshape(-1, 2)


def kept(found: list[str]) -> list[int]:
    return [i for i, reason in enumerate(found) if not reason]


def linked(*edges: tuple[int, int], n: int) -> list[dict[str, Any]]:
    """A graph as rows: an edge is an item that both its ends hold."""
    return [{"items": [f"{a}-{b}" for a, b in edges if row in (a, b)]} for row in range(n)]


PATH = linked((0, 1), (1, 2), (2, 3), (3, 4), n=5)
STAR = linked((0, 1), (0, 2), (0, 3), (0, 4), n=5)
CYCLE = linked((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), n=6)


@pytest.mark.parametrize(("rows", "expected"), [(PATH, [1, 3]), (STAR, [0]), (CYCLE, [0, 3])])
def test_the_sets_of_the_fact_sheet(reasons: Any, rows: list[dict[str, Any]], expected: list[int]):
    found = reasons(Cover(by="items"), rows)
    assert kept(found) == expected
    assert set(found) == {"", "covered"}


def test_a_row_that_shares_nothing(reasons: Any):
    rows: list[dict[str, Any]] = [{"items": ["A", "B"]}, {"items": ["B", "C"]}, {"items": ["D"]}, {"items": None}]
    assert reasons(Cover(by="items"), rows) == ["", "covered", "alone", "alone"]
    assert reasons(Cover(by="items", isolated="keep"), rows) == ["", "covered", "", ""]
    assert reasons(Cover(by="items"), [{"items": []}, {"items": None}]) == ["alone", "alone"]


def test_an_item_of_another_type_is_another(reasons: Any):
    def row(text: str, kind: str) -> dict[str, Any]:
        return {"items": [{"text": text, "type": kind}]}

    rows = [row("Paris", "GPE"), row("Paris", "PERSON"), row("Paris", "GPE")]
    assert reasons(Cover(by="items"), rows) == ["", "alone", "covered"]


def test_a_text_goes_by_its_words(reasons: Any):
    rows = [{"text": "open on sunday"}, {"text": "Sunday, or lost card?"}, {"text": "my CARD"}, {"text": "a room"}]
    assert reasons(Cover(by="text"), rows) == ["covered", "", "covered", "alone"]


def test_items_travel_as_texts():
    """Also those whose bits are none, all, or where Unicode has half characters."""
    items = [0, 2**60 - 1, 0xD7FE, 0xD7FF, 0xD800, 0xDFFF, 0xDFFF << 20]
    texts = [_as_text({item}) for item in items] + [_as_text(set(items)), ""]
    carried = np.array(pa.array(texts, pa.string()).to_pylist(), np.str_)
    (keys,) = _keys(carried, slice(None))
    assert np.count_nonzero(keys, axis=1).tolist() == [1, 1, 1, 1, 1, 1, 1, 7, 0]
    assert len(set(keys[:7, 0])) == 7
    assert set(keys[7]) == set(keys[:7, 0])
    (some,) = _keys(carried, np.array([8, 1]))
    assert some.tolist() == keys[[8, 1]].tolist()
    assert [block.shape for block in _keys(np.array(["", ""]), slice(None))] == [(2, 0)], "no row has an item"


def test_at_most_so_many(reasons: Any):
    assert kept(reasons(Cover(1, by="items"), PATH)) == [1]
    assert kept(reasons(Cover(share=0.4, by="items"), PATH)) == [1, 3]
    assert kept(reasons(Cover(9, by="items"), PATH)) == [1, 3]


LINE = [{"text": f"{x} 0", "label": "ab"[x > 5]} for x in (0, 1, 2, 9, 10)]


def test_farthest_first_by_hand():
    line = np.array([[0.0, 0], [1, 0], [2, 0], [9, 0], [10, 0]], np.float32)
    assert farthest_first(line, 5) == [2, 4, 0, 1, 3]  # the mean is 4.4; then ties go to the first
    assert farthest_first(np.ones((4, 2), np.float32), 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"n": 1}, [2]),
        ({"n": 2}, [2, 4]),
        ({"n": 3}, [0, 2, 4]),
        ({"n": 99}, [0, 1, 2, 3, 4]),
        ({"share": 0.5}, [2, 4]),  # of five, rounded down
        ({"share": 0.01}, [2]),  # at least one
        ({"n": 1, "per": "label"}, [1, 3]),
        ({"n": 2, "per": "label"}, [0, 1, 3, 4]),
    ],
)
def test_vectors(reasons: Any, parameters: dict[str, Any], expected: list[int]):
    found = reasons(Cover(on="text", **parameters), LINE, models=Plane())
    assert kept(found) == expected
    assert set(found) <= {"", "covered"}


def blocks(rows: list[set[int]], size: int = 5) -> Iterator[np.ndarray]:
    """The keys of so many rows at a time."""
    keys = np.zeros((len(rows), max(map(len, rows), default=0)), np.uint64)
    for row, items in zip(keys, rows, strict=True):
        row[: len(items)] = sorted(items)
    yield from (keys[begin : begin + size] for begin in range(0, len(keys), size))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(1, 9), max_size=4), min_size=1, max_size=14), st.booleans())
def test_all_that_share_are_covered_as_the_plain_greedy_does(rows: list[set[int]], keep_alone: bool):
    near = [{i} | {j for j, other in enumerate(rows) if items & other} for i, items in enumerate(rows)]
    lonely = [i for i in range(len(rows)) if near[i] == {i}]
    left = set(range(len(rows))) - (set() if keep_alone else set(lonely))
    expected = []
    while left:
        best = max(range(len(rows)), key=lambda i: (len(near[i] & left), -i))
        expected.append(best)
        left -= near[best]
    chosen, alone = dominating(partial(blocks, rows), len(rows), keep_alone=keep_alone)
    assert chosen.tolist() == expected
    assert alone.tolist() == ([] if keep_alone else lonely)


def with_room(keys: np.ndarray, n: int, keep_alone: bool) -> tuple[list[int], list[int]]:
    """The greedy with an array for each row and each item, and all rows in a heap: many times the memory."""
    at, where = np.nonzero(keys)
    _, item = np.unique(keys[at, where], return_inverse=True)
    holders = [at[item == key] for key in range(item.max(initial=-1) + 1)]
    near = [np.unique(np.concatenate([[row], *(holders[key] for key in item[at == row])])) for row in range(len(keys))]
    left = np.array([len(rows) > 1 or keep_alone for rows in near])
    alone = [] if keep_alone else np.flatnonzero(~left).tolist()
    heap = [(-len(near[row]), row) for row in np.flatnonzero(left).tolist()]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < n:
        row = heapq.heappop(heap)[1]
        covers = int(left[near[row]].sum())
        if covers and heap and (-covers, row) > heap[0]:
            heapq.heappush(heap, (-covers, row))
        elif covers:
            chosen.append(row)
            left[near[row]] = False
    return chosen, alone


@pytest.mark.parametrize("small", [False, True])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([1, 2, 4]), st.integers(1, 5), st.booleans())
def test_as_with_room_for_all(small: bool, seed: int, count: int, rare: int, width: int, keep_alone: bool):
    """Of random rows with common and rare items: few in the queue, holders marked or gathered, small blocks."""
    draw = np.random.default_rng(seed)
    rows = [set(row) for row in (1 + count * draw.random((count, width)) ** rare).astype(int).tolist()]
    n = int(draw.integers(1, count + 1)) if seed % 2 else count
    keys = np.concatenate(list(blocks(rows)))
    with pytest.MonkeyPatch.context() as patch:
        if small:
            for name, number in {"BLOCK": 7, "FEW": 3, "OFTEN": 2, "LEAST": 3, "PART": 300}.items():
                patch.setattr(greedy, name, number)
        chosen, alone = dominating(partial(blocks, rows, 16), n, keep_alone=keep_alone)
    assert (chosen.tolist(), alone.tolist()) == with_room(keys, n, keep_alone)


@pytest.mark.parametrize("labels", [1, 2])
def test_items_take_their_memory_once_more(labels: int):
    """Three items a row, common and rare, in one group and in two."""
    n = 100_000
    characters = np.ones((n, 3, 3), np.int32)
    characters[:, :, 0] += (n / 3 * np.random.default_rng(1).random((n, 3)) ** 2).astype(np.int32)
    characters[:, :, 1] += np.arange(3, dtype=np.int32)
    drawn = characters.reshape(n, 9).view("<U9")[:, 0]
    groups = np.arange(n) % 10 // 9 if labels > 1 else np.zeros(n, np.int64)
    op, ctx = Cover(200, by="items"), Context()
    op.decide({"items": drawn[:9]}, groups[:9], ctx)  # what is loaded once
    tracemalloc.start()
    found = op.decide({"items": drawn}, groups, ctx)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.count_nonzero(found == 0) == 200 * labels
    assert peak < drawn.nbytes + groups.nbytes


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=12), st.integers(1, 12))
def test_no_row_is_farther_than_twice_the_best(points: list[tuple[int, int]], n: int):
    """Those left out are no farther from a kept row than two kept rows are from each other."""
    found = farthest_first(np.array(points, np.float32), min(n, len(points)))
    assert len(set(found)) == min(n, len(points))
    place = np.array(points, float)
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    reach = apart[:, found].min(axis=1).max()
    between = min((apart[a, b] for a in found for b in found if a != b), default=np.inf)
    assert reach <= between + 1e-3


def test_which_field_is_compared():
    columns = {"label": Column("label"), "image": Column("image"), "text": Column("text")}
    assert Cover(2).bind(columns).on == "text"
    assert Cover(2).bind({"image": Column("image")}).reads() == {"image"}
    assert Cover(by="items").bind({}).reads() == {"items"}
    with pytest.raises(RecipeError, match="needs text, image, audio or vector; the data has size"):
        Cover(2).bind({"size": Column("value")})


@pytest.mark.parametrize("wrong", [{}, {"n": 2, "share": 0.5}, {"n": 0}, {"share": 1.5}])
def test_one_of_n_and_share(wrong: dict[str, Any]):
    with pytest.raises(RecipeError):
        Cover(**wrong)


def test_a_number_is_no_list():
    with pytest.raises(RecipeError, match="goes by `size`, which is no list"):
        Cover(by="size")({"size": 3})


def test_the_row_nearest_to_each_middle(reasons: Any):
    """Of 0, 1, 2 and 9, 10 the middles are 1 and 9.5; 9 and 10 are as near to it, and the first stays."""
    assert kept(reasons(Cover(2, on="text", how="kmeans"), LINE, models=Plane())) == [1, 3]
    assert kept(reasons(Cover(1, on="text", how="kmeans", per="label"), LINE, models=Plane())) == [1, 3]
    assert kept(reasons(Cover(5, on="text", how="kmeans"), LINE, models=Plane())) == [0, 1, 2, 3, 4]
    same = [{"text": "1 0"}] * 3 + [{"text": "0 1"}]
    assert kept(reasons(Cover(3, on="text", how="kmeans"), same, models=Plane())) == [0, 3], "two rows differ"


def test_many_rows_have_the_middles_of_some(monkeypatch: Any):
    monkeypatch.setattr("leaven.keep.middles.LEAST", 8)
    monkeypatch.setattr("leaven.keep.middles.A_MIDDLE", 1)
    at = np.array([[x + 0.1 * step, 0] for step in range(11) for x in (0, 100, 200)], np.float32)
    found = at[nearest_to_middles(at, 3, 0)].tolist()
    assert [x // 100 for x, _ in found] == [2, 0, 1], "one of each, in the order of the rows"
    assert all(0.2 < x % 100 < 0.8 for x, _ in found)


WORTHS = [
    {"text": "1 0", "score": 1.0},
    {"text": "0.8 0.6", "score": 0.9},
    {"text": "0 1", "score": 0.5},
    {"text": "-1 0", "score": 0.1},
    {"text": "0.6 0.8", "score": None},
]


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        (1.0, [0, 1, 2]),
        (0.5, [0, 3, 2]),  # .05 + .5 over .25 - 0 and .45 - .4; then .25 - 0 over .45 - .4
        (0.8, [0, 1, 2]),  # .72 - .16 over .4 - 0 and .08 + .2; then .4 - .12 over .08 + .16
        (0.0, [0, 3, 2]),
    ],
)
def test_worth_and_unlikeness(reasons: Any, balance: float, expected: list[int]):
    vectors = np.array([[float(x) for x in row["text"].split()] for row in WORTHS], np.float32)
    worth = np.array([np.nan if row["score"] is None else row["score"] for row in WORTHS])
    assert most_marginal(vectors, worth, 3, balance) == expected
    op = Cover(3, on="text", how="mmr", worth="score", balance=balance)
    assert kept(reasons(op, WORTHS, models=Plane())) == sorted(expected)
    assert most_marginal(vectors, worth, 5, balance)[-1] == 4, "nothing is known of its worth"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 359), st.integers(0, 10)), min_size=1, max_size=9),
    st.integers(1, 9),
    st.integers(0, 10),
)
def test_each_is_the_most_marginal(rows: list[tuple[int, int]], n: int, tenths: int):
    angles = np.radians([angle for angle, _ in rows])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    worth, balance = np.array([w / 10 for _, w in rows]), tenths / 10
    found = most_marginal(vectors, worth, min(n, len(rows)), balance)
    assert len(set(found)) == min(n, len(rows))
    for step, row in enumerate(found):
        likest = (vectors @ vectors[found[:step]].T).max(axis=1) if step else np.zeros(len(rows))
        value = balance * worth - (1 - balance) * likest
        assert value[row] >= np.delete(value, found[:step]).max() - 1e-5


@pytest.mark.parametrize(
    "wrong", [{"how": "mmr"}, {"worth": "score"}, {"how": "kmeans", "by": "items"}, {"how": "mmr", "balance": 2}]
)
def test_what_goes_together(wrong: dict[str, Any]):
    with pytest.raises(RecipeError):
        Cover(2, **wrong)


def test_a_worth_that_is_no_number():
    op = Cover(1, on="text", how="mmr", worth="text")
    assert op.reads() == {"text"}
    with pytest.raises(RecipeError, match="the worth `text`, which is no number"):
        op({"text": "lost my card"})

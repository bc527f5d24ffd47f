"""Clusters that can be seen, and the share of each that Nudiff takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.cluster import Cluster, middles, nearest
from leaven.context import Context, Rows
from leaven.errors import RecipeError
from leaven.keep.top import top
from leaven.one_record import table
from leaven.records import Record


class Plane:
    """A text is its own vector."""

    def embed(self, texts: Any) -> Any:
        return np.array([[float(x) for x in text.split()] for text in texts], np.float32).reshape(-1, 2)


LINE = [{"text": f"{x} 0", "label": label} for x, label in ((9, "b"), (0, "a"), (1, "a"), (10, "b"), (2, "a"))]


def noted(op: Cluster, source: list[dict[str, Any]], asked: list[dict[str, Any]], seed: int = 0) -> list[Any]:
    op = op.model_copy(update={"on": "text"})
    state = op.fit({"source": Rows(table(source))}, Context(models=Plane(), seed=seed))
    ctx = Context(models=Plane(), state=state, seed=seed)
    found = op.notes([Record(f"q{i}", row, root="elsewhere") for i, row in enumerate(asked)], ctx)
    return [(row["cluster"], row["cluster_distance"]) for row in found]


def test_clusters_and_distances_by_hand():
    assert noted(Cluster(1), LINE, [{"text": "4.4 0"}, {"text": "4.4 3"}]) == [(0, 0.0), (0, 3.0)]
    of = dict(zip("abcde", noted(Cluster(2), LINE, LINE), strict=True))
    low, high = of["b"][0], of["a"][0]
    assert {low, high} == {0, 1}
    assert of == {"a": (high, 0.5), "b": (low, 1.0), "c": (low, 0.0), "d": (high, 0.5), "e": (low, 1.0)}
    [made] = noted(Cluster(2), LINE, [{"text": "7 4"}])  # nearer to 9.5 than to 1
    assert made == (high, pytest.approx(np.hypot(2.5, 4), abs=1e-6))


def test_the_first_row_shows_the_first_cluster():
    vectors = np.array([[9.0, 0], [0, 0], [1, 0], [10, 0], [2, 0]])
    for seed in range(5):
        assert middles(vectors, 2, seed).tolist() == [[9.5, 0], [1, 0]]


def test_not_more_clusters_than_distinct_rows():
    assert middles(np.array([[1.0, 0], [1, 0], [0, 0]]), 6, 0).tolist() == [[1, 0], [0, 0]]
    assert noted(Cluster(6), [{"text": "1 0"}] * 3, [{"text": "1 0"}]) == [(0, 0.0)]


def test_each_group_apart():
    asked = [*LINE, {"text": "1 0", "label": "b"}, {"text": "1 0", "label": "c"}]
    found = noted(Cluster(1, per="label"), LINE, asked)
    number = dict(zip("ba", (found[0][0], found[1][0]), strict=True))
    assert sorted(number.values()) == [0, 1]
    low, high = number["a"], number["b"]
    assert found == [(high, 0.5), (low, 1.0), (low, 0.0), (high, 0.5), (low, 1.0), (high, 8.5), (None, None)]


def test_a_group_that_the_real_rows_lack():
    with pytest.raises(RecipeError, match="goes per `kind`, which no real row has"):
        noted(Cluster(1, per="kind"), LINE, [])


def test_ties_go_to_the_first():
    best, far = nearest(np.array([[1.0, 0], [3, 0]]), np.array([[0.0, 0], [2, 0]]))
    assert best.tolist() == [0, 1]
    assert far.tolist() == [1.0, 1.0]


def test_a_row_alone_as_among_others():
    rng = np.random.default_rng(7)
    rows = [{"text": f"{x} {y}"} for x, y in rng.standard_normal((50, 2))]
    together = noted(Cluster(4), rows, rows)
    assert together == [noted(Cluster(4), rows, [row])[0] for row in rows]


def test_nudiff_takes_the_nearest_tenth_of_each_cluster():
    """Six blobs of ten points, share .1: the one nearest to each middle; of blobs of 19, int(1.9)."""
    rng = np.random.default_rng(3)
    centres = [(100 * i, 50 * (i % 2)) for i in range(6)]
    for size, taken in ((10, 1), (19, 1), (20, 2)):
        rows = []
        for x, y in centres:
            here = rng.standard_normal((size, 2))
            here -= here.mean(axis=0)
            rows += [{"text": f"{x + dx} {y + dy}"} for dx, dy in here]
        found = noted(Cluster(6), rows, rows)
        cluster, distance = np.array([c for c, _ in found]), np.array([d for _, d in found])
        assert sorted(np.bincount(cluster).tolist()) == [size] * 6
        expected = set()
        for blob, (x, y) in enumerate(centres):
            members = range(blob * size, (blob + 1) * size)
            near = sorted(members, key=lambda i: np.hypot(*(np.array(rows[i]["text"].split(), float) - (x, y))))
            expected |= set(near[:taken])
        n = np.full(6, int(0.1 * size + 1e-9))
        assert set(np.flatnonzero(top(distance, cluster, n, lowest=True))) == expected

"""Vectors in a measurement: keys, near copies, students; the whole way over a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from leaven.cli import run
from leaven.measure.vectors import Standardised, Vectors


def test_items_are_keys_of_their_numbers():
    vectors = Vectors("vector")
    column = pa.chunked_array([[[3.0, 4.0], None, [3.0, 4.0]], [[0.0, 0.0], [6.0, 8.1]]], pa.list_(pa.float32()))
    keys = vectors.items([column])
    assert keys[0] == keys[2]
    assert keys[1] is None
    assert len({keys[0], keys[3], keys[4]}) == 3
    np.testing.assert_allclose(vectors.embed([keys[0], keys[3]]), [[0.6, 0.8], [0, 0]])
    assert vectors.near([keys[4], keys[3]], [keys[0]]) == [True, False]
    assert vectors.near([], [keys[0]]) == []


def test_standardised_by_the_training_rows_alone():
    known = {"a": [0.0, 5.0], "b": [4.0, 5.0], "c": [6.0, 7.0]}
    student = Standardised(lambda items: np.array([known[item] for item in items]))
    train, test = student.features(["a", "b"], ["c"])
    root = 2**0.5
    np.testing.assert_allclose(train, [[-1 / root, 0], [1 / root, 0]])
    np.testing.assert_allclose(test, [[2 / root, 2 / root]])


def rows(path: Path, n: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for i in range(n):
            middle = np.array([3.0 * (i % 2), 1.0, 0.0])
            file.write(json.dumps({"v": (middle + rng.normal(0, 1, 3)).tolist(), "kind": "ab"[i % 2]}) + "\n")
    return str(path)


def test_a_run_over_vectors_is_measured(shown: Callable[..., Any], tmp_path: Path):
    real, test = rows(tmp_path / "real.jsonl", 24, 0), rows(tmp_path / "test.jsonl", 20, 1)
    recipe = tmp_path / "own.yaml"
    recipe.write_text(json.dumps({"fields": ["vector", "label"], "steps": ["shake_vector"]}))
    out = tmp_path / "out"
    assert run(["augment", real, "--test", test, "-r", str(recipe), "-o", str(out), "-q", "--workers", "1"]) == 0
    found = shown(str(out), "--ratios", "1")
    assert {row["student"] for row in found["rows"]} == {"vectors + linear", "standardised vectors + linear"}
    assert {row["arm"] for row in found["rows"]} == {"real", "repeat", "classic", "made", "both"}
    assert found["classic"] == "mix-vectors"
    assert not found["warnings"]


def test_made_vectors_that_point_as_a_test_row_does_are_left_out(shown: Callable[..., Any], tmp_path: Path):
    real, test = rows(tmp_path / "real.jsonl", 24, 0), rows(tmp_path / "test.jsonl", 20, 1)
    first, second, *_ = [json.loads(line) for line in Path(test).read_text().splitlines()]
    made = Path(rows(tmp_path / "made.jsonl", 16, 2))
    longer = {**second, "v": [1.5 * x for x in second["v"]]}
    made.write_text(made.read_text() + json.dumps(first) + "\n" + json.dumps(longer) + "\n")
    found = shown(real, "--with", str(made), "--test", test, "--ratios", "0.5", "--field", "vector=v")
    assert (found["leaks"]["copies"], found["leaks"]["near"]) == (1, 1)


@pytest.mark.parametrize("student", ["cnn", "transformers:somewhere"])
def test_no_such_student(student: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    real, test = rows(tmp_path / "real.jsonl", 24, 0), rows(tmp_path / "test.jsonl", 20, 1)
    command = ["measure", real, "--with", real, "--test", test, "--field", "vector=v", "--student", student]
    assert run(command) == 1
    assert "this data is vector" in capsys.readouterr().err

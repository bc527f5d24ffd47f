"""Other labels for a record."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from leaven.any_record.retarget import Retarget
from leaven.errors import RecipeError

SOURCE = [{"text": f"t{i}", "label": label} for i, label in enumerate("xyzx")]
ROW = {"text": "t", "label": "y"}


def labels(op: Retarget, row: dict[str, Any] = ROW, field: str = "label") -> list[str]:
    found = op(row, source=SOURCE)
    assert all(r["text"] == "t" for r in found)
    return [r[field] for r in found]


@pytest.mark.parametrize(
    ("to", "row", "expected"),
    [
        ("each", ROW, ["x", "y", "z"]),
        ("other", ROW, ["x", "z"]),
        ("each", {"text": "t", "label": None}, ["x", "y", "z"]),
        ("other", {"text": "t", "label": None}, ["x", "y", "z"]),
    ],
)
def test_a_child_for_each(to: Any, row: dict[str, Any], expected: list[str]):
    assert labels(Retarget(to), row) == expected


def test_one_drawn():
    drawn = Counter(labels(Retarget("random"), {**ROW, "_id": f"r{i}"})[0] for i in range(80))
    assert drawn.keys() == {"x", "z"}
    assert min(drawn.values()) > 20
    assert labels(Retarget("random", among=["y"])) == [], "there is no other"


def test_among_into_another_field():
    op = Retarget(among=["entailment", "neutral"], into="relation")
    assert labels(op, field="relation") == ["entailment", "neutral"]
    assert [row["label"] for row in op(ROW)] == ["y", "y"]
    assert labels(Retarget(among="likely"), {**ROW, "likely": ["z"]}) == ["z"]


def test_wrong():
    with pytest.raises(RecipeError, match="retarget needs a label"):
        Retarget()({"text": "t"})
    with pytest.raises(RecipeError, match="no list of labels: 'y'"):
        labels(Retarget(among="label"))

"""Zero-shot classes: the softmax of scaled cosines, over what a record may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.zero_shot import ZeroShot
from leaven.context import Context
from leaven.errors import RecipeError
from leaven.records import Record

DIRECTIONS = {"north": (1, 0), "east": (0, 1), "south": (-1, 0), "north-east": (0.6, 0.8), "": (0, 0)}


class Embedder:
    """Texts to directions in the plane; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Any) -> Any:
        self.asked += texts
        return np.array([DIRECTIONS[text.removeprefix("to the ")] for text in texts], np.float32).reshape(-1, 2)


def noted(op: ZeroShot, *texts: str, labels: Any = None, **fields: Any) -> list[dict[str, Any]]:
    op = op.model_copy(update={"on": "text"})
    ctx = Context(models=Embedder(), constants={"labels": labels or {}})
    return [dict(row) for row in op.notes([Record(t, {"text": t, **fields}) for t in texts], ctx)]


@pytest.mark.parametrize(
    ("text", "scale", "best", "prob"),
    [
        ("north", 1, "north", 0.731059),  # e / (e + 1)
        ("north", 2, "north", 0.880797),
        ("north-east", 1, "east", 0.549834),  # 1 / (1 + e^-.2)
        ("north-east", 100, "east", 1.0),
    ],
)
def test_the_softmax_of_scaled_cosines(text: str, scale: float, best: str, prob: float):
    [row] = noted(ZeroShot(["north", "east"], scale=scale), text)
    assert row["zero_shot"] == best
    assert row["zero_shot_prob"] == pytest.approx(prob, abs=2e-6)
    assert row["zero_shot_index"] == ["north", "east"].index(best)
    assert row["zero_shot_probs"][best] == row["zero_shot_prob"]
    assert sum(row["zero_shot_probs"].values()) == pytest.approx(1, abs=2e-6)


def test_the_first_of_two_that_fit_alike():
    assert noted(ZeroShot(["east", "south", "north"], scale=1), "east")[0]["zero_shot_index"] == 0
    assert noted(ZeroShot(["north", "south"], scale=1), "east")[0]["zero_shot"] == "north"
    assert noted(ZeroShot(["south", "north"], scale=1), "east")[0]["zero_shot"] == "south"


def test_how_each_is_said_and_what_to_choose_from():
    labels = {"north": "up", "south": "down"}
    [row] = noted(ZeroShot(to="to the {{ name }}", scale=1), "south", labels=labels)
    assert row["zero_shot"] == "south"
    assert list(row["zero_shot_probs"]) == ["north", "south"]
    [row] = noted(ZeroShot("likely"), "south", likely=["east", "north"])
    assert row["zero_shot"] == "east"
    for wrong in ("nowhere", []):
        with pytest.raises(RecipeError, match="no list of texts, or an empty one"):
            noted(ZeroShot("likely"), "south", likely=wrong)


def test_nothing_to_compare():
    [row] = noted(ZeroShot(["north", "east"]), "")
    assert set(row.values()) == {None}


def test_a_record_does_not_hang_on_those_beside_it():
    op = ZeroShot(["north", "east", "south"], scale=3)
    texts = ["north", "north-east", "south"]
    assert noted(op, *texts) == [noted(op, text)[0] for text in texts]


def test_each_text_is_embedded_once():
    models = Embedder()
    ctx = Context(models=models, constants={"labels": {}})
    op = ZeroShot(["north", "east"], on="text")
    list(op.notes([Record(str(i), {"text": "south"}) for i in range(3000)], ctx))
    assert models.asked.count("north") == models.asked.count("east") == 1


def test_an_image_and_a_text_without_a_model_of_both():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(RecipeError, match="zero_shot compares an image or a sound with a text") as caught:
        ZeroShot(["a bird", "a cartoon"], on="image")({"image": image, "label": "a"})
    assert "--model embed=transformers:FOLDER" in caught.value.fix

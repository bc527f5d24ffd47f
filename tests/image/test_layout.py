"""layout: boxes at random for what a text names; who is the same shares a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.image.layout import Layout

SPANS = [
    {"start": 0, "end": 3, "text": "Ann", "label": "PER", "chain": 7},
    {"start": 8, "end": 13, "text": "a dog", "label": "ANIMAL", "chain": 8},
    {"start": 15, "end": 18, "text": "she", "label": "PER", "chain": 7},
    {"start": 20, "end": 25, "text": "a cat", "label": "ANIMAL", "chain": None},
    {"start": 26, "end": 31, "text": "a cat", "label": "ANIMAL", "chain": None},
]


def boxes(value: Any, seed: int = 0, **how: Any) -> list[dict[str, Any]]:
    [row] = Layout("things", **how)({"text": "Ann has a dog", "things": value}, seed=seed)
    found: list[dict[str, Any]] = row["boxes"]
    return found


def test_mentions_of_one_chain_share_a_box():
    found = boxes(SPANS, same_box="chain")
    assert [box["label"] for box in found] == ["Ann", "a dog", "a cat", "a cat"], "of no chain: a box each"
    assert len({(box["x"], box["y"]) for box in found}) == 4
    assert len(boxes(SPANS)) == 5


def test_labels_and_one_name():
    assert [box["label"] for box in boxes(["cup", "table"])] == ["cup", "table"]
    assert [box["label"] for box in boxes("cup")] == ["cup"]
    assert [box["label"] for box in boxes([{"label": "cup"}])] == ["cup"]


@given(st.integers(0, 10_000), st.sampled_from([(0.1, 0.5), (0.3, 0.3), (1.0, 1.0), (0.01, 1.0)]))
def test_boxes_lie_on_the_canvas(seed: int, size: tuple[float, float]):
    for box in boxes(["a", "b"], seed, size=list(size), canvas=[640, 320]):
        for at, long, side in (("x", "w", 640), ("y", "h", 320)):
            assert 0 <= box[at] <= box[at] + box[long] <= side + 1e-6
            assert size[0] * side - 0.01 <= box[long] <= size[1] * side + 0.01


def test_drawn_anew_by_the_seed():
    assert boxes(["a"], 1) == boxes(["a"], 1) != boxes(["a"], 2)
    places = np.array(
        [[box["x"] + box["w"] / 2, box["y"] + box["h"] / 2] for i in range(300) for box in boxes(["a"], i)]
    )
    assert np.allclose(places.mean(0), 256, atol=20), "anywhere"


def test_nothing_to_see():
    for nothing in ([], None, [{"text": " "}]):
        assert Layout("things")({"things": nothing})[0]["_reason"] == "no_thing"


def test_what_is_wrong():
    with pytest.raises(RecipeError, match=r"size is \[0\.5, 0\.1\]; it is two shares from 0 to 1"):
        Layout(size=[0.5, 0.1])
    with pytest.raises(RecipeError, match=r"canvas is \[512\]; it is width and height"):
        Layout(canvas=[512])

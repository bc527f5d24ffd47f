"""copy: a child for each item of a list, n times; boxes say their share of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.copy import Copy
from leaven.errors import RecipeError

BOX = {"x": 1.0, "y": 0.0, "w": 4.0, "h": 3.0, "label": "cup", "polygons": None}


def test_a_child_for_each_item_n_times():
    assert Copy(3)({"text": "a"}) == [{"text": "a"}] * 3
    rows = Copy(2, each="langs", into="lang")({"text": "a", "langs": ["ind", "tam"]})
    assert [row["lang"] for row in rows] == ["ind", "ind", "tam", "tam"]
    assert [row["to"] for row in Copy(each={"a": 1, "b": 2}, into="to")({"text": "a"})] == ["a", "b"]
    assert [row["size"] for row in Copy(each=[0.5, 0.9], into="size")({"text": "a"})] == [0.5, 0.9]


def test_boxes_say_their_share_of_the_image():
    record = {"image": np.zeros((6, 8, 3), np.uint8), "boxes": [BOX, {**BOX, "w": 8.0, "h": 6.0}]}
    rows = Copy(each="boxes", into="box")(record)
    assert [row["box"]["share"] for row in rows] == [0.25, 1.0]
    assert "share" not in rows[0]["boxes"][0], "the boxes themselves stay as they are"
    [row] = Copy(each="things", into="box")({"image": np.zeros((6, 8, 3), np.uint8), "things": [BOX]})
    assert "share" not in row["box"], "not known to be boxes of that image"


@pytest.mark.parametrize("nothing", [[], None, {}])
def test_no_item(nothing: Any):
    [row] = Copy(each="objects", into="object")({"text": "a", "objects": nothing})
    assert row["_reason"] == "no_item"


def test_what_is_wrong():
    with pytest.raises(RecipeError, match="copy has `each` and no `into`"):
        Copy(each="boxes")
    with pytest.raises(RecipeError, match="copy has `into` and no `each`"):
        Copy(into="box")
    with pytest.raises(RecipeError, match="`each` of copy is no list: 'abc'"):
        Copy(each="text", into="letter")({"text": "abc"})

"""How much two texts, masks or lists of boxes have in common, each measure by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.any_record.overlap import Overlap, covered, edits, paired, shared
from leaven.errors import RecipeError
from leaven.media.image import Image
from leaven.plain_yaml import load
from leaven.recipe.build import build

words = st.lists(st.sampled_from(["a", "b", "c", "light", "Light", ""]), max_size=8)


def overlap(one: Any, other: Any, kind: str = "text", **how: Any) -> float:
    [row] = Overlap("other", on=kind, **how)({kind: one, "other": other})
    return float(row["overlap"])


# -- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "measure", "value"),
    [
        ("Turn on the light!", "turn on the light", "words", 1),
        ("turn on the light", "turn off the light", "words", 3 / 4),
        ("turn on the light", "turn on the kitchen light", "words", 4 / 5),
        ("stop", "please do not stop", "words", 1 / 4),
        ("I can't", "i can’t", "words", 1 / 2),
        ("stop", "go", "words", 0),
        ("abcd", "abxd", "edit", 3 / 4),
        ("abcd", "bcd", "edit", 3 / 4),
        ("Abcd", "abcd", "edit", 3 / 4),
        ("the cat sat", "the dog sat", "rouge", 2 / 3),
        ("the cat sat on it", "sat the cat", "rouge", 2 * 2 / 8),
        ("", "", "words", 1),
        ("", "", "rouge", 1),
        ("", "a", "edit", 0),
    ],
)
def test_texts(one: str, other: str, measure: str, value: float):
    assert overlap(one, other, measure=measure) == pytest.approx(value, abs=1e-6)


def test_plainly():
    assert overlap("The Cat!", "a cat", measure="edit") < 0.5
    assert overlap("The Cat!", "a cat", measure="edit", plain=True) == 1


def test_words_are_the_measure_of_texts_where_none_is_named():
    assert overlap("stop now", "stop here") == 0.5
    assert overlap(None, "stop") == 0
    assert overlap("stop", None) == 0


@given(words, words)
def test_edits_and_what_is_shared(one: list[str], other: list[str]):
    assert edits(one, other) == edits(other, one) == slow_edits(tuple(one), tuple(other))
    assert edits(one, one) == 0
    assert abs(len(one) - len(other)) <= edits(one, other) <= max(len(one), len(other))
    assert shared(one, other) == shared(other, one) <= min(len(one), len(other))
    assert shared(one, one) == len(one)
    assert len(one) + len(other) - 2 * shared(one, other) >= edits(one, other)


def slow_edits(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i, *row]
        for j, b in enumerate(other, 1):
            row[j] = min(row[j + 1] + 1, row[j - 1] + 1, row[j] + (a != b))
        row.pop()
    return row[-1]


# -- masks -----------------------------------------------------------------------------------------------------------


def mask(*rows: str) -> Image:
    return Image.of_codes(np.array([[int(code) for code in row] for row in rows], np.uint8))


def test_masks():
    one, other = mask("0011", "0011"), mask("0001", "0001")
    assert overlap(one, other, "mask") == pytest.approx(2 * 2 / 6, abs=1e-6)
    assert overlap(one, other, "mask", measure="iou") == pytest.approx(2 / 4)
    assert overlap(one, one, "mask") == 1
    assert overlap(one, mask("1100", "1100"), "mask") == 0
    assert overlap(mask("0000"), mask("0000"), "mask") == 1


def test_masks_of_several_classes_count_by_their_mean():
    assert overlap(mask("1122"), mask("1100"), "mask") == 0.5
    assert covered(np.array([[1, 2]]), np.array([[1, 3]]), "iou") == pytest.approx(1 / 3)


def test_masks_of_two_sizes_are_refused():
    assert Overlap("other", on="mask").measure is None
    [row] = [{"mask": mask("01"), "other": mask("011")}]
    [said] = Overlap("other", on="mask")(row)
    assert said["_reason"] == "other_size"


def test_no_mask_is_like_none():
    assert overlap(mask("01"), None, "mask") == 0


# -- boxes -----------------------------------------------------------------------------------------------------------


def box(x: float, y: float, w: float, h: float, label: str = "car") -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": None}


def test_boxes():
    one, half = box(0, 0, 2, 2), box(1, 0, 2, 2)
    assert overlap([one], [one], "boxes") == 1
    assert overlap([one], [half], "boxes") == pytest.approx(2 / 6, abs=1e-6)
    assert overlap([one], [half], "boxes", measure="dice") == 0.5
    assert overlap([one], [box(0, 0, 2, 2, "dog")], "boxes") == 0
    assert overlap([one], [], "boxes") == 0
    assert overlap([], [], "boxes") == 1
    assert overlap([one, half], [one], "boxes") == 0.5


def test_the_best_pairs_first_and_each_box_once():
    a, b = box(0, 0, 4, 4), box(2, 0, 4, 4)
    assert paired([a, b], [b], "iou") == 1
    assert paired([a, a], [a], "iou") == 1
    assert paired([a, b], [b, a], "iou") == 2


# -- what is wrong ---------------------------------------------------------------------------------------------------


def test_a_measure_of_another_kind_and_two_kinds():
    with pytest.raises(RecipeError, match=r"does not measure dice of texts\.") as raised:
        overlap("a", "b", measure="dice")
    assert raised.value.fix == "measure: words or edit or rouge"
    with pytest.raises(RecipeError, match=r"overlap compares masks with texts\."):
        overlap(mask("01"), "a", "mask")


def test_the_recipe_says_with():
    def step(**how: Any) -> Overlap:
        said = json.dumps({"steps": [{"overlap": how}]})
        [found] = build(load(said, "x"), text=said, where="x", name="x").steps()
        assert isinstance(found.op, Overlap)
        return found.op

    op = step(on="transcript", **{"with": "root.text"}, measure="words")
    assert op.reads() == {"transcript", "root"}
    assert Overlap(**op.spec()).spec() == op.spec()
    with pytest.raises(RecipeError, match="with"):
        step(on="transcript")


@pytest.mark.parametrize(
    ("one", "other", "kind"), [(mask("00"), mask("00"), "mask"), ("", " .", "text"), ([], None, "boxes")]
)
def test_what_two_empty_ones_are_worth(one: Any, other: Any, kind: str):
    assert overlap(one, other, kind) == 1
    assert overlap(one, other, kind, empty=0) == 0


def test_one_that_is_empty_is_no_pair_of_empty_ones():
    assert overlap(mask("10"), mask("00"), "mask", empty=0.5) == 0
    assert overlap("", "word", empty=0.5) == 0
    assert overlap(mask("10"), mask("10"), "mask", empty=0) == 1

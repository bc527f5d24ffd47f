"""Sketches: which stretches become a blank, and which phrases stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.context import Context
from leaven.records import Record
from leaven.text.sketch import Sketch, phrases, sketched

NETS = "deep nets learn fast from data"


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        (NETS, ["nets learn", "data"], "____ nets learn ____ data"),
        (NETS, ["deep", "data"], "deep ____ data"),
        (NETS, ["fast"], "____ fast ____"),
        (NETS, ["nets", "learn"], "____ nets learn ____"),  # next to each other: nothing between them
        (NETS, ["nets learn", "learn fast"], "____ nets learn fast ____"),
        (NETS, [], "____"),
        ("start the art of art", ["art"], "____ art ____ art"),  # whole words, wherever they stand
        ("A state-of-the-art net (new).", ["state-of-the-art", "net"], "____ state-of-the-art net ____"),
        ("Nets, data!", ["Nets", "data"], "Nets ____ data ____"),
    ],
)
def test_stretches(text: str, kept: list[str], expected: str):
    assert sketched(text, kept) == expected


def test_phrases():
    assert phrases("The deep nets", 3) == ["The deep", "The deep nets", "deep", "deep nets", "nets"]
    assert phrases("So, deep, deep", 2) == ["deep"], "nothing runs over a comma, and no idle word stands alone"
    assert phrases("...", 3) == []


class Toy:
    """A vector of how often x and y stand in a text."""

    def embed(self, texts: Any) -> np.ndarray:
        return np.array([[text.count("x"), text.count("y")] for text in texts], float)


@pytest.mark.parametrize(
    ("words", "keep", "most", "expected"),
    [(4, 0.2, 40, 1), (10, 0.2, 40, 2), (37, 0.2, 40, 7), (500, 0.2, 40, 40), (500, 0.2, 3, 3), (9, 0.5, 40, 4)],
)
def test_how_many(words: int, keep: float, most: int, expected: int):
    text = " ".join(f"w{i}" for i in range(words))
    ctx = Context(models=Toy(), constants={"labels": {}, "label_field": "label"})
    [found] = Sketch(keep=keep, most=most, ngram=1).notes([Record("r", {"text": text})], ctx)
    assert found["sketch"].replace("____", "").split() == [f"w{i}" for i in range(expected)], "ties: the first"


def test_near_the_text_and_the_label():
    fields = {"text": "xx q yyyy q x", "label": "b"}
    ctx = Context(models=Toy(), constants={"labels": {"a": "yyyyy", "b": "xxxxxxxx"}, "label_field": "label"})
    op = Sketch(ngram=1, keep=0.2)
    [one] = op.notes([Record("r", fields)], ctx)
    [other] = op.notes([Record("r", {**fields, "label": "a"})], ctx)
    [neither] = op.notes([Record("r", {**fields, "label": None})], ctx)
    # The text is (3, 4): with the label's meaning (11, 4) / 2 "xx" is nearest, with the other's (3, 9) / 2 "yyyy" is.
    assert (one["sketch"], other["sketch"], neither["sketch"]) == ("xx ____", "____ yyyy ____", "____ yyyy ____")

"""A plain operator in a training loop: drawn by (seed, epoch, index) and nothing else."""

from __future__ import annotations

import pytest

import leaven as lv
from leaven.draws import Draw
from leaven.operators import Make, Note

TEXT = {"text": "my card is still lost today", "label": "card"}


def test_keyed_by_seed_epoch_and_index():
    one, two = lv.as_transform(lv.EditWords(n=1)), lv.as_transform(lv.EditWords(n=1), seed=1)
    first = [one(TEXT, i) for i in range(20)]
    assert [one(TEXT, i) for i in reversed(range(20))][::-1] == first
    assert len({row["text"] for row in first}) > 5
    assert [one(TEXT, i, epoch=1) for i in range(20)] != first != [two(TEXT, i) for i in range(20)]
    one.set_epoch(1)
    assert [one(TEXT, i) for i in range(20)] == [
        lv.as_transform(lv.EditWords(n=1))(TEXT, i, epoch=1) for i in range(20)
    ]
    assert all(row["label"] == "card" for row in first)
    assert repr(one) == "Transform: edit_words n=1; seed 0, epoch 1"


def test_the_content_does_not_key_the_draw():
    transform = lv.as_transform(lv.EditChars(p=0.5))
    assert transform({**TEXT, "extra": object()}, 3)["text"] == transform({**TEXT, "_id": "mine"}, 3)["text"]
    assert transform({**TEXT, "_id": "mine"}, 3)["_id"] == "mine"


def test_an_example_that_is_refused_stays():
    class Refusing(Make):
        """Nothing comes of it."""

        def make(self, record, ctx):
            yield record.child(text="").refuse("no_words")

    class Silent(Make):
        """Nothing at all."""

        def make(self, record, ctx):
            return iter(())

    assert lv.as_transform(Refusing())(TEXT, 0) == lv.as_transform(Silent())(TEXT, 0) == TEXT


def test_what_is_no_transform():
    class Asking(Note):
        """Asks."""

        roles = frozenset({"chat"})

    class Drawing(Make):
        """Draws."""

        draw: Draw = Draw(k=1)

    wrong = (
        (lv.Prediction(), "learns from rows"),
        (Asking(), "asks models"),
        (lv.keep("x > 1"), "cannot"),
        (Drawing(), "draws other rows"),
    )
    for op, said in wrong:
        with pytest.raises(lv.RecipeError, match=said):
            lv.as_transform(op)

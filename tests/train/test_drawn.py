"""Rows drawn anew each epoch: how many, which, whose children, and the same in every process."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.train import Drawn
from leaven.train.chances import keys, shares


def family(real: int = 6, children: int = 4, labels: str = "ab") -> list[dict[str, Any]]:
    """Real rows, each with so many children; a child of child 0 comes last."""
    rows: list[dict[str, Any]] = [
        {"text": f"real {i}", "label": labels[i % len(labels)], "_id": f"r{i}"} for i in range(real)
    ]
    for i in range(real):
        for k in range(children):
            own = {"text": f"made {i}.{k}", "label": labels[i % len(labels)], "_id": f"m{i}.{k}"}
            parent = f"r{i}" if k < children - 1 or children == 1 else f"m{i}.0"
            rows.append({**own, "_synthetic": True, "_parents": [parent]})
    return rows


def texts(drawn: Drawn) -> list[str]:
    return [row["text"] for row in drawn]


def of_epoch(drawn: Drawn, epoch: int) -> list[str]:
    drawn.set_epoch(epoch)
    return texts(drawn)


# -- a ratio ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(0, 4), st.sampled_from(["a", "ab", "abc"]), st.floats(0, 5), st.integers(0, 99))
def test_all_real_rows_and_the_number_of_made_ones(real: int, children: int, labels: str, ratio: float, epoch: int):
    drawn = Drawn(family(real, children, labels), ratio, "epoch")
    found = of_epoch(drawn, epoch)
    made = [text for text in found if text.startswith("made")]
    assert len(drawn) == len(found) == len(set(found))
    assert {f"real {i}" for i in range(real)} <= set(found)
    assert len(made) == min(round(ratio * real), real * children)
    assert len(drawn[0]) == 2


def test_another_draw_each_epoch_and_the_same_one_again():
    drawn = Drawn(family(20, 4), ratio=1, redraw="epoch")
    first, second = of_epoch(drawn, 0), of_epoch(drawn, 1)
    assert set(first) != set(second)
    assert [t for t in first if t[0] == "r"] != [t for t in second if t[0] == "r"]  # the order too
    assert of_epoch(drawn, 0) == first
    resumed = Drawn(family(20, 4), ratio=1, redraw="epoch")
    assert of_epoch(resumed, 1) == second
    assert set(of_epoch(Drawn(family(20, 4), 1, "epoch", seed=1), 0)) != set(first)
    seen = {text for epoch in range(30) for text in of_epoch(drawn, epoch) if text[0] == "m"}
    assert len(seen) == 80  # each made row has its turn


def test_without_redraw_the_draw_stays():
    drawn = Drawn(family(20, 4), ratio=1)
    assert of_epoch(drawn, 0) == of_epoch(drawn, 5)
    assert repr(drawn) == "Blend: 40 rows, 20 real and 20 made"
    assert len(Drawn(family(20, 4))) == 100


def test_rows_do_not_hang_on_the_order_of_the_list():
    rows = family(20, 4)
    assert texts(Drawn(rows, 0.5)) == texts(Drawn(rows[::-1], 0.5))


def test_real_and_made_rows_are_mixed():
    made = np.array([text[0] == "m" for text in texts(Drawn(family(300, 6), ratio=1))])
    assert abs(made[:300].mean() - 0.5) < 0.1
    assert abs(made[300:].mean() - 0.5) < 0.1


def test_labels_have_equal_shares():
    rows = family(30, 3, "aab")
    counts = Counter(row["label"] for row in Drawn(rows, 0.5, "epoch") if row["text"][0] == "m")
    assert counts == {"a": 8, "b": 7}


@pytest.mark.parametrize("ratio", [[0, 0.5, 1], lambda epoch: min(epoch / 2, 1)])
def test_a_schedule(ratio: Any):
    drawn = Drawn(family(10, 4), ratio, "epoch")
    sizes = []
    for epoch in range(5):
        drawn.set_epoch(epoch)
        sizes.append(len(drawn))
    assert sizes == [10, 15, 20, 20, 20]
    still = Drawn(family(10, 4), [0.5, 1])  # without redraw those of before stay, and others join
    assert set(of_epoch(still, 0)) < set(of_epoch(still, 1))


# -- one of each real row's line --------------------------------------------------------------------------------------


def test_a_row_or_one_of_its_children():
    drawn = Drawn(family(10, 4), redraw="epoch", one_per="root")
    shown: Counter[str] = Counter()
    for epoch in range(400):
        found = of_epoch(drawn, epoch)
        assert sorted(text.split()[1].partition(".")[0] for text in found) == sorted(str(i) for i in range(10))
        shown.update(text if text[0] == "r" else text.partition(".")[2] for text in found)
    assert len(drawn) == 10
    real = sum(n for text, n in shown.items() if text[0] == "r")
    assert real / 4000 == pytest.approx(0.2, abs=0.02)  # 1 of 5
    assert [shown[k] / 4000 for k in "0123"] == pytest.approx([0.2] * 4, abs=0.02)


def test_with_a_chance_a_child_of_the_same_row():
    drawn = Drawn(family(10, 4), redraw="epoch", p=0.3)
    shown: Counter[str] = Counter()
    for epoch in range(400):
        found = of_epoch(drawn, epoch)
        assert sorted(text.split()[1].partition(".")[0] for text in found) == sorted(str(i) for i in range(10))
        shown.update("r" if text[0] == "r" else text.partition(".")[2] for text in found)
    assert shown["r"] / 4000 == pytest.approx(0.7, abs=0.025)
    assert [shown[k] / 4000 for k in "0123"] == pytest.approx([0.075] * 4, abs=0.015)
    assert {text[0] for text in texts(Drawn(family(), p=0))} == {"r"}
    assert {text[0] for text in texts(Drawn(family(), p=1))} == {"m"}


def test_rows_without_a_line():
    lonely = [
        {"text": "real", "_id": "r"},
        {"text": "pool", "_id": "p", "_synthetic": True},
        {"text": "child", "_synthetic": True, "_parents": ["p"]},
    ]
    assert "real" in texts(Drawn(lonely, p=1))
    assert set(texts(Drawn(lonely, p=0))) in ({"real", "pool"}, {"real", "child"})
    orphan = [*lonely, {"text": "x", "_synthetic": True, "_parents": ["gone"], "_id": "o"}]
    with pytest.raises(DataError, match="1 made ones go back to are not known, of o for one"):
        Drawn(orphan, one_per="root")
    assert len(Drawn([*orphan[:3], {**orphan[3], "_root": "r"}], one_per="root")) == 2
    assert len(Drawn(orphan, ratio=3)) == 4
    ring = [{"_id": "a", "_parents": ["b"]}, {"_id": "b", "_parents": ["a"]}]
    with pytest.raises(DataError, match="not known"):
        Drawn(ring, one_per="root")


# -- one text of several ----------------------------------------------------------------------------------------------


def test_one_of_several_texts():
    five = ["one", "two", "three", "four", "five"]
    drawn = Drawn([{"captions": five, "n": i} for i in range(100)], redraw="epoch", one_of="captions")
    shown = Counter(row["captions"] for epoch in range(50) for row in (drawn.set_epoch(epoch), list(drawn))[1])
    assert [shown[text] / 5000 for text in five] == pytest.approx([0.2] * 5, abs=0.02)
    assert drawn[3] == drawn[3]
    json = [{"captions": '["x", "x"]'}, {"captions": "[y"}, {"captions": "z"}]
    assert sorted(row["captions"] for row in Drawn(json, one_of="captions")) == ["[y", "x", "z"]
    with pytest.raises(DataError, match="`captions` holds no text"):
        list(Drawn([{"captions": []}], one_of="captions"))
    with pytest.raises(DataError, match="no column `caption`; the nearest is `captions`"):
        Drawn([{"captions": five}], one_of="caption")


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_transforms_go_in_order():
    drawn = Drawn([{"text": "a"}], transform=[lambda row: row["text"] + "b", lambda text: text + "c"])
    assert list(drawn) == ["abc"]
    assert Drawn([{"text": "a"}], transform=lambda row: row["text"])[0] == "a"


def test_it_is_a_sequence():
    drawn = Drawn(family(5, 2), 1)
    assert drawn[-1] == drawn[9] == list(drawn)[-1]
    with pytest.raises(IndexError):
        drawn[10]
    drawn.set_epoch(3)
    other = pickle.loads(pickle.dumps(drawn))  # noqa: S301
    assert list(other) == list(drawn)
    other.set_epoch(4)  # a copy has an epoch of its own
    assert drawn.epoch == 3


def test_words_that_are_none():
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ratio": -1}, "ratio is -1; blend allows 0 to 1000"),
        ({"ratio": [0, 2000]}, "ratio is 2000 in epoch 1"),
        ({"ratio": []}, "ratio is an empty list"),
        ({"redraw": "batch"}, "redraw is batch; blend allows epoch"),
        ({"p": 2}, "p is 2"),
        ({"one_per": "label"}, "one_per is label"),
        ({"ratio": 1, "p": 0.5}, "give one of the two"),
    ]
    for words, said in wrong:
        with pytest.raises(DataError, match=said):
            Drawn(family(), **words)
    with pytest.raises(DataError, match="row 1 of the list is a str"):
        Drawn([{"text": "a"}, "b"])


def test_keys_are_even_and_apart():
    places = np.random.default_rng(0).integers(0, 2**64 - 1, 20_000, dtype=np.uint64)
    one = shares(keys(places, "a", 0, 0))
    assert one.min() >= 0
    assert one.max() < 1
    assert one.mean() == pytest.approx(0.5, abs=0.01)
    for other in (keys(places, "b", 0, 0), keys(places, "a", 1, 0), keys(places, "a", 0, 1)):
        assert abs(np.corrcoef(one, shares(other))[0, 1]) < 0.03

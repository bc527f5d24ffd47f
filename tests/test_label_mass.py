"""The labels of what was put together: they stay a distribution, however often; and what is not known is not said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.context import Context
from leaven.fields import Column
from leaven.label_mass import label_field, label_mass, labels_of
from leaven.records import Record

CTX = Context(columns={"label": Column("label"), "label_probs": Column("label_probs")})


def of(**fields: Any) -> Record:
    return Record("r", fields)


def test_equal_labels_add_up():
    parts = [(0.5, of(label="cat")), (0.25, of(label="dog")), (0.25, of(label="cat"))]
    assert label_mass(parts, "label") == {"cat": 0.75, "dog": 0.25}
    assert labels_of(parts, CTX, soft=True) == {"label": "cat", "label_probs": {"cat": 0.75, "dog": 0.25}}
    assert labels_of(parts, CTX, soft=False) == {"label": "cat"}


def test_of_equals_the_first_is_the_label():
    parts = [(0.5, of(label="dog")), (0.5, of(label="cat"))]
    assert labels_of(parts, CTX, soft=False) == {"label": "dog"}


def test_a_number_and_its_text_are_one_label():
    assert label_mass([(0.5, of(label=3)), (0.5, of(label="3", label_probs={"3": 1.0}))], "label") == {"3": 1.0}


def test_a_label_that_is_not_known_is_not_guessed():
    known, unknown = of(label="cat"), of(label=None)
    assert labels_of([(0.5, known), (0.5, unknown)], CTX, soft=True) is None
    assert labels_of([(1.0, known), (0.0, unknown)], CTX, soft=True) == {"label": "cat", "label_probs": {"cat": 1.0}}
    assert labels_of([(0.7, known), (0.3, unknown)], CTX, soft=False) == {"label": "cat"}
    assert labels_of([(0.3, known), (0.7, unknown)], CTX, soft=False) == {"label": None}


def test_old_shares_do_not_stay_where_none_are_asked_for():
    mixed = of(label="cat", label_probs={"cat": 0.6, "dog": 0.4})
    found = labels_of([(0.5, mixed), (0.5, of(label="dog"))], CTX, soft=False)
    assert found == {"label": "dog", "label_probs": {"cat": 0.3, "dog": 0.7}}
    assert labels_of([(0.5, mixed), (0.5, of())], CTX, soft=False) == {"label": None, "label_probs": None}


def test_without_a_label_nothing_is_said():
    assert label_field(Context(columns={"image": Column("image")})) == ""
    assert labels_of([(1.0, of(image=1))], Context(columns={"image": Column("image")}), soft=True) == {}


SHARES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1).map(
    lambda counts: {label: n / sum(counts.values()) for label, n in counts.items()}
)


@given(st.lists(st.tuples(st.integers(1, 99), SHARES | st.sampled_from("abcd")), min_size=1, max_size=5))
def test_the_mass_of_labels_is_one(given_parts: list[tuple[int, Any]]):
    whole = sum(weight for weight, _ in given_parts)
    rows = [
        (weight / whole, of(label="a", label_probs=said) if isinstance(said, dict) else of(label=said))
        for weight, said in given_parts
    ]
    found = labels_of(rows, CTX, soft=True)
    assert found is not None
    assert sum(found["label_probs"].values()) == pytest.approx(1)
    assert min(found["label_probs"].values()) > 0
    assert found["label_probs"][found["label"]] == max(found["label_probs"].values())

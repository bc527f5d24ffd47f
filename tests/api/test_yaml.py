"""What a pipeline writes, the loader of recipes reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.plain_yaml import load
from leaven.recipe import build, names, source
from leaven.recipe.yaml import write

ODD = ["no", "on", "1e5", "1_000", "0x1", "null", "~", "", "true", "a\nb", "a\n\n  b\n", "a\nb\n\n", "a \nb", "  a\nb",
       "a\n\tb", "x: y", "- a", "-", "---", "...", "@x", "a #b", "<<", "=", "max(a, b)", "f(", "4 * median",
       "'a' ~ 'b'", "{{ text }}", "label_prob > 0.7 and label != 'x'",
       "\x85", "\u2028", "\ufeff", "\x7f", "a\r\nb"]  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(ODD)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=9)


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_any_data_comes_back(data: dict[str, Any]):
    assert load(write(data), "x") == data


@pytest.mark.parametrize("name", names())
def test_the_built_in_recipes_come_back(name: str):
    data = load(source(name), name)
    again = load(write(data), name)
    assert again == data
    one, two = (build(plain, text="", where="", name=name) for plain in (data, again))
    assert [s.key for s in one.steps()] == [s.key for s in two.steps()]


def test_how_it_looks():
    data = {
        "fields": ["text", "label"],
        "steps": [
            {"write": {"n": 6, "prompt": "Say {{ text }}\nin other words."}},
            "unique",
            {"prediction as sure": {"folds": 3}, "when": "label != 'x'"},
            {"any": [[{"edit_words": {"n": 4}}], ["edit_chars"]]},
        ],
        "blend": {"ratio": 1},
    }
    assert write(data) == (
        "fields: [text, label]\n"
        "steps:\n"
        "  - write:\n"
        "      n: 6\n"
        "      prompt: |-\n"
        "        Say {{ text }}\n"
        "        in other words.\n"
        "  - unique\n"
        "  - prediction as sure: {folds: 3}\n"
        "    when: \"label != 'x'\"\n"
        "  - any:\n"
        "      - - edit_words: {n: 4}\n"
        "      - [edit_chars]\n"
        "blend: {ratio: 1}\n"
    )

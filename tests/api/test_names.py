"""What ``import leaven`` offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import leaven as lv
from leaven import operators
from leaven.keep.keep import KeepIf
from leaven.operators import Operator


def test_every_name_is_there_and_sorted():
    assert lv.__all__ == sorted(lv.__all__)
    for name in dir(lv):
        assert getattr(lv, name) is not None
    assert set(lv.__all__) <= set(dir(lv))


def test_every_operator_is_there_by_its_class():
    for name in operators.names():
        found = operators.find(name)
        if name not in ("keep", "note"):
            assert getattr(lv, found.__name__) is found
    assert issubclass(lv.EditWords, Operator)


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(AttributeError, match="leaven has no `EditWord`; the nearest is `EditWords`"):
        _ = lv.EditWord
    with pytest.raises(ImportError):
        from leaven import nothing_like_this  # noqa: F401


@pytest.mark.parametrize("first", ["", "import leaven.recipe, leaven.keep", "from leaven import recipe, keep"])
def test_two_packages_are_called_and_are_packages(first: str):
    code = f"""
{first}
import leaven as lv
print(lv.recipe("classic-text"))
print(lv.keep("a > 1").name, lv.recipe.names is not None)
from leaven.recipe import names
from leaven.keep.top import Top
assert lv.Top is Top and "recombine" in names()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said[0].startswith("Recipe classic-text: any(edit_words")
    assert said[1] == "keep True"


def test_the_expression_operators():
    assert lv.keep("label_prob > 0.7", reason="unsure") == KeepIf(that="label_prob > 0.7", reason="unsure")
    assert lv.note(label="prediction")({"label": "a", "prediction": "b"}) == [{"label": "b", "prediction": "b"}]

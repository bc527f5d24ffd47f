"""The YAML of recipes: plain data, nothing else, and errors that name the line."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.plain_yaml import Map, Seq, load, load_file, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("1.5", 1.5),
        ("1e-3", 0.001),
        ("-2.", -2.0),
        (".5", 0.5),
        ("2.5E+3", 2500.0),
    ],
)
def test_numbers_booleans_and_nothing(text: str, value: Any) -> None:
    read = load(f"x: {text}", "mine.yaml")["x"]
    assert read == value
    assert type(read) is type(value)
    assert scalar(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "True",
        "NULL",
        "010",
        "1_000",
        "12:30:00",
        "15:5",
        "2024-05-06",
        "0x1F",
        "0o17",
        ".inf",
        "-.inf",
        ".nan",
        "1e999",
        "1.2.3",
        "٣",
        "9" * 5000,
    ],
)
def test_everything_else_is_a_text(text: str) -> None:
    assert load(f"x: {text}", "mine.yaml") == {"x": text}
    assert load(f"[{text}]", "mine.yaml") == [text]
    assert scalar(text) == text


def test_quoted_scalars_are_texts() -> None:
    assert load("""{a: "1", b: 'true', c: ""}""", "mine.yaml") == {"a": "1", "b": "true", "c": ""}


def test_keys_are_texts() -> None:
    read = load("on: a\nno: b\n1: c\n010: d\ntrue: e\n~: f\n", "mine.yaml")
    assert read == {"on": "a", "no": "b", "1": "c", "010": "d", "true": "e", "~": "f"}


def test_lines() -> None:
    read = load("# a comment\nname: x\nsteps:\n  - sample: 5\n\n  - paraphrase:\n      n: 6\n", "mine.yaml")
    assert (read.line, read.lines) == (2, {"name": 2, "steps": 3})
    assert read["steps"].lines == [4, 6]
    assert read["steps"][1]["paraphrase"].lines == {"n": 7}
    again = pickle.loads(pickle.dumps(read))  # noqa: S301
    assert (again, again.lines, type(again), type(again["steps"])) == (read, read.lines, Map, Seq)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['true']", 2, "`!!python/object/apply` is not allowed; a recipe"),
        ("a: !!str 1", 1, "`!!str` is not allowed"),
        ("a: !mine 1", 1, "`!mine` is not allowed"),
        ("? !!str a\n: 1", 1, "`!!str` is not allowed"),
        ("a: 1\nb: &x [1]", 2, "`&x` is not allowed"),
        ("&x a: 1", 1, "`&x` is not allowed"),
        ("a: 1\nb: *x", 2, "`*x` is not allowed"),
        ("a: 1\n<<: {b: 1}", 2, "`<<` (merging) is not allowed"),
        ("a: 1\nb: 2\na: 3", 3, "`a` is given twice, in lines 1 and 3"),
        ("1: x\n'1': y", 2, "`1` is given twice"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a: 1\n\tb: 2", 2, " stands where "),
        ("a: b: c", 1, "a second `: `"),
        ("a: 1\nprompt: {{ text }}", 2, "stands where a key should"),
        ("a: [1, 2", 1, "not closed"),
        ('a: "x', 1, "not closed"),
        ("a: \x00", 1, "no text may hold"),
        ("a: 1\nb: \ud800", 2, "no text may hold"),
        ("? \n: 1", 1, "a key is empty"),
    ],
)
def test_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(text, "mine.yaml")
    assert caught.value.where == f"mine.yaml line {line}"
    assert words in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff"])
def test_empty(text: str) -> None:
    with pytest.raises(RecipeError, match=r"mine\.yaml: it is empty"):
        load(text, "mine.yaml")


@pytest.mark.parametrize(
    "text", ["top: {weight: 1 / max(d, 1)}", "a: {n: choice(x, y), m: 1}", "a: [round(x, 2), 3]", "{max(d, 1): 2}"]
)
def test_half_an_expression_in_braces(text: str) -> None:
    with pytest.raises(RecipeError, match="half of an expression") as caught:
        load(text, "mine.yaml")
    assert "quote the expression" in caught.value.fix


def test_a_whole_expression_in_braces_is_a_text() -> None:
    assert load('a: {n: sqrt(n), m: "max(d, 1)"}', "m") == {"a": {"n": "sqrt(n)", "m": "max(d, 1)"}}
    assert load("a: max(d, 1", "m") == {"a": "max(d, 1"}  # outside braces no comma ends a value


def test_depth() -> None:
    assert load("[" * 50 + "]" * 50, "m") is not None
    for text in ("[" * 51 + "]" * 51, "[" * 300_000, "a: " + "{a: " * 100_000):
        with pytest.raises(RecipeError, match=r"nested deeper than 50"):
            load(text, "m")


def test_size() -> None:
    text = "a: " + "x" * 999_997
    assert load(text, "m")["a"] == "x" * 999_997
    for large in (text + "x", (text + "x").encode(), "a: " + "é" * 500_000):
        with pytest.raises(RecipeError, match=r"larger than 1,000,000 bytes"):
            load(large, "m")


def test_not_utf8() -> None:
    with pytest.raises(RecipeError, match=r"byte 8 is not UTF-8") as caught:
        load("a: 1\nb: é".encode("latin-1"), "m").get("b")
    assert caught.value.where == "m line 2"


def test_load_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes("\ufeffa: é\n".encode())
    assert load_file(file) == {"a": "é"}
    with pytest.raises(RecipeError, match=r"there is no such file") as caught:
        load_file(tmp_path / "mnie.yaml")
    assert caught.value.fix == "mine.yaml is in the same folder."
    with pytest.raises(RecipeError, match=r"cannot be read"):
        load_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[a, b]", ["a", "b"]),
        ("{a: 1, b: [2]}", {"a": 1, "b": [2]}),
        ("card lost", "card lost"),
        ('"0.5"', "0.5"),
        ("'it''s'", "it's"),
        ("", None),
        (" 2 ", 2),
        ("{{ text }}", "{{ text }}"),
        ("Say: {{ text }}", "Say: {{ text }}"),
        ("'a' ~ 'b'", "'a' ~ 'b'"),
        ("[label] + choices(labels, 3)", "[label] + choices(labels, 3)"),
        ("@my.txt", "@my.txt"),
        ("# 5", "# 5"),
        ("*x", "*x"),
        ("a: b", "a: b"),
    ],
)
def test_scalar(text: str, value: Any) -> None:
    assert scalar(text) == value


@pytest.mark.parametrize("text", ["[a, {b]", "{a: 1, a: 2}", "[!!python/name:os.system x]", "{a: max(b, 1)}"])
def test_scalar_refuses(text: str) -> None:
    with pytest.raises(RecipeError, match="--set line 1"):
        scalar(text)


@given(st.text() | st.text(alphabet="ab:-[]{}()&*!#|>'\"% \n\t1.~<,?é\x85\u2028"))
def test_load_raises_nothing_but_recipe_errors(text: str) -> None:
    for given_text in (text, text.encode("utf-8", "surrogatepass")):
        with suppress(RecipeError):
            assert is_plain(load(given_text, "m"))


@given(st.binary())
def test_load_reads_any_bytes(data: bytes) -> None:
    with suppress(RecipeError):
        assert is_plain(load(data, "m"))


@given(st.integers())
def test_scalar_of_an_integer(number: int) -> None:
    assert scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_scalar_of_a_float(number: float) -> None:
    assert scalar(repr(number)) == number


@given(st.dictionaries(st.text("abc é'\"", min_size=1), st.text("ab: {}[]\n'é") | st.integers() | st.none()))
def test_json_is_read_as_it_is_meant(data: dict[str, Any]) -> None:
    if data:
        assert load(json.dumps(data, ensure_ascii=False), "m") == data


def is_plain(value: Any) -> bool:
    if isinstance(value, Map):
        return all(type(key) is str and is_plain(v) for key, v in value.items()) and set(value.lines) == set(value)
    if isinstance(value, Seq):
        return all(map(is_plain, value)) and len(value.lines) == len(value)
    return value is None or type(value) in (str, int, float, bool)

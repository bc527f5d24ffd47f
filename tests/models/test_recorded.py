"""Answers that were recorded before: which of them plays, and what a table may look like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import cli, failed, recipe, rows, source, table
from leaven.engine.opening import recording
from leaven.errors import DataError
from leaven.models.backends.recorded import Recorded
from leaven.models.calls import About, Answer, Ask, CallFailed

LIST = {"type": "object", "properties": {"rewrites": {"type": "array", "items": {"type": "string"}}}}
ONE = {"type": "object", "properties": {"text": {"type": "string"}}}
TWO = {"type": "object", "properties": {"text": {"type": "string"}, "label": {"type": "string"}}}


def asked(model: Recorded, about: About, shape: dict[str, Any] | None = None, wanted: int = 1) -> Answer | CallFailed:
    ask = Ask("chat", {"messages": [{"role": "user", "content": "hello"}]}, {}, shape, wanted)
    coroutine = model.play(ask, about)
    try:
        coroutine.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    except CallFailed as failed:
        return failed
    raise AssertionError("a recording waits for nobody")


def about(text: str = "", root: str = "", number: int = 0) -> About:
    return About("step", 0, "record", number, text, root)


@given(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=12), st.integers(1, 5))
def test_the_nth_call_gets_the_nth_texts(texts: list[str], wanted: int):
    model = Recorded("recorded:x", [("parent", text) for text in texts])
    played: list[str] = []
    for number in range(-(-len(texts) // wanted)):
        found = asked(model, about("parent", number=number), LIST, wanted)
        assert isinstance(found, Answer)
        played += json.loads(found.text)["rewrites"]
    assert played == [Answer(text).text for text in texts]
    gone = asked(model, about("parent", number=-(-len(texts) // wanted)), LIST, wanted)
    assert isinstance(gone, CallFailed)
    assert gone.reason == "no_recording"
    assert f"{len(texts)} texts of this parent" in gone.detail


def test_a_parent_is_named_by_its_text_or_its_id_case_and_blanks_folded():
    model = Recorded("recorded:x", [("My  card is LOST ", "by text"), ("abc123", "by id")])
    for where, said in ((about("my card is lost"), "by text"), (about("other", "abc123"), "by id")):
        found = asked(model, where)
        assert isinstance(found, Answer)
        assert found.text == said
    assert isinstance(asked(model, about("another", "row")), CallFailed)


@pytest.mark.parametrize(
    ("shape", "texts", "wanted", "answer"),
    [
        (None, ["a"], 1, "a"),
        (ONE, ["a"], 1, '{"text": "a"}'),
        (LIST, ["a", "b"], 2, '{"rewrites": ["a", "b"]}'),
        (TWO, ['{"text": "a", "label": "b"}'], 1, '{"text": "a", "label": "b"}'),
    ],
)
def test_what_is_recorded_takes_the_form_that_is_asked_for(
    shape: dict[str, Any] | None, texts: Sequence[str], wanted: int, answer: str
):
    found = asked(Recorded("recorded:x", [("p", t) for t in texts]), about("p"), shape, wanted)
    assert isinstance(found, Answer)
    assert found.text == answer


def test_another_recording_is_another_model_and_the_same_one_is_the_same():
    first, again, other = (
        Recorded(uri, rows) for uri, rows in (("a", [("p", "x")]), ("b", [("p", "x")]), ("a", [("p", "y")]))
    )
    assert first.model == again.model != other.model
    assert Recorded("a", [("p", "xy")]).model != Recorded("a", [("px", "y")]).model


def test_columns_of_other_names_and_what_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("seed,variant\none,eins\none,uno\n")
    assert list(recording("a.csv?parent=seed&text=variant")) == [("one", "eins"), ("one", "uno")]
    for said, what, fix in (
        ("a.csv", "a.csv has no column `parent`", "recorded:a.csv?parent=COLUMN"),
        ("a.csv?parent=sed&text=variant", "a.csv has no column `sed`", "the nearest is `seed`"),
        ("a.csv?parents=seed", "`parents=seed` is not understood", "recorded:FILE?parent=COLUMN&text=COLUMN"),
        ("a.csv?parent=", "`parent=` is not understood", "recorded:FILE?parent=COLUMN&text=COLUMN"),
        ("b.csv", "b.csv: there is no such file", "a.csv is in the same folder"),
    ):
        with pytest.raises(DataError) as wrong:
            list(recording(said))
        assert what in str(wrong.value)
        assert fix in wrong.value.fix


def test_a_recording_plays_the_steps_one_after_the_other(tmp_path: Path):
    """Two steps of two branches ask of the same rows: each begins at the first text."""
    data = rows(4)
    file = tmp_path / "r.csv"
    file.write_text("parent,text\n" + "".join(f"{row['text']},{row['text']} {w}\n" for row in data for w in ("x", "y")))
    made = recipe(tmp_path, "any:\n      - - paraphrase: {n: 2}\n      - - paraphrase as more: {n: 1}")
    done = cli("augment", source(tmp_path, data), "-o", tmp_path / "out", "-r", made, "--workers", 1,
               "--model", f"chat=recorded:{file}")  # fmt: skip
    assert done.code == 0, done.err
    texts = sorted(row["text"] for row in table(tmp_path / "out") if row["_synthetic"])
    assert texts == sorted(f"{row['text']} {w}" for row in data for w in ("x", "y", "x"))


def test_a_recording_of_which_nothing_fits_is_said(tmp_path: Path):
    file = tmp_path / "r.csv"
    file.write_text("parent,text\nanother file,its text\n")
    made = recipe(tmp_path, "paraphrase: {n: 2}")
    command = ["augment", source(tmp_path, 5), "-o", tmp_path / "out", "-r", made, "--model", f"chat=recorded:{file}"]
    done = cli(*command)
    assert done.code == 3
    assert "5 no_recording" in done.out
    assert [row["_error"] for row in failed(tmp_path / "out")] == [
        "nothing of this parent is recorded; call 1 found no more"
    ] * 5

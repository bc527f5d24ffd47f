"""Speech: the voices that are drawn, the rate, what is not said, and the program itself."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import which
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.audio.speak import Speak
from leaven.cli import run
from leaven.errors import ModelError, RecipeError
from leaven.fields import Column
from leaven.media.audio import Audio

ROW = {"text": "my card is lost", "label": "card"}


def test_text_and_label_stay_and_the_sound_is_about_the_text():
    [row] = Speak()(ROW, speak="fake:shape")
    assert {key: row[key] for key in ROW} == ROW
    assert isinstance(row["audio"], Audio)
    assert Speak(on="title").writes() == {"audio": Column("audio", frozenset({"title"}))}
    assert Speak(on="title").changes() == {"audio"}


def runs(tmp_path: Path, step: dict[str, Any], rows: int = 12, speak: str = "fake:shape") -> list[dict[str, Any]]:
    """The drawn values of the children."""
    source, recipe, out = tmp_path / "a.csv", tmp_path / "r.yaml", tmp_path / "o"
    source.write_text("text,label\n" + "".join(f"text {i},{'xy'[i % 2]}\n" for i in range(rows)))
    recipe.write_text(json.dumps({"steps": [{"speak": step}], "blend": {"real": "none"}}))
    options = ["-r", str(recipe), "--model", f"speak={speak}", "-q"]
    assert run(["augment", str(source), "-o", str(out), *options]) == 0
    made = [row for file in sorted((out / "train").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    assert all(row["audio"]["bytes"][:4] == b"RIFF" for row in made)
    return [{"text": row["text"], **json.loads(row["_steps"][0]["drawn"])} for row in made]


def test_voices_are_drawn_without_repeats_and_both_come(tmp_path: Path):
    drawn = runs(tmp_path, {"n": 2, "rate": [0.8, 1.2]})
    by_text: dict[str, list[str]] = {}
    for row in drawn:
        by_text.setdefault(row["text"], []).append(row["voice"])
    assert len(by_text) == 12
    assert all(sorted(voices) == ["high", "low"] for voices in by_text.values())
    rates = [row["rate"] for row in drawn]
    assert min(rates) >= 0.8
    assert max(rates) <= 1.2
    assert len(set(rates)) == 24


def test_named_voices_and_more_children_than_voices(tmp_path: Path):
    drawn = runs(tmp_path, {"n": 5, "voice": ["a", "b"]}, rows=2)
    for text in ("text 0", "text 1"):
        voices = sorted(row["voice"] for row in drawn if row["text"] == text)
        assert voices in (["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "b"])
    assert {row["rate"] for row in drawn} == {1.0}


def test_a_rate_for_each_record(tmp_path: Path):
    drawn = runs(tmp_path, {"n": 2, "rate": "uniform(0.9, 1.1)"})
    assert len({row["rate"] for row in drawn}) == 12


@given(st.text(st.characters(exclude_categories=("L", "N", "Cs")), max_size=5))
def test_nothing_to_say_is_refused(text: str):
    rows = Speak(n=2, voice="x")({"text": text}, speak="fake:shape")
    assert [row["_reason"] for row in rows] == ["empty", "empty"]


@pytest.mark.parametrize("wrong", [{"rate": 0.1}, {"rate": (1.2, 0.8)}, {"rate": 9}, {"voice": []}, {"n": 0}])
def test_limits(wrong: dict[str, Any]):
    with pytest.raises((ValueError, RecipeError), match=r"rate|voice|n"):
        Speak(**wrong)


def test_who_does_not_speak():
    with pytest.raises(ModelError, match="diffusers does not play speak"):
        Speak()(ROW, speak="diffusers:gpt-5-mini")


@pytest.mark.skipif(not which("espeak-ng"), reason="apt install espeak-ng")
def test_the_program():
    one, two, three = Speak(n=3)(ROW, seed=4)
    assert len({row["audio"].encoded for row in (one, two, three)}) == 3
    assert [row["audio"] for row in Speak(n=2)(ROW, seed=4)] == [one["audio"], two["audio"]]
    assert all(0.5 < row["audio"].seconds < 4 for row in (one, two, three))
    with pytest.raises(ModelError, match="no voice `nobody`"):
        Speak(voice="nobody")(ROW)

"""Captions and their images: an encoder that knows both says whether they fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from leaven.cli import run
from leaven.measure.bench import Rows
from leaven.measure.notes import Noted
from leaven.measure.pairs import note_fit
from leaven.media.image import png
from tiny import encoders

SAID = {"one": [1.0, 0.0, 0.0], "two": [0.0, 1.0, 0.0], "between": [0.8, 0.6, 0.0]}
SEEN = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.6, 0.0, 0.8]}


def rows(items: str, captions: list[list[str]], roots: list[int]) -> Rows:
    notes = [Noted(captions=some) for some in captions]
    return Rows(list(items), np.zeros(len(items), np.int64), np.array(roots), list(items), notes=notes)


def test_the_cosine_of_a_pair_and_whether_its_own_is_the_nearest():
    real = rows("ab", [["one"], ["between", "two"]], [-1, -1])
    made = rows("c", [["one"]], [1])
    seen = {name: np.array(vector, np.float32) for name, vector in SEEN.items()}
    note_fit(real, made, seen, lambda texts: np.array([SAID[text] for text in texts], np.float32))  # type: ignore[arg-type]
    cosine, nearest = ("pair", "cosine of caption and its own"), ("pair", "its own is the nearest, share")
    assert [note.things[cosine] for note in real.notes] == [[1.0], pytest.approx([0.6, 1.0])]
    assert [note.things[nearest] for note in real.notes] == [[1.0], [0.0, 1.0]]
    assert made.notes[0].things[cosine] == pytest.approx([0.6])
    assert made.notes[0].things[nearest] == [0.0]  # of a it says more; b is its own parent, and does not count


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "pairs").mkdir()
    lines = ["file_name,caption"]
    for number in range(10):
        (tmp_path / "pairs" / f"{number}.png").write_bytes(png(rng.integers(0, 255, (30, 30, 3), dtype=np.uint8)))
        lines.append(f"{number}.png,a picture of noise number {number}")
    (tmp_path / "pairs" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "pairs"


def test_pairs_without_an_encoder_and_with_one(
    augment: Callable[..., Path], captioned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    out = augment(captioned, [{"shade": {"brightness": 0.1}}])
    assert run(["measure", str(out), "-q"]) == 0
    shown = capsys.readouterr().out
    assert "Words    15 different ones in real captions, 15 in made ones, 0 new" in shown
    assert "Missing  whether captions fit: name weights that know both at augment" in shown
    said = json.loads((out / "run.json").read_text())
    said["models"] = {"embed": f"transformers:{encoders.clip(tmp_path / 'clip')}"}
    (out / "run.json").write_text(json.dumps(said))
    assert run(["measure", str(out), "-q"]) == 0
    shown = capsys.readouterr().out
    assert "Missing  whether captions fit" not in shown
    traits = {x["what"]: x for x in json.loads((out / "measure.json").read_text())["described"]["traits"]}
    fit = traits["cosine of caption and its own"]
    assert fit["things"] == [10, 10]
    assert -1 <= fit["real"] <= 1
    assert abs(fit["real"] - fit["made"]) < 0.1

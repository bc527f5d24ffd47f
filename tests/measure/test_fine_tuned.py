"""A transformer that is fine-tuned as a student: a small BERT of the real class, from a folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from leaven.cli import run
from leaven.errors import DataError, ModelError
from leaven.measure import fine_tuned
from leaven.measure.fine_tuned import FineTuned
from leaven.measure.students import fit_predict

pytest.importorskip("torch")
from tiny import encoders

SEEN = [f"{word} {i}" for i in range(8) for word in ("aaaa", "zzzz")]
LABELS = np.array([0, 1] * 8)
ASKED = ["aaaa 12", "zzzz 31", "aaaa x", "zzzz y"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoders.bert(tmp_path_factory.mktemp("bert"))


def said(student: FineTuned, items: list[str], labels: np.ndarray, counts: np.ndarray | None = None, luck: int = 0):
    return fit_predict(student, items, labels, counts, ASKED, 0.0, 2, luck=luck).tolist()


def test_it_learns_and_repeating_all_rows_changes_nothing(folder: Path):
    student = FineTuned(str(folder), steps=60, rate=5e-3)
    assert said(student, SEEN, LABELS) == [0, 1, 0, 1]
    assert said(student, SEEN, 1 - LABELS) == [1, 0, 1, 0]
    barely = FineTuned(str(folder), steps=3, rate=5e-3)
    once = said(barely, SEEN, LABELS)
    assert said(barely, [*SEEN[::-1], *SEEN], np.concatenate([LABELS[::-1], LABELS])) == once
    assert said(barely, SEEN, LABELS, np.full(16, 7.0)) == once


def test_folders_that_hold_no_such_model(folder: Path, tmp_path: Path):
    with pytest.raises(DataError, match="there is no such folder"):
        said(FineTuned(str(tmp_path / "none"), steps=1), SEEN, LABELS)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="cannot be fine-tuned"):
        said(FineTuned(str(tmp_path), steps=1), SEEN, LABELS)
    for path in folder.iterdir():  # weights as pickles are not read
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'echo no'\ntR.")
    with pytest.raises(ModelError, match="only safetensors are read"):
        said(FineTuned(str(tmp_path), steps=1), SEEN, LABELS)


def test_it_has_the_verdict_where_it_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fine_tuned, "STEPS", 4)
    made = [f"{text} too" for text in SEEN]
    for name, texts in (("real.csv", SEEN), ("made.csv", made), ("test.csv", ASKED)):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            rows = [(text, "first" if text.startswith("a") else "last") for text in texts]
            csv.writer(file).writerows([("text", "label"), *rows])
    real, other, test = (str(tmp_path / name) for name in ("real.csv", "made.csv", "test.csv"))
    few = ["--ratios", "1", "--weights", "1", "--seeds", "2", "--workers", "1", "-q"]
    command = ["measure", real, "--with", other, "--test", test, *few]
    assert run([*command, "--student", f"transformers:{folder}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["student"] == f"{folder.name}, fine-tuned"
    assert {row["student"] for row in found["rows"]} == {found["student"], "embeddings + linear", "TF-IDF + linear"}
    assert run([*command, "--student", "cnn"]) == 1
    assert "--student cnn is for images and sounds" in capsys.readouterr().err
    assert run([*command, "--student", "bert"]) == 1
    assert "--student bert is not known" in capsys.readouterr().err

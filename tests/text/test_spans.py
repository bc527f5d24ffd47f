"""What stands where in a text, by a tagger or a model that chats."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import cli
from leaven.errors import ModelError
from leaven.fields import VALUE, Column
from leaven.text.spans import Spans
from saying import Saying, chat
from tiny import readers

ROWS = [
    {"text": "joe biden met us at acme corp", "label": "x"},
    {"text": "who is it", "label": "x"},
    {"text": "no one", "label": "y"},
    {"text": "ann left with bob today", "label": "y"},
]
LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG")
KNOWS = {"ann": "B-PER", "bob": "B-PER", "joe": "B-PER", "biden": "I-PER", "acme": "B-ORG", "corp": "I-ORG"}
NAMES = ["ann", "bob", "joe biden"]


def test_it_is_about_the_text():
    assert Spans(on="title").writes() == {"spans": Column(VALUE, frozenset({"title"}))}


def test_an_empty_text_is_not_asked_about():
    assert Spans()({"text": " ", "label": "x"}, tag="fake:shape")[0]["spans"] == []
    with pytest.raises(ModelError, match="named for the role tag"):
        Spans()({"text": "ann"})


def run(folder: Path, tmp: Path, workers: int = 1) -> bytes:
    """The bytes of train/ after a run."""
    (tmp / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp / "recipe.yaml").write_text(
        "fields: [text, label]\nsteps:\n  - spans: {labels: [PERSON]}\n  - edit_chars: {n: 1, holds: [spans]}\n"
    )
    out = tmp / f"out{workers}"
    args = ["augment", str(tmp / "rows.jsonl"), "--recipe", str(tmp / "recipe.yaml"), "--out", str(out)]
    assert cli.run([*args, "--model", f"tag=transformers:{folder}", "--workers", f"{workers}"]) == 0
    return b"".join(path.read_bytes() for path in sorted((out / "train").iterdir()))


def test_a_run_with_a_tagger_is_the_same_with_two_workers(tmp_path: Path):
    pytest.importorskip("torch")
    folder = readers.tagger(tmp_path / "tagger", LABELS, KNOWS)
    assert run(folder, tmp_path) == run(folder, tmp_path, 2)
    rows = pq.read_table(tmp_path / "out1" / "train").to_pylist()
    made = [json.loads(row["spans"]) for row in rows if row["_synthetic"]]
    assert sorted(span["text"] for spans in made for span in spans) == NAMES
    assert {span["label"] for spans in made for span in spans} == {"PERSON"}


def test_a_model_that_chats_names_them_and_they_are_found_again():
    names = [("Ann", "PER"), ("Oslo", "LOC"), ("Ann", "PER")]
    answer = chat(json.dumps({"names": [{"text": text, "label": label} for text, label in names]}))
    row = {"text": "Ann saw Ann in Oxford", "label": "x"}
    with Saying(lambda heard: answer) as server:
        [found] = Spans(labels=["PER", "LOC"])(row, chat=f"openai:m@{server.url}")
    assert "PER, LOC" in json.dumps(server.heard[0].body)
    assert [(one["start"], one["text"], one["label"]) for one in found["spans"]] == [
        (0, "Ann", "PER"),
        (8, "Ann", "PER"),
    ]

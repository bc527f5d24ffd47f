"""culture-mixup: a sentence, its image and its boxes say another culture's concept; other words are switched."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.image import Image
from leaven.media.opencv import opencv
from tiny import lookers

GRAPH = """start,start_lang,relation,end,end_lang
erhu,zho,is_a,bowed_instrument,zho
bowed_instrument,zho,synonym,bowed_string_instrument,eng
violin,eng,is_a,bowed_string_instrument,eng
"""
SENTENCES = ["one man has a violin", "a violin on the left", "a drum on the left", "one man has a drum"]

OUTSIDE = np.ones((20, 24), bool)
OUTSIDE[4:13, 3:13] = False


def ledger_of(out: Path) -> list[dict[str, Any]]:
    """What was asked of models."""
    with closing(sqlite3.connect(out / "ledger.sqlite")) as ledger:
        ledger.row_factory = sqlite3.Row
        return [dict(row) for row in ledger.execute("SELECT * FROM answers")]


def pixels(row: dict[str, Any]) -> np.ndarray:
    return Image(row["image"]["bytes"]).pixels


def test_the_concept_in_text_image_and_boxes(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("concepts.csv").write_text(GRAPH)
    Path("lexicon.csv").write_text("word,lang,translation\non the left,ind,di sebelah kiri\n")
    rng = np.random.default_rng(0)
    rows = []
    for i, sentence in enumerate(SENTENCES * 2):
        Path(f"{i}.png").write_bytes(Image.of(rng.integers(0, 256, (20, 24, 3), np.uint8)).encoded)
        box = {"x": 3, "y": 4, "w": 10, "h": 9, "label": sentence.split("a ")[1].split()[0]}
        concept = "erhu" if i == 3 else "oud" if i == 6 else None
        rows.append(
            {"image": f"{i}.png", "sentence": sentence, "label": "ft"[i % 2], "boxes": [box], "concept": concept}
        )
    files = ("--set", "concepts.graph=concepts.csv", "--set", "code_switch.lexicon=lexicon.csv")
    found = ran("culture-mixup", rows, *files)
    assert 1 <= len(found.made) <= 4
    for row in found.made:
        [real] = [real for real in found.real.values() if (pixels(real) == pixels(row))[OUTSIDE].all()]
        assert "violin" in real["sentence"]
        assert row["sentence"] in (
            real["sentence"].replace("violin", "erhu"),
            real["sentence"].replace("violin", "erhu").replace("on the left", "di sebelah kiri"),
        )
        assert [box["label"] for box in row["boxes"]] == ["erhu"]
        assert row["label"] == real["label"]
        assert (pixels(real) != pixels(row))[6:11, 5:11].mean() > 0.9, "another picture within the box"
        assert "new" not in row, "what the steps need is not written"


def test_the_concept_found_by_a_detector(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without boxes in the data: a detector is asked for the near concept, once for each row that names one."""
    pytest.importorskip("transformers")
    model = lookers.owlvit(tmp_path / "owlvit")
    monkeypatch.chdir(tmp_path)
    Path("concepts.csv").write_text(GRAPH)
    Path("lexicon.csv").write_text("word,lang,translation\non the left,ind,di sebelah kiri\n")
    rng = np.random.default_rng(0)
    rows = []
    for i, sentence in enumerate(SENTENCES * 2):
        Path(f"{i}.png").write_bytes(Image.of(rng.integers(0, 256, (20, 24, 3), np.uint8)).encoded)
        concept = "erhu" if i == 3 else "oud" if i == 6 else None
        rows.append({"image": f"{i}.png", "sentence": sentence, "label": "ft"[i % 2], "concept": concept})
    files = ("--set", "concepts.graph=concepts.csv", "--set", "code_switch.lexicon=lexicon.csv")
    found = ran("culture-mixup-detect", rows, *files, "--set", "boxes.at_least=0.9", detect=f"transformers:{model}")
    asked = [row for row in ledger_of(found.out) if row["role"] == "detect"]
    assert len(asked) == 4, "rows that name a violin"
    assert all(json.loads(row["asked"])["phrases"] == ["violin"] for row in asked)
    assert found.made
    for row in found.made:
        assert row["boxes"]
        assert {box["label"] for box in row["boxes"]} == {"erhu"}
        inside = np.zeros((20, 24), bool)
        for box in row["boxes"]:
            inside[round(box["y"]) : round(box["y"] + box["h"]), round(box["x"]) : round(box["x"] + box["w"])] = True
        [real] = [r for r in found.real.values() if (pixels(r) == pixels(row)).all(-1).sum() > 50]
        inside = opencv().dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # a box is a pixel at least
        assert (pixels(real) == pixels(row))[~inside].all()
        assert "violin" in real["sentence"]
        assert "erhu" in row["sentence"]
    assert {row["_reason"] for row in found.refused} <= {"no_concept", "not_seen", "blend"}

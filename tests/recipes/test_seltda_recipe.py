"""seltda: a captioner fitted to ask and answer about images, asked about images that nobody asked about."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leaven as lv
from leaven.cli import run
from leaven.media.image import Image
from leaven.models.backends.local import tuned_captions
from leaven.recipe import read
from saying import Heard, Said, Saying, chat
from tiny import writers

pytest.importorskip("transformers")

SOME = 12
QUICKLY = ("--set", "asker.lr=0.01", "--set", "asker.batch=6")


def coloured(folder: Path, name: str, colour: int) -> str:
    pixels = np.full((32, 32, 3), (colour, 255 - colour, 40), np.uint8)
    pixels[:4, :4] = len(list(folder.iterdir()))  # no two alike
    (folder / f"{name}.png").write_bytes(Image.of(pixels).encoded)
    return f"{name}.png"


def source(folder: Path) -> list[dict[str, Any]]:
    """Red and green images, each with a question and three answers."""
    rows = []
    for i in range(SOME):
        said = ["red", "red", "a car"] if i % 2 else ["blue", "dog"]
        rows.append({"image": coloured(folder, f"{i}", 230 if i % 2 else 20), "question": "Is it a dog?!", "answer": said})
    return rows


def pool(folder: Path, n: int) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps({"image": coloured(folder, f"p{i}", 20 * i)}) + "\n" for i in range(n)))
    return path


def test_try(ran: Any, tmp_path: Path):
    import time
    blip = writers.blip(tmp_path / "blip")
    t = time.time()
    found = ran("seltda", source(tmp_path), "--unlabelled", str(pool(tmp_path, 5)), *QUICKLY, "--set", "asker.epochs=25", caption=f"transformers:{blip}")
    print(time.time() - t)
    for row in found.made: print(row["question"], row["answer"], row["_id"])
    for row in found.refused: print(row["_reason"], row["raw"])
    print(found.train[0].keys(), [r['answer'] for r in found.real.values()][:2])
    print(list((found.out/'states').iterdir()))

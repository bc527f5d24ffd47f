"""gmda: a captioner fitted to write marked sentences; which of them pass, and what becomes of image and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven._tagged import tagged
from leaven.media.image import Image
from leaven.models.backends.local import tuned_captions
from leaven.models.backends.local.captions import Captions
from leaven.models.calls import Answer
from tiny import writers

pytest.importorskip("transformers")
pytest.importorskip("peft")

NESTED = "New York beats York again tonight http://t.co/x"
SPANS = [{"start": 0, "end": 8, "label": "LOC"}, {"start": 15, "end": 19, "label": "ORG"}]
TEXTS = [NESTED, "Ann sang", *(f"Bob Dee was here {n} times" for n in range(6))]
OF = [SPANS, [{"start": 0, "end": 3, "label": "PER"}], *[[{"start": 0, "end": 7, "label": "PER"}]] * 5, []]
SAID = {
    0: [
        tagged(NESTED, SPANS),
        "",
        "B-LOC New I-LOC York I-95 a b",
        "so very few words",
        "B-LOC Rome http://a is so lovely",
    ],
    1: [
        "B-PET Rex barks at us all",
        "B-PER Ann and B-PER Ann sang again",
        "B-PER Ann-Lee sang for us all",
        "a " * 30,
        "b " * 29,
    ],
}
"""What the captioner says of the first two images; of the others what it says by itself."""


def rows(folder: Path) -> list[dict[str, Any]]:
    found = []
    for i, (text, spans) in enumerate(zip(TEXTS, OF, strict=True)):
        (folder / f"{i}.png").write_bytes(Image.of(np.full((32, 40, 3), (30 * i, 90, 20), np.uint8)).encoded)
        boxes = [{"x": 3.25, "y": 2.0, "w": 7.5, "h": 4.0 + i, "label": "PER"}]
        found.append({"image": f"{i}.png", "text": text, "spans": spans, "boxes": boxes})
    return found


def test_try(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    llava = writers.llava(tmp_path / "llava", room=512)
    given = rows(tmp_path)
    number = {Image.read(tmp_path / f"{i}.png").encoded: i for i in range(len(given))}
    taught: list[tuple[str, str]] = []
    asked: list[tuple[int, str]] = []
    tune, answers = tuned_captions.tune, Captions.answers

    def spied(weights: Any, examples: Any, how: Any, *more: Any) -> Any:
        assert (how.lora, how.epochs, how.lr, how.batch) == (tuned_captions.Lora(8, 32.0, 0.1, "all"), 1, 5e-5, 2)
        taught.extend((one.prompt, one.target) for one in examples)
        return tune(weights, examples, how, *more)

    def recorded(self: Captions, asks: Any) -> Any:
        [ask] = asks
        i = number[ask.media[ask.content["item"]].encoded]
        assert ask.adapter is not None
        said = [n for n, _ in asked].count(i)
        asked.append((i, ask.content["prompt"]))
        return [Answer(SAID[i][said])] if i in SAID else answers(self, asks)

    monkeypatch.setattr(tuned_captions, "tune", spied)
    monkeypatch.setattr(Captions, "answers", recorded)
    quick = ("--set", "writer.epochs=1", "--set", "raw.max_tokens=6")
    found = ran("gmda", given, *quick, caption=f"transformers:{llava}", paint="fake:shape")
    print(taught)
    for row in found.made:
        print(row["text"], row["spans"], row["boxes"], row["_steps"])
    for row in found.refused:
        print(row["_reason"], row["text"], row["spans"])

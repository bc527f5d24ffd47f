"""gmda: a captioner fitted to write marked sentences; which of them pass, and what becomes of image and boxes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven._tagged import tagged
from leaven.media.image import Image
from leaven.models.backends.local import tuned_captions
from leaven.models.backends.local.captions import Captions
from leaven.models.backends.local.lora import Lora
from leaven.models.calls import Answer
from tiny import painters, writers

pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("diffusers")

NESTED = "New York beats York again tonight http://t.co/x"
SPANS = [{"start": 0, "end": 8, "label": "LOC"}, {"start": 15, "end": 19, "label": "ORG"}]
TEXTS = [NESTED, "Ann sang", *(f"Bob Dee was here {n} times" for n in range(6))]
OF = [SPANS, [{"start": 0, "end": 3, "label": "PER"}], *[[{"start": 0, "end": 7, "label": "PER"}]] * 5, []]
AGAIN = [{**span, "start": span["start"] + 4, "end": span["end"] + 4} for span in SPANS]
SAID = {
    0: [
        tagged(f"Now {NESTED}", AGAIN),
        "",
        "B-LOC New I-LOC York I-95 a b",
        "so B-LOC very few words",
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


def test_what_is_taught_said_kept_and_painted(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    llava = writers.llava(tmp_path / "llava", room=512)
    given = rows(tmp_path)
    number = {Image.read(tmp_path / f"{i}.png").encoded: i for i in range(len(given))}
    taught: dict[int, tuple[str, str]] = {}
    asked: list[tuple[int, str]] = []
    tune, answers = tuned_captions.tune, Captions.answers

    def spied(weights: Any, examples: Any, how: Any, *more: Any) -> Any:
        assert (how.lora, how.epochs, how.lr, how.batch) == (Lora(8, 32.0, 0.1, "all"), 1, 5e-5, 2)
        taught.update({number[one.image.encoded]: (one.prompt, one.target) for one in examples})
        return tune(weights, examples, how, *more)

    def recorded(self: Captions, asks: Any) -> Any:
        [ask] = asks
        i = number[ask.media[ask.content["item"]].encoded]
        assert (ask.adapter.folder / "adapter_model.safetensors").is_file()
        said = [n for n, _ in asked].count(i)
        asked.append((i, ask.content["prompt"]))
        return [Answer(SAID[i][said])] if i in SAID else answers(self, asks)

    monkeypatch.setattr(tuned_captions, "tune", spied)
    monkeypatch.setattr(Captions, "answers", recorded)
    quick = ("--set", "writer.epochs=1", "--set", "raw.max_tokens=6", "--set", "repaint.steps=5", "--concurrency", "1")
    painter = f"diffusers:{painters.plain(tmp_path / 'painter')}"
    found = ran("gmda", given, *quick, caption=f"transformers:{llava}", paint=painter)

    assert taught[0][0].endswith("Name in it: New York which is a LOC, York which is a ORG.")
    assert taught[0][1] == "B-LOC New I-LOC York beats B-ORG York again tonight http://t.co/x"
    assert taught[7][0].endswith("Name whom or what you like.")
    assert taught[7][1] == "Bob Dee was here 5 times"
    assert Counter(asked) == {(i, taught[i][0]): 5 for i in range(len(given))}, "the gold entities, five times"

    boxes = {row["text"]: row["boxes"] for row in found.real.values()}
    made = {row["text"]: row for row in found.made}
    first, second = boxes[NESTED], boxes["Ann sang"]
    assert {text: (json.loads(row["spans"]), row["boxes"]) for text, row in made.items()} == {
        f"Now {NESTED}": (
            [{**span, "text": text} for span, text in zip(AGAIN, ("New York", "York"), strict=True)],
            first,
        ),
        "New York I-95 a b": ([{"start": 0, "end": 8, "text": "New York", "label": "LOC"}], first),
        "Rome http://a is so lovely": ([{"start": 0, "end": 4, "text": "Rome", "label": "LOC"}], first),
        ("b " * 29).strip(): ([], second),
    }
    assert (first[0]["x"], second[0]["h"]) == (3.25, 5.0)
    drawn = [json.loads(row["_steps"][-1]["drawn"]) for row in found.made]
    assert {one["prompt"].removeprefix("A photo of ") for one in drawn} == {
        "Now New York beats York again tonight",
        "New York I-95 a b",
        "Rome is so lovely",
        ("b " * 29).strip(),
    }
    assert {one["strength"] for one in drawn} == {0.8}
    for row in found.made:
        assert Image(row["image"]["bytes"]).size == (40, 32)
        assert row["image"]["bytes"] not in number, "painted anew, each for itself"
    refused = {row["text"]: row["_reason"] for row in found.refused}
    lengths = dict.fromkeys(["", "so very few words", ("a " * 30).strip()], "length")
    tags = dict.fromkeys(["Rex barks at us all", "Ann and Ann sang again", "Ann-Lee sang for us all"], "tags")
    assert {**lengths, **tags}.items() <= refused.items()
    assert len(found.made) + len(found.refused) == 5 * len(given)

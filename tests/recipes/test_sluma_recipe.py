"""SLUMA: boxes drawn for the mentions of a text, an image painted from both, and how well it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asked import ledger
from leaven.media.image import Image
from small_media import picture
from tiny import encoders, painters


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"transformers:{encoders.clip(tmp_path_factory.mktemp('clip'))}"


def test_mentions_of_one_thing_share_a_box(ran: Any, clip: str, tmp_path: Path):
    for i in range(2):
        picture(tmp_path / f"{i}.png")
    span = {"start": 0, "end": 3, "text": "Ann", "chain": 1}
    box = {"x": 1, "y": 2, "w": 3, "h": 3, "label": "Ann"}
    rows = [{"image": f"{i}.png", "text": f"Ann {i}", "spans": [span], "boxes": [box]} for i in range(2)]
    mentions = [
        {"text": "Bob", "chain": 1},
        {"text": "a cat", "chain": 2},
        {"text": "he", "chain": 1},
        {"text": "rain"},
    ]
    pool = tmp_path / "pool.jsonl"
    pool.write_text(
        "".join(json.dumps({"text": f"Bob has a cat {i}, he says", "spans": mentions}) + "\n" for i in range(5)),
        "utf-8",
    )
    sizes = ["--set", "paint.width=64", "--set", "paint.height=48"]
    found = ran("sluma", rows, "--unlabelled", str(pool), *sizes, paint="fake:shape", embed=clip)
    assert len(found.made) == 5
    assert all(not row["_synthetic"] for row in found.real.values())
    places = set()
    for row in found.made:
        assert [box["label"] for box in row["boxes"]] == ["Bob", "a cat", "rain"]
        for box in row["boxes"]:
            assert box["x"] >= 0 <= box["y"]
            assert box["x"] + box["w"] <= 512 >= box["y"] + box["h"]
        places.add(json.dumps(row["boxes"]))
        assert row["image"]["bytes"][:4] == b"\x89PNG"
        assert -1 <= row["_scores"]["match"] <= 1
    assert len(places) == 5


def test_painted_within_its_boxes(ran: Any, clip: str, tmp_path: Path):
    """A small GLIGEN, loaded as any folder is, is given what the texts name, each in its box."""
    pytest.importorskip("diffusers")
    import transformers

    picture(tmp_path / "0.png")
    span = {"start": 0, "end": 3, "text": "Ann", "chain": 1}
    box = {"x": 1, "y": 2, "w": 3, "h": 3, "label": "Ann"}
    rows = [{"image": "0.png", "text": "Ann", "spans": [span], "boxes": [box]}]
    mentions = [{"text": "a cat", "chain": 2}, {"text": "he", "chain": 1}, {"text": "Bob", "chain": 1}]
    pool = tmp_path / "pool.jsonl"
    said = [{"text": f"Bob has a cat {i}, he says", "spans": mentions} for i in range(3)]
    pool.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")
    paint = f"diffusers:{painters.gligen(tmp_path / 'gligen')}"
    small = [f"--set={part}" for part in ("layout.canvas=[48,32]", "paint.width=48", "paint.height=32")]
    found = ran("sluma", rows, "--unlabelled", str(pool), *small, "--set=paint.steps=1", paint=paint, embed=clip)

    calls = {
        call["prompt"]: call
        for call in map(json.loads, (r["asked"] for r in ledger(found.out) if r["role"] == "paint"))
    }
    assert sorted(calls) == sorted(row["text"] for row in said)
    assert len({call["seed"] for call in calls.values()}) == 3
    assert sorted(row["text"] for row in found.made) == sorted(calls)
    folder = clip.removeprefix("transformers:")
    model, read = (kind.from_pretrained(folder) for kind in (transformers.AutoModel, transformers.AutoProcessor))
    for row in found.made:
        image = Image(row["image"]["bytes"])
        assert image.size == (48, 32)
        boxes = calls[row["text"]]["boxes"]
        assert [box["label"] for box in boxes] == ["a cat", "Bob"], "he stands where Bob does"
        for box, told in zip(row["boxes"], boxes, strict=True):
            assert {key: box[key] for key in ("x", "y", "w", "h", "label")} == {
                key: told[key] for key in ("x", "y", "w", "h", "label")
            }
            assert 0 <= box["x"] <= box["x"] + box["w"] <= 48
            assert 0 <= box["y"] <= box["y"] + box["h"] <= 32
        given = read(text=[row["text"]], images=[image.pixels], return_tensors="pt", padding=True)
        both = model(**given)
        cosine = float((both.text_embeds @ both.image_embeds.T).detach()[0, 0])
        assert row["_scores"]["match"] == pytest.approx(cosine, abs=0.02)
    assert len({row["image"]["bytes"] for row in found.made}) == 3

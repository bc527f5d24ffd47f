"""ALIA: settings asked for once, each image painted into each of them, two filters, one edit of an image."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asked import ledger
from leaven.media.image import Image
from leaven.records import digest
from saying import Heard, Said, Saying, chat
from small_media import picture
from tiny import encoders, painters, repliers, writers

pytest.importorskip("torch")
NAMES = {"001.Black_footed_Albatross": "Black footed Albatross", "009.Brewer_Blackbird": "Brewer Blackbird"}
DOMAINS = ["a photo of a bird at sea", "A photo of a bird on snow", "a bird that flies"]
IMAGES = 24
SEED = 73
"""Of a CLIP that takes some of the images for what the set shows."""
PER_IMAGE = 2 * 2
"""Two of the three are settings, each painted twice."""


def reply(heard: Heard) -> Said:
    return chat(json.dumps({"domains": DOMAINS}))


def rows(folder: Path) -> list[dict[str, Any]]:
    for i in range(IMAGES):
        picture(folder / f"{i}.png", colour=20 + 3 * i + 150 * (i % 2))
    return [{"image": f"{i}.png", "label": list(NAMES)[i % 2], "name": f"{i}"} for i in range(IMAGES)]


def test_what_is_asked_and_what_is_left(ran: Any, tmp_path: Path):
    painters.seeded(SEED)
    clip = encoders.clip(tmp_path / "clip", seed=SEED)
    with Saying(reply) as server:
        models = {"caption": "fake:shape", "paint": "fake:shape", "embed": f"transformers:{clip}"}
        found = ran("alia", rows(tmp_path), chat=f"openai:m@{server.url}", **models)
    [heard] = [heard for heard in server.heard if "messages" in heard.body]
    lines = heard.prompt.splitlines()
    shown = [line for line in lines if line.startswith("a text ")]
    assert len(shown) == len(set(shown)) == 20
    assert heard.prompt.count("a photo of a bird") == 4
    assert heard.body["temperature"] == 1.0

    reasons = Counter(row["_reason"] for row in found.refused)
    assert reasons.pop("no_setting") == IMAGES
    assert set(reasons) <= {"off_topic", "too_easy", "mislabelled", "not_drawn"}
    assert reasons["off_topic"] > 0
    assert reasons["too_easy"] > 0
    assert reasons["not_drawn"] > 0
    with sqlite3.connect(found.out / "ledger.sqlite") as ledger:
        [[painted]] = ledger.execute("select count(*) from answers where role = 'paint'")
    assert painted == IMAGES * PER_IMAGE

    assert found.made
    assert max(Counter(row["name"] for row in found.made).values()) == 1
    assert len(found.made) == 5  # a fifth of 24
    for row in found.made:
        assert row["label"] == list(NAMES)[int(row["name"]) % 2]
        [edit] = [json.loads(entry["drawn"]) for entry in row["_steps"] if entry["step"] == "repaint"]
        name = NAMES[row["label"]]
        assert edit["prompt"] in {f"a photo of a {name} bird at sea", f"a photo of a {name} bird on snow"}
        assert edit["strength"] == 0.6


def test_with_models_of_the_real_classes(ran: Any, tmp_path: Path):
    """BLIP, a Llama that knows one answer, Stable Diffusion over each image, and CLIP."""
    pytest.importorskip("diffusers")
    given = rows(tmp_path)[:6]
    played = {
        "caption": writers.blip(tmp_path / "blip"),
        "chat": repliers.replier(tmp_path / "chat", ((), json.dumps({"domains": DOMAINS}))),
        "embed": encoders.clip(tmp_path / "clip", seed=SEED),
    }
    models = {role: f"transformers:{folder}" for role, folder in played.items()}
    models["paint"] = f"diffusers:{painters.plain(tmp_path / 'painter')}"
    quick = ("--set", "repaint.steps=2", "--set", "caption.max_tokens=12")
    found = ran("alia", given, *quick, **models)

    asked: dict[str, list[dict[str, Any]]] = {role: [] for role in models}
    captions = set()
    for row in ledger(found.out):
        asked[row["role"]].append(json.loads(row["asked"]))
        captions |= {json.loads(row["answer"])["text"].strip()} if row["role"] == "caption" else set()
    assert {role: len(calls) for role, calls in asked.items() if role != "embed"} == {
        "caption": 6, "chat": 1, "paint": 6 * PER_IMAGE,
    }  # fmt: skip
    [chat] = asked["chat"]
    lines = chat["messages"][-1]["content"].partition("\n\n")[2].partition("\nWrite at most")[0].splitlines()
    assert len(captions) > 1
    assert sorted(lines) == sorted(captions), "each once"

    sources = {digest(Image.read(tmp_path / row["image"]).encoded).hex(): NAMES[row["label"]] for row in given}
    wanted = {
        (image, f"a photo of a {name} bird {where}"): 2
        for image, name in sources.items()
        for where in ("at sea", "on snow")
    }
    assert Counter((call["image"], call["prompt"]) for call in asked["paint"]) == wanted
    assert {(call["strength"], call["guidance"]) for call in asked["paint"]} == {(0.6, 7.5)}
    assert Counter(row["_reason"] for row in found.refused)["no_setting"] == 6
    assert len(found.made) == 1  # a fifth of 6
    [made] = found.made
    assert made["label"] == list(NAMES)[int(made["name"]) % 2]
    assert Image(made["image"]["bytes"]).size == Image(found.train[0]["image"]["bytes"]).size

"""BiAug: an attribute of an object that is there, changed in caption and image, and its contrary as a hard negative."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saying import Heard, Said, Saying, chat
from small_media import picture

ATTRIBUTES = {"color": ("red", "blue"), "shape": ("", ""), "material": ("wooden", "metal"), "other": ("open", "closed")}
FEW = ("--concurrency", "4")
N = 6


def reply(heard: Heard) -> Said:
    prompt = heard.prompt
    if "Which objects" in prompt:
        return chat(json.dumps({"objects": [] if "scene 0" in prompt else ["door", "tiny"]}))
    thing = prompt.partition("there is: ")[2].splitlines()[0]
    attribute = prompt.partition("value: a ")[2].split()[0]
    value, contrary = ATTRIBUTES[attribute]
    caption = prompt.partition("caption: ")[2].splitlines()[0]
    better, worse = (f"{caption} with a {word} {thing}" if word else "" for word in (value, contrary))
    if attribute == "other":
        worse = caption  # the contrary does not stand in it
    return chat(json.dumps({"value": value, "better": better, "contrary": contrary, "worse": worse}))


def pixels(cell: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))


def test_both_sides_of_an_attribute(ran: Any, tmp_path: Path):
    for i in range(N):
        picture(tmp_path / f"{i}.png", (60, 40), 30 * i)
    rows = [{"image": f"{i}.png", "caption": f"scene {i}"} for i in range(N)]
    with Saying(reply) as server:
        played = {"chat": f"openai:m@{server.url}", "detect": "fake:shape", "paint": "fake:shape"}
        found = ran("biaug", rows, *FEW, **played)
    calls = Counter("objects" if "Which objects" in heard.prompt else "change" for heard in server.heard)
    assert calls["objects"] == N
    boxes = calls["change"] / len(ATTRIBUTES)  # of a fair size
    assert 0 < boxes <= 2 * (N - 1)
    why = Counter(row["_reason"] for row in found.refused)
    assert why["not_found"] == 0  # a real row that a keep leaves is chosen, not refused
    assert why["not_applicable"] == why["not_in_caption"] == boxes
    assert len(found.made) == 2 * 2 * boxes  # two attributes make sense, of both sides

    by_id = found.real
    pairs: dict[Any, list[dict[str, Any]]] = {}
    for row in found.made:
        box = row["box"] if isinstance(row["box"], dict) else json.loads(row["box"])
        [parent] = {p for p in by_id if by_id[p]["caption"] == row["caption"].partition(" with a ")[0]}
        pairs.setdefault((parent, json.dumps(box), row["attribute"]), []).append(row)
        before, after = pixels(by_id[parent]["image"]), pixels(row["image"])
        outside = np.ones(before.shape[:2], bool)
        x, y, w, h = (box[edge] for edge in ("x", "y", "w", "h"))
        outside[int(np.floor(y)) : int(np.ceil(y + h)), int(np.floor(x)) : int(np.ceil(x + w))] = False
        assert (before[outside] == after[outside]).all()
        assert (before != after).any()
        assert 0.05 <= box["w"] * box["h"] / (60 * 40) <= 0.8
    assert len(pairs) == 2 * boxes
    for (_, box, attribute), both in pairs.items():
        assert sorted(str(row["fits"]).lower() for row in both) == ["false", "true"]
        words = {str(row["fits"]).lower(): row["caption"] for row in both}
        value, contrary = ATTRIBUTES[attribute]
        assert words["true"].replace(value, contrary) == words["false"]
        assert json.loads(box)["label"] in words["true"]

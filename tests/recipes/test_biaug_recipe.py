"""BiAug: an attribute of an object that is there, changed in caption and image, and its contrary as a hard negative."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from asked import cli, failed, ledger, source, table
from leaven.media.image import Image as Picture
from leaven.records import child_id, digest
from saying import Heard, Said, Saying, chat
from small_media import picture
from tiny import lookers, painters, repliers, writers

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


GREYS = (0, 30, 90, 0)
"""Images in which the detector sees, at 0.4246: four boxes, one of them small; a small one; none; it is not asked."""
SURE = ("--set", "boxes.at_least=0.4246")
QUICK = ("--set", "improve.steps=1", "--set", "worsen.steps=1")
SIZE = (60, 40)


def changed(value: str, better: str, contrary: str, worse: str) -> str:
    return json.dumps({"value": value, "better": better, "contrary": contrary, "worse": worse})


def say(attribute: str) -> str:
    return f"value: a {attribute} that the car could have"


OBJECTS = "Which objects may be seen in it"
RULES = (
    ((OBJECTS,), '{"objects": ["dog", "car"]}'),
    ((OBJECTS, "scene 3"), '{"objects": []}'),
    ((say("color"),), changed("red", "a red car by a wall", "blue", "a blue car by a wall")),
    ((say("shape"),), changed("", "", "", "")),
    ((say("material"),), changed("wooden", "a car of wooden parts", "metal", "a car of metal parts")),
    ((say("other attribute"),), changed("open", "an open car", "closed", "an open car")),
)
SAID = {
    ("color", "true"): "a red car by a wall", ("color", "false"): "a blue car by a wall",
    ("material", "true"): "a car of wooden parts", ("material", "false"): "a car of metal parts",
}  # fmt: skip


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers")
    return f"transformers:{lookers.owlvit(tmp_path_factory.mktemp('owlvit'))}"


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("diffusers")
    folder = tmp_path_factory.mktemp("painter")
    return f"diffusers:{painters.plain(folder, 9, 'StableDiffusionInpaintPipeline')}"


def scenes(folder: Path) -> list[dict[str, Any]]:
    for i, grey in enumerate(GREYS):
        picture(folder / f"{i}.png", SIZE, grey)
    return [{"image": f"{i}.png", "caption": f"scene {i}"} for i in range(len(GREYS))]


def asked_of(out: Path, role: str) -> list[dict[str, Any]]:
    return [json.loads(row["asked"]) for row in ledger(out) if row["role"] == role]


def mask(box: dict[str, Any]) -> Picture:
    """White in all pixels that a box touches."""
    found = np.zeros(SIZE[::-1], np.uint8)
    x, y, w, h = (box[edge] for edge in "xywh")
    found[int(np.floor(y)) : int(np.ceil(y + h)), int(np.floor(x)) : int(np.ceil(x + w))] = 255
    return Picture.of_codes(found)


def test_with_models_of_the_real_classes(ran: Any, tmp_path: Path, detector: str, painter: str):
    """The fact sheet's check: a chat model, an open detector and an inpainter, loaded as any folder is."""
    chat = f"transformers:{repliers.replier(tmp_path / 'chat', *RULES)}"
    found = ran("biaug", scenes(tmp_path), *SURE, *QUICK, chat=chat, detect=detector, paint=painter)

    by_caption = {row["caption"]: row for row in found.real.values()}
    assert sorted(by_caption) == [f"scene {i}" for i in range(4)]
    looks = asked_of(found.out, "detect")
    assert [look["phrases"] for look in looks] == [["dog", "car"]] * 3, "where none is named, none is looked for"
    assert {look["at_least"] for look in looks} == {0.4246}
    prompts = [call["messages"][-1]["content"] for call in asked_of(found.out, "chat")]
    assert sum(OBJECTS in prompt for prompt in prompts) == 4
    changes = Counter(prompt.partition("value: a ")[2].split(" that")[0] for prompt in prompts if OBJECTS not in prompt)
    assert changes == {"color": 3, "shape": 3, "material": 3, "other attribute": 3}, "of three boxes in one image"
    assert all("A photo has this caption: scene 0\nIn it there is: car\n" in p for p in prompts if OBJECTS not in p)

    refused = {"box_size": 2, "not_applicable": 3, "not_in_caption": 3}
    assert Counter(row["_reason"] for row in found.refused) == refused
    made = [(row, row["box"] if isinstance(row["box"], dict) else json.loads(row["box"])) for row in found.made]
    assert len(made) == 3 * 2 * 2  # boxes, attributes that make sense, sides
    before = pixels(by_caption["scene 0"]["image"])
    sides: dict[str, list[tuple[str, str]]] = {}
    for row, box in made:
        fits = str(row["fits"]).lower()
        assert row["caption"] == SAID[row["attribute"], fits]
        place = [seen["x"] for seen in row["boxes"]].index(box["x"])
        of_box = child_id([by_caption["scene 0"]["_id"]], "each_box", 0, place)
        assert row["_parents"] == [child_id([of_box], "each_attribute", 0, list(ATTRIBUTES).index(row["attribute"]))]
        sides.setdefault(json.dumps(box), []).append((row["attribute"], fits))
        after, inside = pixels(row["image"]), mask(box).codes > 0
        assert (before[~inside] == after[~inside]).all()
        assert (before[inside] != after[inside]).mean() > 0.5
        assert 0.05 <= box["w"] * box["h"] / (60 * 40) <= 0.8
    assert [sorted(of) for of in sides.values()] == [sorted(SAID)] * 3

    painted = asked_of(found.out, "paint")
    wanted = Counter((row["caption"], digest(mask(box).encoded).hex()) for row, box in made)
    assert Counter((call["prompt"], call["mask"]) for call in painted) == wanted
    assert {(call["steps"], call["guidance"], call["strength"]) for call in painted} == {(1, 7.5, 1.0)}
    assert len({call["seed"] for call in painted}) == 12


def test_a_model_that_talks_nonsense(tmp_path: Path, detector: str, painter: str):
    """All real rows stay; what was answered is told with each."""
    chat = writers.llama(tmp_path / "chat", room=2048)
    out, rows = tmp_path / "out", source(tmp_path, scenes(tmp_path))
    played = {"chat": f"transformers:{chat}", "detect": detector, "paint": painter}
    models = [f"--model={role}={uri}" for role, uri in played.items()]
    few = ("--set", "objects.max_tokens=12", "--workers", "1")
    assert cli("augment", rows, "-o", out, "-r", "biaug", "-q", *few, *models).code == 3
    assert {row["caption"] for row in table(out)} == {f"scene {i}" for i in range(4)}
    assert [(row["_step"], row["_reason"], len(row["_answers"])) for row in failed(out)] == [
        ("objects", "no_valid_json", 2)
    ] * 4
    assert {row["role"] for row in ledger(out)} == {"chat"}
    assert len(ledger(out)) == 8

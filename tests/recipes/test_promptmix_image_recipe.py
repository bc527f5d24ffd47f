"""promptmix-image: captions painted, painted images annotated; an epoch shows real rows and a draw of the made ones."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import leaven as lv
from asked import cli
from leaven.media.image import Image
from saying import Heard, Said, Saying, chat
from small_media import picture
from tiny import mappers, painters, writers

pytest.importorskip("transformers")
pytest.importorskip("diffusers")
N, EACH = 5, 2
"""Images, and images painted for each."""


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """Images with a depth map each, all different; `name` rides along."""
    for i in range(N):
        picture(tmp_path / f"{i}.png", (48, 40), 10 + 30 * i)
        (tmp_path / f"depth{i}.png").write_bytes(Image.of_codes(np.full((40, 48), 1000 + i, np.uint16)).encoded)
    return [{"image": f"{i}.png", "target": f"depth{i}.png", "name": f"{i}"} for i in range(N)]


def calls(out: Path, role: str) -> list[dict[str, Any]]:
    """What a role was asked, by the ledger."""
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        return [json.loads(asked) for [asked] in ledger.execute("select asked from answers where role = ?", (role,))]


def test_what_is_made_and_what_an_epoch_shows(ran: Any, rows: list[dict[str, Any]], tmp_path: Path):
    """The fact sheet's check, with models of the real classes."""
    models = {
        "caption": f"transformers:{writers.blip(tmp_path / 'blip')}",
        "paint": f"diffusers:{painters.plain(tmp_path / 'painter')}",
        "map": f"transformers:{mappers.dpt(tmp_path / 'dpt')}",
    }
    more = ("--set", f"paint.n={EACH}", "--set", "paint.steps=1", "--set", "after=, in the rain")
    found = ran("promptmix-image", rows, *more, **models)

    assert len(found.made) == N * EACH
    assert found.refused == []
    assert Counter(row["name"] for row in found.made) == {f"{i}": EACH for i in range(N)}
    [by] = {row["target_by"] for row in found.made}
    assert by.startswith("dpt ")
    for row in found.made:
        [painted] = [json.loads(entry["drawn"]) for entry in row["_steps"] if entry["step"] == "paint"]
        assert row["caption"]
        assert painted["prompt"] == f"{row['caption']}, in the rain"
        image, depth = Image(row["image"]["bytes"]), Image(row["target"]["bytes"])
        assert depth.size == image.size == (painters.SIDE, painters.SIDE)
        assert (depth.codes.min(), depth.codes.max()) == (0, 65535)
    assert len({row["target"]["bytes"] for row in found.made}) == N * EACH
    for row in found.real.values():
        assert (Image(row["target"]["bytes"]).codes == 1000 + int(row["name"])).all(), "a real row keeps its own"
        assert row["target_by"] is None

    counts = {role: len(calls(found.out, role)) for role in models}
    assert counts == {"caption": N, "paint": N * EACH, "map": N * EACH}
    assert len({call["seed"] for call in calls(found.out, "paint")}) == N * EACH

    maps = {row["target"]["bytes"]: row["_id"] for row in found.train}
    drawn = lv.Run(found.out).blend(ratio=1, redraw="epoch")
    seen = []
    for epoch in range(4):
        drawn.set_epoch(epoch)
        shown = {maps[drawn[i]["target"].encoded] for i in range(len(drawn))}
        assert len(shown) == len(drawn) == 2 * N, "none twice"
        assert set(found.real) <= shown
        seen.append(frozenset(shown))
    assert len(set(seen)) == 4
    assert len(calls(found.out, "map")) == N * EACH, "not once an epoch"


def test_a_captioner_that_says_nothing_of_some(rows: list[dict[str, Any]], tmp_path: Path, no_report: None):
    """What has no caption has no image either, and its real row stays."""
    silent = [base64.b64encode((tmp_path / f"{i}.png").read_bytes()).decode() for i in (1, 3)]

    def reply(heard: Heard) -> Said:
        return chat("" if any(image in json.dumps(heard.body) for image in silent) else "a photo of a wall")

    source, out = tmp_path / "rows.jsonl", tmp_path / "out"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Saying(reply) as server:
        played = (f"chat=openai:m@{server.url}", "paint=fake:shape", "map=fake:shape")
        models = [part for model in played for part in ("--model", model)]
        ran = cli("augment", str(source), "-o", str(out), "-r", "promptmix-image", "-q", *models)
    assert ran.code == 3, ran.err
    train = pq.read_table(out / "train").to_pylist()
    assert Counter(row["name"] for row in train if not row["_synthetic"]) == {f"{i}": 1 for i in range(N)}
    assert Counter(row["name"] for row in train if row["_synthetic"]) == {f"{i}": EACH for i in (0, 2, 4)}
    assert len(calls(out, "map")) == 3 * EACH
    made = [row for row in train if row["_synthetic"]]
    assert {row["caption"] for row in made} == {"a photo of a wall"}
    assert {row["target_by"] for row in made} == {"fake"}

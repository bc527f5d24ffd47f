"""sound: what is asked, what a child's sound is like, and a whole run with Stable Audio in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from leaven import cli
from leaven.audio.sound import Sound
from leaven.media.audio import Audio
from leaven.models.calls import Answer, Ask
from tiny import painters
from worlds import World, sounds

TONE = Audio.of(np.sin(np.arange(4000) / 20).astype(np.float32) / 2, 8000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """What is asked of a model that answers a second in two channels, 1,000 samples a second."""
    found: list[Ask] = []

    async def play(self: Any, ask: Ask, about: Any) -> Answer:
        found.append(ask)
        return Answer("", media=Audio.of(np.zeros((1000, 2), np.float32), 1000))

    monkeypatch.setattr("leaven.models.backends.fake.Fake.play", play)
    return found


def test_sound_asks(asked: list[Ask]):
    row = {"label": "dog", "audio": TONE, "other": TONE}
    [child] = Sound("a {{ label }}", negative="cats", steps=9, guidance=2)(row, sound="fake:shape")
    assert dict(asked[-1].content) == {
        "prompt": "a dog", "seconds": 0.5, "steps": 9, "guidance": 2.0, "negative": "cats",
    }  # fmt: skip
    assert (child["audio"].rate, child["audio"].channels) == (8000, 2), "the parent's rate, the model's channels"
    Sound("a dog", start="record.other", strength=0.8, seconds=2)(row, sound="fake:shape")
    content = dict(asked[-1].content)
    assert asked[-1].media[content.pop("start")] == TONE
    assert content == {"prompt": "a dog", "seconds": 2.0, "strength": 0.8}
    [child] = Sound("a dog")({"label": "dog"}, sound="fake:shape")
    assert dict(asked[-1].content) == {"prompt": "a dog"}
    assert child["audio"].rate == 1000


def test_refused(asked: list[Ask]):
    row = {"label": " ", "other": None}
    assert Sound("{{ label }}")(row, sound="fake:shape")[0]["_reason"] == "empty"
    assert Sound("a dog", start="other")(row, sound="fake:shape")[0]["_reason"] == "no_start"
    assert asked == []


def test_a_run_with_a_real_pipeline(tmp_path: Path, no_report: None):
    pytest.importorskip("diffusers")
    model = painters.stable_audio(tmp_path / "stable")
    world = sounds()
    fields = {name: kind for name, kind in world.fields.items() if name in ("audio", "label")}
    rows = [{name: row[name] for name in fields} for row in world.source[:3]]
    recipe = tmp_path / "recipe.yaml"
    step = {"prompt": "a {{ label }} tone", "steps": 4, "n": 2, "start": "root.audio", "strength": 0.75}
    recipe.write_text(json.dumps({"fields": fields, "steps": [{"sound": step}]}))
    table = World(fields, rows, []).table(tmp_path / "rows", rows)
    found = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        command = ["augment", table, "-o", str(out), "-r", str(recipe), "--workers", workers, "-q"]
        assert cli.run([*command, "--model", f"sound=diffusers:{model}"]) == 0
        found.append([r for file in sorted((out / "train").glob("*.parquet")) for r in pq.read_table(file).to_pylist()])
    assert found[0] == found[1]
    lengths = {row["_id"]: Audio(row["audio"]["bytes"]).seconds for row in found[0] if not row["_synthetic"]}
    made = [row for row in found[0] if row["_synthetic"]]
    assert len(made) == 6
    assert len({row["audio"]["bytes"] for row in made}) == 6
    for row in made:
        sound = Audio(row["audio"]["bytes"])
        assert (sound.rate, sound.channels) == (8000, 2)
        assert sound.seconds == pytest.approx(lengths[row["_parents"][0]], abs=0.02)

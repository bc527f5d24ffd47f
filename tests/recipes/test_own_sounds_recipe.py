"""own-sounds: nobody is named for `sound`; a model fitted in the run sounds each label, and a student checks it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.cli import run
from leaven.media.audio import Audio
from leaven.models.backends.local import fitting, small_diffusion
from leaven.models.backends.local.small_sound import SmallSound

pytest.importorskip("diffusers")

EACH = 8
RATE = 4000
TINY = ("--set", "own.steps=30", "--set", "own.size=8", "--set", "own.lr=0.01", "--set", "sound.steps=2")


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion, "CHECKED", 24)
        patch.setattr("leaven.io.sets.MEDIA_PER_PART", 8)
        yield


def tones(folder: Path) -> list[dict[str, str]]:
    """Low and high tones, all different: parts of two in the run."""
    rows = []
    for i in range(2 * EACH):
        hertz = 1300 + i if i % 2 else 300 + i
        wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round((0.12 + i / 200) * RATE)) / RATE)
        (folder / f"{i}.wav").write_bytes(Audio.of(wave, RATE).encoded)
        rows.append({"audio": f"{i}.wav", "label": "high" if i % 2 else "low"})
    return rows


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_it_sounds_each_label_with_no_model_named(ran: Any, tmp_path: Path):
    found = ran("own-sounds", tones(tmp_path), *TINY)
    assert len(found.real) == 2 * EACH
    assert Counter(row["label"] for row in [*found.made, *found.refused]) == {"high": 2 * EACH, "low": 2 * EACH}
    assert len(found.made) > 2 * EACH
    for row in found.made:
        sound = Audio(row["audio"]["bytes"])
        assert (sound.rate, sound.channels) == (RATE, 1)
        assert 0.02 < sound.seconds < 0.25
        assert [step["step"] for step in row["_steps"]] == ["sound"]
    assert len({row["audio"]["bytes"] for row in found.made}) == len(found.made)
    assert json.loads((found.out / "run.json").read_text())["models"]["sound.fitted"] == "fitted"
    [folder] = [path for path in (found.out / "states").iterdir() if path.is_dir()]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["scheduler", "small-diffusion.json", "small-sound.json", "unet"]

    # Another number of workers, and a command that was stopped while it trained: the same bytes.
    again = [str(tmp_path / "rows.jsonl"), "-r", "own-sounds", "-q", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaven.cli.write_report", lambda *_: None)
        fit = fitting.Course.write

        def stopped(at: Any, path: Path) -> None:
            fit(at, path)
            if at.step == 10:
                raise KeyboardInterrupt

        patch.setattr(fitting.Course, "write", stopped)
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 130
        patch.setattr(fitting.Course, "write", fit)
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert files(tmp_path / "two" / "train") == files(found.out / "train")

    # What was fitted is not fitted again to repeat the run; its folder can be named, here to begin from real sounds.
    other = tmp_path / "other.yaml"
    step = {"sound": {"prompt": "{{ label }}", "start": "audio", "strength": 0.3, "steps": 3}}
    other.write_text(json.dumps({"steps": [step]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SmallSound, "fit", None)
        assert run(["verify", str(found.out), "-q", "--workers", "1"]) == 0
        command = ["try", str(tmp_path / "rows.jsonl"), "-r", str(other), "-n", "2", "-o", str(tmp_path / "three")]
        assert run([*command, "--model", f"sound=fitted:{folder}"]) == 0


def test_what_a_recipe_says_wrongly_is_said_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in tones(tmp_path)))

    def said(*steps: Any) -> str:
        recipe = tmp_path / "mine.yaml"
        recipe.write_text(json.dumps({"steps": steps}))
        assert run(["augment", str(rows), "-o", str(tmp_path / "out"), "-r", str(recipe), "-q"]) == 1
        return capsys.readouterr().err

    assert "adapter learns to make sounds, and `label` holds none" in said(
        {"adapter": {"role": "sound", "target": "label"}}
    )
    assert "a sound is not mirrored" in said({"adapter": {"role": "sound", "flip": True}})
    assert "fitting sound with `how: lora` is not built yet" in said({"adapter": {"role": "sound", "how": "lora"}})
    sound = {"sound": {"prompt": "{{ label }}", "adapter": "own"}}
    assert "the adapter `own` is fitted for paint" in said(
        {"adapter as own": {"role": "paint", "target": "audio"}}, sound
    )

"""Spoken commands: three voices a row, what is misheard is refused, and a replay says the same."""

from __future__ import annotations

import json
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import soundfile

from leaven.any_record.overlap import of_texts
from leaven.cli import run
from recordings import recording

ROWS = [{"text": "stop the music", "label": "music"}, {"text": "What time is it?", "label": "time"}]


def test_what_is_misheard_is_refused(ran: Any, tmp_path: Path):
    said = recording(tmp_path, [(row["text"], "x") for row in ROWS])
    found = ran("spoken-commands", ROWS, speak="fake:shape", transcribe=said)
    assert [row["_reason"] for row in found.refused] == ["misheard"] * 6
    said = recording(tmp_path, [(row["text"], row["text"].lower().replace("?", "")) for row in ROWS])
    found = ran("spoken-commands", ROWS, "--seed", "1", speak="fake:shape", transcribe=said)
    assert len(found.made) == 6
    assert not found.real
    for row in found.made:
        assert row["audio"]["bytes"][:4] == b"RIFF"
        assert [step["step"] for step in row["_steps"]] == ["speak", "add_noise"]
        assert 5 <= json.loads(row["_steps"][1]["drawn"])["snr"] <= 20


@pytest.mark.skipif(not which("espeak-ng"), reason="apt install espeak-ng")
@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="pip install pocketsphinx")
def test_the_programs(ran: Any):
    found = ran("spoken-commands", ROWS, "--set", "speak.n=2")
    clips = found.made + found.refused
    assert len(clips) == 4
    for row in ROWS:
        voices = {json.loads(clip["_steps"][0]["drawn"])["voice"] for clip in clips if clip["text"] == row["text"]}
        assert len(voices) == 2
    for row in found.refused:
        assert row["_reason"] == "misheard"
        assert row["_scores"]["overlap"] < 0.5
        assert of_texts(row["transcript"], row["text"], "edit", True) == pytest.approx(
            row["_scores"]["overlap"], abs=1e-6
        )
    for row in clips:
        assert soundfile.info(BytesIO(row["audio"]["bytes"])).samplerate == 22050


def test_a_replay_says_the_same(ran: Any):
    found = ran("spoken-commands", ROWS, speak="fake:shape", transcribe="fake:shape")
    assert len(list((found.out / "answers").glob("*.wav"))) >= 3
    assert run(["verify", str(found.out)]) == 0

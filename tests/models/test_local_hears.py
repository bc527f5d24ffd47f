"""Recognisers of transformers in folders: what is heard, that no part of a long sound is lost, and wrong models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import cli
from asked_here import answer, answers
from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local.hears import cut
from leaven.models.calls import Answer
from tiny import encoders, voices

pytest.importorskip("torch")
pytest.importorskip("transformers")

Tiny = Callable[[str], Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")

    def built(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else getattr(voices, name)(folder)

    return built


def noise(seconds: float, seed: int = 0, rate: int = 16000) -> Audio:
    return Audio.of(np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32), rate)


def asked(sound: Audio) -> tuple[Any, Any, Any]:
    return {"audio": "one"}, {"one": sound}, {}


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_the_same_alone_and_beside_others(tiny: Tiny, name: str):
    sounds = [noise(0.9), noise(0.4, 1), Audio.of(np.sin(np.arange(9000) / 3).astype(np.float32), 8000)]
    calls = [asked(sound) for sound in sounds]
    beside = [said.text for said in answers("transcribe", tiny(name), calls * 2) if isinstance(said, Answer)]
    assert beside[:3] == beside[3:]
    assert len(set(beside)) == 3, "each is heard"
    assert any(beside)
    assert [answer("transcribe", tiny(name), *call).text for call in calls] == beside[:3]


def test_the_words_of_whisper_itself(tiny: Tiny):
    import torch
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

    model, read = (kind.from_pretrained(tiny("whisper")) for kind in (AutoModelForSpeechSeq2Seq, AutoProcessor))
    sound = noise(0.7)
    with torch.inference_mode():
        found = model.generate(**read(sound.mono, sampling_rate=16000, return_tensors="pt", return_attention_mask=True))
    [text] = read.batch_decode(found, skip_special_tokens=True)
    assert answer("transcribe", tiny("whisper"), *asked(sound)).text == " ".join(text.split())


def test_what_is_spelled_is_what_the_model_spells(tiny: Tiny):
    import torch
    from transformers import AutoProcessor, Wav2Vec2ForCTC

    model, read = (kind.from_pretrained(tiny("wav2vec2")) for kind in (Wav2Vec2ForCTC, AutoProcessor))
    sound = noise(0.7)
    with torch.inference_mode():
        found = model(**read(sound.mono, sampling_rate=16000, return_tensors="pt")).logits.argmax(-1)
    [text] = read.batch_decode(found)
    assert answer("transcribe", tiny("wav2vec2"), *asked(sound)).text == text


def test_a_long_sound_is_heard_window_by_window(tiny: Tiny):
    """This Whisper hears a second; between two noises is a silence, at which the sound is cut."""
    first, second = noise(0.85), noise(0.7, 1)
    silence = np.zeros(int(0.1 * 16000), np.float32)
    whole = Audio.of(np.concatenate([first.mono, silence, second.mono]), 16000)
    [left, right] = [Audio.of(piece, 16000) for piece in cut(whole.mono, 16000, 1.0)]
    assert left.seconds == pytest.approx(0.9, abs=0.01)
    texts = [answer("transcribe", tiny("whisper"), *asked(piece)).text for piece in (left, right)]
    assert answer("transcribe", tiny("whisper"), *asked(whole)).text == " ".join(texts)


@given(st.integers(1, 5000), st.sampled_from([0.2, 0.5, 1.0, 3.0]), st.integers(0, 3))
def test_no_sample_is_lost(length: int, longest: float, seed: int):
    samples = np.random.default_rng(seed).normal(0, 1, length).astype(np.float32)
    windows = list(cut(samples, 500, longest))
    assert all(0 < len(window) <= max(longest * 500, 50) for window in windows)
    assert np.concatenate(windows)[:length].tobytes() == samples.tobytes()
    assert not np.concatenate(windows)[length:].any()


def test_a_click_is_asked_too(tiny: Tiny):
    for name in ("whisper", "wav2vec2"):
        answer("transcribe", tiny(name), *asked(noise(0.001)))


def test_no_recogniser(tmp_path: Path):
    with pytest.raises(ModelError, match=r"of type `clap`, which writes down no speech\.\n.*name Whisper"):
        answer("transcribe", encoders.clap(tmp_path / "clap"), *asked(noise(0.1)))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=r"config\.json is absent"):
        answer("transcribe", empty, *asked(noise(0.1)))
    (empty / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        answer("transcribe", empty, *asked(noise(0.1)))


def test_in_a_run(tiny: Tiny, tmp_path: Path, no_report: None):
    """It is asked in place of the recogniser that stands here anyway; one worker and two write the same."""
    rows = []
    for i in range(4):
        (tmp_path / f"{i}.wav").write_bytes(noise(0.3, i).encoded)
        rows.append({"audio": f"{i}.wav", "label": "ab"[i % 2]})
    source, recipe = tmp_path / "rows.jsonl", tmp_path / "r.yaml"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe.write_text(json.dumps({"steps": ["transcript", {"alter_sound": {"n": 1}}, {"transcript as again": {}}]}))
    model = f"transcribe=transformers:{tiny('whisper')}"
    written = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        more = ("--model", model, "--workers", workers, "-q")
        assert cli("augment", str(source), "-o", str(out), "-r", str(recipe), *more).code == 0
        written.append([file.read_bytes() for file in sorted((out / "train").glob("*.parquet"))])
    assert written[0] == written[1]
    made = [row for row in pq.read_table(tmp_path / "1" / "train").to_pylist() if row["_synthetic"]]
    assert len(made) == 4
    assert len({row["again"] for row in made}) == 4

"""The recipes for sounds, by the command line; the chat model is a server that repeats what it is asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven.cli import run
from leaven.media.audio import Audio
from leaven.storage import arrow_of, to_cells
from saying import Heard, Said, Saying, chat

Row = dict[str, Any]
LABELS = ("low", "high", "noise")


def sound(i: int, seconds: float) -> Audio:
    rng, t = np.random.default_rng(i), np.arange(round(seconds * 8000)) / 8000
    wave = 0.2 * np.sin(2 * np.pi * (200, 1200, 0)[i % 3] * t) + (0.002, 0.002, 0.2)[i % 3] * rng.standard_normal(
        len(t)
    )
    return Audio(Audio.of(wave.astype(np.float32), 8000).encoded, f"{i}.wav")


def rows(seconds: float = 0.5) -> list[Row]:
    return [
        {
            "audio": sound(i, seconds + i / 100),
            "label": LABELS[i % 3],
            "caption": f"Sound {i} is {LABELS[i % 3]}.",
            "segments": [{"start": 0.1, "end": 0.3, "label": LABELS[i % 3]}],
        }
        for i in range(9)
    ]


def augmented(recipe: str, given: list[Row], folder: Path, *options: str) -> tuple[list[Row], list[Row]]:
    """Made rows of train/, and refused ones."""
    arrays = {n: pa.array(to_cells(n, [row[n] for row in given]), arrow_of(n)) for n in given[0]}
    pq.write_table(pa.table(arrays), folder / "rows.parquet")
    said = ["augment", str(folder / "rows.parquet"), "-o", str(folder / "out"), "-r", recipe, "-q", "--workers", "1"]
    assert run([*said, *options]) == 0
    found = []
    for name in ("train", "refused"):
        files = sorted((folder / "out" / name).glob("*.parquet"))
        found.append([row for file in files for row in pq.read_table(file).to_pylist()])
    return [row for row in found[0] if row["_synthetic"]], found[1]


def drawn(row: Row, step: str) -> Row:
    [entry] = [entry for entry in row["_steps"] if entry["step"] == step]
    found: Row = json.loads(entry["drawn"])
    return found


def fields(*names: str, seconds: float = 0.5) -> list[Row]:
    return [{name: row[name] for name in names} for row in rows(seconds)]


def test_classic_audio(tmp_path: Path):
    made, refused = augmented("classic-audio", fields("audio", "label", "segments"), tmp_path)
    steps = Counter(row["_steps"][-1]["step"] for row in made + refused)
    assert steps == {"alter_sound": 18, "add_noise": 9, "mask_spectrum": 9, "mix_sounds": 9}
    assert len(made) == 45
    by_id = {row["_id"]: row for row in made}
    assert len(by_id) == 45
    for row in made:
        assert Audio(row["audio"]["bytes"]).rate == 8000
        if row["_steps"][-1]["step"] == "mix_sounds":
            assert len(row["_parents"]) == 2
            assert {segment["label"] for segment in row["segments"]} == {row["label"]}
            assert len(row["segments"]) == 2


@pytest.mark.usefixtures("no_report")
def test_classic_audio_without_labels(tmp_path: Path):
    made, _ = augmented("classic-audio", fields("audio"), tmp_path)
    assert Counter(row["_steps"][-1]["step"] for row in made) == {"alter_sound": 18, "add_noise": 9, "mask_spectrum": 9}


@pytest.mark.usefixtures("no_report")
def test_spec_augment(tmp_path: Path):
    made, _ = augmented("spec-augment", fields("audio", "label"), tmp_path)
    assert len(made) == 18
    for row in made:
        masks = drawn(row, "mask_spectrum")
        assert len(masks["freq"]) == len(masks["time"]) == 2
        assert max(count for _, count in masks["freq"]) <= 15
        assert max(count for _, count in masks["time"]) <= 0.2 * 60


@pytest.mark.usefixtures("no_report")
def test_audio_mixup(tmp_path: Path):
    """One call to merge, one to judge; a quarter of the captions is not fluent."""

    def answer(heard: Heard) -> Said:
        if "fluent English" in heard.prompt:
            return chat("disfluent" if "Sound 3" in heard.prompt else "fluent")
        parts = re.findall(r"^- (.*)$", heard.prompt, re.M)
        assert len(parts) == 2
        return chat(json.dumps({"caption": " / ".join(parts)}))

    with Saying(answer) as server:
        options = [f"--model={role}=openai:x@{server.url}" for role in ("chat", "classify")]
        made, refused = augmented("audio-mixup", fields("audio", "caption"), tmp_path, *options)
    assert len(made) + len(refused) == 90
    assert {row["_reason"] for row in refused} == {"disfluent"}
    assert all("Sound 3" in row["caption"] for row in refused)
    for row in made:
        assert re.fullmatch(r"Sound \d is \w+\. / Sound \d is \w+\.", row["caption"])
        mixed = drawn(row, "mix_sounds")
        assert -5 <= mixed["snr"][0] <= 5
        changed = [json.loads(entry["drawn"]) for entry in row["_steps"] if entry["step"] == "alter_sound"]
        speed = changed[0].get("speed", 1.0) if changed else 1.0
        numbers = [int(n) for n in re.findall(r"Sound (\d)", row["caption"])]
        longest = max(round((0.5 + n / 100) * 8000) for n in numbers)
        assert len(Audio(row["audio"]["bytes"]).samples) == round(longest / speed)
    share = sum(any(e["step"] == "alter_sound" for e in row["_steps"]) for row in made) / len(made)
    assert share == pytest.approx(0.5, abs=0.2)


@pytest.mark.usefixtures("no_report")
def test_audiosetmix(tmp_path: Path):
    """The caption says the sounds in their order, and the negative is it with one modifier turned."""

    def answer(heard: Heard) -> Said:
        return chat(json.dumps({"caption": heard.prompt.partition("\nWrite")[0].replace("\n", " ").replace("(", "( ")}))

    given = [*fields("audio", "label", seconds=2.1), {"audio": sound(20, 1.9), "label": "low"}]
    given += [{"audio": sound(21, 3.0), "label": "unknown"}]
    with Saying(answer) as server:
        made, refused = augmented("audiosetmix", given, tmp_path, f"--model=chat=openai:x@{server.url}")
    assert len(made) == 9
    assert not refused  # real rows that a keep leaves out were not chosen
    for row in made:
        altered, mixed = drawn(row, "alter_sound"), drawn(row, "mix_sounds")
        said = row["caption"]
        sounds = re.findall(r"- (low|high|noise) \( (.*?)\)", said)
        assert len(sounds) == len(row["_parents"])
        assert 1 <= len(sounds) <= 5
        assert sounds[0][0] == row["label"]
        assert (sounds[0][1] == "as it is") == (not audible(altered))
        if len(sounds) == 1:
            assert said.startswith("One sound is heard:")
        elif mixed["how"] == "join":
            assert said.startswith("Sounds are heard one after the other, in this order:")
        else:
            assert said.startswith("Sounds are heard at the same time:")
            assert len(mixed["snr"]) == len(sounds) - 1
        turned = {"louder": "quieter", "higher": "lower", "faster": "slower"}
        turned |= {v: k for k, v in turned.items()}
        if row["negative"] is None:
            assert not any(word in said for word in turned)
        else:
            differing = [(a, b) for a, b in zip(said.split(), row["negative"].split(), strict=True) if a != b]
            assert differing
            assert all(turned[a.strip("(),")] == b.strip("(),") for a, b in differing)


def audible(drawn: Row) -> bool:
    return (
        abs(drawn.get("volume", 0)) >= 1
        or abs(drawn.get("pitch", 0)) >= 0.5
        or abs(drawn.get("speed", 1) - 1) >= 0.05
        or "length" in drawn
    )

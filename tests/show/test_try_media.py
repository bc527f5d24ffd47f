"""What try shows of images, sounds and captions: what was drawn, what a child says, which keep left its parent out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import recipe
from leaven.cli import run
from leaven.media.audio import Audio
from leaven.media.image import Image

Lines = list[str]


@pytest.fixture
def tried(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """``tried(rows, recipe)``: the lines of ``leaven try`` about all of them."""
    monkeypatch.chdir(tmp_path)

    def lines(rows: list[dict[str, Any]], recipe: Path | str, *options: str) -> Lines:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        assert run(["try", "rows.jsonl", "-r", str(recipe), "-n", "20", "-q", *options]) == 0
        found: Lines = capsys.readouterr().out.splitlines()
        assert all(len(line) <= 100 for line in found if not line.startswith("Next:"))
        return found

    return lines


def images(folder: Path, n: int) -> list[str]:
    for i in range(n):
        (folder / f"{i}.png").write_bytes(Image.of(np.full((6, 8, 3), 9 * i, np.uint8)).encoded)
    return [f"{i}.png" for i in range(n)]


def sounds(folder: Path, n: int) -> list[str]:
    for i in range(n):
        wave = np.sin(np.arange(800) / (3 + i)).astype(np.float32) / 4
        (folder / f"{i}.wav").write_bytes(Audio.of(wave, 8000).encoded)
    return [f"{i}.wav" for i in range(n)]


def test_mixup_shows_its_share_the_other_image_and_the_soft_label(tried: Any, tmp_path: Path):
    rows = [{"image": name, "label": "cat" if i else "dog"} for i, name in enumerate(images(tmp_path, 2))]
    made = recipe(tmp_path, "mix_images: {lam: 0.75, draw: {k: 1}, soft: true}", fields=["image", "label"])
    lines = tried(rows, made)
    dog = next(i for i, line in enumerate(lines) if re.match(r"[0-9a-f]{6}  dog  0\.png  8 x 6$", line))
    assert lines[dog + 1 : dog + 4] == [
        "  kept      mix_images: lam 0.75",
        "            with: 1.png  8 x 6",
        "            label_probs: dog 0.75, cat 0.25",
    ]


def test_mixgen_shows_the_captions_and_a_record_of_which_nothing_was_made(tried: Any, tmp_path: Path):
    said = ["a cat", "a dog on a mat", None]
    rows = [{"image": name, "caption": said[i]} for i, name in enumerate(images(tmp_path, 3))]
    lines = tried(rows, "mixgen", "--set", "mix_images.share=1")
    cat = next(i for i, line in enumerate(lines) if line.endswith("  0.png  8 x 6"))
    assert lines[cat + 1] == "        a cat"
    assert lines[cat + 2] == "  kept      mix_images: lam 0.5"
    none = next(i for i, line in enumerate(lines) if line.endswith("  2.png  8 x 6"))
    assert lines[none + 1] == "  left      no_caption: caption None"
    rows = [{**row, "caption": "a cat"} for row in rows]
    lines = tried(rows, "mixgen", "--set", "mix_images.share=0.000001")
    assert lines.count("  nothing was made of it") == 3


def test_several_captions_and_a_long_one_stay_within_the_lines(tried: Any, tmp_path: Path):
    long = "a cat on a mat beside a door " * 20
    rows = [{"image": name, "caption": [f"{long} {i}", "a cat"]} for i, name in enumerate(images(tmp_path, 2))]
    lines = tried(rows, "mixgen", "--set", "mix_images.share=1")
    assert sum(line.endswith("... (and 1 more)") for line in lines) == 4
    assert len([line for line in lines if line.startswith("            ")]) == 2 * (1 + 3)


def test_spoken_commands_show_the_voice_the_noise_and_what_was_heard(tried: Any, tmp_path: Path):
    rows = [{"text": "stop the music", "label": "music"}, {"text": "what time is it", "label": "time"}]
    fakes = ("--model=speak=fake:shape", "--model=transcribe=fake:shape")
    lines = tried(rows, "spoken-commands", *fakes, "--set", "speak.n=1")
    kept = [line for line in lines if line.startswith("  kept")]
    refused = [line for line in lines if line.startswith("  refused")]
    assert len(kept) + len(refused) == 2
    for line in kept:
        assert re.fullmatch(r"  kept      speak: rate [\d.]+, voice \S+; add_noise: snr [\d.]+", line)
    for line in refused:
        assert re.fullmatch(r"  refused   speak: rate [\d.]+, voice \S+ +misheard: overlap [\d.]+", line)
        assert lines[lines.index(line) + 1].startswith("            transcript: ")


def test_a_keep_that_leaves_all_out_is_named(tried: Any, tmp_path: Path):
    rows = [{"audio": name} for name in sounds(tmp_path, 3)]
    asked = "keep: {that: audio|seconds > 5, reason: too_short}"
    lines = tried(rows, recipe(tmp_path, asked, "add_noise: {snr: 10}", fields=["audio"]))
    assert lines[0].startswith("3 of 3 records")
    assert lines[2::2][:3] == ["  left      too_short: audio 0.10 s"] * 3
    assert lines[7:9] == [
        "Nothing was made; the recipe left all of them out:",
        "  too_short 3, by keep: audio|seconds > 5",
    ]


def test_a_label_that_a_step_gave_is_shown(tried: Any, tmp_path: Path):
    rows = [{"text": f"a red apple {i}", "label": "fruit" if i else "thing"} for i in range(3)]
    lines = tried(rows, recipe(tmp_path, "edit_chars: {p: 0.3}", "note: {label: \"'fruit'\"}"))
    heads = [i for i, line in enumerate(lines) if re.match(r"[0-9a-f]{6}  ", line)]
    assert [lines[i + 2] == "            label: fruit" for i in heads] == [True, False, False]

"""`leaven plan` of recipes that speak and listen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asked import cli


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
def test_what_is_spoken_is_counted(tmp_path: Path):
    pytest.importorskip("pocketsphinx")
    source = tmp_path / "commands.csv"
    source.write_text("text,label\nturn on the light,light\nplay music,music\nstop now,stop\n", "utf-8")
    done = cli("plan", source, "-r", "spoken-commands", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines()]
    spoken = next(words for words in lines if "speak" in words)
    assert spoken[-5:] == ["3", "9", "0", "0", "0"]  # three children of each of three rows, for nothing
    heard = next(words for words in lines if "transcript" in words)
    assert heard[-5:] == ["9", "9", "0", "0", "0"]

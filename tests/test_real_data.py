"""The main job on real data, where it lies beside the checkout; it is no part of the project."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from leaven.cli import run

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data" / "text"
BANKING, AMAZON = SHARED / "banking77", SHARED / "amazon-auggpt"
Captured = pytest.CaptureFixture[str]


def measured(capsys: Captured, *arguments: str) -> dict:
    capsys.readouterr()
    assert run(["measure", *arguments, "--json", "-q", "--workers", "1"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.skipif(not BANKING.is_dir(), reason="no banking77 beside the checkout")
@pytest.mark.usefixtures("no_report")
def test_self_training_gains_on_banking77(tmp_path: Path, capsys: Captured):
    """2 rows a label and 4,000 rows without one: about 2 points and more are there to be had."""
    with (BANKING / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    seen: Counter[str] = Counter()
    real, pool = [], []
    for row in rows:
        seen[row["category"]] += 1
        (real if seen[row["category"]] <= 2 else pool).append(row)
    for name, some in (("real.csv", real), ("pool.csv", [{"text": row["text"]} for row in pool[:4000]])):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(some[0]))
            writer.writeheader()
            writer.writerows(some)
    out = str(tmp_path / "out")
    command = ["augment", str(tmp_path / "real.csv"), "-o", out, "--test", str(BANKING / "test.csv"), "-q"]
    assert run([*command, "--unlabelled", str(tmp_path / "pool.csv"), "--workers", "1"]) == 0
    found = measured(capsys, out, "--ratios", "4", "--seeds", "2")
    assert found["test"]["rows"] == 3080
    mine = [row for row in found["rows"] if row["student"] == found["student"]]
    real_only = next(row for row in mine if row["arm"] == "real")
    assert 0.5 < real_only["accuracy"]["mean"] < 0.65
    both = next(row for row in mine if row["arm"] == "both")
    assert both["gain"]["mean"] > 0.015
    assert both["gain"]["low"] > 0


@pytest.mark.skipif(not AMAZON.is_dir(), reason="no amazon-auggpt beside the checkout")
def test_published_methods_are_ranked_as_their_authors_did(capsys: Captured):
    """Language models' rewrites above typos, with the student that has most to learn (TF-IDF), in the first draw."""
    gains = {}
    for method in ("AugGPT3", "KeyboardAugmentation"):
        folder = AMAZON / "augmented"
        made = str(folder / method / "2013.csv")
        test = str(AMAZON / "test.tsv")
        found = measured(capsys, str(folder / "Raw" / "2013.csv"), "--with", made, "--test", test, "--seeds", "2")
        assert found["test"]["rows"] == 269
        assert any("label that the source lacks" in text for text in found["warnings"])
        assert any("copy a real row" in text for text in found["warnings"])
        gains[method] = max(row["gain"]["mean"] for row in found["rows"]
                            if row["arm"] == "both" and row["student"].startswith("TF-IDF"))  # fmt: skip
    assert gains["AugGPT3"] > gains["KeyboardAugmentation"]

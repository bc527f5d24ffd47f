"""The recipe own-diffusion on handwritten digits: few rows a label, with what it paints and without.  Prints Markdown.

    python benchmarks/own_diffusion.py --runs FOLDER [--per 5,10,20] [--draws 3] [--steps 600] [--set STEP.KEY=VALUE]

The digits are scikit-learn's (8 x 8, 16 shades; Alpaydin and Kaynak 1998, from the UCI repository): 1,000 of them to
draw rows from, the other 797 to measure on.  The generator is fitted to the drawn rows alone.  All is what a user runs:
``leaven augment -r own-diffusion``, then ``leaven measure``, and a second measurement of all that was painted, kept or
not.  FOLDER keeps the run folders, and what lies there is not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from leaven.cli import run

TRAINED = 1000
STEPS = ("--set", "paint.steps=10")


def digits() -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Pixels, labels, and which may be drawn and which are measured on."""
    found = load_digits()
    pixels = np.round(found.images * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pixels))
    return pixels, [str(label) for label in found.target], order[:TRAINED], order[TRAINED:]


def written(folder: Path, pixels: np.ndarray, labels: list[str], rows: list[int]) -> Path:
    """Images in a folder a label."""
    for row in rows:
        (folder / labels[row]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[row]).save(folder / labels[row] / f"{row}.png")
    return folder


def drawn(labels: list[str], among: np.ndarray, per: int, draw: int) -> list[int]:
    """So many rows of each label."""
    order = np.random.default_rng([per, draw]).permutation(among)
    return [int(i) for label in sorted(set(labels)) for i in [i for i in order if labels[i] == label][:per]]


def case(folder: Path, per: int, draw: int, steps: int, sets: list[str]) -> dict[str, Any]:
    """One draw: what became of it."""
    pixels, labels, among, tested = digits()
    test = folder / "test"
    if not test.is_dir():
        written(test, pixels, labels, list(tested))
    data, out = folder / f"{per}-{draw}" / "data", folder / f"{per}-{draw}" / "run"
    if not data.is_dir():
        written(data, pixels, labels, drawn(labels, among, per, draw))
    began = time.monotonic()
    said = [part for one in sets for part in ("--set", one)]
    command = ["augment", str(data), "-o", str(out), "-r", "own-diffusion", "--test", str(test), "--workers", "1", "-q"]
    if not (out / "measure.json").is_file():
        assert run([*command, "--set", f"own.steps={steps}", *STEPS, *said]) == 0
        assert run(["measure", str(out), "--workers", "1", "-q", "--seeds", "3"]) == 0
    minutes = (time.monotonic() - began) / 60
    found = json.loads((out / "measure.json").read_text("utf-8"))
    told = json.loads((out / "run.json").read_text("utf-8"))["counts"]
    [state] = (out / "states").glob("*/small-diffusion.json")
    trained = json.loads(state.read_text("utf-8"))["trained"]
    return {"per": per, "draw": draw, "minutes": minutes, "counts": told, "trained": trained, "measured": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--per", default="5,10,20")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    for per in map(int, given.per.split(",")):
        for draw in range(given.draws):
            with redirect_stdout(sys.stderr):
                found = case(given.runs, per, draw, given.steps, given.set)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

"""The recipe own-diffusion on handwritten digits: few rows a label, with what it paints and without.  Prints Markdown.

    python benchmarks/own_diffusion.py --runs FOLDER [--per 5,10,20] [--draws 3]

The digits are scikit-learn's (8 x 8, 16 shades; Alpaydin and Kaynak 1998, from the UCI repository): 1,000 of them to
draw rows from, the other 797 to measure on.  The generator is fitted to the drawn rows alone.  All is what a user runs:
``leaven augment -r own-diffusion``, then ``leaven measure``.  FOLDER keeps the run folders, and what lies there is not
made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from leaven.cli import run

TRAINED = 1000
SET = ("own.steps=600", "paint.steps=10")
HEAD = """# own-diffusion on digits

Written by `python benchmarks/own_diffusion.py --runs FOLDER > benchmarks/own_diffusion.md`; `docs/fit.md` says what
to make of it. 8 x 8 pixels; a draw is so many rows a label of 1,000, and the generator is fitted to these alone. `-r
own-diffusion --set own.steps=600 --set paint.steps=10`: twice as many images as rows, those that a student kept.
Accuracy in % of the 797 other rows, gains in points with 95 % intervals over test rows and three seeds, all with
image features + linear, which has the verdict; the last two columns of numbers with a thumbnail of 8 x 8 + linear.
*Best*: the step whose weights were taken, of all that were trained. *Real + made* is at the ratio 2, each made row
counting as a real one, then as a fifth of one; *trivial-augment* is the baseline that costs nothing.
"""
COLUMNS = (
    "rows a label", "draw", "best, of steps", "made", "kept", "real only", "made only", "real + made", "a fifth",
    "trivial-augment", "thumbnail: real only", "real + made", "verdict",
)  # fmt: skip


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


def ran(folder: Path, per: int, draw: int) -> Path:
    """The run of one draw, measured."""
    pixels, labels, among, tested = digits()
    test, data, out = folder / "test", folder / f"{per}-{draw}" / "data", folder / f"{per}-{draw}" / "run"
    if not test.is_dir():
        written(test, pixels, labels, list(tested))
    if not data.is_dir():
        written(data, pixels, labels, drawn(labels, among, per, draw))
    if not (out / "measure.json").is_file():
        sets = [part for one in SET for part in ("--set", one)]
        command = ["augment", str(data), "-o", str(out), "-r", "own-diffusion", "--test", str(test), *sets]
        assert run([*command, "--workers", "1", "-q"]) == 0
        assert run(["measure", str(out), "--workers", "1", "-q", "--seeds", "3"]) == 0
    return out


def line(out: Path, per: int, draw: int) -> str:
    """What came of a run, as a row of the table."""
    measured = json.loads((out / "measure.json").read_text("utf-8"))
    counts = json.loads((out / "run.json").read_text("utf-8"))["counts"]
    [model] = (out / "states").glob("*/small-diffusion.json")
    trained = json.loads(model.read_text("utf-8"))["trained"]
    arms = {(row["student"].split()[0], row["arm"], row["ratio"], row["weight"]): row for row in measured["rows"]}

    def alone(student: str) -> str:
        return f"{100 * arms[student, 'real', 0, 1]['accuracy']['mean']:.1f}"

    def gain(*arm: Any) -> str:
        found = {name: 100 * value for name, value in arms[arm]["gain"].items()}
        return f"{found['mean']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"

    # The ratio as it was written: the student may have refused some.
    most = max(ratio for _, arm, ratio, _ in arms if arm == "both")
    cells = [
        per, draw + 1, f"{trained['best']} of {trained['last']}", counts["made"], counts["kept"], alone("image"),
        gain("image", "made", most, 1), gain("image", "both", most, 1), gain("image", "both", most, 0.2),
        gain("image", "classic", 1, 1), alone("thumbnail"), gain("thumbnail", "both", most, 1), measured["verdict"],
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--per", default="5,10,20")
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    print(HEAD)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for per in map(int, given.per.split(",")):
        for draw in range(given.draws):
            with redirect_stdout(sys.stderr):
                out = ran(given.runs, per, draw)
            print(line(out, per, draw), flush=True)


if __name__ == "__main__":
    main()

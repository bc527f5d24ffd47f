"""The generator of own-sounds on spoken digits: how well its pictures hold them, what it makes of all rows or of few,
and what a student gains by that.  Prints Markdown.

    python benchmarks/own_sounds.py DATA --runs FOLDER [--per 0,10] [--steps 700] [--picture FILE.png]

DATA holds ``train`` and ``test``, in each a folder of sounds a label.  A draw is ``--per`` rows of each label, 0 for
all; the generator is fitted to these alone, by what the step ``adapter`` calls.  Then the other steps of own-sounds are
run (``leaven augment --model sound=fitted:FOLDER``), as many sounds as rows, in 10 steps each, and ``leaven measure``.
FOLDER keeps models and run folders, and what lies there is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import leaven.recipes
from leaven.cli import run
from leaven.media.audio import Audio
from leaven.media.spectrum import log_mel
from leaven.models.backends.local.small_sound import SmallSound

HEAD = """# own-sounds on spoken digits

Written by `python benchmarks/own_sounds.py DATA --runs FOLDER > benchmarks/own_sounds.md`; `docs/fit.md` says what to
make of it. 420 and 180 digits of the Free Spoken Digit Dataset, of six people, at 8 kHz. Accuracies in %. *Right*: what
a support vector machine on 14 cepstra at 16 moments, which learned the 420 real ones, hears the wanted label in, of
as many made sounds as rows (10 steps, guidance 2). *Near*: the median distance of a made sound to the nearest real one
that was learned, over that of test rows, in its standardised features; *nearest*: the smallest, over theirs. *Real
only* and gains: `leaven measure --seeds 3`, audio features + linear, which has the verdict, in points with 95 %
intervals, of 180 test rows; *mean log-mel* is the other student. Each made row counts as a real one.
"""
COLUMNS = (
    "rows a label", "best, of steps", "made", "kept", "right", "near", "nearest", "real only", "made only",
    "real + made", "spec-augment", "mean log-mel: real only", "real + made", "verdict",
)  # fmt: skip
CEPSTRA, MOMENTS = 14, 16


def features(sound: Audio) -> np.ndarray:
    """Cepstra of what is heard, at as many moments, and its length."""
    found = log_mel(sound.mono / max(1e-6, np.abs(sound.mono).max()), sound.rate, 32)
    loud = np.flatnonzero(found.mean(axis=1) > found.mean(axis=1).max() - 9)
    heard = np.maximum(found, found.max() - 12)[loud[0] : loud[-1] + 1]
    angle = np.pi * np.outer(np.arange(CEPSTRA), np.arange(32) + 0.5) / 32
    cepstra = heard @ np.cos(angle).T
    at = np.linspace(0, len(cepstra) - 1, MOMENTS)
    each = [np.interp(at, np.arange(len(cepstra)), column) for column in cepstra.T]
    return np.concatenate([*each, [len(cepstra)]])


def sounds(folder: Path) -> tuple[list[Audio], list[str]]:
    files = sorted(folder.glob("*/*.wav"))
    return [Audio(file.read_bytes()) for file in files], [file.parent.name for file in files]


class Ear:
    """A machine that learned real sounds."""

    def __init__(self, data: Path) -> None:
        self.data = data
        train, labels = sounds(data / "train")
        self.machine = make_pipeline(StandardScaler(), SVC(C=10)).fit([features(one) for one in train], labels)

    def right(self, found: list[Audio], labels: list[str]) -> float:
        return 100 * float(np.mean(self.machine.predict([features(one) for one in found]) == np.array(labels)))

    def nearest(self, found: list[Audio], known: list[Audio]) -> np.ndarray:
        """The distance of each to the nearest that is known."""
        of, to = (self.machine[0].transform([features(one) for one in some]) for some in (found, known))
        return np.sqrt(np.square(of[:, None] - to[None]).sum(axis=2)).min(axis=1)


def drawn(data: Path, per: int, folder: Path) -> Path:
    """So many rows of each label, copied; all where ``per`` is 0."""
    if per == 0:
        return data / "train"
    if not folder.is_dir():
        for label in sorted(path for path in (data / "train").iterdir() if path.is_dir()):
            (folder / label.name).mkdir(parents=True)
            files = np.random.default_rng(per).permutation(np.array(sorted(label.glob("*.wav")), dtype=object))
            for file in files[:per]:
                shutil.copy(file, folder / label.name)
    return folder


def ran(data: Path, folder: Path, per: int, steps: int) -> tuple[Path, Path, Path]:
    """The rows of a draw, the model that learned them, and the run, measured."""
    rows, model, out = (
        drawn(data, per, folder / f"{per}" / "data"),
        folder / f"{per}" / "model",
        folder / f"{per}" / "run",
    )
    if not (model / "small-sound.json").is_file():
        found = SmallSound.fit(*sounds(rows), steps=steps, folder=model, told=lambda at: print(at, file=sys.stderr))
        found.save(model)
    if not (out / "measure.json").is_file():
        recipe = yaml.safe_load((Path(leaven.recipes.__path__[0]) / "own-sounds.yaml").read_text("utf-8"))
        del recipe["steps"][0], recipe["steps"][1]["sound"]["adapter"]
        recipe["steps"][0]["start"]["n"] = "median"
        recipe["steps"][1]["sound"]["steps"] = 10
        mine = folder / "sounds.yaml"
        mine.write_text(json.dumps({"steps": recipe["steps"], "blend": recipe["blend"]}))
        command = [
            "augment",
            str(rows),
            "-o",
            str(out),
            "-r",
            str(mine),
            "--test",
            str(data / "test"),
            "--workers",
            "1",
        ]
        assert run([*command, "-q", "--model", f"sound=fitted:{model}"]) == 0
        assert run(["measure", str(out), "--workers", "1", "-q", "--seeds", "3"]) == 0
    return rows, model, out


def made(out: Path) -> tuple[list[Audio], list[str], int]:
    """What was made, the labels that it was to have, and how many stayed."""
    rows = [row for part in ("train", "refused") for file in sorted((out / part).glob("*.parquet"))
            for row in pq.read_table(file).to_pylist() if row.get("_synthetic", True) and row.get("audio")]  # fmt: skip
    kept = json.loads((out / "run.json").read_text("utf-8"))["counts"]["kept"]
    return [Audio(row["audio"]["bytes"]) for row in rows], [row["label"] for row in rows], kept


def line(rows: Path, model: Path, out: Path, per: int, ear: Ear) -> str:
    """What came of a run, as a row of the table."""
    trained = json.loads((model / "small-diffusion.json").read_text("utf-8"))["trained"]
    measured = json.loads((out / "measure.json").read_text("utf-8"))
    arms = {(row["student"].split()[0], row["arm"], row["ratio"], row["weight"]): row for row in measured["rows"]}
    most = max(ratio for _, arm, ratio, _ in arms if arm == "both")

    def alone(student: str) -> str:
        return f"{100 * arms[student, 'real', 0, 1]['accuracy']['mean']:.1f}"

    def gain(*arm: Any) -> str:
        found = {name: 100 * value for name, value in arms[arm]["gain"].items()}
        return f"{found['mean']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"

    found, labels, kept = made(out)
    known = sounds(rows)[0]
    mine, tests = (ear.nearest(some, known) for some in (found, sounds(ear.data / "test")[0]))
    cells = [
        per or "all", f"{trained['best']} of {trained['last']}", len(found), kept, f"{ear.right(found, labels):.1f}",
        f"{np.median(mine) / np.median(tests):.2f}", f"{mine.min() / tests.min():.2f}", alone("audio"),
        gain("audio", "made", most, 1), gain("audio", "both", most, 1), gain("audio", "classic", 1, 1),
        alone("mean"), gain("mean", "both", most, 1), measured["verdict"],
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def survival(data: Path, model: Path, ear: Ear) -> str:
    """How well test rows are understood before and after they were pictures."""
    scale = SmallSound.load(model).scale
    found, labels = sounds(data / "test")
    again = []
    for sound in found:
        picture = scale.of(sound.mono)
        samples = scale.sound(picture, np.random.default_rng(0))[: scale.heard(picture)]
        again.append(Audio.of(samples, scale.rate))
    moment = round(1000 * scale.hop / scale.rate)
    before, after = ear.right(found, labels), ear.right(again, labels)
    return (
        f"{scale.size} bands of {scale.size} moments of {moment} ms: of test rows the machine understands {before:.1f},"
        f" and {after:.1f} once they were pictures.\n"
    )


def picture(data: Path, model: Path, to: Path) -> None:
    """Three real sounds of each label, and six that were made, none chosen, as the model sees them."""
    found = SmallSound.load(model)
    real, labels = sounds(data / "train")
    scale, gap = found.scale, 2
    columns = []
    for label in found.classes:
        seen = [scale.of(one.mono) for one, own in zip(real, labels, strict=True) if own == label]
        drawings = [found.pictures.draw(label, seed=seed) for seed in range(6)]
        white = np.full((4 * gap, scale.size), 255, np.uint8)
        parts = [*seen[:: len(seen) // 3][:3], white, *drawings]
        column = [np.pad(part, ((0, gap), (0, gap)), constant_values=255) for part in parts if part is not white]
        column.insert(3, np.pad(white, ((0, 0), (0, gap)), constant_values=255))
        columns.append(np.concatenate(column))
    whole = np.concatenate(columns, axis=1)
    Image.fromarray(whole).resize((whole.shape[1] * 2, whole.shape[0] * 2), Image.Resampling.NEAREST).save(
        to, optimize=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--per", default="0,10")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    ear = Ear(given.data)
    print(HEAD)
    for n, per in enumerate(map(int, given.per.split(","))):
        with redirect_stdout(sys.stderr):
            rows, model, out = ran(given.data, given.runs, per, given.steps)
        if n == 0:
            if given.picture:
                picture(given.data, model, given.picture)
            print(survival(given.data, model, ear))
            print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        print(line(rows, model, out, per, ear), flush=True)


if __name__ == "__main__":
    main()

"""What the recipes for images and sounds gain on real data, and that worthless rows gain nothing.  Prints Markdown.

    python benchmarks/images_and_audio.py DATA_FOLDER [--only cifar10,spoken-digits,bccd,nulls] [--per-label 5,20]
                                          [--draws 3] [--student cnn] [--workers 2]

DATA_FOLDER holds image/cifar10, image/bccd-blood-cells and audio/spoken-digits.  What a user runs: ``leaven augment``
over K files a label drawn from the training folder, then ``leaven measure`` on all files of the test folder; with
``--student cnn`` a small net has the verdict, which takes minutes a run.  bccd: 0.3 of the images are set aside, and
a small detector says whether its boxes help.  nulls: the labels of the source dealt out anew, and made rows that
are the real ones again.  Seeds are fixed: the same table on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from leaven.cli import run
from leaven.measure.command import MeasureRequest, measure
from leaven.measure.gain import Line, Measurement

SETS = {
    "cifar10": ("image/cifar10", ("classic-image", "trivial-augment")),
    "spoken-digits": ("audio/spoken-digits", ("classic-audio", "spec-augment")),
}
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
STEPPED_RATIOS = (1.0, 4.0)
SEEDS, STEPPED_SEEDS = 5, 3


class Quiet:
    def waiting(self, what: str) -> None:
        pass


def drawn(folder: Path, per_label: int, draw: int, out: Path) -> Path:
    """A folder of K files a label."""
    for label in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(label.iterdir())
        (out / label.name).mkdir(parents=True)
        for path in random.Random(f"{draw} {label.name}").sample(files, per_label):
            shutil.copy(path, out / label.name)
    return out


def augmented(data: Path, out: Path, recipe: str, test: str, workers: int) -> None:
    command = ["augment", str(data), "-o", str(out), "-r", recipe, "--test", test, "-q", "--workers", str(workers)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as wrong:
        code = run(command)
    if code:
        raise SystemExit(wrong.getvalue())


def measured(out: Path, student: str | None, workers: int, ratios: Sequence[float] = (), **more: str) -> Measurement:
    ratios = ratios or (STEPPED_RATIOS if student else RATIOS)
    seeds = STEPPED_SEEDS if student else SEEDS
    request = MeasureRequest(
        str(out), more.get("with_"), more.get("test"), {}, ratios, seeds, None, 0, workers, student
    )
    return measure(request, Quiet()).measurement


def points(line: Line) -> str:
    gain = line.gain
    return f"[{gain.low * 100:+.1f}, {gain.high * 100:+.1f}]"


def of(m: Measurement, student: str, arm: str) -> Line:
    """The arm of a student: of real + made the ratio that has the verdict."""
    mine = [x for x in m.lines if (x.student, x.arm) == (student, arm)]
    return next((x for x in mine if x.ratio == m.ratio), mine[0])


def score(line: Line, m: Measurement) -> float:
    return (line.accuracy if m.metric == "accuracy" else line.macro_f1).mean * 100


def row(name: str, recipe: str, found: list[Measurement]) -> str:
    """One line of the table: the means over draws, and each draw's interval; first the student with the verdict."""
    students = list(dict.fromkeys([found[0].student, *(x.student for x in found[0].lines)]))
    cells = []
    for student in students:
        real = sum(score(of(m, student, "real"), m) for m in found) / len(found)
        both = [of(m, student, "both") for m in found]
        mean = sum(x.gain.mean for x in both) / len(both) * 100
        cells.append(f"{student}: {real:.1f}, **{mean:+.1f}** {' '.join(map(points, both))}")
    verdicts = ", ".join(f"{word} x{times}" for word, times in Counter(m.verdict for m in found).most_common())
    ratios = ", ".join(f"{m.ratio:.3g}" for m in found)
    return f"| {name} | {recipe} | {ratios} | {cells[0]} | {'; '.join(cells[1:])} | {verdicts} |"


def gains(folder: Path, name: str, asked: argparse.Namespace) -> Iterator[str]:
    where, recipes = SETS[name]
    for per_label in asked.per_label:
        for recipe in recipes:
            found = []
            for draw in range(asked.draws):
                with tempfile.TemporaryDirectory() as scratch:
                    real = drawn(folder / where / "train", per_label, draw, Path(scratch) / "real")
                    out = Path(scratch) / "out"
                    augmented(real, out, recipe, str(folder / where / "test"), asked.workers)
                    found.append(measured(out, asked.student, asked.workers))
            yield row(f"{name}, {per_label} a label", recipe, found)


def boxes(folder: Path, asked: argparse.Namespace) -> Iterator[str]:
    for recipe in ("classic-image", "trivial-augment"):
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "out"
            augmented(folder / "image/bccd-blood-cells", out, recipe, "0.3", asked.workers)
            yield row("bccd, 53 images", recipe, [measured(out, "cnn", asked.workers)])


def nulls(folder: Path, asked: argparse.Namespace) -> Iterator[str]:
    """Verdicts on rows that are worth nothing: labels dealt out anew, and copies of the real rows."""
    for name, (where, recipes) in SETS.items():
        said: dict[str, Counter[str]] = defaultdict(Counter)
        for draw in range(asked.null_draws):
            with tempfile.TemporaryDirectory() as scratch:
                real = drawn(folder / where / "train", 10, 100 + draw, Path(scratch) / "real")
                test = str(folder / where / "test")
                shuffled = Path(scratch) / "shuffled"
                files = sorted(real.glob("*/*"))
                labels = [path.parent.name for path in files]
                random.Random(draw).shuffle(labels)
                for number, (path, label) in enumerate(zip(files, labels)):
                    (shuffled / label).mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, shuffled / label / f"{number}{path.suffix}")
                augmented(shuffled, Path(scratch) / "out", recipes[0], test, asked.workers)
                m = measured(Path(scratch) / "out", None, asked.workers, (0.5, 1.0, 2.0))
                said["labels shuffled"][m.verdict] += 1
                copies = shutil.copytree(real, Path(scratch) / "copies")
                m = measured(real, None, asked.workers, (1.0,), with_=str(copies), test=test)
                said["copies"][m.verdict] += 1
        for null, verdicts in said.items():
            rest = ", ".join(f"{word} {times}" for word, times in verdicts.most_common() if word != "use")
            yield f"| {name}, 10 a label | {null} | {asked.null_draws} | {verdicts['use']} | {rest} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="cifar10,spoken-digits,nulls")
    parser.add_argument("--per-label", default="5,20")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--null-draws", type=int, default=20)
    parser.add_argument("--student", choices=["cnn"])
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.per_label = [int(k) for k in asked.per_label.split(",")]
    only = asked.only.split(",")
    named = [name for name in SETS if name in only]
    if named or "bccd" in only:
        print("| data | recipe | ratio | student: without, **gain** [each draw's interval] | others | verdicts |")
        print("|---|---|---|---|---|---|", flush=True)
    for name in named:
        for line in gains(asked.folder, name, asked):
            print(line, flush=True)
    if "bccd" in only:
        for line in boxes(asked.folder, asked):
            print(line, flush=True)
    if "nulls" in only:
        print("\n| data | null | runs | `use` | other verdicts |\n|---|---|---|---|---|")
        for line in nulls(asked.folder, asked):
            print(line, flush=True)


if __name__ == "__main__":
    main()

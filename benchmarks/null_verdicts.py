"""What the verdict says of made rows that are worth nothing, and of rows that are.  Prints a Markdown table.

    python benchmarks/null_verdicts.py DATA_FOLDER [--sets banking77,atis] [--scale 1.0] > table.md

DATA_FOLDER holds banking77, snips-chatgpt, sst5-llm, atis-llm and amazon-auggpt (what is absent is skipped).
Each draw takes K random rows a label as the real ones, makes rows of each kind from them, and measures as
``leaven measure`` does: C chosen on the real rows, equal weight sums, one arm, one test; test sets of 30,
100, 300 and all rows.  Seeds are fixed: the same table on the same machine.  ``--scale`` multiplies the
number of draws.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from leaven.measure.arms import draw, inherit, resample
from leaven.measure.interval import gain
from leaven.measure.students import Embedded, Student, Tfidf, choose_student_C, fit_predict, remembered
from leaven.measure.verdict import RESAMPLINGS, may_be_harmful, may_be_use, verdict
from leaven.models.backends.wordllama import WordLlama

SEEDS = 5
SIZES = (30, 100, 300, 0)  # 0: all test rows
SUBSETS = 3  # test sets of each smaller size, per draw
PLANS = [  # set, real rows a label, draws, student
    ("banking77", 2, 40, "embeddings"),
    ("banking77", 5, 30, "embeddings"),
    ("banking77", 10, 12, "embeddings"),
    ("snips", 2, 100, "embeddings"),
    ("snips", 5, 100, "embeddings"),
    ("sst5", 5, 100, "embeddings"),
    ("sst5", 20, 60, "embeddings"),
    ("atis", 5, 100, "embeddings"),
    ("snips", 5, 60, "TF-IDF"),
    ("sst5", 5, 60, "TF-IDF"),
    ("atis", 5, 60, "TF-IDF"),
    ("amazon", 2, 3, "embeddings"),
]
FILES = {
    "banking77": ("banking77/train.csv", "banking77/test.csv", "category"),
    "snips": ("snips-chatgpt/full_snips_orig_train.csv", "snips-chatgpt/full_snips_orig_test.csv", "label"),
    "sst5": ("sst5-llm/seeds.csv", "sst5-llm/test.csv", "label"),
    "atis": ("atis-llm/seeds.csv", "atis-llm/test.csv", "label"),
}
PARAPHRASES = {"sst5": "sst5-llm/gpt35_paraphrase.csv", "atis": "atis-llm/gpt35_paraphrase.csv"}

Rows = list[tuple[str, str]]
Made = tuple[list[str], np.ndarray, np.ndarray, float]  # texts, labels, real row each came from (-1: none), ratio


def read(path: Path, label: str = "label") -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row[label]) for row in csv.DictReader(file) if row["text"].strip()]


def draws(
    folder: Path, name: str, per_label: int, number: int
) -> Iterator[tuple[Rows, Rows, dict[str, Made], list[str]]]:
    """Real rows, test rows, made rows by kind, label names; one after the other."""
    if name == "amazon":
        yield from amazon(folder / "amazon-auggpt")
        return
    train_file, test_file, column = FILES[name]
    train, test = read(folder / train_file, column), read(folder / test_file, column)
    names = sorted({label for _, label in train})
    y = np.array([names.index(label) for _, label in train])
    test = [row for row in test if row[1] in names]
    children: dict[str, list[str]] = defaultdict(list)
    if name in PARAPHRASES and (folder / PARAPHRASES[name]).exists():
        with (folder / PARAPHRASES[name]).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                children[row["seed"]].append(row["text"])
    for number_of_draw in range(number):
        rng = np.random.default_rng([20261121, per_label, number_of_draw, len(name)])
        orders = [rng.permutation(np.flatnonzero(y == label)) for label in range(len(names))]
        real = [train[i] for order in orders for i in order[:per_label]]
        more = [train[i] for order in orders for i in order[per_label : 2 * per_label]]
        yield real, test, made_rows(real, more, names, children, rng), names


def made_rows(
    real: Rows, more: Rows, names: list[str], children: dict[str, list[str]], rng: np.random.Generator
) -> dict[str, Made]:
    y = np.array([names.index(label) for _, label in real])
    n = len(real)
    words = [word for text, _ in real for word in text.split()]

    def copies(times: int, ratio: float, change: Callable[[str], str] = str) -> Made:
        return (
            [change(text) for _ in range(times) for text, _ in real],
            np.tile(y, times),
            np.tile(np.arange(n), times),
            ratio,
        )

    def swapped(text: str) -> str:
        own = text.split()
        for _ in range(max(1, len(own) // 5)):
            i, j = rng.integers(len(own)), rng.integers(len(own))
            own[i], own[j] = own[j], own[i]
        return " ".join(own)

    def noisy(share: float) -> Callable[[str], str]:
        return lambda text: " ".join(
            words[rng.integers(len(words))] if rng.random() < share else word for word in text.split()
        )

    texts, labels, roots, _ = copies(1, 1.0)
    kinds: dict[str, Made] = {
        "copies of half the rows": copies(1, 0.5),
        "copies, labels shuffled": (texts, rng.permutation(labels), roots, 1.0),
        "own words swapped": copies(4, 1.0, swapped),
        "8 % foreign words": copies(1, 1.0, noisy(0.08)),
        "20 % foreign words": copies(1, 1.0, noisy(0.2)),
        "20 % foreign words x 4": copies(4, 4.0, noisy(0.2)),
    }
    if len(more) >= n // 2:
        kinds["REAL rows, as many again"] = (
            [text for text, _ in more],
            np.array([names.index(label) for _, label in more]),
            np.full(len(more), -1),
            1.0,
        )
    pairs = [(child, i) for i, (text, _) in enumerate(real) for child in children.get(text, ())]
    if pairs:
        of = np.array([i for _, i in pairs])
        kinds["GPT-3.5 paraphrases"] = ([child for child, _ in pairs], y[of], of, len(pairs) / n)
    return kinds


def amazon(folder: Path) -> Iterator[tuple[Rows, Rows, dict[str, Made], list[str]]]:
    names = ["21", "22", "23"]
    with (folder / "test.tsv").open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        test = [(row[0], row[1]) for row in lines if len(row) == 2 and row[1] in names]
    for year in ("2013", "2014", "2015"):
        real = [(t, str(int(float(v)))) for t, v in read(folder / "augmented" / "Raw" / f"{year}.csv", "labels")]
        every = [(t, str(int(float(v)))) for t, v in read(folder / "augmented" / "AugGPT3" / f"{year}.csv", "labels")]
        if not set(names) >= {label for _, label in real}:  # there the three classes are numbered from 0
            real, every = ([(t, names[int(v) % 3]) for t, v in rows] for rows in (real, every))
        known = {text for text, _ in real}
        new = [row for row in every if row[0] not in known]
        y = np.array([names.index(label) for _, label in new])
        yield (
            real,
            test,
            {"AugGPT3": ([t for t, _ in new], y, np.full(len(new), -1), len(new) / len(real))},
            names,
        )


def measure(
    real: Rows,
    test: Rows,
    kinds: dict[str, Made],
    names: list[str],
    student_name: str,
    embed: Callable,
    number: int,
) -> Iterator[tuple[str, int, float, bool, str]]:
    """Kind, size of the test set, mean gain, whether the interval lies above 0, and the verdict."""
    texts, tested = [text for text, _ in real], [text for text, _ in test]
    y, truth = (np.array([names.index(label) for _, label in rows]) for rows in (real, test))
    n = len(real)
    every = [*texts, *tested, *(text for made in kinds.values() for text in made[0])]
    student: Student = Embedded(embed) if student_name == "embeddings" else Tfidf(every)
    C = choose_student_C(student, texts, y)

    def fit(counts: np.ndarray, made: Made | None = None, seed: int = 0) -> np.ndarray:
        rows, labels = list(texts), y
        if made is not None:
            picked = np.zeros(len(made[0]), dtype=np.int64)
            picked[draw([str(i) for i in range(len(made[0]))], made[1], round(made[3] * n), seed)] = 1
            counts = np.concatenate([counts, picked * inherit(counts, made[2])])
            rows, labels = rows + made[0], np.concatenate([y, made[1]])
        return fit_predict(student, rows, labels, counts, tested, C, len(names), total=n) == truth

    once = np.ones(n, dtype=np.int64)
    base = fit(once)
    bases: dict[int, np.ndarray] = {}
    subsets = [
        (size, np.sort(np.random.default_rng([number, k, size]).permutation(len(test))[: size or None]))
        for size in SIZES
        if size < len(test)
        for k in range(SUBSETS if size else 1)
    ]
    for kind, made in kinds.items():
        all_drawn = round(made[3] * n) >= len(made[0])  # then no seed draws other rows
        arm = np.array([fit(once, made, seed) for seed in range(1 if all_drawn else SEEDS)])
        found = [(size, rows, gain(base[rows], arm[:, rows])) for size, rows in subsets]
        again = np.zeros((0, len(test)))
        if any(may_be_use(interval) or may_be_harmful(interval) for _, _, interval in found):
            for seed in range(RESAMPLINGS):
                counts = resample(y, seed)
                if seed not in bases:
                    bases[seed] = fit(counts)
            again = np.array(
                [fit(resample(y, seed), made, seed).astype(float) - bases[seed] for seed in range(RESAMPLINGS)]
            )
        for size, rows, interval in found:
            gains = again[:, rows].mean(axis=1)
            yield kind, size, interval.mean, interval.low > 0, verdict(interval, gains)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default="", help="only these, by comma")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    embed = remembered(WordLlama().embed)
    heads = ["set, rows a label, student", "made rows", "draws", "mean gain, points"]
    heads += ["`use` in %, at 30, 100, 300, all test rows", "`harmful` at all", "interval above 0 at all"]
    print("| " + " | ".join(heads) + " |")
    print("|---|---|---|---|---|---|---|")
    for name, per_label, number, student in PLANS:
        if options.sets and name not in options.sets.split(","):
            continue
        needed = FILES[name][0] if name in FILES else "amazon-auggpt/test.tsv"
        if not (options.folder / needed).exists():
            print(f"{name}: not there, skipped", file=sys.stderr)
            continue
        said: dict[str, dict[int, list[tuple[float, bool, str]]]] = defaultdict(lambda: defaultdict(list))
        wanted = max(1, round(number * options.scale))
        for k, (real, test, kinds, names) in enumerate(draws(options.folder, name, per_label, wanted)):
            for kind, size, mean, above, word in measure(real, test, kinds, names, student, embed, k):
                said[kind][size].append((mean, above, word))
        for kind, by_size in said.items():
            whole = by_size[0]

            def percent(yes: list[bool]) -> str:
                return f"{100 * np.mean(yes):.0f}" if yes else "-"

            cells = [f"{name} {per_label}, {student}", kind, str(len(whole))]
            cells += [f"{100 * np.mean([mean for mean, *_ in whole]):+.1f}"]
            cells += [", ".join(percent([word == "use" for *_, word in by_size[size]]) for size in SIZES)]
            cells += [
                percent([word == "harmful" for *_, word in whole]),
                percent([above for _, above, _ in whole]),
            ]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

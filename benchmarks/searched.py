"""What a search on the real rows alone chooses among recorded outputs, and what that is worth on the test set.

    python benchmarks/searched.py DATA_FOLDER [--draws 3] [--per-label 5,20,50] [--sets atis-llm,sst5-llm]

DATA_FOLDER holds atis-llm and sst5-llm (seeds.csv, test.csv, a file a method with text, label, seed).  Of each draw K
seeds a label are the real rows; every method's variants of just these seeds are a made set; keeps, ratios and weights
are those of ``leaven search``, which sees no test row.  For each draw: the student (the better one without made rows,
out of fold), what was chosen, and its gain on the test set with its 95 % interval; beside it the best setting that was
tried, out of fold, whatever luck says, all GPT-3.5 paraphrases at weight 1, and those whose label a student confirms
that never saw their seed, at weight 0.2.  Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from leaven.measure.bench import Bench, Fitter, Rows, choose_C, folds
from leaven.measure.gain import skewed
from leaven.measure.trials import Setting, Trials
from leaven.models.backends.linear import fit_linear, predict_proba
from leaven.models.backends.wordllama import WordLlama
from leaven.search.choose import Kept, choose
from leaven.search.keeps import KEEPS, Scored

PLAIN, SAFE = ("gpt35_paraphrase/all", 1.0), ("gpt35_paraphrase/agreed", 0.2)
SEEDS = 5


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if (row["text"] or "").strip()]


def scored(real: Rows, made: Rows, vectors: dict, fold: np.ndarray, C: float, n_labels: int) -> Scored:
    """What ``prediction as checked`` says: each row by the model that did not see its real row."""
    features = np.stack([vectors[item] for item in real.items])
    told = np.stack([vectors[item] for item in made.items])
    of, proba = fold[made.roots[:, 0]], np.zeros((len(made), n_labels))
    for part in np.unique(of):
        seen = fold != part if part >= 0 else np.ones(len(fold), bool)
        state = fit_linear(features[seen], real.labels[seen], C=C, n_labels=n_labels)
        proba[of == part] = predict_proba(state, told[of == part])
    return Scored(made.labels, proba.argmax(1), proba[np.arange(len(made)), made.labels], made.roots[:, 0])


def one(folder: Path, per_label: int, draw: int, trials: int) -> str:
    test = rows_of(folder / "test.csv")
    tested = {row["text"].strip().lower() for row in test}
    seeds = [row for row in rows_of(folder / "seeds.csv") if row["text"].strip().lower() not in tested]
    taken: Counter[str] = Counter()
    order = random.Random(draw).sample(seeds, len(seeds))
    chosen = [row for row in order if taken.update([row["label"]]) or taken[row["label"]] <= per_label]
    names = sorted(taken)
    code, place = {name: i for i, name in enumerate(names)}, {row["text"]: i for i, row in enumerate(chosen)}
    test = [row for row in test if row["label"] in code]

    def rows(some: list[dict[str, str]], name: str, roots: list[int] | None = None) -> Rows:
        labels = np.array([code[row["label"]] for row in some], np.int64)
        of = np.array(roots or [-1] * len(some), np.int64)
        return Rows([row["text"] for row in some], labels, of, [f"{name}{i}" for i in range(len(some))])

    real, asked, made = rows(chosen, "r"), rows(test, "t"), {}
    for path in sorted(folder.glob("*.csv")):
        if path.stem not in ("seeds", "test"):
            mine = [
                row
                for row in rows_of(path)
                if row["seed"] in place and row["label"] in code
                and row["text"].strip().lower() not in tested and row["text"] not in place
            ]  # fmt: skip
            made[path.stem] = rows(mine, path.stem, [place[row["seed"]] for row in mine])
    every = list(dict.fromkeys(item for some in (real, asked, *made.values()) for item in some.items))
    vectors = dict(zip(every, WordLlama().embed(every), strict=True))
    fold, made_of = folds(real.labels, 0), {}
    bench = Bench(real, {}, asked, len(names), vectors, fold)
    C = choose_C(bench, bench.students()[:1], 0)[0]
    kept = {}
    for name, some in made.items():
        scores = scored(real, some, vectors, fold, C, len(names))
        for keeping in KEEPS:
            if len(left := np.flatnonzero(keeping.left(scores))):
                made_of[f"{name}/{keeping.name}"] = some.take(left)
                kept[f"{name}/{keeping.name}"] = Kept(name, keeping, len(left))
    bench = replace(bench, made={**made, **made_of})
    students = bench.students()
    bench = replace(bench, C=choose_C(bench, students, 0))
    metric = "macro_f1" if skewed(real.labels) or skewed(asked.labels) else "accuracy"
    with Fitter(bench, students, 1, lambda said: None) as fitter:
        trial = Trials(bench, fitter, names, None, SEEDS, metric)
        student = int(np.argmax([trial.right_of_fold(s, None).sum() for s in range(len(students))]))
    choice = choose(bench, students, student, metric, kept, trials=trials, seed=draw)
    with Fitter(bench, students, 1, lambda said: None) as fitter:
        trial = Trials(bench, fitter, names, None, SEEDS, metric)

        def gain(setting: Setting | None) -> str:
            if setting is None:
                return "nothing"
            arms = [trial.arm(student, setting, seed) for seed in range(SEEDS)]
            g = trial.gain(trial.predicted([trial.arm(student, None, 0)]), trial.predicted(arms))
            return f"{g.mean * 100:+.1f} [{g.low * 100:+.1f}, {g.high * 100:+.1f}]"

        def named(setting: Setting | None) -> str:
            return "" if setting is None else f" ({setting.made}, {setting.ratio:.2g} x {setting.weight:g})"

        plain, safe = (Setting(len(made_of[name]) / len(real), weight, name) for name, weight in (PLAIN, SAFE))
        alone = trial.score(trial.predicted([trial.arm(student, None, 0)]))
        best = choice.tried[0].setting
        return (
            f"| {folder.name} | {per_label} | {draw} | {len(real)} | {students[student].name.split()[0]} | {metric} "
            f"{alone * 100:.1f} | {gain(choice.setting)}{named(choice.setting)} | {gain(best)}{named(best)} "
            f"| {gain(plain)} | {gain(safe)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--per-label", default="5,20,50")
    parser.add_argument("--sets", default="atis-llm,sst5-llm")
    parser.add_argument("--trials", type=int, default=40)
    said = parser.parse_args()
    columns = ["set", "seeds a label", "draw", "real rows", "student", "alone", "chosen: gain on the test set"]
    columns += ["best out of fold", "all GPT-3.5 paraphrases", "the agreed ones x 0.2"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    began = time.monotonic()
    for name in said.sets.split(","):
        for per_label in map(int, said.per_label.split(",")):
            for draw in range(said.draws):
                print(one(said.folder / name, per_label, draw, said.trials), flush=True)
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes, one process.")


if __name__ == "__main__":
    main()

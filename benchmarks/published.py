"""What recorded outputs of published methods do here, beside what their authors found.  Prints Markdown.

    python benchmarks/published.py DATA_FOLDER [--draws 3] [--per-label 5,10,20]

DATA_FOLDER holds atis-llm and amazon-auggpt.  atis: K seeds a label are drawn, and each method's five variants of just
these seeds are the made rows.  amazon: the three draws that the authors published.  Each line is what
``leaven measure --with`` says: gain in points with its 95 % interval at the ratio chosen out of fold, averaged over the
draws (intervals: of each draw).  The student is the one that ``measure`` chooses.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

from leaven.cli import run

ATIS = {
    "gpt35_paraphrase": {5: 3.3, 10: 2.9, 20: 0.9},
    "back_translation": {5: 1.6, 10: -1.1, 20: -0.6},
    "llama3_paraphrase": {5: 0.6, 10: -0.1, 20: 0.1},
    "bert_substitute": {5: -4.5, 10: -3.8, 20: -5.9},
}
"""Published gains in points, DistilBERT fine-tuned, mean of 30 runs (arXiv:2408.16502)."""
AMAZON = (
    "AugGPT3",
    "AugGPT2",
    "AugGPT1",
    "ContextualWordAugUsingBert(Substitute)",
    "ContextualWordAugUsingBert(Insert)",
    "BackTranslationAug",
    "WordNetSynonymAug",
    "SwapWordAug",
    "OCRAugmentation",
    "KeyboardAugmentation",
)
"""In the order in which a TF-IDF student ranks them. AugGPT (arXiv:2302.13007) has LLM rewriting first, typos last."""


def measured(real: Path, made: Path, test: Path) -> dict:
    """What the command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(["measure", str(real), "--with", str(made), "--test", str(test), "--json", "-q", "--workers", "1"])
    assert code == 0, code
    return json.loads(out.getvalue())


def said(results: list[dict], student: str) -> tuple[float, float, str]:
    """Mean accuracy without, mean gain at the chosen ratio, and the intervals of the draws."""
    base, gains, spans = [], [], []
    for found in results:
        mine = [row for row in found["rows"] if row["student"] == student]
        real = next(row for row in mine if row["arm"] == "real")
        best = next(row for row in mine if row["arm"] == "both" and row["ratio"] == found["ratio"])
        base.append(100 * real["accuracy"]["mean"])
        gains.append(100 * best["gain"]["mean"])
        spans.append(f"[{100 * best['gain']['low']:+.1f}, {100 * best['gain']['high']:+.1f}]")
    return sum(base) / len(base), sum(gains) / len(gains), " ".join(spans)


def line(name: str, results: list[dict], published: str) -> str:
    verdicts = ", ".join(f"{v} x{n}" for v, n in Counter(found["verdict"] for found in results).most_common())
    cells = []
    for student in ("embeddings + linear", "TF-IDF + linear"):
        base, gain, spans = said(results, student)
        cells.append(f"{base:.1f} | **{gain:+.1f}** {spans}")
    return f"| {name} | {' | '.join(cells)} | {verdicts} | {published} |"


def head(what: str) -> None:
    print(f"\n{what}\n")
    print("| method | embeddings, without | gain | TF-IDF, without | gain | verdicts | published |")
    print("|---|---|---|---|---|---|---|", flush=True)


def atis(folder: Path, per_label: list[int], draws: int, scratch: Path) -> None:
    with (folder / "seeds.csv").open(newline="", encoding="utf-8") as file:
        seeds = list(csv.DictReader(file))
    for k in per_label:
        head(f"**atis-llm, {k} seeds a label**, {draws} draws, 703 test rows")
        for method, published in ATIS.items():
            results = []
            for draw in range(draws):
                order = random.Random(draw).sample(seeds, len(seeds))
                taken: Counter[str] = Counter()
                chosen = [row for row in order if taken.update([row["label"]]) or taken[row["label"]] <= k]
                texts = {row["text"] for row in chosen}
                with (folder / f"{method}.csv").open(newline="", encoding="utf-8") as file:
                    made = [row for row in csv.DictReader(file) if row["seed"] in texts and row["text"].strip()]
                paths = scratch / "real.csv", scratch / "made.csv"
                for path, rows, columns in zip(paths, (chosen, made), (["text", "label"], ["text", "label", "seed"])):
                    with path.open("w", newline="", encoding="utf-8") as file:
                        writer = csv.DictWriter(file, columns, extrasaction="ignore")
                        writer.writeheader()
                        writer.writerows(rows)
                results.append(measured(*paths, folder / "test.csv"))
            print(line(method, results, f"{published[k]:+.1f}"), flush=True)


def amazon(folder: Path) -> None:
    head("**amazon-auggpt, 2 seeds a label**, the authors' 3 draws, 269 test rows")
    for rank, method in enumerate(AMAZON, 1):
        results = [
            measured(
                folder / "augmented" / "Raw" / f"{year}.csv",
                folder / "augmented" / method / f"{year}.csv",
                folder / "test.tsv",
            )
            for year in ("2013", "2014", "2015")
        ]
        print(line(method, results, f"rank {rank}"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--per-label", default="5,10,20")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if (asked.folder / "atis-llm").is_dir():
            atis(asked.folder / "atis-llm", [int(k) for k in asked.per_label.split(",")], asked.draws, Path(scratch))
        if (asked.folder / "amazon-auggpt").is_dir():
            amazon(asked.folder / "amazon-auggpt")


if __name__ == "__main__":
    main()

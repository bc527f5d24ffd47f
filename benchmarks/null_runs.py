"""How often the whole way, augment and measure, calls worthless rows `use`.  Prints a Markdown table.

    python benchmarks/null_runs.py DATA_FOLDER [--runs 100]

Two nulls: *shuffled labels* (the labels of the source are dealt out anew, so that no made row can teach anything;
recipe classic-text, ratios 0.5, 1 and 2, test labels as they are), and *copies* (the made rows are the real ones
again, measured with --with).  The rows of each run are drawn anew; seeds are fixed.  Student and ratio are chosen
by `measure` itself.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from leaven.cli import run

SETS = {
    "snips, 5 a label": ("snips-chatgpt/full_snips_orig_train.csv", "snips-chatgpt/full_snips_orig_test.csv", 5),
    "sst5, 10 a label": ("sst5-llm/seeds.csv", "sst5-llm/test.csv", 10),
    "atis, 10 a label": ("atis-llm/seeds.csv", "atis-llm/test.csv", 10),
}


def said(*arguments: str) -> dict:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = run([*arguments, "--workers", "1", "-q", "--json"])
    # 1: the command would not measure, as when a row of the source stands in the test set and only it is new.
    return json.loads(out.getvalue()) if code == 0 else {"verdict": "refused to measure"}


def drawn(path: Path, per_label: int, seed: int) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["text"].strip()]
    random.Random(seed).shuffle(rows)
    seen: Counter[str] = Counter()
    return [row for row in rows if seen.update([row["label"]]) or seen[row["label"]] <= per_label]


def write(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    asked = parser.parse_args()
    print("| set | null | runs | `use` | other verdicts |\n|---|---|---|---|---|")
    for name, (train, test, per_label) in SETS.items():
        if not (asked.folder / train).is_file():
            continue
        for null in ("shuffled labels", "copies"):
            verdicts: Counter[str] = Counter()
            for seed in range(asked.runs):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = Path(scratch)
                    rows = drawn(asked.folder / train, per_label, seed)
                    test_file = shutil.copy(asked.folder / test, folder / "test.csv")
                    if null == "copies":
                        real = write(folder / "real.csv", rows)
                        made = write(folder / "made.csv", rows)
                        found = said("measure", real, "--with", made, "--test", test_file, "--seeds", "3")
                    else:
                        labels = [row["label"] for row in rows]
                        random.Random(seed + 1).shuffle(labels)
                        rows = [{**row, "label": label} for row, label in zip(rows, labels)]
                        real = write(folder / "real.csv", rows)
                        out = str(folder / "out")
                        said("augment", real, "-o", out, "--test", test_file, "-r", "classic-text", "--seed", str(seed))
                        found = said("measure", out, "--seeds", "3", "--ratios", "0.5,1,2")
                    verdicts[found["verdict"]] += 1
            rest = ", ".join(f"{word} {n}" for word, n in verdicts.most_common() if word != "use")
            print(f"| {name} | {null} | {asked.runs} | {verdicts['use']} | {rest} |", flush=True)


if __name__ == "__main__":
    main()

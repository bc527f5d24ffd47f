"""The recipes auggpt and reword, the whole way, on answers that published studies recorded.  Prints Markdown.

    python benchmarks/recorded.py --data DATA_FOLDER [--runs FOLDER] [--draws 3] [--only amazon,atis,sst5,snips]

DATA_FOLDER holds amazon-auggpt, atis-llm, sst5-llm and snips-chatgpt.  A language model's answers are played by
``chat=recorded:FILE``; all else is what a user runs: ``leaven augment``, then ``leaven measure``.  amazon: the authors'
three draws of 2 seeds a label, six answers each.  atis and sst5: K seeds a label are drawn as ``published.py`` draws
them, five answers each.  snips: its answers name no parent, so ``measure --with`` only.

FOLDER keeps the run folders, and what lies there is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import math
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from null_runs import drawn as snips_seeds
from null_runs import write
from published import ATIS

from leaven.cli import run

RATIOS = "0,0.25,0.5,1,2,4,6"
"""The default ones, and all that auggpt makes."""
RECIPES = ("auggpt", "reword")
STUDENTS = ("embeddings + linear", "TF-IDF + linear")
MODELS = {"gpt35_paraphrase": "GPT-3.5", "llama3_paraphrase": "Llama 3"}
SST5 = {
    "gpt35_paraphrase": {5: 2.0, 10: 1.4, 20: 1.8, None: -0.6},
    "llama3_paraphrase": {5: 1.8, 10: 2.2, 20: 1.1, None: 0.1},
}
"""Published gains in points of accuracy, DistilBERT fine-tuned, mean of 30 runs (arXiv:2408.16502); None: all, 100 a
label."""
JACCARD = {"AugGPT1": 0.23, "AugGPT2": 0.36, "AugGPT3": 0.32}
"""Words that a child of amazon shares with its parent, of all that the two hold, counted in the published files."""


@dataclass(frozen=True)
class Case:
    """Real rows, the answers recorded about them, and the rows to measure on."""

    name: str
    draw: str
    seeds: Path
    answers: str
    test: Path
    n: int
    published: float | None


@dataclass(frozen=True)
class Outcome:
    """What the two commands said of a case."""

    case: Case
    run: dict
    measured: dict

    def lines(self, student: str) -> tuple[dict, dict, dict]:
        """Real only, real and made at the chosen ratio, and real and made with the most rows."""
        mine = [line for line in self.measured["rows"] if line["student"] == student]
        both = [line for line in mine if line["arm"] == "both"]
        chosen = next(line for line in both if line["ratio"] == self.measured["ratio"])
        return next(line for line in mine if line["arm"] == "real"), chosen, max(both, key=lambda line: line["ratio"])

    def at(self, student: str, ratio: float) -> dict:
        """Real and made at the ratio nearest to this one."""
        both = [x for x in self.measured["rows"] if (x["student"], x["arm"]) == (student, "both")]
        return min(both, key=lambda line: abs(math.log(line["ratio"] / ratio)))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_answers(path: Path, pairs: Iterable[tuple[str, str]]) -> str:
    """The pairs of parent and text as a recording; returns the URI that plays it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["parent", "text"])
        writer.writerows(pairs)
    return f"recorded:{path}?parent=parent&text=text"


def pairs_of(rows: Sequence[Mapping[str, str]], seeds: int, n: int) -> Iterator[tuple[str, str]]:
    """Parent and text in a file that lists the seeds first, then n children of each in order (AugGPT's)."""
    for i, row in enumerate(rows[seeds:]):
        yield rows[i // n]["text"], row["text"]


def drawn(seeds: Sequence[dict[str, str]], k: int, draw: int) -> list[dict[str, str]]:
    """k seeds of each label."""
    order = random.Random(draw).sample(seeds, len(seeds))
    taken: Counter[str] = Counter()
    return [row for row in order if taken.update([row["label"]]) or taken[row["label"]] <= k]


# -- the cases ---------------------------------------------------------------------------------------------------------


def amazon(folder: Path, scratch: Path) -> Iterator[Case]:
    for method in JACCARD:
        for year in ("2013", "2014", "2015"):
            rows = table(folder / "augmented" / method / f"{year}.csv")
            uri = write_answers(scratch / f"{method}-{year}.csv", pairs_of(rows, 6, 6))
            seeds = folder / "augmented" / "Raw" / f"{year}.csv"
            yield Case(f"amazon, 2 a label, {method}", year, seeds, uri, folder / "test.tsv", 6, None)


def variants(folder: Path, draws: int, published: Mapping[str, Mapping], scratch: Path) -> Iterator[Case]:
    """atis-llm and sst5-llm: a column names the parent."""
    seeds, name = table(folder / "seeds.csv"), folder.name.partition("-")[0]
    for k in (5, 10, 20, None):
        for method, model in MODELS.items():
            uri = f"recorded:{folder / method}.csv?parent=seed&text=text"
            for draw in range(draws if k else 1):
                path = folder / "seeds.csv"
                if k:
                    path = scratch / f"{name}-{k}-{draw}.csv"
                    write(path, drawn(seeds, k, draw))
                much = f"{k} a label" if k else f"all {len(seeds)}"
                case = f"{name}, {much}, {model}", str(draw), path, uri, folder / "test.csv", 5
                yield Case(*case, published[method].get(k))


# -- the two commands --------------------------------------------------------------------------------------------------


def said(*arguments: str) -> dict:
    """What a command prints; exit code 3 says that some records failed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*arguments, "--workers", "2", "--json", "-q"])
    assert code in (0, 3), (code, arguments)
    return json.loads(out.getvalue())


def outcome(case: Case, recipe: str, runs: Path) -> Outcome:
    out = runs / re.sub(r"\W+", "-", f"{case.name} {case.draw} {recipe}")
    options = ["-r", recipe, "--model", f"chat={case.answers}", "--test", str(case.test)]
    if not (out / "measure.json").is_file():
        said("augment", str(case.seeds), "-o", str(out), *options, "--set", f"paraphrase.n={case.n}")
        said("measure", str(out), "--ratios", RATIOS)
    described, measured = (json.loads((out / name).read_text("utf-8")) for name in ("run.json", "measure.json"))
    return Outcome(case, described, measured)


# -- what is printed ---------------------------------------------------------------------------------------------------


def span(gain: Mapping[str, float]) -> str:
    return f"[{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"


def points(gain: Mapping[str, float]) -> str:
    return f"{100 * gain['mean']:+.1f} {span(gain)}"


def verdict(measured: Mapping[str, str]) -> str:
    return measured["verdict"] + (f" ({measured['why']})" if measured["why"] else "")


def detail(found: Outcome) -> str:
    """One run as a line of a table."""
    counts = found.run["counts"]
    refused = ", ".join(f"{reason} {n}" for reason, n in sorted(found.run["reasons"].items())) or "-"
    cells = [found.case.draw, str(counts["read"]), str(counts["made"]), str(counts["kept"]), refused]
    cells += [str(counts["failed"]), f"{found.measured['ratio']:g}"]
    for student in STUDENTS:
        real, chosen, most = found.lines(student)
        mark = "*" if student == found.measured["student"] else ""
        cells += [f"{100 * real[found.measured['metric']]['mean']:.1f}{mark}", points(chosen["gain"])]
        cells.append(f"{points(most['gain'])} ({most['ratio']:.1f})")
    return f"| {' | '.join([*cells, verdict(found.measured)])} |"


PREFACE = """\
# Recorded answers, the whole way

Written by `python benchmarks/recorded.py --data DATA_FOLDER > benchmarks/recorded.md`; `docs/measured.md` says what to
make of it. Gains are in points of the metric that `measure` chooses (macro-F1 on atis, else accuracy), with a 95 %
interval; *chosen*: at the ratio that `measure` chose out of fold; *all*: with every row that the recipe kept (the ratio
in brackets), which no verdict is about. A star marks the student that the verdict is about. *accuracy, all rows*: its
gain with embeddings / with TF-IDF, beside the published gain in accuracy of a fine-tuned DistilBERT. *failed*: seeds
about which nothing was recorded. `-r auggpt` or `-r reword`, `--set paraphrase.n=5` on atis and sst5, `--ratios
0,0.25,0.5,1,2,4,6`, all else as it comes."""
DETAILS = (
    "| draw | real | made | kept | refused | failed | ratio chosen | embeddings, without | gain, chosen | gain, all |"
    " TF-IDF, without | gain, chosen | gain, all | verdict |\n|" + "---|" * 14
)
SUMMARY = (
    "| answers | recipe | kept of made | embeddings, without | chosen | all rows | TF-IDF, without | chosen | all rows"
    " | accuracy, all rows | published | verdicts |\n|" + "---|" * 12
)


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def summary(name: str, recipe: str, results: Sequence[Outcome]) -> str:
    """The means over the draws, with the interval of each."""
    kept, made = (sum(found.run["counts"][what] for found in results) for what in ("kept", "made"))
    cells, accuracy = [name.rpartition(", ")[2], recipe, f"{kept} of {made}"], []
    for student in STUDENTS:
        three = [found.lines(student) for found in results]
        base = mean(100 * real[f.measured["metric"]]["mean"] for f, (real, _, _) in zip(results, three, strict=True))
        cells.append(f"{base:.1f}")
        chosen, every = (mean(100 * lines[i]["gain"]["mean"] for lines in three) for i in (1, 2))
        spans = " ".join(span(lines[1]["gain"]) for lines in three)
        cells += [f"**{chosen:+.1f}** {spans}", f"{every:+.1f}"]
        accuracy.append(mean(100 * (most["accuracy"]["mean"] - real["accuracy"]["mean"]) for real, _, most in three))
    verdicts = Counter(found.measured["verdict"] for found in results)
    published = results[0].case.published
    cells += [" / ".join(f"{gain:+.1f}" for gain in accuracy), f"{published:+.1f}" if published is not None else "-"]
    return f"| {' | '.join([*cells, ', '.join(f'{v} x{n}' for v, n in verdicts.most_common())])} |"


def choosing(name: str, rewritten: Sequence[Outcome], chosen: Sequence[Outcome]) -> str:
    """What reword's refusals do: its rows against about as many of auggpt's, drawn in equal shares of the labels, and
    against all of those."""
    cells = [name]
    for student in STUDENTS:
        mine = [found.lines(student)[2] for found in chosen]
        alike = [found.at(student, x["ratio"])["gain"]["mean"] for found, x in zip(rewritten, mine, strict=True)]
        every = [found.lines(student)[2]["gain"]["mean"] for found in rewritten]
        for other in (alike, every):
            gaps = [100 * (line["gain"]["mean"] - gain) for line, gain in zip(mine, other, strict=True)]
            cells.append(f"{mean(gaps):+.1f} ({sum(gap > 0 for gap in gaps)} of {len(gaps)})")
    return f"| {' | '.join(cells)} |"


def likeness(out: Path) -> tuple[dict[str, int], float]:
    """Rows of each label in a run's train folder, and the mean Jaccard of the words of child and parent."""
    import pyarrow.parquet as pq

    rows = pq.read_table(out / "train").to_pylist()
    by_id = {row["_id"]: row for row in rows}
    shared = []
    for row in rows:
        for parent in row["_parents"]:
            assert row["labels"] == by_id[parent]["labels"]
            mine, theirs = (set(re.findall(r"\w+", r["text"].lower())) for r in (row, by_id[parent]))
            shared.append(len(mine & theirs) / len(mine | theirs))
    return dict(sorted(Counter(row["labels"] for row in rows).items())), mean(shared)


def report(cases: Iterable[Case], runs: Path) -> None:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.name, []).append(case)
    found: dict[tuple[str, str], list[Outcome]] = {}
    for name, some in groups.items():
        for recipe in RECIPES:
            print(f"\n**{name}, {recipe}**\n\n{DETAILS}")
            found[name, recipe] = []
            for case in some:
                found[name, recipe].append(outcome(case, recipe, runs))
                print(detail(found[name, recipe][-1]), flush=True)
    for size in dict.fromkeys(name.rpartition(", ")[0] for name in groups):
        draws = len(next(some for name, some in groups.items() if name.startswith(f"{size}, ")))
        metric = next(f[0].measured["metric"] for (name, _), f in found.items() if name.startswith(f"{size}, "))
        over = f"mean of {draws} draws" if draws > 1 else "1 draw"
        print(f"\n**{size}**, {metric}, {over}\n\n{SUMMARY}")
        for (name, recipe), results in found.items():
            if name.startswith(f"{size}, "):
                print(summary(name, recipe, results))
    print("\n**What reword's choice adds** to auggpt's gain, points (in how many draws it is above 0)\n")
    print("| answers | embeddings, to as many rows | to all rows | TF-IDF, to as many rows | to all rows |")
    print("|---|---|---|---|---|", flush=True)
    for name in groups:
        print(choosing(name, found[name, "auggpt"], found[name, "reword"]))


def faithful(runs: Path) -> None:
    print("\n**auggpt against the published files**, 3 draws\n")
    print("| answers | children a text | rows a label, before and after | Jaccard to the parent | in the files |")
    print("|---|---|---|---|---|")
    for method, published in JACCARD.items():
        found = [likeness(runs / f"amazon-2-a-label-{method}-{y}-auggpt") for y in ("2013", "2014", "2015")]
        sizes = {n for labels, _ in found for n in labels.values()}
        spread = ", ".join(str(n) for n in sorted(sizes))
        print(f"| {method} | {(max(sizes) - 2) // 2} | 2, {spread} | {mean(j for _, j in found):.2f} | {published} |")


def snips(folder: Path, runs: Path) -> None:
    """Answers without parents: measured beside real rows that are drawn, not made from them."""
    print("\n**snips**, `measure --with` only: 1 draw, 697 test rows, accuracy\n")
    print("| real rows | made rows | ratio chosen | embeddings, without | made only | chosen | TF-IDF, without |"
          " made only | chosen | verdict |\n|" + "---|" * 10)  # fmt: skip
    for k in (10, 50):
        real = runs / f"snips-{k}.csv"
        write(real, snips_seeds(folder / "full_snips_orig_train.csv", k, 0))
        for name, made in (("crowd", "human"), ("ChatGPT", "gpt"), ("ChatGPT, filtered", "gpt_filt")):
            kept = runs / f"snips-{k}-{made}.json"
            test = str(folder / "full_snips_orig_test.csv")
            if not kept.is_file():
                there = said("measure", str(real), "--with", str(folder / f"full_snips_{made}.csv"), "--test", test)
                kept.write_text(json.dumps(there), "utf-8")
            found = json.loads(kept.read_text("utf-8"))
            cells = [f"{k} a label", name, f"{found['ratio']:g}"]
            for student in STUDENTS:
                mine = [line for line in found["rows"] if line["student"] == student]
                best = next(x for x in mine if x["arm"] == "both" and x["ratio"] == found["ratio"])
                alone, without = (next(x for x in mine if x["arm"] == arm) for arm in ("made", "real"))
                cells += [f"{100 * without['accuracy']['mean']:.1f}", points(alone["gain"]), points(best["gain"])]
            print(f"| {' | '.join([*cells, verdict(found)])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", default="amazon,atis,sst5,snips")
    asked = parser.parse_args()
    wanted = asked.only.split(",")
    print(PREFACE)
    with tempfile.TemporaryDirectory() as scratch:
        runs = asked.runs or Path(scratch) / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        if "amazon" in wanted and (asked.data / "amazon-auggpt").is_dir():
            report(amazon(asked.data / "amazon-auggpt", runs), runs)
            faithful(runs)
        for name, published in (("atis", ATIS), ("sst5", SST5)):
            if name in wanted and (asked.data / f"{name}-llm").is_dir():
                report(variants(asked.data / f"{name}-llm", asked.draws, published, runs), runs)
        if "snips" in wanted and (asked.data / "snips-chatgpt").is_dir():
            snips(asked.data / "snips-chatgpt", runs)


if __name__ == "__main__":
    main()

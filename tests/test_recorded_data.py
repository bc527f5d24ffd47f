"""Recipes on answers that published studies recorded, where those lie beside the checkout; they are no part of it."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven.cli import run

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data" / "text"
AMAZON, ATIS, SST5 = SHARED / "amazon-auggpt", SHARED / "atis-llm", SHARED / "sst5-llm"
Captured = pytest.CaptureFixture[str]
no_amazon = pytest.mark.skipif(not AMAZON.is_dir(), reason="no amazon-auggpt beside the checkout")


def augmented(capsys: Captured, out: Path, seeds: Path, answers: str, *arguments: str) -> dict:
    """run.json of a run with recorded answers; the exit code stands in `code`."""
    capsys.readouterr()
    options = ["--model", f"chat=recorded:{answers}", "--workers", "1", "-q", "--json"]
    code = run(["augment", str(seeds), "-o", str(out), *arguments, *options])
    capsys.readouterr()
    return {**json.loads((out / "run.json").read_text("utf-8")), "code": code}


def amazon_answers(folder: Path, method: str, year: str) -> str:
    """The file lists 6 seeds, then 6 children of each in order; a recording names the parent of each."""
    with (AMAZON / "augmented" / method / f"{year}.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["parent", "text"])
        writer.writerows((texts[i // 6], text) for i, text in enumerate(texts[6:]))
    return f"{folder / 'answers.csv'}?parent=parent&text=text"


def first_seeds(path: Path, source: Path, per_label: int) -> Path:
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    taken: Counter[str] = Counter()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(r for r in rows if taken.update([r["label"]]) or taken[r["label"]] <= per_label)
    return path


def bare(text: str) -> str:
    """Blanks, and quotes around a whole answer, go."""
    return "".join(text.split()).strip('"')


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@no_amazon
@pytest.mark.parametrize(("method", "likeness"), [("AugGPT1", 0.23), ("AugGPT2", 0.36), ("AugGPT3", 0.32)])
@pytest.mark.usefixtures("no_report")
def test_auggpt_gives_the_rows_of_the_published_files(tmp_path: Path, capsys: Captured, method: str, likeness: float):
    """7 N rows, labels in balance, each child with its parent's label, and over the three draws as near to it."""
    shared = []
    for year in ("2013", "2014", "2015"):
        answers, seeds = amazon_answers(tmp_path, method, year), AMAZON / "augmented" / "Raw" / f"{year}.csv"
        found = augmented(capsys, tmp_path / year, seeds, answers, "-r", "auggpt")
        assert (found["code"], found["counts"]["made"], found["counts"]["refused"]) == (0, 36, 0)
        rows = pq.read_table(tmp_path / year / "train").to_pylist()
        with (AMAZON / "augmented" / method / f"{year}.csv").open(newline="", encoding="utf-8") as file:
            published = [(bare(row["text"]), row["labels"]) for row in csv.DictReader(file)]
        assert Counter((bare(row["text"]), row["labels"]) for row in rows) == Counter(published)
        assert Counter(row["labels"] for row in rows) == {"21": 14, "22": 14, "23": 14}
        by_id = {row["_id"]: row for row in rows}
        pairs = [(row, by_id[row["_parents"][0]]) for row in rows if row["_synthetic"]]
        assert all(child["labels"] == parent["labels"] for child, parent in pairs)
        assert list(Counter(parent["_id"] for _, parent in pairs).values()) == [6] * 6
        for mine, theirs in ((words(child["text"]), words(parent["text"])) for child, parent in pairs):
            shared.append(len(mine & theirs) / len(mine | theirs))
    assert sum(shared) / len(shared) == pytest.approx(likeness, abs=0.005)


@no_amazon
def test_reword_keeps_two_a_text_at_most_and_only_of_the_right_label(tmp_path: Path, capsys: Captured):
    answers, seeds = amazon_answers(tmp_path, "AugGPT3", "2014"), AMAZON / "augmented" / "Raw" / "2014.csv"
    found = augmented(capsys, tmp_path / "out", seeds, answers, "-r", "reword", "--test", str(AMAZON / "test.tsv"))
    counts = found["counts"]
    assert counts["made"] == 36 == counts["kept"] + counts["refused"]
    assert sum(found["reasons"].values()) == counts["refused"]
    assert set(found["reasons"]) <= {"label_changed", "near_duplicate", "below_top_k"}
    made = [row for row in pq.read_table(tmp_path / "out" / "train").to_pylist() if row["_synthetic"]]
    assert max(Counter(row["_parents"][0] for row in made).values()) <= 2
    assert all(row["_scores"]["label_prob"] == row["_scores"]["confidence"] for row in made)


@pytest.mark.skipif(not ATIS.is_dir(), reason="no atis-llm beside the checkout")
@pytest.mark.usefixtures("no_report")
def test_a_run_over_recorded_answers_is_measured(tmp_path: Path, capsys: Captured):
    """The column `seed` names the parent; five answers a seed, 5 seeds a label."""
    seeds = first_seeds(tmp_path / "seeds.csv", ATIS / "seeds.csv", 5)
    answers, test = f"{ATIS / 'gpt35_paraphrase.csv'}?parent=seed&text=text", str(ATIS / "test.csv")
    options = ["-r", "auggpt", "--set", "paraphrase.n=5", "--test", test]
    found = augmented(capsys, tmp_path / "out", seeds, answers, *options)
    assert found["code"] == 0
    assert found["counts"]["read"] * 5 == found["counts"]["made"] >= 90
    options = ["--ratios", "4", "--seeds", "2", "--workers", "1", "--json", "-q"]
    assert run(["measure", str(tmp_path / "out"), *options]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["metric"], measured["test"]["rows"]) == ("macro_f1", 703)
    both = [row for row in measured["rows"] if row["arm"] == "both"]
    assert {row["student"] for row in both} == {"embeddings + linear", "TF-IDF + linear"}
    assert all(row["gain"]["low"] <= row["gain"]["mean"] <= row["gain"]["high"] for row in both)


@pytest.mark.skipif(not SST5.is_dir(), reason="no sst5-llm beside the checkout")
@pytest.mark.usefixtures("no_report")
def test_seeds_that_no_answer_was_recorded_for_fail_and_the_others_do_not(tmp_path: Path, capsys: Captured):
    """Three of 500 seeds have no variant by Llama 3."""
    answers = f"{SST5 / 'llama3_paraphrase.csv'}?parent=seed&text=text"
    found = augmented(capsys, tmp_path / "out", SST5 / "seeds.csv", answers, "-r", "auggpt", "--set", "paraphrase.n=5")
    assert (found["code"], found["counts"]["failed"], found["counts"]["made"]) == (3, 3, 2485)
    failed = (tmp_path / "out" / "failed" / "records.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["_reason"] for line in failed] == ["no_recording"] * 3

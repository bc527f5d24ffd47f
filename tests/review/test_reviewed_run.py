"""The run after a review: the same command applies what people decided, and counts what it cannot apply."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from leaven.cli import run
from leaven.engine.decisions import Decision, content_print, path_of, seen_columns
from leaven.io import dataset as datasets

RECIPE = """
steps:
  - edit_words: {n: 3}
  - keep: {that: "text|length > 24", reason: too_short}
  - unique
  - keep: {that: "'zz' not in text", reason: has_zz}
"""
Rows = dict[str, dict[str, Any]]


def table(out: Path, name: str) -> Rows:
    """The made rows of train/ or the rows of refused/, by id."""
    files = sorted((out / name).glob("*.parquet"))
    found = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {row["_id"]: row for row in found if row.get("_synthetic", True)}


def content(out: Path, row: dict[str, Any], name: str = "train") -> str:
    schema = pq.read_schema(next((out / name).glob("*.parquet")))
    return content_print(row, seen_columns(datasets.load(out / "input"), schema))


def decide(out: Path, *lines: Decision) -> None:
    path_of(out).parent.mkdir(exist_ok=True)
    with path_of(out).open("ab") as file:
        file.writelines(line.line() for line in lines)


def test_what_a_person_kept_enters_a_small_blend_first(tmp_path: Path):
    data, recipe = tmp_path / "bank.csv", tmp_path / "r.yaml"
    data.write_text(
        "text,label\n" + "".join(f"my card number {i} is lost again,{'ab'[i % 2]}\n" for i in range(40)), "utf-8"
    )
    recipe.write_text(RECIPE + "blend: {ratio: 0.1}\n", "utf-8")
    bank = Bank(tmp_path / "out", str(data), "-r", str(recipe))
    bank.augment()
    before = bank.kept()
    assert len(before) == 4
    refused = [row for row in table(bank.out, "refused").values() if row["_reason"] == "too_short"][:3]
    assert len(refused) == 3
    decide(bank.out, *(Decision(row["_id"], content(bank.out, row, "refused"), "accept") for row in refused))
    bank.augment()
    assert {row["_id"] for row in refused} < bank.kept().keys()
    assert len(bank.kept()) == 4
    assert len(bank.kept().keys() & before.keys()) == 1  # and the fourth is the one that was first before


class Bank:
    """A run, and the command that made it."""

    def __init__(self, out: Path, *asked: str) -> None:
        self.out = out
        self.asked = [*asked, "-o", str(out), "-q", "--workers", "1"]

    def augment(self, *more: str) -> dict[str, Any]:
        assert run(["augment", *self.asked, *more]) == 0
        said: dict[str, Any] = json.loads((self.out / "run.json").read_text())
        counts = said["counts"]
        assert counts["made"] == counts["kept"] + counts["refused"]
        assert len(table(self.out, "refused")) == counts["refused"]
        return said

    def kept(self) -> Rows:
        return table(self.out, "train")

    def refused(self) -> Rows:
        return table(self.out, "refused")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("review")
    words = ["card", "rate", "hours", "loan", "open", "close", "still", "again", "today", "please", "with", "not"]
    rows = [
        (" ".join(words[(i * k + j) % 12] for j, k in enumerate((1, 5, 7, 11, 5, 1)[: 3 + i % 4])), "ab"[i % 2])
        for i in range(40)
    ]
    data = folder / "bank.csv"
    data.write_text("utterance,intent\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "test.csv").write_text("utterance,intent\nthis one stands in the test set,a\nnothing like it here,b\n")
    bank = Bank(
        folder / "out", str(data), "-r", str(folder / "recipe.yaml"), "--test", str(folder / "test.csv"),
        "--text", "utterance", "--label", "intent",
    )  # fmt: skip
    bank.augment()
    return bank


@pytest.fixture
def bank(made: Bank, tmp_path: Path) -> Bank:
    out = Path(shutil.copytree(made.out, tmp_path / "out"))
    return Bank(out, *made.asked[: made.asked.index("-o")])


def of(rows: Rows, reason: str = "", n: int = 0) -> dict[str, Any]:
    return [row for row in rows.values() if not reason or row["_reason"] == reason][n]


def test_the_next_run_applies_what_was_decided_and_verify_holds(bank: Bank, capsys: pytest.CaptureFixture[str]):
    kept, refused, out = bank.kept(), bank.refused(), bank.out
    before = json.loads((out / "run.json").read_text())["counts"]
    accepted, relabelled, mended = of(refused, "too_short"), of(kept, n=1), of(refused, "too_short", 1)
    rejected, edited = of(kept), of(kept, n=2)
    other = {"a": "b", "b": "a"}
    lines = [
        Decision(accepted["_id"], content(out, accepted), "accept"),
        Decision(rejected["_id"], content(out, rejected), "reject"),
        Decision(relabelled["_id"], content(out, relabelled), "relabel", None, other[relabelled["intent"]]),
        Decision(edited["_id"], content(out, edited), "edit", None, {"utterance": "written by a person"}),
        Decision(mended["_id"], content(out, mended), "relabel", None, other[mended["intent"]]),
    ]
    decide(out, *lines)
    assert run(["verify", str(out), "-q", "--workers", "1"]) == 0  # the run did not know of them
    capsys.readouterr()
    said = bank.augment()
    shown = capsys.readouterr().out
    assert "Review    accepted 2   rejected 1   relabelled 2   edited 1\n" in shown
    assert said["review"] == {
        "lines": 5, "bytes": path_of(out).stat().st_size, "print": said["review"]["print"],
        "accepted": 2, "rejected": 1, "relabelled": 2, "edited": 1,
    }  # fmt: skip
    assert said["counts"]["made"] == before["made"]
    assert said["counts"]["kept"] == before["kept"] + 1
    now, turned = bank.kept(), bank.refused()
    assert now[accepted["_id"]]["utterance"] == accepted["utterance"]
    assert now[accepted["_id"]]["_steps"][-1] == {
        "step": "review", "round": 0, "drawn": '{"refused": "too_short", "at": "keep"}',
    }  # fmt: skip
    assert rejected["_id"] not in now
    assert turned[rejected["_id"]]["_reason"] == "rejected"
    assert turned[rejected["_id"]]["_step"] == "review"
    assert now[relabelled["_id"]]["intent"] == other[relabelled["intent"]]
    history = json.loads(now[relabelled["_id"]]["_steps"][-1]["drawn"])
    assert history == {"was": {"intent": relabelled["intent"]}}
    assert now[edited["_id"]]["utterance"] == "written by a person"
    assert now[mended["_id"]]["intent"] == other[mended["intent"]]
    for own in (rejected["_id"], relabelled["_id"], edited["_id"], accepted["_id"], mended["_id"]):
        now.pop(own, None), kept.pop(own, None)
    assert now == kept  # and no other row is another
    bytes_now = [p.read_bytes() for p in sorted(out.glob("*/*.parquet"))]
    assert run(["verify", str(out), "-q", "--workers", "1"]) == 0
    bank.augment("--workers", "2")
    assert [p.read_bytes() for p in sorted(out.glob("*/*.parquet"))] == bytes_now


def test_what_is_undone_is_as_if_it_had_not_been_decided(bank: Bank):
    out = bank.out
    before = [p.read_bytes() for p in sorted(out.glob("*/*.parquet"))]
    rejected, accepted = of(bank.kept()), of(bank.refused())
    decide(out, Decision(rejected["_id"], content(out, rejected), "reject"),
           Decision(accepted["_id"], content(out, accepted), "accept"))  # fmt: skip
    bank.augment()
    assert [p.read_bytes() for p in sorted(out.glob("*/*.parquet"))] != before
    decide(out, *(Decision(row["_id"], content(out, row), "undo") for row in (rejected, accepted)))
    said = bank.augment()
    assert [p.read_bytes() for p in sorted(out.glob("*/*.parquet"))] == before
    assert said["review"].keys() == {"lines", "bytes", "print"}


def test_a_decision_about_what_is_not_there_any_more_is_said_aloud(bank: Bank, capsys: pytest.CaptureFixture[str]):
    kept, refused = bank.kept(), bank.refused()
    before = [p.read_bytes() for p in sorted(bank.out.glob("*/*.parquet"))]
    decide(
        bank.out,
        Decision(of(kept)["_id"], "of another content", "reject"),
        Decision(of(refused)["_id"], "of another content", "accept"),
        Decision("an id of another recipe", "c", "accept"),
        Decision(of(kept, n=1)["_id"], content(bank.out, of(kept, n=1)), "relabel", None, "no label of these"),
        Decision(of(kept, n=2)["_id"], content(bank.out, of(kept, n=2)), "edit", None, {"no_column": "x"}),
        Decision(of(kept, n=3)["_id"], content(bank.out, of(kept, n=3)), "accept"),
        Decision(of(refused, n=1)["_id"], content(bank.out, of(refused, n=1)), "reject"),
    )
    capsys.readouterr()
    said = bank.augment()["review"]
    assert {k: v for k, v in said.items() if k not in ("print", "bytes")} == {
        "lines": 7, "stale": 2, "gone": 1, "unfit": 2, "agreed": 2,
    }  # fmt: skip
    shown = capsys.readouterr().out
    assert "Review    2 decisions stale: the record holds something else now\n" in shown
    assert "Review    1 decision without a record: this run does not make it\n" in shown
    assert "Review    2 decisions not applied: no such label or column, or a record without content\n" in shown
    assert [p.read_bytes() for p in sorted(bank.out.glob("*/*.parquet"))] == before


def test_nobody_lets_a_test_row_into_training(bank: Bank):
    kept, refused = of(bank.kept()), of(bank.refused(), "too_short")
    decide(
        bank.out,
        Decision(kept["_id"], content(bank.out, kept), "edit", None, {"utterance": "This one stands in the test set!"}),
        Decision(refused["_id"], content(bank.out, refused), "edit", None, {"utterance": "nothing like it  here"}),
    )
    said = bank.augment()
    assert said["review"]["guarded"] == 2
    now = bank.refused()
    for row in (kept, refused):
        assert row["_id"] not in bank.kept()
        assert now[row["_id"]]["_reason"] == "near_test"
        assert now[row["_id"]]["_step"] == "review"
    assert run(["verify", str(bank.out), "-q", "--workers", "1"]) == 0


def test_a_damaged_line_stops_the_run_and_harms_nothing(bank: Bank, capsys: pytest.CaptureFixture[str]):
    before = [p.read_bytes() for p in sorted(bank.out.glob("*/*.parquet"))]
    path_of(bank.out).parent.mkdir()
    path_of(bank.out).write_text("not a line\n")
    assert run(["augment", *bank.asked]) == 1
    assert "decisions.jsonl line 1 is no decision" in capsys.readouterr().err
    assert [p.read_bytes() for p in sorted(bank.out.glob("*/*.parquet"))] == before


def test_rows_of_a_pool_and_candidates_from_elsewhere_are_reviewed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They have no parents, and the counts hold: a rejected row of the pool was refused, and is not left."""
    monkeypatch.chdir(tmp_path)
    Path("real.csv").write_text("text,label\nopen now,a\nclosed now,b\nopen then,a\nclosed then,b\n")
    Path("more.csv").write_text("text\n" + "".join(f"row {i} of the pool\n" for i in range(6)))
    Path("given.csv").write_text("text,label\nmade elsewhere,a\nmade elsewhere too,b\nshort,a\n")
    Path("mine.yaml").write_text(
        "steps:\n"
        "  - from: pool\n  - note: {label: \"'a'\"}\n  - sample: {n: 4}\n"
        "  - from: given\n  - keep: {that: text|length > 6, reason: too_short}\n"
    )
    bank = Bank(Path("out"), "real.csv", "-r", "mine.yaml", "--unlabelled", "more.csv", "--given", "given.csv")
    before = bank.augment()["counts"]
    assert (before["kept"], before["refused"], before["left"]) == (6, 1, 2)
    kept = bank.kept()
    pool = next(row for row in kept.values() if "pool" in row["text"])
    elsewhere = next(row for row in kept.values() if row["text"] == "made elsewhere")
    short = of(bank.refused())
    decide(
        bank.out,
        Decision(pool["_id"], content(bank.out, pool), "reject"),
        Decision(elsewhere["_id"], content(bank.out, elsewhere), "relabel", "a", "b"),
        Decision(short["_id"], content(bank.out, short), "accept"),
    )
    now = bank.augment()["counts"]
    assert (now["kept"], now["refused"], now["left"], now["made"]) == (6, 1, 2, before["made"])
    assert bank.kept()[elsewhere["_id"]]["label"] == "b"
    assert short["_id"] in bank.kept()
    assert bank.refused()[pool["_id"]]["_reason"] == "rejected"
    assert run(["verify", "out", "-q", "--workers", "1"]) == 0

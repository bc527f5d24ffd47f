"""A run as an object: its rows, numbers, measurement and blends."""

from __future__ import annotations

import json
import pickle
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.api.conftest import rows, write_csv

import leaven as lv
from leaven.cli import run as cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a csv with a hostile row, measured later."""
    path = tmp_path_factory.mktemp("run")
    content = [*rows(60), {"utterance": "<script>alert(1)</script> my card\x1b[31m \u202e lost", "intent": "card"}]
    write_csv(path / "bank.csv", content)
    data = lv.read(path / "bank.csv", test=0.3)
    (data | lv.EditWords(n=3) | lv.Unique() | lv.Top(n=2, by="text | length", per="root")).run(path / "out")
    return path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> lv.Run:
    monkeypatch.chdir(folder)
    return lv.Run("out")


def test_numbers_and_rows_agree(run: lv.Run):
    counts = run.counts
    assert repr(run) == (
        f"Run out: read {counts['read']}, made {counts['made']}, kept {counts['kept']},"
        f" refused {counts['refused']}, failed 0, 0 USD"
    )
    assert (len(run.kept), len(run.refused), len(run.failed)) == (counts["kept"], counts["refused"], 0)
    assert len(run.train) == len(run) == counts["written"] == counts["kept"] + counts["read"]
    assert all(row["_synthetic"] for row in run.kept)
    assert sum(run.reasons.values()) == len(run.refused)
    assert {row["_reason"] for row in run.refused} == set(run.reasons)
    assert run.cost == 0.0


def test_rows_are_a_sequence(run: lv.Run):
    every = list(run.kept)
    assert [run.kept[i] for i in range(3)] == every[:3] == run.kept[:3]
    assert run.kept[-1] == every[-1]
    assert every[2] in run.kept
    with pytest.raises(IndexError):
        run.kept[len(run.kept)]
    assert run.to_pandas().equals(pq.read_table("out/train").to_pandas())
    assert len(run.refused.to_pandas()) == len(run.refused)


def test_rows_show_their_count_and_five(run: lv.Run):
    for found, word in ((run.kept, "Kept"), (run.refused, "Refused")):
        lines = repr(found).splitlines()
        assert lines[0] == f"{word}: {len(found)} rows"
        assert len(lines) == 6
        assert max(map(len, lines)) <= 100
    assert lines[1].split("  ")[2] in run.reasons
    assert repr(run.failed) == "Failed: 0 rows"


def test_a_glance_reads_no_whole_file(run: lv.Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pq, "read_table", None)
    found = lv.Run("out").kept
    assert len(found.glance()) == 5
    assert "table" not in vars(found)


TAGS = ["div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "svg", "title", "text", "line", "circle"]


class Checker(HTMLParser):
    """Tags that are closed, and none that runs or loads anything."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("href", "src")
            assert "url(" not in (value or "")
        if tag not in ("line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def looked_at(html: str) -> str:
    checker = Checker()
    checker.feed(html)
    assert not checker.open
    assert len(html) < 200_000
    assert not any(char in html for char in "\x1b\u202e")
    assert "background:none" in html or "<table" not in html
    return checker.text


def test_html_is_escaped_small_and_without_script(folder: Path, run: lv.Run):
    data = lv.read(folder / "bank.csv", test=0.3)
    made = data | lv.EditWords(n=3) | lv.keep("text != '<b>'")
    for shown in (data, made, run, run.kept, run.refused, run.failed, data.test):
        text = looked_at(shown._repr_html_())
        assert text.startswith(repr(shown).splitlines()[0])
    hostile = lv.read([{"text": "<script>x</script>" * 9, "label": f"<b>{i}</b>"} for i in range(300)])
    assert "<script>" in looked_at(hostile._repr_html_())


def test_measure(folder: Path, run: lv.Run, capsys: pytest.CaptureFixture[str]):
    data = lv.read(folder / "bank.csv", test=0.3)
    found = run.measure(test=data.test, ratios=(0, 0.5, 1), seeds=2)
    python = json.loads(Path("out/measure.json").read_text())
    assert found.verdict == python["verdict"]
    assert found.gain.low <= found.gain.mean <= found.gain.high
    word = found.verdict.replace("_", " ").upper()
    start = f"Measurement: {word} at ratio {found.ratio:.3g}, {found.gain.mean * 100:+.1f} points ["
    assert repr(found).startswith(start)
    assert repr(found).endswith(f" {len(data.test)} test rows")
    assert len(repr(found)) <= 100
    looked_at(found._repr_html_())
    svg = found.plot()
    assert svg.startswith("<svg")
    both = {(x.ratio, x.weight) for x in found.measured.measurement.lines if x.arm == "both"}
    assert svg.count("<circle") == len(both) >= 2  # every ratio and weight that can be
    assert "currentColor" in svg
    looked_at(svg._repr_html_())
    capsys.readouterr()
    assert cli(["measure", "out", "--ratios", "0,0.5,1", "--seeds", "2", "-q", "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"{found}\n"
    assert json.loads(Path("out/measure.json").read_text()) == python
    other = run.measure(test=rows(30, 9), ratios=(0, 1), seeds=2)
    assert other.measured.test_name == "list, 30 rows"


def test_report(run: lv.Run):
    page = run.report()
    assert page == Path("out/report.html")
    assert "bank.csv" in page.read_text("utf-8")


def test_verify(run: lv.Run):
    found = run.verify()
    assert found
    numbers = f"train {len(run.train)} rows, refused {len(run.refused)} rows"
    assert repr(found) == f"Verification of out: same bytes: {numbers}; 0 answers replayed"
    looked_at(found._repr_html_())
    path = next(Path("out/train").glob("*.parquet"))
    kept = path.read_bytes()
    rows = pq.read_table(path)
    other = ["x", *rows.column("utterance").to_pylist()[1:]]
    pq.write_table(rows.set_column(0, "utterance", [other]), path)
    found = run.verify()
    path.write_bytes(kept)
    assert not found
    assert "train/part-00000.parquet differs: row 1, _id " in repr(found)
    assert "field utterance" in repr(found)


def test_plan_asks_nothing(bank: Path):
    data = lv.read("bank.csv")
    assert repr((data | lv.EditWords(n=2)).plan()) == "Plan: 0 calls, 0 USD, none spent"
    asks = data | {"ask": {"prompt": "Is {{ text }} rude?", "into": "rude"}}
    assert repr(asks) == "Recipe on bank.csv: ask prompt=Is {{ text }} rude? into=rude; needs chat"
    found = asks.plan(models={"chat": "fake:shape"})
    assert found.calls[0] == 45
    assert repr(found).startswith("Plan: 45")
    assert repr(found).endswith("calls, 0 USD, none spent")
    assert found.prompts[0].startswith("Is ")
    looked_at(found._repr_html_())
    assert not Path("out").exists()


def test_a_chat_model_in_python_and_by_the_command_line(bank: Path):
    data = lv.read("bank.csv")
    made = data | lv.Paraphrase(n=2) | lv.Unique()
    assert repr(made) == "Recipe on bank.csv: paraphrase n=2 > unique; needs chat"
    run = made.run("out", models={"chat": "fake:shape"})
    file = made.save("mine.yaml")
    assert cli(["augment", "bank.csv", "-o", "cli", "-r", str(file), "--model", "chat=fake:shape", "-q"]) == 0
    assert run.train.table.equals(lv.Run("cli").train.table)
    assert run.counts["calls"] == 45
    assert repr(run).endswith("failed 0, 0 USD")
    assert repr(run.verify()).endswith("45 answers replayed")


def test_a_budget_that_is_reached_names_the_run(bank: Path, monkeypatch: pytest.MonkeyPatch):
    def reached(*_: Any) -> None:
        raise lv.BudgetReached("0.10 of 0.10 USD spent.", "the same call with a higher budget goes on here.")

    monkeypatch.setattr("leaven.engine.local.Engine.run", reached)
    with pytest.raises(lv.BudgetReached) as caught:
        (lv.read("bank.csv") | lv.EditWords(n=1)).run("out")
    assert repr(caught.value.run) == "Run out: stopped; the same call goes on"


def test_a_blend_for_a_training_loop(run: lv.Run):
    half = run.blend(ratio=0.5, redraw="epoch")
    real = sum(not row["_synthetic"] for row in run.train)
    assert len(half) == real + round(0.5 * real)
    first = [half[i] for i in range(len(half))]
    assert list(first[0]) == ["utterance", "intent"]
    assert [half[i] for i in range(len(half))] == first == list(pickle.loads(pickle.dumps(half)))  # noqa: S301
    half.set_epoch(1)
    second = [half[i] for i in range(len(half))]
    texts = [{row["utterance"] for row in rows} for rows in (first, second)]
    source = {row["utterance"] for row in run.train if not row["_synthetic"]}
    assert source <= texts[0] & texts[1]
    assert texts[0] != texts[1]
    half.set_epoch(0)
    assert list(half) == first
    assert (
        repr(half) == f"Blend: {len(half)} rows, {real} real and {len(half) - real} made, drawn anew each epoch (now 0)"
    )
    still = run.blend(ratio=0.5)
    before = list(still)
    still.set_epoch(7)
    assert list(still) == before
    assert len(run.blend()) == len(run.train)
    assert len(run.blend(ratio=0)) == real
    with pytest.raises(lv.DataError, match="redraw is batch"):
        run.blend(redraw="batch")
    with pytest.raises(lv.DataError, match="ratio is -1"):
        run.blend(-1)


def test_made_rows_join_in_equal_shares(run: lv.Run):
    blend = run.blend(ratio=0.25)
    real = {(row["utterance"]) for row in run.train if not row["_synthetic"]}
    made = [row["intent"] for row in blend if row["utterance"] not in real]
    counts = np.unique(made, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1


BREAKS = '''
from leaven.operators import Make


class Breaks(Make):
    """Break at two rows.

    Needs text.  Makes text.
    """

    def make(self, record, ctx):
        yield record.child(text=f"{len(record['text']) / ('lost' not in record['text'])} x")
'''


def test_what_broke_is_data(bank: Path):
    (bank / "breaks.py").write_text(BREAKS)
    lost = sum("lost" in row["utterance"] for row in rows())
    run = (lv.read("bank.csv") | lv.recipe(operators=[bank]) | "breaks").run("out")
    assert repr(run).endswith(f", failed {lost}, 0 USD")
    assert len(run.failed) == run.counts["failed"] == lost > 0
    assert "division by zero" in run.failed[0]["_error"]
    assert "lost" in run.failed[0]["utterance"]
    assert len(run.failed.to_pandas()) == lost


def test_a_folder_without_a_run(tmp_path: Path):
    with pytest.raises(lv.DataError, match="it holds no run"):
        lv.Run(tmp_path)


def test_a_run_that_stopped_goes_on(bank: Path, monkeypatch: pytest.MonkeyPatch):
    made = lv.read("bank.csv") | lv.EditWords(n=2) | lv.Unique()
    whole = made.run("whole")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("leaven.engine.write.Writer.write", stop)
        with pytest.raises(KeyboardInterrupt):
            made.run("out")
    stopped = lv.Run("out")
    assert not stopped.finished
    assert repr(stopped) == "Run out: stopped; the same call goes on"
    looked_at(stopped._repr_html_())
    run = made.run("out")
    assert run.train.table.equals(whole.train.table)
    shutil.rmtree("out")

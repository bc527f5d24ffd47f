"""Progress: three lines in a notebook, lines of a log elsewhere.  The shell is a stand-in with a real one's calls."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import leaven as lv
from leaven.api.progress import Shown


class Handle:
    """What IPython's ``display(..., display_id=True)`` gives."""

    def __init__(self, first: object) -> None:
        self.seen = [repr(first)]

    def update(self, shown: object) -> None:
        self.seen.append(repr(shown))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    handles: list[Handle] = []

    def display(shown: object, *, display_id: bool) -> Handle:
        assert display_id
        handles.append(Handle(shown))
        return handles[-1]

    shell, module, inner = (
        type("Shell", (), {"kernel": object()})(),
        ModuleType("IPython"),
        ModuleType("IPython.display"),
    )
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    inner.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return handles


def test_one_output_that_ends_as_the_run(bank: Path, notebook: list[Handle], capsys: pytest.CaptureFixture[str]):
    run = (lv.read("bank.csv") | lv.EditWords(n=2) | lv.Unique()).run("out")
    [handle] = notebook
    assert handle.seen[-1] == repr(run)
    assert all(seen.count("\n") <= 2 for seen in handle.seen)
    assert not any("\x1b" in seen for seen in handle.seen)
    assert capsys.readouterr() == ("", "")


def test_the_lines_of_a_step(bank: Path):
    shown = Shown(lambda first, display_id: Handle(first))
    shown.stage(2, 6, "make edit_words", 400)
    shown.part(200, {"records": 200, "on": 300, "refused": 40})
    shown.part(200, {"records": 200, "on": 300, "refused": 40})
    assert shown.handle.seen[-1].startswith("step 2 of 6  make edit_words")
    assert "refused 80" in shown.handle.seen[-1]


def test_a_shell_without_a_kernel_gets_no_display(bank: Path, notebook: list[Handle]):
    sys.modules["IPython"].get_ipython().kernel = None
    lv.read("bank.csv").run("out")
    assert notebook == []


@pytest.mark.parametrize("progress", [True, False])
def test_elsewhere_a_log(bank: Path, progress: bool, caplog: pytest.LogCaptureFixture, capsys: Any):
    caplog.set_level(logging.INFO, "leaven")
    data = lv.read([{"text": f"word {i}", "label": str(i)} for i in range(5)])
    (data | lv.EditWords(n=1)).run("out", progress=progress)
    assert {record.name for record in caplog.records} == {"leaven"}
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("each of the 5 rows has a label of its own")
    assert caplog.records[0].levelname == "WARNING"
    assert said[1].startswith("read list, 5 rows: 5 rows; text=text (guessed), label=label (guessed)")
    assert capsys.readouterr() == ("", "")


def test_false_wins_over_a_notebook(bank: Path, notebook: list[Handle]):
    lv.read("bank.csv").run("out", progress=False)
    assert notebook == []

"""What a log and a terminal are told while a command works: one stamp a line, one line a line."""

from __future__ import annotations

import pytest

from leaven import terminal
from leaven.report.labels import _sentence
from leaven.show.plan import _minutes, _usd
from leaven.terminal import Progress, balance, in_words


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_every_line_of_a_log_begins_with_one_stamp(capsys: pytest.CaptureFixture[str]):
    clock = Clock()
    log = Progress(now=clock)
    clock.at = 1
    log.say("the server refuses `seed`")
    log.stage(1, 2, "make warp", 100)
    for at, done in ((7, 50), (40, 25), (50, 25)):
        clock.at = at
        log.part(done, {"on": done, "refused": 1})
    log.stage(2, 2, "keep unique", 100)
    log.part(100, {"on": 97})
    assert capsys.readouterr().err.splitlines() == [
        "0:01 warning: the server refuses `seed`",
        "0:40 step 1 of 2, make warp: 75 of 100, going on 75, refused 2, failed 0, 13 s left",
        "0:50 step 1 of 2, make warp: done, 103 records",
        "0:50 step 2 of 2, keep unique: begins",
        "0:50 step 2 of 2, keep unique: done, 97 records",
    ]


def test_the_line_of_a_terminal_ends_with_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    shown = Progress(now=clock)
    shown.live = True
    for columns, title in ((100, "make warp, make shade, ma..."), (80, "make warp, make sha...")):
        monkeypatch.setattr(terminal, "_columns", lambda columns=columns: columns)
        shown.stage(1, 5, "make warp, make shade, make erase, make collage", 100)
        shown.parts_done, shown.counts = 66, {"records": 9}
        clock.at += 6600
        line = shown.lines()[0]
        assert line.startswith(f"step 1 of 5  {title}")
        assert line.endswith(" 9 records   0/s   57 min left")
        assert len(line) < columns


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (3540, "59 min"), (3900, "1 h 5 min")]
)
def test_a_guessed_time_is_no_clock(seconds: float, said: str):
    assert in_words(seconds) == said


def test_a_range_of_one_number_is_one_number():
    assert _usd((0.2, 0.2)) == "0.20"
    assert _usd((0.2, 0.3)) == "0.20-0.30"
    assert _minutes(0.2, 1.2) == "1 second"
    assert _minutes(60, 130) == "1 to 2 minutes"
    assert _sentence({"a": (3, 40), "b": (3, 40)}, {}) == "2 labels; 40 made rows each."
    assert _sentence({"a": (3, 1)}, {}) == "1 label; 1 made row each."
    assert balance({"a": (0, 2)}, {"a": 1}) == "2 rows for the one label (0 real, 2 made); before: 1"

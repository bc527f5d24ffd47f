"""The file of decisions: what stands after any sequence of them, and what a damaged file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.engine.decisions import Decision, Standing, lend, parse, path_of, read, standing
from leaven.errors import DataError

IDS, LABELS, TEXTS = ("a", "b"), ("x", "y"), ("one", "two")
one = st.one_of(
    st.tuples(st.just("accept"), st.none()),
    st.tuples(st.just("reject"), st.none()),
    st.tuples(st.just("relabel"), st.sampled_from(LABELS)),
    st.tuples(st.just("edit"), st.fixed_dictionaries({"text": st.sampled_from(TEXTS)})),
    st.tuples(st.just("undo"), st.none()),
)
moves = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(("c1", "c2")), one), max_size=30)


def write(folder: Path, data: bytes) -> Path:
    path = path_of(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return folder


def replayed(found: list[tuple[str, str, tuple[str, Any]]]) -> dict[str, Standing]:
    """What stands, told otherwise: whole states, one after the other, of which an undo drops the last."""
    states: dict[str, list[dict[str, Standing]]] = {}
    for own, content, (action, new) in found:
        past = states.setdefault(own, [{}])
        if action == "undo":
            if len(past) > 1:
                past.pop()
            continue
        # by content: what is known of each, and which was decided about last
        now = dict(past[-1])
        before = now.pop(content, Standing(content, True))
        keep = action != "reject"
        label = new if action == "relabel" else before.label
        texts = {**before.texts, **(new if action == "edit" else {})}
        now[content] = Standing(content, keep, label, texts)
        past.append(now)
    return {own: list(past[-1].values())[-1] for own, past in states.items() if past[-1]}


@given(moves)
def test_any_sequence_of_decisions_and_undos_comes_to_one_state(found: list[tuple[str, str, tuple[str, Any]]]):
    lines = [Decision(own, content, action, None, new, "t") for own, content, (action, new) in found]
    assert standing(lines) == replayed(found)
    assert standing(parse(line.line()) or line for line in lines) == replayed(found)


@given(moves, st.integers(0, 30))
def test_undo_takes_back_what_was_decided_last(found: list[tuple[str, str, tuple[str, Any]]], n: int):
    """As many undos as decisions, and nothing stands; one more changes nothing."""
    lines = [Decision(own, content, action, None, new) for own, content, (action, new) in found if action != "undo"]
    undone = [Decision(line.id, line.content, "undo") for line in lines]
    before = standing(lines[:n])
    assert standing([*lines, *undone[::-1][: max(0, len(lines) - n)]]) == before
    assert standing([*lines, *undone, *undone]) == {}


def test_the_later_line_wins_and_a_relabelled_record_is_kept():
    accept = Decision("a", "c", "accept")
    relabel = Decision("a", "c", "relabel", "x", "y")
    edit = Decision("a", "c", "edit", {"text": "old"}, {"text": "new"})
    reject = Decision("a", "c", "reject")
    assert standing([reject, accept]) == {"a": Standing("c", True)}
    assert standing([accept, reject]) == {"a": Standing("c", False)}
    assert standing([reject, relabel, edit]) == {"a": Standing("c", True, "y", {"text": "new"})}
    assert standing([relabel, reject]) == {"a": Standing("c", False, "y")}


def test_what_was_decided_about_other_content_does_not_count():
    old = Decision("a", "before", "relabel", "x", "y")
    assert standing([old, Decision("a", "now", "accept")]) == {"a": Standing("now", True)}
    undone = [old, Decision("a", "now", "accept"), Decision("a", "now", "undo")]
    assert standing(undone) == {"a": Standing("before", True, "y")}


def test_a_line_is_what_it_says():
    line = Decision("6f", "ab", "relabel", "x", "é", "2026-11-21T14:03:00.000Z").line()
    assert line.decode() == (
        '{"id":"6f","content":"ab","action":"relabel","old":"x","new":"é","time":"2026-11-21T14:03:00.000Z"}\n'
    )


def test_a_half_written_last_line_was_never_saved(tmp_path: Path):
    whole = Decision("a", "c", "accept").line() + Decision("b", "c", "reject").line()
    found = read(write(tmp_path, whole + b'{"id":"a","content":"c","acti'))
    assert [line.id for line in found.lines] == ["a", "b"]
    assert found.bytes == len(whole)
    assert read(write(tmp_path, whole)) == found
    assert len(read(write(tmp_path, whole.rstrip(b"\n"))).lines) == 2
    assert read(tmp_path / "nothing").lines == ()


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'{"id":"a","content":"c","action":"burn"}',
        b'{"id":"a","content":"c","action":"relabel","new":3}',
        b'{"id":"a","content":"c","action":"edit","new":{"text":3}}',
        b'{"id":7,"content":"c","action":"accept"}',
        b'{"id":"a","content":"c","action":"accept","who":"me"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, line: bytes):
    with pytest.raises(DataError, match=r"decisions.jsonl line 2 is no decision"):
        read(write(tmp_path, Decision("a", "c", "accept").line() + line + b"\n"))


def test_a_replay_gets_the_decisions_that_the_run_applied_and_no_later_ones(tmp_path: Path):
    first = Decision("a", "c", "accept").line()
    out = write(tmp_path / "out", first)
    said = {"review": read(out).as_json()}
    write(out, first + Decision("b", "c", "reject").line())
    lend(out, tmp_path / "aside", said)
    assert path_of(tmp_path / "aside").read_bytes() == first
    lend(out, tmp_path / "other", {})
    assert not path_of(tmp_path / "other").exists()
    write(out, Decision("z", "c", "accept").line())
    with pytest.raises(DataError, match="does not begin with the 1 decisions"):
        lend(out, tmp_path / "aside", said)

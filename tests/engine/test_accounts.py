"""Nothing vanishes and nothing counts twice, whatever the recipe: made = kept + refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.ipc as ipc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from running import LABELS, leaven, made, rows, table, write_csv

# -- random recipes ---------------------------------------------------------------------------------------------------

Steps = list[Any]
KEEPS = [
    {"keep": {"that": "text|length > 20", "reason": "too_short"}},
    {"keep": {"that": "uniform(0, 1) < 0.7", "reason": "unlucky"}},
    {"sample": {"share": 0.6}},
    {"sample": {"n": 3, "per": "root"}},
    {"top": {"n": 5, "by": "text|length", "per": "label"}},
    {"top": {"share": 0.5, "by": "text|length", "per": "root"}},
    "unique",
    {"unique": {"by": "ngram", "at": 0.7}},
]
NOTES = [
    {"note": {"size": "text|length"}},
    {"note": {"label": "'refund'"}, "when": "uniform(0, 1) < 0.2"},
    {"blanks": {"ratio": "uniform(0.2, 0.5)"}},
]
MAKES: list[dict[str, Any]] = [
    {"edit_words": {"n": 2}},
    {"edit_words": {"n": "randint(1, 3)"}, "when": "uniform(0, 1) < 0.5"},
    {"edit_chars": {"n": 1, "p": 0.3}},
]


ALL_STAY = {"sample": {"share": 1.0, "per": "label"}}


def named(steps: Steps, count: list[int], watched: bool) -> Steps:
    """The steps with a name of its own for each make; ``watched`` writes each make's children to a part."""
    out: Steps = []
    for step in steps:
        if isinstance(step, dict) and (head := next(iter(step))) in ("edit_words", "edit_chars", "blanks"):
            count[0] += 1
            out.append({f"{head} as s{count[0]}": step[head], **{k: v for k, v in step.items() if k != head}})
            out += [ALL_STAY] if watched else []
        elif isinstance(step, dict) and "any" in step:
            out.append({"any": [named(branch, count, watched) for branch in step["any"]]})
        elif isinstance(step, dict) and "repeat" in step:
            out.append({"repeat": {**step["repeat"], "steps": named(step["repeat"]["steps"], count, watched)}})
        else:
            out.append(step)
    return out


def longer(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(steps, min_size=1, max_size=3)
    rounds = {
        "times": st.integers(1, 3),
        "until": st.sampled_from([{"per": "label", "kept": 3}, {"per": "root", "kept": 1}]),
        "result": st.sampled_from(["all", "last"]),
    }
    repeat = st.fixed_dictionaries({"steps": several, "times": rounds["times"]}, optional={"result": rounds["result"]})
    until = st.fixed_dictionaries({"steps": several, "times": rounds["times"], "until": rounds["until"]})
    fork = st.lists(st.lists(steps, max_size=2), min_size=1, max_size=3)
    return fork.map(lambda f: {"any": f}) | repeat.map(lambda r: {"repeat": r}) | until.map(lambda r: {"repeat": r})


STEP = st.recursive(st.sampled_from([*KEEPS, *NOTES, *MAKES, *MAKES]), longer, max_leaves=6)
RECIPE = st.lists(STEP, min_size=1, max_size=5)
BLEND = st.sampled_from([{}, {"ratio": 0.5}, {"per_label": "median"}, {"real": "none"}, {"real": "kept"}, {"most": 3}])


def stored(out: Path) -> dict[str, tuple[str, ...]]:
    """Every child that any part of the run holds, with its parents."""
    found: dict[str, tuple[str, ...]] = {}
    for file in (out / "parts").glob("*.arrow"):
        with ipc.open_file(str(file)) as reader:
            rows = reader.read_all()
        if "_parents" in rows.column_names:
            pairs = zip(rows.column("_id").to_pylist(), rows.column("_parents").to_pylist(), strict=True)
            found |= {i: tuple(parents) for i, parents in pairs if parents}
    return found


def run(folder: Path, recipe: dict[str, Any], n: int, seed: int, **params: Any) -> tuple[dict[str, Any], Path]:
    from leaven.engine.augment import Request, augment
    from leaven.terminal import Progress

    file = folder / "recipe.yaml"
    file.write_text(json.dumps({"fields": ["text", "label"], **recipe}))
    data = [*rows(n, seed), (rows(1, seed)[0][0], LABELS[0]), ("one", LABELS[1])]
    request = Request(str(write_csv(folder / "data.csv", data)), folder / "out", recipe=str(file), seed=seed, **params)
    return augment(request, Progress(quiet=True)).as_json(), folder / "out"


def account(said: dict[str, Any], out: Path, watched: bool = True) -> None:
    """What must hold of every run.  ``watched``: no step consumes children that no part holds."""
    train, refused = table(out), table(out, "refused")
    real = {row["_id"] for row in train if not row["_parents"]}
    with ipc.open_file(str(out / "input" / "source.arrow")) as reader:
        source = set(reader.read_all().column("_id").to_pylist())
    ids, gone = [row["_id"] for row in train], [row["_id"] for row in refused]
    assert len(ids) == len(set(ids)), "a record stands twice in train"
    assert len(gone) == len(set(gone)), "a record stands twice in refused"
    assert not set(ids) & set(gone), "a record is kept and refused"
    assert said["made"] == said["kept"] + said["refused"]
    assert said["refused"] == len(refused)
    assert said["kept"] >= len(made(train))
    assert real <= source
    assert not set(gone) & source, "a real row is not refused, it is left"
    assert all(row["_step"] and row["_reason"] for row in refused)
    children = stored(out)
    known = source | set(children)
    for row in [*train, *refused]:  # a parent that its own stage consumed is stored nowhere; its child says both steps
        makes = [step for step in row["_steps"] if "was" not in step["drawn"]]
        assert set(row["_parents"]) <= known or len(makes) > 1
        assert len(makes) >= len(row["_parents"])
    assert said["failed"] == 0
    if watched:  # every child was consumed by a later make, or is kept (in train, or left by the blend), or refused
        consumed = {parent for parents in children.values() for parent in parents}
        left = set(children) - consumed - set(ids) - set(gone)
        assert len(left) <= said["kept"] - len(made(train))  # none, where the blend takes all


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(RECIPE, BLEND, st.integers(2, 25), st.integers(0, 3))
@example(
    [{"any": [[], [{"edit_words": {"n": 2}}]]}, {"edit_chars": {}}, {"top": {"n": 1, "by": "text|length"}}], {}, 20, 0
)
@example(
    [{"edit_words": {"n": 2}}, {"any": [[KEEPS[0]], [KEEPS[1]]]}, {"any": [[], []]}, {"edit_chars": {"n": 2}}],
    {},
    20,
    0,
)
@example([{"edit_words": {"n": 2}}, {"repeat": {"times": 3, "steps": [KEEPS[1]]}}], {}, 20, 0)
@example(
    [{"repeat": {"times": 3, "result": "last", "steps": [{"edit_words": {"n": 2}}, KEEPS[1]]}}], {"ratio": 0.5}, 20, 0
)
def test_kept_and_refused_are_made(steps: Steps, blend: dict[str, Any], n: int, seed: int):
    with tempfile.TemporaryDirectory() as folder:
        watched = seed % 2 == 0
        account(*run(Path(folder), {"steps": named(steps, [0], watched), "blend": blend}, n, seed), watched=watched)


# -- places where it went wrong, or could ------------------------------------------------------------------------------


def test_a_fork_within_a_branch_leaves_the_other_branches_alone(tmp_path: Path):
    inner = {"any": [[{"edit_words": {"n": 1}}], [{"edit_chars": {"n": 1}}]]}
    steps = [{"any": {"a": [inner], "b": [{"edit_words as other": {"n": 1}}]}}]
    said, out = run(tmp_path, {"steps": steps}, 20, 0)
    account(said, out)
    assert said["made"] == 3 * said["read"]


def test_rounds_within_a_branch_leave_the_other_branches_alone(tmp_path: Path):
    inner = {"repeat": {"times": 3, "until": {"per": "root", "kept": 2}, "steps": [{"edit_chars": {"n": 1}}]}}
    steps = [{"any": {"a": [{"edit_words": {"n": 2}}], "b": [inner]}}]
    said, out = run(tmp_path, {"steps": steps}, 20, 0)
    account(said, out)
    assert said["made"] == 4 * said["read"] + 1  # the text of one word is refused in all three rounds


def test_after_rounds_a_root_is_still_in_one_part(tmp_path: Path):
    steps = [
        {"repeat": {"times": 3, "steps": [{"edit_words": {"n": 2}}]}},
        {"top": {"n": 2, "by": "text|length", "per": "root"}},
    ]
    said, out = run(tmp_path, {"steps": steps}, 20, 0)
    account(said, out)
    assert (said["made"], said["kept"]) == (6 * said["read"], 2 * (said["read"] - 1))


def test_the_last_round_alone_joins_and_the_others_are_refused(tmp_path: Path):
    steps = [{"repeat": {"times": 3, "result": "last", "steps": [{"edit_words": {"n": 2}}]}}]
    said, out = run(tmp_path, {"steps": steps}, 20, 0)
    account(said, out)
    assert {row["_steps"][0]["round"] for row in made(table(out)).values()} == {3}
    refused = [row for row in table(out, "refused") if row["_reason"] == "other_round"]
    assert {row["_steps"][0]["round"] for row in refused} == {1, 2}


def test_until_dev_keeps_what_came_before_the_best_round(tmp_path: Path):
    rounds = {"times": 3, "until": {"dev": "accuracy", "patience": 1}, "steps": [{"edit_words": {"n": 1}}]}
    dev = write_csv(tmp_path / "dev.csv", rows(30, 9))
    said, out = run(tmp_path, {"steps": [{"repeat": rounds}]}, 60, 0, dev=str(dev))
    account(said, out)
    scores = [r["dev"] for r in json.loads((out / "run.json").read_text())["rounds"]]
    best = scores.index(max(scores)) + 1
    assert {row["_steps"][0]["round"] for row in made(table(out)).values()} == set(range(1, best + 1))


def test_parameters_of_keeps_and_notes_may_be_expressions(tmp_path: Path):
    for per, name in (("label", "whole"), ("root", "part")):
        folder = tmp_path / name
        folder.mkdir()
        steps = [{"edit_words": {"n": 4}}, {"top": {"n": "1 + round_number + 1", "by": "text|length", "per": per}}]
        said, out = run(folder, {"steps": steps}, 60, 0)
        account(said, out)
        groups = len(LABELS) if per == "label" else said["read"]
        assert said["kept"] <= 2 * groups
        assert said["kept"] > groups
    blanks = [{"blanks": {"ratio": "0.25 if text|length > 30 else 1.0"}}, {"note": {"holes": "blanks|length"}}]
    folder = tmp_path / "notes"
    folder.mkdir()
    said, out = run(folder, {"steps": [*blanks, {"edit_chars": {"n": 1}}], "blend": {"real": "kept"}}, 20, 0)
    account(said, out)


def test_when_at_a_keep_over_all(tmp_path: Path):
    """Parts with no row that the keep is about, and rows that it leaves alone."""
    steps = [{"edit_words": {"n": 2}}, {"sample": {"n": 1}, "when": "label == 'refund'"}]
    said, out = run(tmp_path, {"steps": steps}, 40, 0)
    account(said, out)
    kept = [row["label"] for row in made(table(out)).values()]
    assert kept.count("refund") == 1
    folder = tmp_path / "many"
    folder.mkdir()
    steps = [{"sample": {"n": 5}, "when": "text == 'one'"}, {"edit_chars": {"n": 1}}]
    account(*run(folder, {"steps": steps}, 2100, 0))


def test_what_is_about_a_changed_field_is_gone(tmp_path: Path):
    steps = ["prediction", {"blanks as holes": {}}, {"any": [[], [{"edit_words": {"n": 1}}]]}]
    said, out = run(tmp_path, {"steps": steps, "blend": {"real": "kept"}}, 60, 0)
    account(said, out)
    train = table(out)
    text = {row["_id"]: row["text"] for row in train}
    changed = [bool(row["_parents"]) and row["text"] != text[row["_parents"][0]] for row in train]
    assert [row["_scores"]["label_prob"] is None for row in train] == changed
    assert sum(changed) > 40


def test_a_column_of_another_branch_is_none(tmp_path: Path):
    steps = [
        {"any": {"a": [{"note": {"size": "1"}}], "b": [{"edit_words": {"n": 1}}]}},
        {"keep": {"that": "size is none or size == 1", "reason": "odd"}},
        "unique",
        {"keep": {"that": "size is none or size == 1.0", "reason": "odd"}},
    ]
    said, out = run(tmp_path, {"steps": steps}, 20, 0)
    account(said, out)
    assert not [row for row in table(out, "refused") if row["_reason"] == "odd"]


def test_unique_against_a_test_set_that_is_not_there(tmp_path: Path):
    steps = [{"edit_words": {"n": 1}}, {"unique": {"against": ["stream", "source", "test"]}}]
    account(*run(tmp_path, {"steps": steps}, 20, 0))


def test_pool_rows_are_kept_or_left(tmp_path: Path):
    pool = write_csv(tmp_path / "pool.csv", [(text, "") for text, _ in rows(40, 5)])
    steps = [
        {"from": "pool"},
        {"prediction": {"folds": 0}},
        {"note": {"label": "prediction"}},
        {"any": [[{"top": {"n": 2, "by": "confidence", "per": "label"}}], [{"sample": 7}]]},
    ]
    said, out = run(tmp_path, {"steps": steps}, 40, 0, unlabelled=str(pool))
    train = table(out)
    taken = [row for row in train if row["_synthetic"]]
    assert len(taken) == said["kept"] == said["made"]
    assert len({row["_id"] for row in train}) == len(train)
    assert said["left"] == 40 - len(taken) > 0
    assert all(not row["_parents"] and row["label"] for row in taken)


BROKEN = '''
from leaven.operators import Make, Note

class Fragile(Make):
    """Breaks at some records."""
    takes = "text"
    on: str | None = None

    def make(self, record, ctx):
        yield record.child({self.on or "text": record["text"] + " more"})
        if "refund" in record["label"]:
            raise ValueError("it broke")

class Frail(Note):
    """Breaks at some draws."""
    def note(self, record, ctx):
        if ctx.rng.random() < 0.3:
            raise ValueError("unlucky")
        return {"frail": ctx.rng.random()}
'''


@pytest.mark.parametrize("workers", [1, 2])
def test_what_breaks_at_one_record_is_not_the_run(workers: int, tmp_path: Path):
    operators = tmp_path / "operators"
    operators.mkdir()
    (operators / "fragile.py").write_text(BROKEN)
    (operators / "frail.py").write_text(BROKEN)
    (operators / "notes_of_mine.py").write_text("raise RuntimeError('no operator at all')")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"fields": ["text", "label"], "steps": ["frail", "fragile"]}))
    data = write_csv(tmp_path / "data.csv", rows(1100))
    said = leaven(data, "-o", tmp_path / "out", "-r", recipe, "--operators", operators, "--workers", workers, code=3)
    failed = [json.loads(line) for line in (tmp_path / "out" / "failed" / "records.jsonl").read_text().splitlines()]
    assert said["failed"] == len(failed)
    assert said["kept"] == said["made"] == 1100 - len(failed)
    assert {row["_step"] for row in failed} == {"fragile", "frail"}
    assert {row["_error"] for row in failed} == {"ValueError: it broke", "ValueError: unlucky"}
    unlucky = sum(row["_step"] == "frail" for row in failed)
    assert 200 < unlucky < 460  # each drawn once, however often the batch was tried

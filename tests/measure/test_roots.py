"""A made row is left out of a fold where any real row that went into it is held out, however many steps lie between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from shapes_and_tones import pictures

from leaven.engine.folder import Folder
from leaven.io import dataset as datasets
from leaven.measure.arms import inherit
from leaven.measure.bench import ANYWHERE, NO_ROOT, POOL, Arm, Bench, Rows, held_back
from leaven.measure.case import Case
from leaven.measure.roots import Line, Lines
from leaven.measure.students import Embedded

MIX = {"mix_images": {"lam": 0.6, "soft": True}}
TURN = {"warp": {"rotate": [-8, 8]}}


def test_counts_of_several_parents_are_multiplied():
    counts = np.array([0, 2, 1, 3])
    assert inherit(counts, [[1, 3], [1, NO_ROOT], [0, 3], [2, 2], [POOL, NO_ROOT]]).tolist() == [6, 2, 0, 1, 1]


def test_held_back_by_any_parent():
    roots = np.array([[0, 1], [2, NO_ROOT], [3, 0], [ANYWHERE, NO_ROOT], [POOL, NO_ROOT]])
    assert held_back(roots, np.array([True, False, False, False])).tolist() == [True, False, True, True, False]
    assert held_back(roots, np.array([False, False, True, False])).tolist() == [False, True, False, True, False]


def test_a_planted_leak_through_the_second_parent_is_closed():
    """Labels are noise, and each made row is the second parent's picture with its label: who learns from it knows."""
    rng = np.random.default_rng(0)
    n, labels = 60, rng.permutation(np.repeat(np.arange(3), 20))
    fold = np.arange(n) % 5
    items = [f"real{i}" for i in range(n)]
    copies = [f"made{i}" for i in range(n)]
    vectors = {item: row / np.linalg.norm(row) for item, row in zip(items, rng.normal(size=(n, 40)), strict=True)}
    vectors |= {copy: vectors[item] for copy, item in zip(copies, items, strict=True)}
    first = (np.arange(n) + 1) % n  # in another fold than the second
    once = np.ones(n, np.int64)

    def right(roots: np.ndarray) -> float:
        made = Rows(copies, labels, roots, copies)
        bench = Bench(Rows(items, labels), {"made": made}, Rows(items, labels), 3, vectors, fold, C=(100.0,))
        guess = [bench.predict([Embedded(bench.embed)], Arm(0, once, once, fold=f)) for f in range(5)]
        return float(np.mean(np.concatenate(guess) == np.concatenate([labels[fold == f] for f in range(5)])))

    assert right(first) > 0.9
    assert right(np.stack([first, np.arange(n)], axis=1)) < 0.5


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return pictures(tmp_path / "data", 4, 0, ("disc", "cross"))


def roots_of(out: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """Each made row's parents, and its roots as the measurement sees them."""
    case = Case(datasets.load(out / "input"), None)
    made = case.of_run(out)
    names = {i: name for name, i in case.place_of.items()}
    rows = [row for row in pq.read_table(out / "train").to_pylist() if row["_synthetic"]]
    parents = {row["_id"]: row["_parents"] for row in rows}
    return {
        own: (parents[own], np.array([names.get(int(root), str(root)) for root in of]))
        for own, of in zip(made.ids, made.roots, strict=True)
    }


def test_both_parents_of_a_mixture(augment: Callable[..., Path], data: Path):
    found = roots_of(augment(data, [MIX], "--test", "0.25"))
    assert len(found) == 6
    for parents, roots in found.values():
        assert len(set(parents)) == 2
        assert sorted(parents) == sorted(roots)


def test_a_chain_of_steps_leads_back_to_the_real_row(augment: Callable[..., Path], data: Path):
    out = augment(data, [TURN, {"shade": {"brightness": 0.1}}], "--test", "0.25")
    real = set(datasets.load(out / "input").table("source").column("_id").to_pylist())
    found = roots_of(out)
    assert len(found) == 6
    for parents, roots in found.values():
        assert parents[0] not in real  # used up within the stage
        assert roots.tolist()[0] in real
    assert len({roots[0] for _, roots in found.values()}) == 6


def test_a_mixture_that_was_changed_again_still_knows_both(augment: Callable[..., Path], data: Path):
    """The same draws as in a run that ends with the mixture: its partners are known there."""
    mixed = roots_of(augment(data, [MIX], "--test", "0.25"))
    partner = {min(parents, key=lambda p: p != roots[0]): set(parents) for parents, roots in mixed.values()}
    assert partner
    out = augment(data, [MIX, TURN], "--test", "0.25")
    case = Case(datasets.load(out / "input"), None)
    made = case.of_run(out)
    steps = {row["_id"]: row["_parents"][0] for row in pq.read_table(out / "train").to_pylist() if row["_synthetic"]}
    of_mixture = {own: set(parents) for own, (parents, _) in mixed.items()}  # the mixture's own id is the same
    for own, roots in zip(made.ids, made.roots, strict=True):
        both = of_mixture[steps[own]]
        for real in both:
            held = np.zeros(len(case.real), bool)
            held[case.place_of[real]] = True
            assert held_back(roots[None], held)[0]


def test_the_history_names_whom_a_step_drew(tmp_path: Path):
    steps = [{"step": "mix", "drawn": json.dumps({"lam": 0.5, "with": ["b"]})}, {"step": "turn", "drawn": "{}"}]
    lines = Lines(Folder(tmp_path), {"a": 0, "b": 1, "c": 2, "gone": NO_ROOT})
    lines.__dict__["known"] = {"made": Line("a", ["used up"], steps), "above": Line("made", ["made"], steps)}
    lines.__dict__["drawing"] = frozenset({"mix"})
    asked = {
        "made": (Line(None, ["used up"], steps), [0, 1]),
        "above": (Line(None, ["made"], steps), [0, 1]),
        "pair": (Line(None, ["c", "made"], []), [0, 1, 2]),
        "alone": (Line(None, ["gone"], []), [NO_ROOT]),
        "pool": (Line(None, [], []), [POOL]),
    }
    found = lines.roots(list(asked), [line for line, _ in asked.values()])
    for row, (_, wanted) in zip(found.tolist(), asked.values(), strict=True):
        assert row == wanted + [NO_ROOT] * (3 - len(wanted))


def test_a_step_that_drew_and_does_not_say_whom_may_have_drawn_anyone(tmp_path: Path):
    steps = [{"step": "mix", "drawn": "{}"}, {"step": "turn", "drawn": "{}"}]
    lines = Lines(Folder(tmp_path), {"a": 0})
    lines.__dict__["known"] = {"made": Line("a", ["used up"], steps)}
    lines.__dict__["drawing"] = frozenset({"mix"})
    assert lines.roots(["made"], [Line(None, ["used up"], steps)]).tolist() == [[ANYWHERE]]
    lines.__dict__["drawing"] = frozenset()
    assert lines.roots(["made"], [Line(None, ["used up"], steps)]).tolist() == [[0]]

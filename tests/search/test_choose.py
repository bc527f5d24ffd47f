"""What a search chooses out of fold, and when it chooses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.measure.bench import NO_ROOT, Bench, Rows, folds
from leaven.measure.students import Embedded
from leaven.search.choose import Choice, Kept, choose
from leaven.search.keeps import KEEPS, Scored

pytest.importorskip("optuna")
WORDS = {label: [f"{name}{i}" for i in range(30)] for label, name in enumerate(("sun", "rain", "ice"))}
"""So many words of each label that few real rows share one."""


def vector(item: str) -> np.ndarray:
    every = [word for words in WORDS.values() for word in words]
    found = np.array([item.split().count(word) for word in every], np.float32) + 0.01
    return found / np.linalg.norm(found)


def drawn(number: int, seed: int, name: str, wrong: bool = False) -> Rows:
    """Texts of two words of their label; ``wrong`` labels tell of nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 3
    texts = [" ".join(rng.choice(WORDS[int(label)], 2)) for label in labels]
    shown = rng.permutation(labels) if wrong else labels
    return Rows(texts, shown.astype(np.int64), np.full(number, NO_ROOT), [f"{name}{i}" for i in range(number)])


REAL = drawn(30, 0, "r")


def chosen(made: dict[str, Rows], seed: int = 0, workers: int = 1, test: Rows | None = None) -> Choice:
    items = dict.fromkeys(item for rows in (REAL, *made.values(), test or REAL) for item in rows.items)
    bench = Bench(
        REAL, made, test or REAL, 3, {item: vector(item) for item in items}, folds(REAL.labels, 0), (3.0,), ()
    )
    students = [Embedded(bench.embed)]
    kept = {f"{name}/all": Kept(name, KEEPS[0], len(rows)) for name, rows in made.items()}
    how = {"trials": 12, "seed": seed, "workers": workers, "ratios": (1, 5), "weights": (1, 0.2)}
    return choose(bench, students, 0, "accuracy", kept, **how)


def test_rows_that_help_are_chosen_and_rows_that_do_not_are_not():
    good, bad = drawn(300, 1, "g"), drawn(300, 2, "b", wrong=True)
    found = chosen({"good": good, "bad": bad})
    assert found.setting is not None
    assert found.setting.made == "good/all"
    assert found.tried[0].errors > found.needed > 1.5
    worst = [t.gain for t in found.tried if t.setting.made == "bad/all" and t.setting.weight == 1]
    assert max(worst) < found.tried[0].gain
    assert chosen({"bad": bad}).setting is None


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_nothing(seed: int):
    copies = replace(REAL, roots=np.arange(30)[:, None], ids=[f"c{i}" for i in range(30)])
    found = chosen({"copies": copies}, seed)
    assert found.setting is None
    assert {t.errors for t in found.tried} == {0.0}


def test_the_same_choice_with_two_processes_and_whatever_the_test_set_is():
    made = {"good": drawn(300, 1, "g"), "few": drawn(20, 3, "f")}
    one = chosen(made)
    assert one == chosen(made, workers=2)
    assert one == chosen(made, test=drawn(9, 8, "t", wrong=True))


def test_children_of_a_held_out_row_are_held_out_too():
    """Each made row is its parent with the parent's own label: out of fold it can teach nothing of the parent."""
    wrong = drawn(30, 5, "w", wrong=True)
    items = dict.fromkeys([*wrong.items, *REAL.items])
    bench = Bench(wrong, {"c": replace(wrong, roots=np.arange(30)[:, None])}, REAL, 3,
                  {item: vector(item) for item in items}, folds(wrong.labels, 0), (3.0,), ())  # fmt: skip
    kept = {"c/all": Kept("c", KEEPS[0], 30)}
    found = choose(bench, [Embedded(bench.embed)], 0, "accuracy", kept, trials=4, ratios=(1,), weights=(1,))
    assert found.setting is None
    assert abs(found.tried[0].gain) < 1e-9


SCORES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-1, 2), st.floats(0, 1), st.integers(-2, 4)), min_size=1, max_size=40
)


@given(SCORES)
def test_the_rules_of_the_keeps(rows: list[tuple[int, int, float, int]]):
    labels, checked, prob, roots = (np.array(column) for column in zip(*rows, strict=True))
    left = {keep.name: keep.left(Scored(labels, checked, prob, roots)) for keep in KEEPS}
    assert left["all"].all()
    assert left["agreed"].tolist() == [a == b for a, b, _, _ in rows]
    assert left["sure"].tolist() == [p >= 0.5 for _, _, p, _ in rows]
    assert left["hard"].tolist() == [a == b and p <= 0.9 for a, b, p, _ in rows]
    for i, (_, _, _, root) in enumerate(rows):
        same = [j for j, row in enumerate(rows) if row[3] == root]
        first = min(same, key=lambda j: (-rows[j][2], j))
        assert left["best"][i] == (root < 0 or i == first)


def test_a_keep_learns_nothing_from_the_rows_that_judge_it():
    """Labels that nobody can know, and made rows of every label for every text: a keep that had seen the held-out rows
    would choose those that repeat their labels."""
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(6)]
    texts = [" ".join(rng.choice(words, 3)) for _ in range(60)]
    real = Rows(texts, rng.permutation(np.arange(60) % 2).astype(np.int64), ids=[f"r{i}" for i in range(60)])
    others = [" ".join(rng.choice(words, 3)) for _ in range(400)]
    made = Rows(others, np.arange(400) % 2, rng.integers(0, 60, 400), [f"m{i}" for i in range(400)])
    items = dict.fromkeys([*texts, *others])
    of = {item: np.array([item.split().count(word) for word in words], np.float32) for item in items}
    bench = Bench(real, {"m": made}, real, 2, of, folds(real.labels, 0), (10.0,), ())
    kept = {f"m/{keep.name}": Kept("m", keep, 200) for keep in KEEPS[1:2]}
    gains = [
        choose(bench, [Embedded(bench.embed)], 0, "accuracy", kept, trials=2, seed=seed, ratios=(5,), weights=(1,))
        .tried[0]
        .gain
        for seed in range(4)
    ]
    assert abs(np.mean(gains)) < 0.05

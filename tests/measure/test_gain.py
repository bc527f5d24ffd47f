"""A whole measurement: what must hold whatever the rows are."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from leaven.cli import run
from leaven.measure.bench import NO_ROOT, POOL, Arm, Bench, Fitter, Rows, folds
from leaven.measure.gain import Measurement, measure, skewed
from leaven.measure.students import Embedded
from leaven.models.backends.wordllama import WordLlama

DEMO = Path(str(resources.files("leaven") / "demo"))


def read(name: str) -> list[tuple[str, str]]:
    with (DEMO / name).open(newline="", encoding="utf-8") as file:
        return [(row["question"], row["topic"]) for row in csv.DictReader(file)]


TRAIN, TEST = read("desk.csv"), read("desk_test.csv")
NAMES = sorted({label for _, label in TRAIN})
EMBED = WordLlama().embed


def rows(pairs: list[tuple[str, str]], roots: list[int] | None = None, name: str = "m") -> Rows:
    labels = np.array([NAMES.index(label) for _, label in pairs], np.int64)
    origin = np.array(roots if roots is not None else [NO_ROOT] * len(pairs), np.int64)
    return Rows([text for text, _ in pairs], labels, origin, [f"{name}{i}" for i in range(len(pairs))])


def split(per_label: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The first rows of each label, and the others."""
    seen = dict.fromkeys(NAMES, 0)
    first, rest = [], []
    for text, label in TRAIN:
        seen[label] += 1
        (first if seen[label] <= per_label else rest).append((text, label))
    return first, rest


def measured(real: list[tuple[str, str]], made: Rows, **more: object) -> Measurement:
    return measure(rows(real, name="r"), made, rows([]), rows(TEST, name="t"), NAMES, EMBED, seeds=3, **more)


def test_more_real_rows_are_found_to_help():
    real, more = split(4)
    found = measured(real, rows(more), ratios=(0.5, 1, 1.5))
    assert found.verdict == "use"
    assert found.chosen.gain.low > 0.02
    assert found.ratio == 1.5


def test_real_rows_repeated_are_exactly_real_rows():
    real, more = split(5)
    found = measured(real, rows(more[:12]), ratios=(0.2,))
    repeated = [line for line in found.lines if line.arm == "repeat"]
    assert len(repeated) == 2
    for line in repeated:
        assert (line.gain.mean, line.gain.low, line.gain.high) == (0, 0, 0)
        only = next(x for x in found.lines if x.arm == "real" and x.student == line.student)
        assert line.accuracy == only.accuracy
        assert line.rows == 2 * only.rows


@pytest.mark.parametrize("seed", range(2))
def test_wrong_labels_are_never_called_useful(seed: int):
    real, _ = split(5)
    labels = np.random.default_rng(seed).permutation([label for _, label in real]).tolist()
    made = rows(
        [(f"{text} please", label) for (text, _), label in zip(real, labels, strict=True)], list(range(len(real)))
    )
    found = measured(real, made, ratios=(0.5, 1))
    assert found.verdict != "use"
    assert found.chosen.gain.mean < 0


def test_copies_of_the_real_rows_gain_nothing():
    real, _ = split(5)
    found = measured(real, rows(real, list(range(len(real)))), ratios=(1,))
    assert found.verdict != "use"
    assert found.chosen.gain.high == found.chosen.gain.low == 0


def test_few_test_rows_that_do_not_differ_are_no_proof_and_copies_are():
    """Both arms know every one of these test rows; whether other rows would tell them apart, nobody knows."""
    real, _ = split(5)
    easy = rows(real[::5], name="t")

    def found(made: Rows) -> Measurement:
        return measure(rows(real, name="r"), made, rows([]), easy, NAMES, EMBED, seeds=1, ratios=(1,))

    other = found(rows([(f"{text} ok", label) for text, label in real], list(range(len(real)))))
    assert (other.verdict, other.why) == ("unclear", "rows")
    assert other.chosen.gain.high == pytest.approx(1 - 0.05 ** (1 / 12))
    copies = found(rows(real[::-1], list(range(len(real)))[::-1]))
    assert copies.verdict == "no_gain"
    assert copies.chosen.gain.high == 0


def test_which_arms_are_one_model():
    """The same texts with the same labels as often, whichever rows they stand in."""
    real = rows(TRAIN[:4], name="r")
    soft = Rows(real.items, real.labels, real.roots, real.ids, np.eye(len(NAMES))[real.labels])
    mixed = np.full((4, len(NAMES)), 1 / len(NAMES))
    bench = Bench(real, {"made": real, "soft": soft, "mixed": replace(soft, probs=mixed)}, rows(TEST), len(NAMES),
                  {}, np.zeros(4, np.int64))  # fmt: skip
    once, none = np.ones(4, np.int64), np.zeros(0, np.int64)
    first = Arm(0, once, none)
    assert bench.same(first, Arm(0, 3 * once, none))
    assert bench.same(first, Arm(0, once, once))
    assert bench.same(first, Arm(0, once, once, "soft"))
    assert bench.same(first, Arm(0, np.array([1, 0, 1, 2]), np.array([1, 2, 1, 0])))
    assert not bench.same(first, Arm(0, once, np.array([1, 0, 1, 1])))
    assert not bench.same(first, Arm(0, once, once, "mixed"))
    assert not bench.same(first, Arm(0, once, none, luck=1))


def test_the_ratio_asked_for_and_what_is_there():
    real, more = split(5)
    found = measured(real, rows(more), ratios=(0, 0.5, 1, 4))
    both = [(x.ratio, x.weight) for x in found.lines if x.arm == "both" and x.student == found.student]
    assert both == [(0.5, 1), (1, 1), (1, 0.5), (1, 0.2)]
    assert found.left_out == [(4, 240)]
    sizes = {line.ratio: line.rows for line in found.lines if line.arm == "both"}
    assert sizes == {0.5: 90, 1: 120}


def test_what_a_made_row_weighs_is_chosen_out_of_fold():
    """These made rows bear wrong labels: out of fold, a fifth of their weight is better than all of it."""
    real, _ = split(8)
    turned = [NAMES[(NAMES.index(label) + 1 + i % 2) % len(NAMES)] for i, (_, label) in enumerate(real)]
    pairs = [(f"{text} please", label) for (text, _), label in zip(real, turned, strict=True)]
    found = measured(real, rows(pairs, list(range(len(real)))), ratios=(1,))
    assert (found.ratio, found.weight) == (1, 0.2)
    whole = next(x for x in found.lines if x.student == found.student and (x.arm, x.weight) == ("both", 1))
    assert whole.gain.mean < found.chosen.gain.mean <= 0
    assert measured(real, rows(pairs, list(range(len(real)))), ratios=(1,), weights=(1,)).weight == 1


def test_copies_are_nothing_at_any_weight_and_rows_may_have_one_of_their_own():
    real, _ = split(4)
    copies = rows(real, list(range(len(real))))
    for own in (None, np.linspace(0.5, 0.5, len(real))):
        found = measured(real, replace(copies, weights=own), ratios=(1,))
        assert {(x.gain.low, x.gain.high) for x in found.lines if x.arm in ("both", "repeat")} == {(0, 0)}
    bench = Bench(rows(real), {"made": copies}, rows(TEST), len(NAMES), {}, np.zeros(len(real), np.int64))
    once = np.ones(len(real), np.int64)
    half = replace(copies, weights=np.full(len(real), 0.5))
    assert Arm(0, once, once, weight=0.4).counts(half).tolist() == [1.0] * len(real) + [0.2] * len(real)
    one, other = Arm(0, once, once), Arm(0, once, np.where(np.arange(len(real)) < 5, 1, 0))
    assert bench.same(one, replace(one, weight=0.1))
    assert not bench.same(other, replace(other, weight=0.1))


def test_out_of_fold_no_row_is_met_by_its_own_child_nor_by_a_pool_row_that_knows_its_label():
    real, _ = split(2)
    child = Rows([text for text, _ in real], rows(real).labels, np.arange(len(real)), [text for text, _ in real])
    labels = rows(real).labels
    fold = folds(labels, 0)
    every = list(dict.fromkeys([t for t, _ in real] + [t for t, _ in TEST]))
    vectors = dict(zip(every, EMBED(every), strict=True))
    once, made_once = np.ones(len(real), np.int64), np.ones(len(real), np.int64)

    def right(made: Rows) -> float:
        bench = Bench(rows(real), {"made": made}, rows(TEST), len(NAMES), vectors, fold, C=(30.0, 30.0))
        held = [bench.real.labels[fold == f] for f in (0, 1)]
        guess = [bench.predict([Embedded(bench.embed)], Arm(0, once, made_once, fold=f)) for f in (0, 1)]
        return float((np.concatenate(held) == np.concatenate(guess)).mean())

    alone = right(child)
    leaking = right(Rows(child.items, labels, np.full(len(real), NO_ROOT), child.ids))
    pool = right(Rows(child.items, labels, np.full(len(real), POOL), child.ids))
    assert leaking == 1.0  # the row itself in training: what must not happen
    assert alone < 0.9
    assert pool < 0.9


def test_processes_say_what_one_says():
    real, more = split(2)
    bench = Bench(rows(real), {"made": rows(more[:20])}, rows(TEST[:40]), len(NAMES),
                  dict(zip((t for t, _ in TRAIN + TEST), EMBED([t for t, _ in TRAIN + TEST]), strict=True)),
                  np.zeros(len(real), np.int64), C=(30.0, 30.0))  # fmt: skip
    once = np.ones(len(real), np.int64)
    arms = [Arm(student, once, (np.arange(20) % 3 == part).astype(np.int64)) for student in (0, 1) for part in range(3)]
    found = []
    for workers in (1, 2):
        said: list[str] = []
        with Fitter(bench, bench.students(), workers, said.append) as fitter:
            found.append(np.stack(fitter.fit(arms)))
            assert (np.stack(fitter.fit(arms)) == found[-1]).all()
        assert [text.split("   ")[0] for text in said] == [f"{n} of 6" for n in range(1, 7)]
    assert (found[0] == found[1]).all()
    assert len(np.unique(found[0])) > 3


def test_macro_f1_decides_where_labels_are_skewed():
    assert skewed(np.array([0] * 10 + [1] * 3))
    assert not skewed(np.array([0] * 9 + [1] * 3))


def write(path: Path, pairs: list[tuple[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(pairs)
    return str(path)


def test_a_planted_leak_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    real, more = split(5)
    copied = [(text.upper(), label) for text, label in TEST[:30]]
    nearly = [(text + " ok", label) for text, label in TEST[30:200] if len(text) > 40][:10]
    paths = [write(tmp_path / n, p) for n, p in
             (("real.csv", real), ("made.csv", more[:20] + copied + nearly), ("test.csv", TEST))]  # fmt: skip
    command = ["measure", paths[0], "--with", paths[1], "--test", paths[2], "--seeds", "2", "-q", "--workers", "1"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["leaks"] == {"copies": 30, "near": 10, "refused_earlier": 0}
    assert max(row["rows"] for row in found["rows"] if row["arm"] == "both") == len(real) + 20
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert shown.index("30 made rows copy a test row") < shown.index("Verdict")


def test_json_of_a_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    real, more = split(5)
    paths = [write(tmp_path / n, p) for n, p in (("real.csv", real), ("made.csv", more), ("test.csv", TEST))]
    command = ["measure", paths[0], "--with", paths[1], "--test", paths[2], "--seeds", "2", "--ratios", "0.5,1"]
    assert run([*command, "--workers", "1", "-q", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"test", "rows", "metric", "student", "verdict", "ratio", "smallest_gain_seen"} <= found.keys()
    assert found["test"] == {"rows": 300, "from": "test.csv"}
    assert found["verdict"] in ("use", "no_gain", "harmful", "unclear")
    assert {row["arm"] for row in found["rows"]} == {"real", "repeat", "classic", "made", "both"}
    assert len({row["student"] for row in found["rows"]}) == 2
    for row in found["rows"]:
        for name in ("accuracy", "macro_f1", "gain"):
            assert row[name]["low"] <= row[name]["mean"] <= row[name]["high"]
            assert -1 <= row[name]["mean"] <= 1

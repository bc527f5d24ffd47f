"""The four verdicts: their borders, and that rows worth nothing are rarely called worth using."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.measure.arms import inherit, resample
from leaven.measure.interval import Interval, gain, nothing
from leaven.measure.students import Embedded, fit_predict, remembered
from leaven.measure.verdict import RESAMPLINGS, may_be_use, reason, verdict

BANKING = Path(__file__).parents[2] / ".." / "shared" / "data" / "text" / "banking77"
HELD = [0.02] * RESAMPLINGS


def interval(low: float, high: float) -> Interval:
    mean = (low + high) / 2
    return Interval(mean, low, high, (high - low) / 4, (high - low) / 4, 100, 300, 5)


@pytest.mark.parametrize(
    ("low", "high", "resampled", "said", "why"),
    [
        (0.007, 0.027, HELD, "use", ""),
        (0.007, 0.027, [*HELD[1:], 0.004], "unclear", "luck"),
        (0.007, 0.027, [], "unclear", "luck"),
        (0.001, 0.015, HELD, "unclear", "small"),
        (-0.001, 0.03, HELD, "unclear", "rows"),
        (-0.05, 0.03, HELD, "unclear", "rows"),
        (0.001, 0.008, HELD, "no_gain", ""),
        (-0.006, 0.009, HELD, "no_gain", ""),
        (0.0, 0.0, HELD, "no_gain", ""),
        (-0.03, -0.001, [-0.01] * RESAMPLINGS, "harmful", ""),
        (-0.03, -0.001, HELD, "no_gain", ""),
        (-0.009, -0.001, [-0.01] * RESAMPLINGS, "no_gain", ""),
    ],
)
def test_borders(low: float, high: float, resampled: list[float], said: str, why: str):
    assert verdict(interval(low, high), resampled) == said
    assert reason(interval(low, high), resampled) == why


@settings(deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(0, 0.2), st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=8))
def test_more_gain_is_never_a_worse_verdict(low: float, width: float, resampled: list[float]):
    rank = {"harmful": 0, "no_gain": 1, "unclear": 2, "use": 3}
    before = verdict(interval(low, low + width), resampled)
    after = verdict(interval(low + 0.01, low + width + 0.01), [r + 0.01 for r in resampled])
    assert rank[after] >= rank[before]
    assert (reason(interval(low, low + width), resampled) != "") == (before == "unclear")
    assert may_be_use(interval(low, low + width)) == (verdict(interval(low, low + width), HELD) == "use")


def test_unclear_holds_zero_and_a_gain_worth_having():
    """30 test rows that show nothing are no proof of no gain."""
    base = np.zeros(30)
    arm = base.copy()
    arm[:2] = 1
    assert verdict(gain(base, arm), HELD) == "unclear"
    assert verdict(gain(base, base), HELD) == "unclear"
    assert reason(gain(base, base), HELD) == "rows"
    assert verdict(gain(np.zeros(299), np.zeros(299)), HELD) == "no_gain"
    assert verdict(nothing(30, 1), HELD) == "no_gain"


@pytest.mark.skipif(not BANKING.exists(), reason="shared data is absent")
def test_real_rows_are_found_and_copies_with_foreign_words_are_not():
    from leaven.models.backends.wordllama import WordLlama

    def rows(name: str) -> list[dict[str, str]]:
        with (BANKING / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    train, test = rows("train.csv"), rows("test.csv")
    labels = sorted({row["category"] for row in train})[:20]
    train, test = ([row for row in part if row["category"] in labels] for part in (train, test))
    y, truth = (np.array([labels.index(row["category"]) for row in part]) for part in (train, test))
    tested = [row["text"] for row in test]
    student = Embedded(remembered(WordLlama().embed))
    said: dict[str, list[str]] = {"real": [], "noise": []}
    for number in range(3):
        rng = np.random.default_rng(number)
        orders = [rng.permutation(np.flatnonzero(y == label)) for label in range(20)]
        real, more = (np.concatenate([order[a:b] for order in orders]) for a, b in ((0, 3), (3, 9)))
        texts = [train[i]["text"] for i in real]
        words = [word for text in texts for word in text.split()]
        noise = [" ".join(w if rng.random() > 0.2 else str(rng.choice(words)) for w in text.split()) for text in texts]
        arms = {
            "real": ([train[i]["text"] for i in more], y[more], np.full(120, -1)),
            "noise": (noise, y[real], np.arange(60)),
        }
        once = np.ones(60, dtype=np.int64)
        for name, (made, made_labels, roots) in arms.items():

            def right(counts: np.ndarray, made=None, made_labels=made_labels, roots=roots, real=real, texts=texts):
                if made is None:
                    return fit_predict(student, texts, y[real], counts, tested, 30, 20, total=60) == truth
                both = np.concatenate([counts, inherit(counts, roots)])
                every = np.concatenate([y[real], made_labels])
                return fit_predict(student, texts + made, every, both, tested, 30, 20, total=60) == truth

            found = gain(right(once), right(once, made))
            again = [resample(y[real], seed) for seed in range(RESAMPLINGS)]
            said[name].append(verdict(found, [right(c, made).mean() - right(c).mean() for c in again]))
    assert said["real"] == ["use"] * 3
    assert "use" not in said["noise"]

"""The measures of quality, each on an example whose value is known: by hand, or by the package named beside it."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.measure.quality.balance import balance, evenness
from leaven.measure.quality.diversity import distinct, self_bleu, vendi
from leaven.measure.quality.faithful import agreement, captions
from leaven.measure.quality.fidelity import frechet, manifold
from leaven.measure.quality.grams import grams, words
from leaven.measure.quality.halves import Halves
from leaven.measure.quality.leaking import copies
from leaven.measure.quality.quality import Quality, measure_quality
from leaven.measure.quality.rows import Fits, Sets, Some
from leaven.measure.quality.show import as_json, lines
from leaven.measure.quality.spread import Spread
from leaven.models.backends.hashed import Hashed

TEXTS = ["i lost my card", "i lost my new card today", "when do you open", "my card", "card"]


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


REAL = on_circle(0, 10, 25, 46, 71, 102)
MADE = on_circle(5, 13, 60, 62, 190, 205)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = a @ b.T
    if a is b:
        np.fill_diagonal(found, -2.0)
    return found


# -- the numbers -----------------------------------------------------------------------------------------------------


def test_words_of_scripts_with_and_without_blanks():
    assert words("It's 5 o'clock, NOT six!") == ["it's", "5", "o'clock", "not", "six"]
    assert words("卡丢了 card") == ["卡", "丢", "了", "card"]
    assert words(" ?! ") == []


def test_distinct_n_counts_different_n_grams():
    one, two = grams([text.split() for text in ("a b a b", "b a", "c")], 2)
    assert distinct(one.of([0, 1, 2])[0]) == pytest.approx(3 / 7)
    assert distinct(two.of([0, 1, 2])[0]) == pytest.approx(2 / 4)  # ab ba ab, ba
    assert distinct(two.of([2])[0]) == 0.0


def test_self_bleu_is_that_of_nltk():
    """nltk 3.10, sentence_bleu with smoothing method1 against all other texts."""
    found = self_bleu(grams([text.split() for text in TEXTS], 4), range(5))
    assert found.round(6).tolist() == [0.472871, 0.217119, 0.0, 0.316228, 0.065419]


def test_a_copy_has_a_self_bleu_of_one_and_a_stranger_none():
    orders = grams([text.split() for text in ("a b c d e", "a b c d e", "v w x y z", "")], 4)
    assert self_bleu(orders, [0, 1, 2, 3]).tolist() == [pytest.approx(1.0), pytest.approx(1.0), 0.0, 0.0]
    assert self_bleu(orders, [0]).tolist() == [0.0]


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=7), max_size=6))
def test_the_grams_of_a_text_are_its_own(texts: list[list[str]]):
    orders = grams(texts, 3)
    names: list[dict[int, tuple[str, ...]]] = [{}, {}, {}]
    for row, text in enumerate(texts):
        for n, order in enumerate(orders, 1):
            codes, place = order.of([row])
            own = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
            assert len(codes) == len(place) == len(own)
            for code, gram in zip(codes.tolist(), own, strict=True):
                assert names[n - 1].setdefault(code, gram) == gram
    assert all(len(set(some.values())) == len(some) for some in names)


def test_the_vendi_score_counts_rows_that_differ():
    assert vendi(np.eye(4)) == pytest.approx(4.0)
    assert vendi(np.ones((5, 1))) == pytest.approx(1.0)
    assert vendi(np.repeat(np.eye(3), 7, axis=0)) == pytest.approx(3.0)
    assert vendi(REAL) == pytest.approx(1.8333202252250969)  # vendi-score 0.0.3, score_dual
    assert vendi(MADE) == pytest.approx(1.5309136863109931)


@given(st.lists(st.floats(0, 360), min_size=1, max_size=8))
def test_the_vendi_score_lies_between_one_and_the_number_of_rows(degrees: list[float]):
    found = vendi(on_circle(*degrees))
    assert 1 - 1e-9 <= found <= len(degrees) + 1e-9
    assert vendi(on_circle(*degrees[::-1])) == pytest.approx(found)


@pytest.mark.parametrize(
    ("k", "precision", "recall", "density", "coverage"),
    [(1, 4 / 6, 2 / 6, 8 / 6, 5 / 6), (2, 4 / 6, 1.0, 1.0, 1.0), (3, 4 / 6, 1.0, 13 / 18, 1.0)],
)
def test_precision_recall_density_and_coverage_are_those_of_prdc(
    k: int, precision: float, recall: float, density: float, coverage: float
):
    """prdc 0.2, compute_prdc on these vectors."""
    found = manifold(cosines(REAL, REAL), cosines(MADE, REAL), cosines(MADE, MADE), k, k)
    assert (found.precision, found.recall) == (pytest.approx(precision), pytest.approx(recall))
    assert (found.density, found.coverage) == (pytest.approx(density), pytest.approx(coverage))


def test_rows_of_one_place_lie_among_the_real_ones_and_reach_few():
    found = manifold(cosines(REAL, REAL), cosines(MADE[:1].repeat(6, 0), REAL), np.ones((6, 6)), 2, 2)
    assert found.precision == 1.0
    assert found.coverage == pytest.approx(3 / 6)
    assert found.recall == 0.0


def test_the_frechet_distance_of_two_normal_distributions():
    a, b = np.array([[-1.0], [1.0]]), np.array([[2.0], [6.0]])  # means 0 and 4, standard deviations sqrt 2 and 2 sqrt 2
    assert frechet(a, b) == pytest.approx(16 + 2)
    assert frechet(REAL, MADE) == pytest.approx(0.8579669572432667)  # by scipy.linalg.sqrtm
    assert frechet(REAL, REAL) == pytest.approx(0.0, abs=1e-9)
    draw = np.random.default_rng(0)
    wide, moved = draw.normal(size=(9, 40)), draw.normal(size=(9, 40))
    assert frechet(wide, moved) == pytest.approx(frechet(np.hstack([wide, 0 * wide]), np.hstack([moved, 0 * moved])))


def test_evenness_and_wilsons_interval():
    assert evenness(np.array([[2, 2], [3, 1], [4, 0]])).tolist() == pytest.approx([1.0, 0.8112781, 0.0])
    none, half = Spread.of_count(0, 10), Spread.of_count(5, 10)
    assert (none.mean, none.low, round(none.high, 4)) == (0.0, 0.0, 0.2775)
    assert (half.mean, round(half.low, 4), round(half.high, 4)) == (0.5, 0.2366, 0.7634)


# -- beside their null -----------------------------------------------------------------------------------------------

OWN = {
    "card": ["card", "chip", "pin", "swallowed", "blocked", "plastic", "lost", "stolen"],
    "rate": ["rate", "dollars", "euros", "exchange", "pounds", "convert", "market", "price"],
    "hours": ["open", "close", "sunday", "hours", "morning", "evening", "holiday", "noon"],
}
COMMON = ["is", "my", "the", "for", "today", "please", "still", "when", "can", "i", "not", "with", "you", "again", "a"]


def questions(n: int, seed: int) -> list[tuple[str, str]]:
    draw = np.random.default_rng(seed)
    found = []
    for i in range(n):
        label = list(OWN)[i % 3]
        own = [*draw.choice(COMMON, draw.integers(3, 7)), *draw.choice(OWN[label], draw.integers(2, 4))]
        draw.shuffle(own)
        found.append((" ".join(own), label))
    return found


EMBED = Hashed.fit([text for text, _ in questions(120, 0)], 0).embed


def some(rows: list[tuple[str, str]], who: str, parents: list[str | None] | None = None) -> Some:
    ids = [f"{who}{i:03d}" for i in range(len(rows))]
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    return Some(ids, texts, list(labels), parents or [None] * len(rows), EMBED(texts), len(rows))


def measured(made: Some, real: Some | None = None, labels: bool = True) -> Quality:
    known = real or some(questions(120, 0), "r")
    before, new = Counter(known.labels), Counter(made.labels)
    counts = {str(name): (before[name], before[name], new[name]) for name in before} if labels else {}
    return measure_quality(Sets("text", "hashed", known, made, some(questions(60, 2), "t"), 0, counts))


def stands(found: Quality) -> dict[str, str]:
    return {m.name.partition(" (")[0]: m.stands for m in found.measures}


def test_other_real_rows_given_as_made_ones_stand_within_every_null():
    found = measured(some(questions(120, 5), "m"))
    assert [m.name for m in found.apart] == []
    assert len(found.measures) == 21


def test_one_row_again_and_again_is_no_variety():
    text = questions(3, 5)
    found = stands(measured(some([text[i % 3] for i in range(120)], "m")))
    for name in ("different words", "different word pairs", "different rows of 60", "real rows reached"):
        assert found[name] == "below", name
    for name in ("phrases in common", "similarity with the nearest other made row", "Frechet distance of 60 vectors"):
        assert found[name] == "above", name


def test_wrong_labels_are_seen_by_a_student_that_saw_no_parent():
    real = questions(120, 0)
    turned = [(text + " indeed", list(OWN)[(list(OWN).index(label) + 1) % 3]) for text, label in real]
    found = measured(some(turned, "m", [f"r{i:03d}" for i in range(120)]))
    own = found.measures[0]
    assert (own.name, own.stands) == ("a student agrees with the label", "below")
    assert own.made.mean < 0.2 < 0.8 < own.null.mean
    assert len(own.worst) == 5
    said, true = own.worst[0].beside, real[int(own.worst[0].ids[0][1:])][1]
    assert said.startswith(turned[int(own.worst[0].ids[0][1:])][1])
    assert said.endswith(f"; the student: {true}")
    assert stands(found)["similarity with the parent"] == "above"


def test_test_rows_among_the_made_ones_raise_the_alarm_first():
    leaked = [*questions(60, 2)[:20], *questions(100, 5)]
    leaked[0] = (leaked[0][0].upper() + " ", leaked[0][1])  # case and blanks hide nothing
    leaked[1] = (leaked[1][0] + "s", leaked[1][1])
    found = measured(some(leaked, "m"))
    by_name = {m.name: m for m in found.measures}
    assert by_name["copies of a test row"].made.mean == pytest.approx(19 / 120)
    assert by_name["copies or near copies of a test row"].made.mean == pytest.approx(20 / 120)
    assert by_name["copies of a test row"].stands == by_name["similarity with the nearest test row"].stands == "above"
    assert found.leaked == 20
    said = lines(found, "out")
    alarm = said.index("Leak     20 of 120 made rows are copies or near copies of a test row")
    assert alarm < next(i for i, line in enumerate(said) if line.startswith("measure"))


def test_real_rows_are_no_copies_of_themselves_but_of_each_other():
    rows = some([("a lost card today", "card"), ("A  lost card today", "card"), ("we open at noon", "hours")], "r")
    by_name = {m.name: m for m in copies(Sets("text", "hashed", rows, rows, some([], "t")))}
    assert by_name["copies of a real row"].made.mean == 1.0
    assert by_name["copies of a real row"].null.mean == pytest.approx(2 / 3)
    assert by_name["copies of a real row"].worst[0].value == 1.0


def test_balance_stands_beside_a_half_of_the_real_rows():
    even = {"a": (40, 40, 41), "b": (40, 40, 39), "c": (40, 40, 40)}
    assert [m.stands for m in balance(even, 0)] == ["within", "within"]
    skewed = {"a": (40, 40, 100), "b": (40, 40, 15), "c": (40, 40, 5)}
    evenly, moved = balance(skewed, 0)
    assert (evenly.stands, moved.stands) == ("below", "above")
    assert evenly.made.mean == pytest.approx(float(evenness(np.array([100, 15, 5]))), abs=0.02)
    assert [(w.text, w.value) for w in moved.worst] == [("a", 60.0), ("c", -35.0), ("b", -25.0)]
    assert balance({"a": (10, 10, 10), "b": (9, 9, 9)}, 0) == []


def test_without_a_label_what_cannot_be_measured_is_named():
    found = measured(some(questions(120, 5), "m", [f"r{i:03d}" for i in range(120)]), labels=False)
    assert found.missing["label agreement, balance"] == "the data has no label"
    assert found.missing["instructions followed"] == "no chat model was asked"
    few = measured(some(questions(120, 5), "m"), real=some(questions(30, 0), "r"))
    assert few.few == "Too few rows for a null (under 40)"
    assert {m.group for m in few.measures} == {"leaking"}


def test_each_half_measures_as_many_made_rows_as_real_ones_and_no_parent_of_them():
    real = some(questions(60, 0), "r")
    kin: list[str | None] = [f"r{i % 60:03d}" for i in range(90)]
    halves = Halves(Sets("text", "hashed", real, some(questions(90, 5), "m", kin), some([], "t")))
    for a, b, kids in halves.halves:
        assert len(b) == len(kids) == halves.n
        assert not set(a.tolist()) & {*b.tolist(), *halves.parent[kids].tolist()}


def test_the_same_numbers_come_out_again_and_json_holds_them_all():
    made = some(questions(90, 5), "m")
    first, again = (as_json(measured(made)) for _ in range(2))
    assert first == again
    assert all(math.isfinite(m[who][part]) for m in first["measures"] for who in ("made", "null")
               for part in ("mean", "low", "high"))  # fmt: skip
    assert {len(m["worst"]) for m in first["measures"] if m["group"] in ("varied", "like the real")} == {5}
    assert "score" not in first


def test_captions_stand_beside_those_of_real_rows_over_equally_many():
    draw = np.random.default_rng(0)
    real, off = draw.normal(0.3, 0.05, 60), draw.normal(0.2, 0.05, 90)
    said = [f"caption {i}" for i in range(90)]
    [found] = captions(Fits("clip", real, off, said, said), 0)
    assert (found.name, found.stands) == ("captions fit (clip)", "below")
    assert found.null.mean == pytest.approx(real.mean())
    assert found.worst[0].text == f"caption {off.argmin()}"
    assert len(found.worst) == 5
    [same] = captions(Fits("clip", real, draw.normal(0.3, 0.05, 90), said, said), 0)
    assert same.stands == "within"
    assert captions(Fits("clip", real[:1], off, said, said), 0) == []


def test_labels_of_a_single_real_row_are_not_held_against_made_rows():
    real = [*questions(60, 0), ("what became of it", "alone")]
    made = [*questions(60, 5), *[(f"something else {i}", "alone") for i in range(60)]]
    [own] = agreement(Halves(Sets("text", "hashed", some(real, "r"), some(made, "m"), some([], "t"))))
    assert own.stands == "within"
    assert all("alone;" not in w.beside for w in own.worst)

"""The two students: TF-IDF without loss, exactness under repetition, and what an arm does not see."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from leaven.measure.arms import draw, inherit, resample
from leaven.measure.students import Embedded, Tfidf, choose_student_C, fit_predict, remembered

BANKING = Path(__file__).parents[2] / ".." / "shared" / "data" / "text" / "banking77"
WORDS = ["card", "money", "lost", "top", "up", "fee", "why", "my", "is", "late", "cash", "pin"]


def corpus(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(3), rng.integers(0, 3, n - 3)])
    texts = [" ".join([WORDS[label], *rng.choice(WORDS, 4), str(rng.integers(100))]) for label in y]
    return texts, y


def toy(texts: list[str]) -> np.ndarray:
    return np.array([[text.count(word) for word in WORDS] for text in texts], dtype=float)


def sparse(train: list[str], test: list[str]) -> tuple[object, object]:
    """The same features by scikit-learn's vectorisers."""
    parts = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
    ]
    rows = [(v.fit_transform(train), v.transform(test)) for v in parts]
    return hstack([a for a, _ in rows]).tocsr() * np.sqrt(0.5), hstack([b for _, b in rows]).tocsr() * np.sqrt(0.5)


def test_tfidf_keeps_every_inner_product_of_scikit_learns():
    texts, _ = corpus(60)
    test, _ = corpus(30, seed=1)
    train = sorted(set(texts))
    ours = Tfidf([*texts, *test]).features(train, test)
    theirs = sparse(train, test)
    assert ours[0].shape[1] <= len(train)
    for mine, full in ((ours[0], theirs[0]), (ours[1], theirs[1])):
        assert np.allclose(mine @ ours[0].T, (full @ theirs[0].T).toarray(), atol=1e-9)


def test_tfidf_gives_the_solution_on_the_full_matrix():
    texts, y = corpus(80)
    test, _ = corpus(60, seed=1)
    full, full_test = sparse(texts, test)
    assert len(set(texts)) == len(texts)
    theirs = LogisticRegression(C=5.0, tol=1e-8, max_iter=5000).fit(full, y).predict(full_test)
    ours = fit_predict(Tfidf([*texts, *test]), texts, y, None, test, 5.0, 3)
    assert np.mean(ours == theirs) >= 0.98


def test_texts_which_the_vectoriser_cannot_tell_apart_end_no_fit():
    texts = ["Lost card", "lost CARD", "lost card ", "top up", "TOP UP", "", " "]
    train, test = Tfidf([*texts, "lost"]).features(texts, ["lost", ""])
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()
    assert train.shape[1] <= 3
    assert Tfidf(["", " "]).features(["", " "], [""])[0].shape == (2, 1)
    assert fit_predict(
        Tfidf([*texts, "lost card", "top up"]),
        texts,
        [0, 0, 0, 1, 1, 0, 0],
        None,
        ["lost card", "top up"],
        10,
        2,
    ).tolist() == [0, 1]


def test_idf_is_the_arms_own():
    """A text outside the arm changes none of its features."""
    texts, _ = corpus(30)
    small, large = Tfidf(texts), Tfidf([*texts, "another text altogether", "card card"])
    a, b = small.features(texts[:10], texts[10:]), large.features(texts[:10], texts[10:])
    assert np.allclose(a[1] @ a[0].T, b[1] @ b[0].T, atol=1e-12)


@pytest.mark.parametrize("name", ["toy", "tfidf"])
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 999), k=st.integers(2, 6))
def test_real_repeated_is_real_only_exactly(name: str, seed: int, k: int):
    texts, y = corpus(20, seed)
    test, _ = corpus(50, seed + 1)
    student = Embedded(toy) if name == "toy" else Tfidf([*texts, *test])
    once = fit_predict(student, texts, y, None, test, 10.0, 3, total=20)
    counted = fit_predict(student, texts, y, np.full(20, k), test, 10.0, 3, total=20)
    order = np.random.default_rng(seed).permutation(np.tile(np.arange(20), k))
    repeated = fit_predict(student, [texts[i] for i in order], y[order], None, test, 10.0, 3, total=20)
    assert once.tobytes() == counted.tobytes() == repeated.tobytes()


def test_rows_with_count_zero_are_not_seen():
    texts, y = corpus(40)
    test, _ = corpus(40, seed=1)
    student = Tfidf([*texts, *test])
    counts = np.arange(40) % 2
    left_out = fit_predict(student, texts, y, counts, test, 10.0, 3)
    absent = fit_predict(student, texts[1::2], y[1::2], None, test, 10.0, 3)
    assert left_out.tobytes() == absent.tobytes()


def test_remembered_asks_once_a_text():
    asked: list[str] = []

    def embed(texts):
        asked.extend(texts)
        return toy(list(texts))

    embed_once = remembered(embed)
    assert (embed_once(["a card", "b", "a card"]) == toy(["a card", "b", "a card"])).all()
    assert embed_once(["b"]).shape == (1, len(WORDS))
    assert embed_once([]).shape[0] == 0
    assert asked == ["a card", "b"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 60), st.integers(0, 9))
def test_draws_share_equally_and_ignore_the_order(labels: list[int], amount: int, seed: int):
    ids = [f"id{i}" for i in range(len(labels))]
    picked = draw(ids, labels, amount, seed)
    assert len(set(picked)) == len(picked) == min(amount, len(labels))
    taken, have = (
        np.bincount(np.array(labels, dtype=int)[picked], minlength=5),
        np.bincount(labels or [0], minlength=5),
    )
    open_labels = taken < have  # only a label that gave all it has may have fewer than another
    if open_labels.any():
        assert taken.max() <= taken[open_labels].min() + 1
    backwards = draw(ids[::-1], labels[::-1], amount, seed)
    assert {ids[i] for i in picked} == {ids[::-1][i] for i in backwards}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 9))
def test_resampling_keeps_each_labels_rows(labels: list[int], seed: int):
    counts = resample(labels, seed)
    assert counts.sum() == len(labels)
    for label in set(labels):
        assert counts[np.array(labels) == label].sum() == labels.count(label)
    assert (resample(labels, seed) == counts).all()


def test_made_rows_inherit_their_roots_counts():
    assert inherit(np.array([0, 2, 1]), [1, 1, 0, -1, 2]).tolist() == [2, 2, 0, 1, 1]


@pytest.mark.skipif(not BANKING.exists(), reason="shared data is absent")
def test_tfidf_on_banking77_at_five_a_label():
    def rows(name: str) -> list[dict[str, str]]:
        with (BANKING / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    train, test = rows("train.csv"), rows("test.csv")
    labels = sorted({row["category"] for row in train})
    y = np.array([labels.index(row["category"]) for row in train])
    first = np.sort(np.concatenate([np.flatnonzero(y == label)[:5] for label in range(77)]))
    texts, tested = [train[i]["text"] for i in first], [row["text"] for row in test]
    student = Tfidf([*texts, *tested])
    C = choose_student_C(student, texts, y[first], folds=3)
    right = fit_predict(student, texts, y[first], None, tested, C, 77) == [labels.index(r["category"]) for r in test]
    assert np.mean(right) == pytest.approx(0.64, abs=0.03)

"""The students that ``measure`` trains: vectors + linear, TF-IDF + linear, and such as are trained in steps.

A student turns items (texts, or the keys of images and sounds) into features; the linear model on top is
``models.backends.linear`` for all.  What a student fits on them (TF-IDF's vocabulary and idf) it fits on the
*distinct training items of the arm*, as a user's would be, so that repeating rows changes nothing: not the idf,
not the features, not the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leaven.models.backends.linear import C_GRID, choose_C, fit_linear, predict
from leaven.models.backends.one_thread import one_thread

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[Any]]

MOST_DIRECTIONS = 2_000


class Student(Protocol):
    """Texts to features: rows x dimensions, train and test in one space."""

    name: str

    def features(self, train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Features of both; whatever is fitted is fitted on ``train_texts``, which must be distinct."""
        ...


@runtime_checkable
class Stepped(Protocol):
    """A student that is trained in steps, as many in every arm, from the random numbers of a seed."""

    name: str

    def train_and_predict(
        self, items: Sequence[str], shares: Floats, tested: Sequence[str], luck: int
    ) -> NDArray[np.int64]:
        """The label of each tested item; ``shares`` (items x labels) is what each label of each item weighs."""
        ...


AnyStudent = Student | Stepped


class Embedded:
    """Frozen vectors (``embed``: items -> n x d, unit length)."""

    name = "embeddings + linear"

    def __init__(self, embed: Embed, name: str = name) -> None:
        self._embed = embed
        self.name = name

    def features(self, train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Floats, Floats]:
        """The vectors as they are."""
        return (
            np.asarray(self._embed(train_texts), dtype=np.float64),
            np.asarray(self._embed(test_texts), dtype=np.float64),
        )


class Tfidf:
    """TF-IDF of word 1-2-grams and character 2-4-grams, both parts of equal length, rows of unit length.

    ``texts`` are all that any arm or test will hold: they are cut into grams once.  What a vectoriser fitted
    on an arm would know, its vocabulary and idf, is taken from that arm's training texts alone
    (scikit-learn's defaults).

    The tens of thousands of columns are rotated into as many directions as there are training texts, which
    loses nothing: the L2-penalised solution is a sum of training rows (representer theorem), and inner
    products stay. Above 2,000 distinct texts, that many of them, evenly spaced, span the directions
    (Nystroem).
    """

    name = "TF-IDF + linear"

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        distinct = list(dict.fromkeys(texts))
        self._row = {text: row for row, text in enumerate(distinct)}
        self._parts: list[Any] = []
        for options in (
            {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
            {"analyzer": "char_wb", "ngram_range": (2, 4)},
        ):
            try:
                self._parts.append(CountVectorizer(dtype=np.float64, **options).fit_transform(distinct))
            except ValueError:  # "empty vocabulary": texts of blanks or signs only
                continue

    def features(self, train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Coordinates of all rows along the directions that the training rows span."""

        train, test = self._weigh(train_texts, test_texts)
        n = train.shape[0]
        chosen = np.unique(np.linspace(0, n - 1, min(n, MOST_DIRECTIONS)).round().astype(np.int64))
        with one_thread():
            return _rotate(train[chosen], [train, test])

    def _weigh(self, train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Any, Any]:
        """Sparse TF-IDF rows of both; grams that no training text holds are unknown."""
        from scipy.sparse import csr_matrix, diags, hstack
        from sklearn.preprocessing import normalize

        rows = [[self._row[text] for text in texts] for texts in (train_texts, test_texts)]
        out: list[list[Any]] = [[csr_matrix((len(part), 1))] for part in rows]
        for counts in self._parts:
            held = np.bincount(counts[rows[0]].indices, minlength=counts.shape[1])
            known = np.flatnonzero(held)
            idf = diags(np.log((1.0 + len(rows[0])) / (1.0 + held[known])) + 1.0)
            for part, into in zip(rows, out, strict=True):
                into.append(normalize(counts[part][:, known] @ idf) * np.sqrt(0.5))
        return hstack(out[0], format="csr"), hstack(out[1], format="csr")


def _rotate(landmarks: Any, matrices: Sequence[Any]) -> tuple[Floats, Floats]:
    """Coordinates of sparse rows in an orthonormal basis of the landmarks' span (pivoted Cholesky factor).

    Gram = P L L' P', so rows K = row . landmarks have the coordinates K P L^-T.  Directions of no length (a
    text that differs from another in nothing the vectoriser sees) end the factor early: its rank says where.
    """
    from scipy.linalg import lapack, solve_triangular

    gram = (landmarks @ landmarks.T).toarray()
    factor, pivots, rank, _ = lapack.dpstrf(
        gram, tol=1e-10 * max(float(gram.diagonal().max(initial=0.0)), 1e-12), lower=1
    )
    if rank == 0:
        zeros = [np.zeros((matrix.shape[0], 1)) for matrix in matrices]
        return zeros[0], zeros[1]
    lower, basis = np.tril(factor[:rank, :rank]), landmarks[pivots[:rank] - 1]
    out = [solve_triangular(lower, (basis @ matrix.T).toarray(), lower=True).T for matrix in matrices]
    return np.ascontiguousarray(out[0]), np.ascontiguousarray(out[1])


def fit_predict(
    student: AnyStudent,
    train_items: Sequence[str],
    train_labels: ArrayLike,
    counts: ArrayLike | None,
    tested: Sequence[str],
    C: float,
    n_labels: int,
    total: float | None = None,
    luck: int = 0,
) -> NDArray[np.int64]:
    """Train on rows that stand there ``counts`` times (1 if None), and predict the label of each tested item.

    ``train_labels`` are numbers, or soft: rows x labels.  ``total`` is what the weights sum to, the number of real rows
    in every arm; without it they are the counts. Neither the order of the rows nor repeating all of them changes a
    byte; rows with count 0 are not seen at all.
    """
    labels = np.asarray(train_labels)
    labels = labels.astype(np.int64 if labels.ndim == 1 else np.float64)
    counted = np.ones(len(labels)) if counts is None else np.asarray(counts, dtype=np.float64)
    if isinstance(student, Stepped):
        return student.train_and_predict(*taught(train_items, labels, counted, n_labels), tested, luck)
    here = np.flatnonzero(counted > 0).tolist()
    items = sorted({train_items[i] for i in here})
    place = {item: position for position, item in enumerate(items)}
    rows = np.array([place[train_items[i]] for i in here], dtype=np.int64)
    train, test = student.features(items, tested)
    state = fit_linear(train[rows], labels[here], counted[here], C, n_labels=n_labels, total=total)
    return predict(state, test)


def taught(
    items: Sequence[str], labels: ArrayLike, counts: ArrayLike, n_labels: int
) -> tuple[list[str], NDArray[np.float64]]:
    """What rows teach, whatever their order and however often all of them stand there: the distinct items, and what
    share of the whole each label of each has."""
    known, counted = np.asarray(labels), np.asarray(counts, np.float64)
    here = np.flatnonzero(counted > 0).tolist()
    distinct = sorted({items[i] for i in here})
    place = {item: position for position, item in enumerate(distinct)}
    shares = np.zeros((len(distinct), n_labels))
    soft = known[here] if known.ndim == 2 else np.eye(n_labels)[known[here]]
    np.add.at(shares, [place[items[i]] for i in here], soft * (counted[here] / counted[here].sum())[:, None])
    return distinct, shares


def choose_student_C(
    student: AnyStudent,
    items: Sequence[str],
    labels: ArrayLike,
    grid: Sequence[float] = C_GRID,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """The C of every arm with this student: cross-validated on the real rows (``linear.choose_C``); 0 where there is
    none to choose."""
    if isinstance(student, Stepped):
        return 0.0
    distinct = sorted(set(items))
    place = {item: position for position, item in enumerate(distinct)}
    features, _ = student.features(distinct, distinct[:1])
    return choose_C(features[[place[item] for item in items]], labels, grid, folds, seed)


def of_table(vectors: Mapping[str, NDArray[Any]], items: Sequence[str]) -> NDArray[Any]:
    """The vectors of items that are known."""
    return np.stack([vectors[item] for item in items]) if items else np.zeros((0, 1), np.float32)


def held(vectors: Mapping[str, NDArray[Any]]) -> Embed:
    """``of_table`` as an ``embed`` that another process can be handed."""
    return partial(of_table, vectors)


def remembered(embed: Embed) -> Embed:
    """``embed`` that is asked for each distinct text once, and whose vectors (1 kB a text) are kept."""
    known: dict[str, NDArray[Any]] = {}

    def look_up(texts: Sequence[str]) -> NDArray[Any]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts]) if len(texts) else embed(texts)

    return look_up

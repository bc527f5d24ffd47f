"""The students that a replay trains, looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leaven.errors import DataError, nearest
from leaven.measure.students import AnyStudent, Embedded, Tfidf, choose_student_C, fit_predict, remembered
from leaven.models.backends.one_thread import one_thread

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """What one model learns from, and the texts that it is asked about.

    The rows of ``seeds`` (texts and label numbers) are real and decide C; ``weights`` are those of ``texts``, which may
    hold the seeds too or not.
    """

    seeds: tuple[str, ...]
    seed_labels: tuple[int, ...]
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    weights: tuple[float, ...]
    tested: tuple[str, ...]
    n_labels: int


class Replayed(Protocol):
    """A student of a replay."""

    about: str

    def predict(self, lesson: Lesson) -> Ints:
        """The label numbers of the tested texts."""
        ...


class Linear:
    """A student of ``leaven measure``: C is chosen on the seeds, and in every arm all weights sum to their number."""

    def __init__(self, about: str, student: Callable[[Lesson], AnyStudent]) -> None:
        self.about, self.student = about, student
        self.chosen: dict[tuple[str, ...], float] = {}

    def predict(self, lesson: Lesson) -> Ints:
        student = self.student(lesson)
        if lesson.seeds not in self.chosen:
            self.chosen[lesson.seeds] = choose_student_C(student, lesson.seeds, lesson.seed_labels)
        return fit_predict(
            student,
            lesson.texts,
            np.array(lesson.labels),
            np.array(lesson.weights),
            lesson.tested,
            self.chosen[lesson.seeds],
            lesson.n_labels,
            total=float(len(lesson.seeds)),
        )


class Plain:
    """scikit-learn's linear models over its TF-IDF of word 1-2-grams and character 2-4-grams, logarithmic counts.

    Rows weigh what they weigh, and C is fixed: more rows are also less of a penalty, as in most scripts.
    """

    def __init__(self, about: str, model: Callable[[], Any]) -> None:
        self.about, self.model = about, model

    def predict(self, lesson: Lesson) -> Ints:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        features = make_union(words, pieces)
        with one_thread():
            train = features.fit_transform(lesson.texts)
            model = self.model().fit(train, np.array(lesson.labels), sample_weight=np.array(lesson.weights))
            found: Ints = model.predict(features.transform(lesson.tested))
        return found


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=1000)


def _svm() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=0)


@cache
def _embedded() -> Embedded:
    from leaven.models.backends.wordllama import WordLlama

    return Embedded(remembered(WordLlama().embed))


def _tfidf(lesson: Lesson) -> AnyStudent:
    return Tfidf([*lesson.seeds, *lesson.texts, *lesson.tested])


EQUAL = "C chosen on the seeds, weights sum to their number in every arm"
STUDENTS: dict[str, Callable[[], Replayed]] = {
    "embeddings": lambda: Linear(f"logistic regression on WordLlama vectors; {EQUAL}", lambda _: _embedded()),
    "tfidf": lambda: Linear(f"logistic regression on TF-IDF; {EQUAL}", _tfidf),
    "tfidf-lr": lambda: Plain("scikit-learn's logistic regression on TF-IDF, C = 10, each row weighs 1", _logistic),
    "tfidf-svm": lambda: Plain("scikit-learn's linear SVM on TF-IDF, C = 1, each row weighs 1", _svm),
}


def students(names: Sequence[str]) -> dict[str, Replayed]:
    """The named students.  Raises DataError for one that is not known."""
    for name in names:
        if name not in STUDENTS:
            close = nearest(name, STUDENTS)
            way = f"the nearest is {close}." if close else f"it is {', '.join(STUDENTS)}."
            raise DataError(f"--student {name} is not known.", way)
    return {name: STUDENTS[name]() for name in dict.fromkeys(names)}

"""How much a student changes its mind about a record while it learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leaven.any_record._by_student import ByStudent
from leaven.any_record._dealt import deal, folds_of
from leaven.fields import SCORE, Column
from leaven.operators import State
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows


class Variability(ByStudent):
    """Note how much the probability of a label moves from epoch to epoch, by models that never saw the record.

    A linear classifier over embeddings is trained on the real rows by stochastic gradient descent, and asked after
    each epoch (training dynamics: Swayamdipta et al. 2020, arXiv:2009.10795).  The rows are dealt into ``folds`` as
    `prediction` deals them, and a record is judged by the models that saw neither it nor its root; where none of these
    knows its label, both columns are None.  High is ambiguous; low is easy where ``correctness`` is high, else hard or
    mislabelled.

    Needs texts, images or sounds, and labelled rows to learn from.
    Writes `variability`, the standard deviation over epochs of the probability of the record's own label, or with
    ``over: labels`` the largest of any label's (WANLI: Liu et al. 2022); and `correctness`, the share of epochs after
    which its label is the most probable.

    >>> desk = [
    ...     {"text": "lost my card", "label": "card"},
    ...     {"text": "card stolen today", "label": "card"},
    ...     {"text": "open on sunday", "label": "hours"},
    ...     {"text": "opening time today", "label": "hours"},
    ... ]
    >>> [row] = Variability(folds=2)({"text": "a stolen card", "label": "card"}, source=desk)
    >>> row["correctness"], 0 < row["variability"] < 0.5
    (1.0, True)
    """

    over: Literal["own", "labels"] = "own"
    """Of which label: the record's own, or the one that moves most."""
    epochs: int = Field(5, ge=2, le=100)
    """How often the student goes over the rows."""

    def writes(self) -> dict[str, Column]:
        about = self.student().reads()
        with_label = Column(SCORE, about | {self.target}, written=False)
        return {
            "variability": with_label if self.over == "own" else Column(SCORE, about, written=False),
            "correctness": with_label,
        }

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The models of all epochs: on all rows (0), and without each fold (1, 2, ...)."""
        import numpy as np

        dealt = deal(self.student(), rows, ctx, self.name)
        vectors, y = dealt.vectors.astype(np.float64), dealt.y
        state = dealt.arrays()
        fold = _fold(dealt.roots, state)
        for number in range(-1, int(fold.max()) + 1):
            rest = fold != number if number >= 0 else np.ones(len(y), bool)
            classes, own = np.unique(y[rest], return_inverse=True)
            tables = snapshots(vectors[rest], own, dealt.C, self.epochs, ctx.seed)
            state[f"tables_{number + 1}"] = tables
            state[f"classes_{number + 1}"] = classes
        return state

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        from leaven.models.backends.linear import LinearState, predict_proba

        code = {str(label): i for i, label in enumerate(ctx.state["labels"])}
        own = np.array([code.get(str(record.get(self.target)), -1) for record in records], np.int64)
        fold = _fold([record.root for record in records], ctx.state)
        vectors = ctx.vectors(records, self.student().inputs())
        moved, right = np.full(len(records), np.nan), np.full(len(records), np.nan)
        for number in np.unique(fold[fold >= -1]):
            rows = np.flatnonzero(fold == number)
            classes = ctx.state[f"classes_{number + 1}"]
            models = [
                LinearState(table[:-1].T.astype(np.float64), table[-1].astype(np.float64), classes, len(code))
                for table in ctx.state[f"tables_{number + 1}"]
            ]
            proba = np.stack([predict_proba(model, vectors[rows]) for model in models])
            known = np.isin(own[rows], classes)
            if self.over == "labels":
                moved[rows] = proba.std(axis=0).max(axis=1)
            mine = rows[known]
            spread, right[mine] = dynamics(proba[:, known], own[mine])
            if self.over == "own":
                moved[mine] = spread
        for one, other in zip(np.round(moved, 6).tolist(), np.round(right, 6).tolist(), strict=True):
            yield {"variability": None if one != one else one, "correctness": None if other != other else other}


def dynamics(proba: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the probabilities (epochs x rows x labels) of each row's own label: the standard deviation over epochs, and in
    which share of them it is the highest."""
    import numpy as np

    mine = proba[:, np.arange(len(own)), own]
    right: np.ndarray = (proba.argmax(axis=2) == own).mean(axis=0)
    return mine.std(axis=0), right


def snapshots(vectors: np.ndarray, y: np.ndarray, C: float, epochs: int, seed: int) -> np.ndarray:
    """A linear classifier after each epoch of stochastic gradient descent: epochs x (features + 1) x labels, the
    intercepts last.  The penalty is that of the student, ``C``."""
    import numpy as np

    from leaven.models.backends.linear import epochs_of

    found = [np.vstack([coef, intercept]) for coef, intercept in epochs_of(vectors, y, C=C, epochs=epochs, seed=seed)]
    return np.stack(found).astype(np.float32)


def _fold(roots: Sequence[str], state: State) -> np.ndarray:
    """The fold of each root; -1 where the models of all rows may judge, -2 where each model saw it though the rows were
    dealt."""
    import numpy as np

    fold, trained = folds_of(roots, state)
    if state["root_fold"].max() < 0:
        return fold
    return np.where(trained & (fold < 0), -2, fold)

"""What a student says of a record: a label, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from leaven.any_record._dealt import deal, folds_of
from leaven.fields import CONTENT, SCORE, Column
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

SELDOM = 1e-12


class Prediction(Note):
    """Note the label that a student gives, by models that never saw the record or its root.

    The student is a linear classifier over embeddings, fitted on the real rows (and, with ``train_on``, on what was
    made so far).  With ``folds`` the real rows are dealt into that many parts by their root, rows of equal text or of
    one group together; a record is judged by the model fitted without its part.  Where every model that knows its
    label saw the record or its root, the one fitted on all rows judges, and ``in_sample`` is 1.

    Needs texts, images or sounds, and labelled rows to learn from.
    Writes `prediction`; `label_prob`, the probability of the record's own label; `confidence`, the highest
    probability; `label_norm`, the mean out-of-fold probability of that label's real rows (with ``folds: 0`` by the one
    model, which saw them); `in_sample`.

    >>> desk = [
    ...     {"text": "lost my card", "label": "card"},
    ...     {"text": "card stolen today", "label": "card"},
    ...     {"text": "open on sunday", "label": "hours"},
    ...     {"text": "opening time today", "label": "hours"},
    ... ]
    >>> [row] = Prediction(folds=2)({"text": "a stolen card", "label": "hours"}, source=desk)
    >>> row["prediction"], row["label_prob"] < 0.5, row["in_sample"]
    ('card', True, 0.0)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    target: str = "label"
    """The label to predict."""
    input: list[str] | str | None = None
    """The fields to predict from; all texts, images and sounds but the target."""
    folds: int = Field(5, ge=0, le=20)
    """Into how many parts the real rows are dealt; 0 fits one model on all of them, which saw what it judges."""
    train_on: list[Literal["source", "made"]] | Literal["source", "made"] = "source"
    """The sets that it is fitted on."""
    temperature: float = Field(1.0, gt=0)
    """Divides the scores before the softmax: above 1 is less sure."""
    group: str | None = None
    """Real rows that agree in this field are dealt into one fold; the field of type group."""

    def inputs(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else list(self.input or ())

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Take all texts, images, sounds and vectors for input where none is named, and the data's group."""
        kinds = (*CONTENT, "image", "audio", "vector")
        texts = [
            name for name, column in columns.items() if column.type in kinds and column.written and name != self.target
        ]
        groups = [name for name, column in columns.items() if column.type == "group"]
        group = self.group or next(iter(groups), None)
        return self.model_copy(update={"input": self.input or texts, "group": group})

    def reads(self) -> frozenset[str]:
        return frozenset(self.inputs())

    def fits_on(self) -> tuple[str, ...]:
        return (self.train_on,) if isinstance(self.train_on, str) else tuple(self.train_on)

    def writes(self) -> dict[str, Column]:
        about = frozenset(self.inputs())
        with_label = about | {self.target}
        return {
            "prediction": Column("label", about, written=False),
            "label_prob": Column(SCORE, with_label, written=False),
            "confidence": Column(SCORE, about, written=False),
            "label_norm": Column(SCORE, with_label, written=False),
            "in_sample": Column(SCORE, with_label, written=False),
        }

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """One linear model a fold and one on all, with the fold of each root and the mean probability of each label."""
        import numpy as np

        from leaven.models.backends.linear import fit_linear, predict_proba

        dealt = deal(self, rows, ctx)
        state = dealt.arrays()
        vectors, y, fold, n_labels = dealt.vectors, dealt.y, dealt.fold, len(dealt.labels)
        own = np.full(len(y), np.nan)
        for number in [-1, *range(int(fold.max()) + 1)]:
            rest = fold != number if number >= 0 else np.ones(len(fold), bool)
            model = fit_linear(vectors[rest], y[rest], C=dealt.C, n_labels=n_labels)
            for name, array in model.arrays().items():
                state[f"{name}_{number + 1}"] = array
            if number >= 0 or self.folds == 0:
                held = np.flatnonzero((fold == number) & dealt.real & np.isin(y, model.classes))
                own[held] = self._softened(predict_proba(model, vectors[held]))[np.arange(len(held)), y[held]]
        return {**state, "norm": label_means(own, y, n_labels)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        from leaven.models.backends.linear import LinearState, predict_proba

        labels = [str(label) for label in ctx.state["labels"]]
        code = {label: i for i, label in enumerate(labels)}
        vectors = ctx.vectors(records, self.inputs())
        given = [r.get(self.target) for r in records]
        own = np.array([-1 if label is None else code.get(str(label), -1) for label in given], np.int64)
        fold, trained = folds_of([r.root for r in records], ctx.state)
        in_sample = (trained & (fold < 0)).astype(np.float64)
        proba = np.zeros((len(records), len(labels)))
        full = _model(ctx.state, 0, LinearState)
        for number in np.unique(fold):
            rows = np.flatnonzero(fold == number)
            model = _model(ctx.state, int(number) + 1, LinearState)
            proba[rows] = self._softened(predict_proba(model, vectors[rows]))
            unseen = rows[~np.isin(own[rows], model.classes) & (own[rows] >= 0)]
            if len(unseen):  # no model without this root knows its label
                proba[unseen] = self._softened(predict_proba(full, vectors[unseen]))
                in_sample[unseen] = 1.0
        # Rounded: a number that a threshold cuts must not hang on the last bit of a sum.
        proba = np.round(proba, 6)
        best = proba.argmax(axis=1)
        norm = [None if np.isnan(value) else round(float(value), 6) for value in ctx.state["norm"]]
        for i in range(len(records)):
            yield {
                "prediction": labels[best[i]],
                "label_prob": float(proba[i, own[i]]) if own[i] >= 0 else None,
                "confidence": float(proba[i, best[i]]),
                "label_norm": norm[own[i]] if own[i] >= 0 else None,
                "in_sample": float(in_sample[i]),
            }

    def _softened(self, proba: np.ndarray) -> np.ndarray:
        import numpy as np

        if self.temperature == 1.0:
            return proba
        scores = np.log(np.maximum(proba, SELDOM)) / self.temperature
        scores = np.exp(scores - scores.max(axis=1, keepdims=True)) * (proba > 0)
        softened: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
        return softened


def label_means(own: np.ndarray, y: np.ndarray, n_labels: int) -> np.ndarray:
    """Of each label the mean of its rows' ``own`` probabilities, NaN left out; of a label without any, of all rows."""
    import numpy as np

    known = ~np.isnan(own)
    count = np.bincount(y[known], minlength=n_labels)
    total = np.bincount(y[known], own[known], minlength=n_labels)
    overall = total.sum() / count.sum() if count.any() else np.nan
    means: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), overall)
    return means


def _model(state: State, number: int, kind: Any) -> Any:
    return kind.from_arrays({n: state[f"{n}_{number}"] for n in ("coef", "intercept", "classes", "n_labels")})

"""What a student says of a record: a label, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from leaven.errors import DataError, RecipeError
from leaven.fields import CONTENT, SCORE, Column
from leaven.operators import Note, State
from leaven.records import Record, digest, folded, place

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
    probability; `label_norm`, the mean out-of-fold probability of that label's real rows; `in_sample`.

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
        """Take all texts, images and sounds for input where none is named, and the data's group."""
        kinds = (*CONTENT, "image", "audio")
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
        """One linear model a fold and one on all, with the fold of each root and each label's out-of-fold mean."""
        import numpy as np

        from leaven.models.backends.linear import choose_C, fit_linear, predict_proba, stratified_folds

        every = {name: list(self._training(rows[name], name == "source")) for name in sorted(rows)}
        labels = list(ctx.labels)
        if self.target != ctx.constants.get("label_field"):
            labels = sorted({row.label for some in every.values() for row in some})
        code = {label: i for i, label in enumerate(labels)}
        every = {name: [row for row in some if row.label in code] for name, some in every.items()}
        known = [row for some in every.values() for row in some]
        if not known:
            raise DataError(f"prediction has no row with a `{self.target}` to learn from.", "label some rows.")
        y = np.array([code[row.label] for row in known])
        real = np.array([row.real for row in known])
        fields = self.inputs()
        vectors = np.concatenate(
            [ctx.vectors(rows[name].take([row.at for row in some]), fields) for name, some in every.items() if some]
        )
        judged = real if real.any() else ~real
        chosen = choose_C(vectors[judged], y[judged], seed=ctx.seed)
        state: dict[str, Any] = {"labels": np.array(labels), "C": np.array(chosen)}
        fold = np.full(len(known), -1)
        if self.folds > 1 and real.any():
            kin = np.array([row.kin for row in known if row.real], np.uint64)
            _, first, unit = np.unique(kin, return_index=True, return_inverse=True)
            fold[real] = stratified_folds(y[real][first], self.folds, ctx.seed)[unit]
        of_root = {row.root: fold[i] for i, row in enumerate(known) if row.real}
        fold[~real] = [of_root.get(row.root, -1) for row in known if not row.real]
        norm_sum, norm_count = np.zeros(len(labels)), np.zeros(len(labels))
        for number in [-1, *range(int(fold.max()) + 1)]:
            rest = fold != number if number >= 0 else np.ones(len(known), bool)
            model = fit_linear(vectors[rest], y[rest], C=chosen, n_labels=len(labels))
            for name, array in model.arrays().items():
                state[f"{name}_{number + 1}"] = array
            if number >= 0:
                held = np.flatnonzero((fold == number) & real & np.isin(y, model.classes))
                proba = self._softened(predict_proba(model, vectors[held]))[np.arange(len(held)), y[held]]
                norm_sum += np.bincount(y[held], proba, minlength=len(labels))
                norm_count += np.bincount(y[held], minlength=len(labels))
        overall = norm_sum.sum() / norm_count.sum() if norm_count.any() else np.nan
        state["norm"] = np.where(norm_count > 0, norm_sum / np.maximum(norm_count, 1), overall)
        fold_at = {place(row.root): fold[i] for i, row in enumerate(known)}
        order = sorted(fold_at)
        state["root_place"] = np.array(order, np.uint64)
        state["root_fold"] = np.array([fold_at[at] for at in order], np.int64)
        return state

    def _training(self, rows: Rows, real: bool) -> Iterator[_Known]:
        if self.target not in rows:
            return
        groups: list[Any] = [None] * len(rows)
        if real and self.group:
            if self.group not in rows:
                raise RecipeError(f"prediction deals by `{self.group}`, which names no field.", "correct `group`.")
            groups = rows.column(self.group)
        columns = zip(rows.said(self.inputs()), rows.roots, rows.column(self.target), groups, strict=True)
        for at, (text, root, label, group) in enumerate(columns):
            if label is not None:
                said = ("text", folded(text)) if group is None else ("group", str(group))
                yield _Known(at, root, str(label), real, int.from_bytes(digest(*said, size=8), "big"))

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


class _Known(NamedTuple):
    """A row to learn from, and its place in its set; those of equal ``kin`` share a fold."""

    at: int
    root: str
    label: str
    real: bool
    kin: int


def folds_of(roots: Sequence[str], state: State) -> tuple[np.ndarray, np.ndarray]:
    """The fold of each root, -1 where the model of all rows judges; and which roots a fit saw."""
    import numpy as np

    places = np.array([place(root) for root in roots], np.uint64)
    held = state["root_place"]
    at = np.minimum(np.searchsorted(held, places), len(held) - 1)
    trained: np.ndarray = held[at] == places
    return np.where(trained, state["root_fold"][at], -1), trained


def _model(state: State, number: int, kind: Any) -> Any:
    return kind.from_arrays({n: state[f"{n}_{number}"] for n in ("coef", "intercept", "classes", "n_labels")})

"""What a student says of a record: a label, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven.fields import SCORE, Column
from leaven.operators import Note, State
from leaven.records import Record, place

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

SELDOM = 1e-12


class Prediction(Note):
    """Note the label that a student gives, by models that never saw the record or its root.

    The student is a linear classifier over embeddings, fitted on the real rows (and, with ``train_on``, on what was
    made so far).  With ``folds`` the real rows are dealt into that many parts by their root; a record is judged by the
    model fitted without its part.  Where no model without it knows the label, the one fitted on all rows judges, and
    ``in_sample`` is 1.

    Writes `prediction`; `label_prob`, the probability of the record's own label; `confidence`, the highest
    probability; `label_norm`, the mean out-of-fold probability of that label's real rows; `in_sample`.

    >>> Prediction(folds=5).spec()["folds"]
    5
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    target: str = "label"
    """The label to predict."""
    input: list[str] | str | None = None
    """The fields to predict from; all texts but the target."""
    folds: int = Field(5, ge=0, le=20)
    """Into how many parts the real rows are dealt; 0 fits one model on all of them, which saw what it judges."""
    train_on: list[Literal["source", "made"]] | Literal["source", "made"] = "source"
    """The sets that it is fitted on."""
    temperature: float = Field(1.0, gt=0)
    """Divides the scores before the softmax: above 1 is less sure."""

    def inputs(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else list(self.input or ())

    def bind(self, columns: Mapping[str, Column]) -> Prediction:
        """Take all texts for input where none is named."""
        if self.input is not None:
            return self
        kinds = ("text", "question", "context", "caption", "answer")
        found = [name for name, column in columns.items() if column.type in kinds and name != self.target]
        return self.model_copy(update={"input": found})

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

        labels = list(ctx.labels)
        code = {label: i for i, label in enumerate(labels)}
        known = [(t, r, code[y]) for rs in rows.values() for t, r, y in self._training(rs) if y in code]
        texts, roots, y = [k[0] for k in known], [k[1] for k in known], np.array([k[2] for k in known])
        vectors = ctx.embed(texts)
        real = np.arange(len(known)) < (len(rows["source"]) if "source" in rows else 0)
        chosen = choose_C(vectors[real] if real.any() else vectors, y[real] if real.any() else y, seed=ctx.seed)
        state: dict[str, Any] = {"labels": np.array(labels), "C": np.array(chosen)}
        fold = np.full(len(known), -1)
        if self.folds > 1 and real.any():
            fold[real] = stratified_folds(y[real], self.folds, ctx.seed)
            of_root = {root: fold[i] for i, root in enumerate(roots) if real[i]}
            fold[~real] = [of_root.get(root, -1) for i, root in enumerate(roots) if not real[i]]
        norm_sum, norm_count = np.zeros(len(labels)), np.zeros(len(labels))
        numbers = [-1, *range(int(fold.max(initial=-1)) + 1)]
        for number in numbers:
            rest = fold != number if number >= 0 else np.ones(len(known), bool)
            model = fit_linear(vectors[rest], y[rest], C=chosen, n_labels=len(labels))
            for name, array in model.arrays().items():
                state[f"{name}_{number + 1}"] = array
            if number >= 0:
                held = np.flatnonzero((fold == number) & real & np.isin(y, model.classes))
                proba = predict_proba(model, vectors[held])[np.arange(len(held)), y[held]]
                norm_sum += np.bincount(y[held], proba, minlength=len(labels))
                norm_count += np.bincount(y[held], minlength=len(labels))
        overall = norm_sum.sum() / max(1.0, norm_count.sum())
        state["norm"] = np.where(norm_count > 0, norm_sum / np.maximum(norm_count, 1), overall)
        order = np.argsort([place(roots[i]) for i in np.flatnonzero(fold >= 0)], kind="stable")
        state["root_place"] = np.array([place(roots[i]) for i in np.flatnonzero(fold >= 0)], np.uint64)[order]
        state["root_fold"] = fold[fold >= 0][order]
        return state

    def _training(self, rows: Rows) -> Iterator[tuple[str, str, str]]:
        yield from zip(rows.texts(self.inputs()), rows.roots, rows.column(self.target), strict=True)

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        from leaven.models.backends.linear import LinearState, predict_proba

        labels = [str(label) for label in ctx.state["labels"]]
        code = {label: i for i, label in enumerate(labels)}
        inputs = self.inputs()
        vectors = ctx.embed(["\n".join(str(r.get(f) or "") for f in inputs) for r in records])
        own = np.array([code.get(str(r.get(self.target)), -1) for r in records])
        fold = self._folds([r.root for r in records], ctx.state)
        proba = np.zeros((len(records), len(labels)))
        in_sample = np.zeros(len(records))
        full = _model(ctx.state, 0, LinearState)
        for number in np.unique(fold):
            rows = np.flatnonzero(fold == number)
            model = _model(ctx.state, int(number) + 1, LinearState)
            proba[rows] = self._softened(predict_proba(model, vectors[rows]))
            unseen = rows[~np.isin(own[rows], model.classes) & (own[rows] >= 0)]
            if len(unseen):  # no model without this root knows its label
                proba[unseen] = self._softened(predict_proba(full, vectors[unseen]))
                in_sample[unseen] = 1.0
        if self.folds < 2:  # the one model saw every root that is a real row
            in_sample[own >= 0] = 1.0
        # Rounded: a number that a threshold cuts must not hang on the last bit of a sum.
        proba = np.round(proba, 6)
        best = proba.argmax(axis=1)
        norm = ctx.state["norm"]
        for i in range(len(records)):
            yield {
                "prediction": labels[best[i]],
                "label_prob": float(proba[i, own[i]]) if own[i] >= 0 else None,
                "confidence": float(proba[i, best[i]]),
                "label_norm": round(float(norm[own[i]]), 6) if own[i] >= 0 else None,
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

    def _folds(self, roots: Sequence[str], state: State) -> np.ndarray:
        """The fold of each root; -1, the model of all rows, for one that no fit saw."""
        import numpy as np

        places = np.array([place(root) for root in roots], np.uint64)
        held = state["root_place"]
        if not len(held):
            return np.full(len(roots), -1)
        at = np.minimum(np.searchsorted(held, places), len(held) - 1)
        found: np.ndarray = np.where(held[at] == places, state["root_fold"][at], -1)
        return found


def _model(state: State, number: int, kind: Any) -> Any:
    return kind.from_arrays({n: state[f"{n}_{number}"] for n in ("coef", "intercept", "classes", "n_labels")})

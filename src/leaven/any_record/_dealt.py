"""The rows that a student learns from, and into which fold each of them is dealt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from leaven.errors import DataError, RecipeError
from leaven.operators import State
from leaven.records import digest, folded, place

if TYPE_CHECKING:
    import numpy as np

    from leaven.any_record.prediction import Prediction
    from leaven.context import Context, Rows


class Dealt(NamedTuple):
    """Rows with a label that counts, set by set; ``y`` indexes ``labels``, ``fold`` is -1 for what is in none.

    Real rows of equal content, or of one group, are in one fold, and what was made is in that of its root."""

    labels: list[str]
    roots: list[str]
    y: np.ndarray
    real: np.ndarray
    vectors: np.ndarray
    fold: np.ndarray
    C: float

    def arrays(self) -> dict[str, np.ndarray]:
        """What a state keeps of it, beside the models: ``folds_of`` reads the roots."""
        import numpy as np

        fold_at = {place(root): fold for root, fold in zip(self.roots, self.fold, strict=True)}
        order = sorted(fold_at)
        return {
            "labels": np.array(self.labels),
            "C": np.array(self.C),
            "root_place": np.array(order, np.uint64),
            "root_fold": np.array([fold_at[at] for at in order], np.int64),
        }


class _Known(NamedTuple):
    """A row to learn from, and its place in its set; those of equal ``kin`` share a fold."""

    at: int
    root: str
    label: str
    kin: int


def deal(op: Prediction, rows: Mapping[str, Rows], ctx: Context, step: str = "prediction") -> Dealt:
    """The rows of these sets, dealt as ``op`` says, and the penalty that cross-validation chooses.

    Raises DataError, naming ``step``, where no row has a label."""
    import numpy as np

    from leaven.models.backends.linear import choose_C, stratified_folds

    every = {name: list(_known(op, rows[name], name == "source")) for name in sorted(rows)}
    labels = list(ctx.labels)
    if op.target != ctx.constants.get("label_field"):
        labels = sorted({row.label for some in every.values() for row in some})
    code = {label: i for i, label in enumerate(labels)}
    every = {name: [row for row in some if row.label in code] for name, some in every.items()}
    known = [row for some in every.values() for row in some]
    if not known:
        raise DataError(f"{step} has no row with a `{op.target}` to learn from.", "label some rows.")
    y = np.array([code[row.label] for row in known])
    real = np.array([name == "source" for name, some in every.items() for _ in some])
    fields = op.inputs()
    vectors = np.concatenate(
        [ctx.vectors(rows[name].take([row.at for row in some]), fields) for name, some in every.items() if some]
    )
    judged = real if real.any() else ~real
    chosen = choose_C(vectors[judged], y[judged], seed=ctx.seed)
    fold = np.full(len(known), -1)
    if op.folds > 1 and real.any():
        kin = np.array([row.kin for row, mine in zip(known, real, strict=True) if mine], np.uint64)
        _, first, unit = np.unique(kin, return_index=True, return_inverse=True)
        fold[real] = stratified_folds(y[real][first], op.folds, ctx.seed)[unit]
    roots = [row.root for row in known]
    of_root = {root: fold[i] for i, root in enumerate(roots) if real[i]}
    fold[~real] = [of_root.get(root, -1) for i, root in enumerate(roots) if not real[i]]
    return Dealt(labels, roots, y, real, vectors, fold, chosen)


def _known(op: Prediction, rows: Rows, real: bool) -> Iterator[_Known]:
    if op.target not in rows:
        return
    groups = [None] * len(rows)
    if real and op.group:
        if op.group not in rows:
            raise RecipeError(f"prediction deals by `{op.group}`, which names no field.", "correct `group`.")
        groups = rows.column(op.group)
    columns = zip(rows.said(op.inputs()), rows.roots, rows.column(op.target), groups, strict=True)
    for at, (text, root, label, group) in enumerate(columns):
        if label is not None:
            said = ("text", folded(text)) if group is None else ("group", str(group))
            yield _Known(at, root, str(label), int.from_bytes(digest(*said, size=8), "big"))


def folds_of(roots: Sequence[str], state: State) -> tuple[np.ndarray, np.ndarray]:
    """The fold of each root, -1 where the model of all rows judges; and which roots a fit saw."""
    import numpy as np

    places = np.array([place(root) for root in roots], np.uint64)
    held = state["root_place"]
    at = np.minimum(np.searchsorted(held, places), len(held) - 1)
    trained: np.ndarray = held[at] == places
    return np.where(trained, state["root_fold"][at], -1), trained

"""What a keep would have left, had the held-out rows never been there.

A keep by a student's opinion chooses rows that agree with what the real rows taught it.  If the held-out rows were
among them, the rows that stay carry their labels, and every such keep looks good out of fold: on sentiments that nobody
can tell apart it "gained" two points there, and nothing on test rows.  So each fold has checkers of its own, and for a
made row one that saw neither the fold nor the row's real row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leaven.measure.bench import Bench, Ints, Rows
from leaven.models.backends.linear import LinearState, fit_linear, predict_proba
from leaven.search.keeps import Scored


class Checkers:
    """Linear models over the bench's vectors, one for every two folds of its deal that are left out."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.features = np.asarray(bench.embed(bench.real.items), np.float64)
        self.models: dict[tuple[int, int], LinearState | None] = {}
        self.known: dict[tuple[str, int], Scored] = {}

    def scored(self, name: str, held: int) -> Scored:
        """What a checker says of each row of a made set while a fold is held out."""
        if (name, held) not in self.known:
            self.known[name, held] = self._scored(self.bench.made[name], held)
        return self.known[name, held]

    def _scored(self, rows: Rows, held: int) -> Scored:
        root = rows.roots[:, 0] if len(rows.roots) else np.full(len(rows), -1)
        of = np.where(root >= 0, self.bench.fold[np.maximum(root, 0)], -1)
        proba = np.zeros((len(rows), self.bench.n_labels))
        for fold in np.unique(of).tolist():
            mine = np.flatnonzero(of == fold)
            model = self._model(min(held, fold), max(held, fold))
            if model is not None:
                proba[mine] = predict_proba(model, self._vectors(rows, mine))
        return Scored(rows.labels, proba.argmax(axis=1), proba[np.arange(len(rows)), rows.labels], root)

    def _vectors(self, rows: Rows, some: Ints) -> np.ndarray:
        items: Sequence[str] = [rows.items[i] for i in some]
        return np.asarray(self.bench.embed(items), np.float64)

    def _model(self, first: int, second: int) -> LinearState | None:
        """A model of the real rows outside of two folds (-1: of none); None where no row is left."""
        key = first, second
        if key not in self.models:
            out = np.isin(self.bench.fold, [fold for fold in key if fold >= 0])
            labels = self.bench.real.labels[~out]
            self.models[key] = (
                fit_linear(self.features[~out], labels, C=self.bench.C[0], n_labels=self.bench.n_labels)
                if len(labels)
                else None
            )
        return self.models[key]

"""Which of the made rows stay: the keeps that a search tries, each as steps of a recipe and as a rule over scores.

The scores are those of a student that never saw the row's real rows: the label that it says (``checked``), and what
it gives the row's own label (``checked_label_prob``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CHECK = "prediction as checked"
"""The step that writes the scores."""


@dataclass(frozen=True)
class Scored:
    """What the rules read of made rows: their label's number, the checker's, its trust in the own label, their root."""

    labels: Ints
    checked: Ints
    label_prob: Floats
    roots: Ints


@dataclass(frozen=True)
class Keeping:
    """A rule by name: the steps that a recipe takes for it, and which rows it leaves."""

    name: str
    about: str
    steps: tuple[dict[str, Any], ...]
    left: Callable[[Scored], Bools]


def _all(rows: Scored) -> Bools:
    return np.ones(len(rows.labels), bool)


def _best(n: int) -> Callable[[Scored], Bools]:
    def left(rows: Scored) -> Bools:
        order = np.lexsort((np.arange(len(rows.labels)), -rows.label_prob, rows.roots))
        roots = rows.roots[order]
        first = np.concatenate(([True], roots[1:] != roots[:-1])) if len(roots) else np.zeros(0, bool)
        begins = np.maximum.accumulate(np.where(first, np.arange(len(roots)), 0))
        found = np.zeros(len(roots), bool)
        found[order] = (np.arange(len(roots)) - begins < n) | (roots < 0)
        return found

    return left


KEEPS = (
    Keeping("all", "every row that the recipe kept", (), _all),
    Keeping(
        "agreed",
        "rows whose label a student confirms that never saw their real row",
        ({"keep": {"that": "checked == label", "reason": "label_changed"}},),
        lambda rows: rows.checked == rows.labels,
    ),
    Keeping(
        "sure",
        "rows to whose label that student gives at least one half",
        ({"keep": {"that": "checked_label_prob >= 0.5", "reason": "label_doubted"}},),
        lambda rows: rows.label_prob >= 0.5,
    ),
    Keeping(
        "hard",
        "rows whose label it confirms, without those that it is sure of (above .9)",
        (
            {"keep": {"that": "checked == label", "reason": "label_changed"}},
            {"keep": {"that": "checked_label_prob <= 0.9", "reason": "too_easy"}},
        ),
        lambda rows: (rows.checked == rows.labels) & (rows.label_prob <= 0.9),
    ),
    Keeping(
        "best",
        "of each real row, the made one to whose label it gives most",
        ({"top": {"by": "checked_label_prob", "n": 1, "per": "root"}},),
        _best(1),
    ),
)

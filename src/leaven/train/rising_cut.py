"""A cut that rises with the student: at first everything trains, later only what scores high."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from leaven.train.drawn import Drawn


class RisingCut:
    """Leaves out the lowest made rows, more of them the surer the student is (SLUMA, ACM MM 2024).

    e_t = alpha * e_(t-1) + (1 - alpha) * c_t, where c_t is the mean of the student's highest probability in a batch and
    e_0 = 1 / ``labels``.  A made row trains while its score is at least min + (max - min) * e, over the scores of all
    made rows; at e = 0 every one does.  The paper's formulas are not public: this form is what its text says.

    ``alpha`` is .99 for the choice of rows and .999 for a threshold on pseudo-labels, which is ``e`` itself.
    """

    def __init__(self, labels: int, alpha: float = 0.99) -> None:
        if labels < 1 or not 0.0 <= alpha < 1.0:
            raise ValueError("labels is a number from 1, alpha one from 0 to below 1")
        self.alpha, self.e = alpha, 1.0 / labels

    def update(self, confidences: ArrayLike) -> float:
        """Take in a batch: the highest probability of each row (n), or all of them (n x labels).  Returns ``e``."""
        import numpy as np

        given = np.asarray(confidences, np.float64)
        each = given.max(axis=1) if given.ndim == 2 else given
        if not len(each) or not np.isfinite(each).all() or each.min() < 0.0 or each.max() > 1.0 + 1e-6:
            raise ValueError("confidences are probabilities of one row at least")
        self.e = self.alpha * self.e + (1.0 - self.alpha) * float(each.mean())
        return self.e

    def left(self, scores: ArrayLike) -> np.ndarray:
        """Which made rows train now, by their scores (n); one without a score (NaN) always does."""
        import numpy as np

        known = np.asarray(scores, np.float64)
        there = known[~np.isnan(known)]
        if not len(there):
            return np.ones(len(known), bool)
        low, high = float(there.min()), float(there.max())
        found: np.ndarray = np.isnan(known) | (known >= low + (high - low) * self.e - 1e-12)
        return found if self.e > 0.0 else np.ones(len(known), bool)

    def rows(self, drawn: Drawn, column: str) -> list[int]:
        """The places in a ``Drawn`` of the rows that train now: every real one, and made ones above the cut.

        For ``torch.utils.data.Subset``, anew for each epoch; ``column`` is the made rows' score.
        """
        import numpy as np

        made, scores = drawn.scores(column)
        keep = ~made
        keep[made] = self.left(scores[made])
        found: Iterable[int] = np.flatnonzero(keep).tolist()
        return list(found)

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint holds of it."""
        return {"alpha": self.alpha, "e": self.e}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """The inverse of ``state_dict``."""
        self.alpha, self.e = float(state["alpha"]), float(state["e"])

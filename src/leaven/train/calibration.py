"""Distribution calibration: labels with a few rows borrow the spread of labels with many, and draw rows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.train.generators import rng_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]


def tukey(features: ArrayLike, power: float = 0.5) -> Numbers:
    """Tukey's ladder of powers, which makes skewed features more like normal ones: x ** power, log x with power 0.

    Any shape.  The paper's features are 0 or more, as ReLU leaves them.  Below 0 ours is -(|x| ** power), so that signs
    stay and 0 stays 0; with power 0 all are to be above 0.

    >>> tukey([4.0, 0.0, -9.0]).tolist()
    [2.0, 0.0, -3.0]
    """
    import numpy as np

    x = np.asarray(features, np.float64)
    if power == 0:
        if not (x > 0).all():
            raise DataError("a power of 0 takes logarithms, and some features are not above 0.", "power=0.5")
        logs: Numbers = np.log(x)
        return logs
    out: Numbers = np.sign(x) * np.abs(x) ** power
    return out


class Calibration:
    """What labels with many rows say about how rows of another label would spread about the few that it has.

    A support row x is given the mean (sum of the means of the ``k`` base labels whose means are nearest to it + x) /
    (k + 1), and the mean of their covariances + ``alpha`` in every entry.  Rows are drawn from this normal
    distribution, and a linear classifier learns from support and drawn rows together.

    ``features``: n x d numbers, ``labels``: n of any kind, two rows or more each.  Take ``tukey`` of all rows before,
    base, support and tested ones alike (as released, not of the base rows).  ``alpha`` is the variance of a step that
    all features take together; it stands in the features' own units, so choose it by base labels that play novel.
    Source: Yang et al. 2021, Free Lunch for Few-shot Learning (arXiv:2101.06395), with k 2, alpha 0.21, power 0.5 and
    750 drawn rows a label.

    >>> base = Calibration([[0, 0], [2, 0], [0, 10], [2, 10], [50, 0], [52, 0]], ["a", "a", "b", "b", "c", "c"])
    >>> mean, covariance = base.of([4, 5])
    >>> mean.round(2).tolist(), covariance.round(2).tolist()
    ([2.0, 5.0], [[2.21, 0.21], [0.21, 0.21]])
    """

    def __init__(self, features: ArrayLike, labels: ArrayLike, *, k: int = 2, alpha: float = 0.21) -> None:
        import numpy as np

        x, y = _rows("base", features, labels)
        names, counts = np.unique(y, return_counts=True)
        if (counts < 2).any():
            raise DataError(
                f"the base label {names[counts < 2][0]!s} has one row, which has no covariance.",
                "leave labels with one row out of the base; those with more rows than features are best.",
            )
        if not 1 <= k <= len(names):
            raise DataError(f"k is {k}, and there are {len(names)} base labels.", f"k from 1 to {len(names)}")
        if not alpha >= 0:
            raise DataError(f"alpha is {alpha}; it is 0 or more.", "alpha=0.21")
        self.k, self.alpha, self.labels = k, alpha, names
        groups = [x[y == name] for name in names]
        self.means: Numbers = np.stack([group.mean(axis=0) for group in groups])
        self.deviations = [(group - group.mean(axis=0)) / np.sqrt(len(group) - 1) for group in groups]
        """Of each base label m x d numbers whose product with themselves, d x d, is its covariance."""

    def of(self, row: ArrayLike) -> tuple[Numbers, Numbers]:
        """The calibrated mean (d) and covariance (d x d) of one row (d)."""
        import numpy as np

        mean, near = _near(np.asarray(row, np.float64), self.means, self.deviations, self.k)
        covariance: Numbers = np.mean([own.T @ own for own in near], axis=0) + self.alpha
        return mean, covariance

    def draw(
        self, features: ArrayLike, labels: ArrayLike, *, generator: Any, each: int = 750
    ) -> tuple[Numbers, NDArray[Any]]:
        """Drawn rows, as many as the shares of ``each`` of a label's support rows come to, and their labels.

        ``features``: n x d, the support rows; ``labels``: n.  Of m support rows of a label each gives ``each // m``
        rows, in the order of the support rows; draws are numpy's, from a generator of numpy or torch.
        """
        import numpy as np

        x, y = _rows("support", features, labels)
        rng = rng_of(generator)
        names, own, counts = np.unique(y, return_inverse=True, return_counts=True)
        shares = each // counts[own]
        if not (shares > 0).all():
            raise DataError(
                f"{each} rows a label are to be drawn, and {names[counts.argmax()]!s} has {counts.max()} to draw from.",
                f"each={counts.max()} or more",
            )
        how = (self.means, self.deviations, rng, self.k, self.alpha)
        drawn = [draw_about(row, int(n), *how) for row, n in zip(x, shares, strict=True)]
        return np.concatenate(drawn), np.repeat(y, shares)


def draw_about(
    row: Numbers, n: int, means: Numbers, deviations: Sequence[Numbers], rng: np.random.Generator, k: int, alpha: float
) -> Numbers:
    """n rows (n x d) of the distribution that a row (d) is given by base labels: their means, labels x d, and the
    deviations of each, m x d.

    A label's deviations, each by a normal number, sum up to its covariance: no d x d matrix is taken apart.
    """
    import numpy as np

    mean, near = _near(row, means, deviations, k)
    drawn: Numbers = mean + np.sqrt(alpha) * rng.standard_normal((n, 1))
    for own in near:
        drawn = drawn + rng.standard_normal((n, len(own))) @ own / np.sqrt(k)
    return drawn


def _near(x: Numbers, means: Numbers, deviations: Sequence[Numbers], k: int) -> tuple[Numbers, list[Numbers]]:
    """A row's calibrated mean, and the deviations of the nearest labels."""
    import numpy as np

    if x.shape != means.shape[1:]:
        raise DataError(f"a row is {x.shape}, and base rows have {means.shape[1]} features.", "give one row.")
    near = np.argsort(((means - x) ** 2).sum(axis=1), kind="stable")[:k]
    mean: Numbers = (means[near].sum(axis=0) + x) / (k + 1)
    return mean, [deviations[i] for i in near]


def _rows(what: str, features: ArrayLike, labels: ArrayLike) -> tuple[Numbers, NDArray[Any]]:
    import numpy as np

    x, y = np.asarray(features, np.float64), np.asarray(labels)
    if x.ndim != 2 or not len(x) or y.shape != (len(x),):
        raise DataError(f"{what} features are {x.shape} and labels {y.shape}.", "give n x d numbers and n labels.")
    if not np.isfinite(x).all():
        raise DataError(f"some of the {what} features are no finite numbers.", "leave those rows out.")
    return x, y

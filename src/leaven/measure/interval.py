"""Means with a 95 % interval that covers test rows and seeds together.  (Luck of the real rows: see ``verdict``.)

Each source of chance adds a variance with its degrees of freedom; the half width is the t quantile of their
sum (Satterthwaite 1946).  Seeds alone are not enough: over 30 to 300 test rows they miss the truth in 16 to
20 % of draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 400


@dataclass(frozen=True)
class Interval:
    """A mean, its interval, and what it was made of.  Shares of one, not percent: 0.017 is 1.7 points."""

    mean: float
    low: float
    high: float
    se: float
    """Standard error of all parts together."""
    row_se: float
    """The part that more test rows would lessen."""
    df: float
    rows: int
    seeds: int


def gain(base: ArrayLike, arm: ArrayLike, group: ArrayLike | None = None) -> Interval:
    """The mean of ``arm - base``: scores of 0 to 1, seeds x test rows (a single line of them is one seed).

    ``base`` may be one seed, used against each of the arm's.  ``group`` names the cluster of each test row.
    Arms that agree on every row may differ on others: of 32 rows, on up to 9 in 100 (``unseen``).  Of arms that are
    one model, ``nothing`` is the gain.
    """
    difference = _rows(arm) - _rows(base)
    per_row = difference.mean(axis=0)
    parts = [_seed_part(difference.mean(axis=1)), _row_part(per_row, group, guard=True)]
    return _interval(float(per_row.mean()), parts, difference.shape)


def nothing(rows: int, seeds: int) -> Interval:
    """The gain of an arm that teaches what the other does: exactly none, on any rows."""
    return Interval(0.0, 0.0, 0.0, 0.0, 0.0, max(rows - 1.0, 1.0), rows, seeds)


def unseen(clusters: int) -> float:
    """The largest share that may differ where none of so many rows (clusters of them) does: about 3 in their number
    (the rule of three, Hanley and Lippman-Hand 1983)."""
    return 1.0 - float((1.0 - LEVEL) ** (1.0 / clusters))


def accuracy(correct: ArrayLike, group: ArrayLike | None = None) -> Interval:
    """The mean of one arm's scores (seeds x rows).  Wilson's interval at the effective number of rows.

    So it stays inside 0 to 1, and is no point where all rows are correct.
    """
    scores = _rows(correct)
    per_row = scores.mean(axis=0)
    parts = [_seed_part(scores.mean(axis=1)), _row_part(per_row, group, guard=False)]
    plain = _interval(float(per_row.mean()), parts, scores.shape)
    p, clusters = plain.mean, parts[1][1] + 1.0
    effective = clusters if plain.se == 0.0 else min(p * (1.0 - p) / plain.se**2, float(scores.shape[1]))
    effective = max(effective, 1.0)
    z = _quantile(plain.df)
    centre = (p + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * math.sqrt(p * (1 - p) / effective + z * z / (4 * effective**2))
    low, high = max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))
    return Interval(p, low, high, plain.se, plain.row_se, plain.df, plain.rows, plain.seeds)


def macro_f1(truth: ArrayLike, predicted: ArrayLike, n_labels: int) -> Floats:
    """Macro-F1 per seed of ``predicted`` (seeds x rows), over the labels that ``truth`` holds."""
    labels = np.asarray(truth, dtype=np.int64)
    guesses = np.atleast_2d(np.asarray(predicted, dtype=np.int64))
    ones = np.ones((1, len(labels)))
    return np.array([_f1(ones, labels, guess, n_labels)[0] for guess in guesses])


def f1_gain(
    truth: ArrayLike,
    base: ArrayLike,
    arm: ArrayLike,
    n_labels: int,
    group: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Interval:
    """As ``gain``, of macro-F1: ``base`` and ``arm`` are predicted labels, seeds x rows.

    Macro-F1 is no mean of rows, so the rows' part is the variance over 400 resamples of test rows (of
    clusters).
    """
    labels = np.asarray(truth, dtype=np.int64)
    bases, arms = (np.atleast_2d(np.asarray(x, dtype=np.int64)) for x in (base, arm))
    seeds = max(len(bases), len(arms))
    differences = macro_f1(labels, arms, n_labels) - macro_f1(labels, bases, n_labels)
    weights, clusters = resamples(len(labels), group, seed)
    resampled = _mean_f1(weights, labels, arms, n_labels) - _mean_f1(weights, labels, bases, n_labels)
    parts = [_seed_part(differences), _resampled_part(resampled, clusters)]
    return _interval(float(differences.mean()), parts, (seeds, len(labels)))


def of_statistic(each: ArrayLike, resampled: ArrayLike, rows: int) -> Interval:
    """As ``f1_gain``, of any number: ``each`` seed's, and that of all seeds' mean on each resample of the rows."""
    values, again = (np.asarray(x, dtype=np.float64) for x in (each, resampled))
    parts = [_seed_part(values), _resampled_part(again, rows)]
    return _interval(float(values.mean()), parts, (len(values), rows))


def f1(
    truth: ArrayLike, predicted: ArrayLike, n_labels: int, group: ArrayLike | None = None, seed: int = 0
) -> Interval:
    """Macro-F1 of one arm, ``predicted`` seeds x rows, with its interval inside 0 to 1."""
    labels = np.asarray(truth, dtype=np.int64)
    guesses = np.atleast_2d(np.asarray(predicted, dtype=np.int64))
    values = macro_f1(labels, guesses, n_labels)
    weights, clusters = resamples(len(labels), group, seed)
    row_variance = float(_mean_f1(weights, labels, guesses, n_labels).var(ddof=1))
    # All correct in every resample: as if one half of a row had been wrong, so that the interval is no point.
    parts = [_seed_part(values), (max(row_variance, 0.5 / clusters**2), clusters - 1.0)]
    found = _interval(float(values.mean()), parts, guesses.shape)
    low, high = max(0.0, found.low), min(1.0, found.high)
    return Interval(found.mean, low, high, found.se, found.row_se, found.df, found.rows, found.seeds)


def rows_needed(se: float, rows: int, gain: float, other_se: float = 0.0) -> int | None:
    """About how many test rows would show ``gain`` (its 95 % interval above 0); two digits, rounded up.

    ``se`` is the part that comes from the test rows (``Interval.row_se``), measured on ``rows`` of them;
    ``other_se`` the part that more test rows do not lessen.  None where that part alone hides the gain.
    """
    room = (gain / 1.96) ** 2 - other_se**2
    if room <= 0.0:
        return None
    needed = max(1.0, rows * se**2 / room)
    digit = 10.0 ** max(0, math.floor(math.log10(needed)) - 1)
    return int(math.ceil(needed / digit - 1e-9) * digit)


def _rows(scores: ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError("scores are seeds x rows, with at least one row")
    return table


def _seed_part(means: Floats) -> tuple[float, float]:
    """Variance of the mean over seeds, and its degrees of freedom; none from a single seed."""
    if len(means) < 2:
        return 0.0, 1.0
    return float(means.var(ddof=1)) / len(means), len(means) - 1.0


def _row_part(per_row: Floats, group: ArrayLike | None, *, guard: bool) -> tuple[float, float]:
    """Clustered variance of the mean over test rows, and its degrees of freedom.

    ``guard`` adds half a row to either side of the differences (Agresti and Min 2005): with 4 of 30 rows
    gained and none lost, a bare variance calls certain what an exact test does not.
    """
    n = len(per_row)
    centred = per_row - per_row.mean()
    if group is not None:
        _, member = np.unique(np.asarray(group), return_inverse=True)
        centred = np.bincount(member, weights=centred)
    clusters = len(centred)
    if guard and not per_row.any():
        return _agreed_part(clusters)
    if clusters < 2:
        return 0.25, 1.0  # one row or one cluster says nothing of the others
    squares = float(centred @ centred) + (1.0 if guard else 0.0)
    return clusters / (clusters - 1.0) * squares / n**2, clusters - 1.0


def _resampled_part(resampled: Floats, clusters: int) -> tuple[float, float]:
    """The variance of a difference over resamples of the test rows, and its degrees of freedom."""
    if not resampled.any():
        return _agreed_part(clusters)
    return float(resampled.var(ddof=1)), max(clusters - 1.0, 1.0)


def _agreed_part(clusters: int) -> tuple[float, float]:
    """The same where arms agree on every row: the half width is then ``unseen``."""
    df = max(clusters - 1.0, 1.0)
    return (unseen(clusters) / _quantile(df)) ** 2, df


def _interval(mean: float, parts: Sequence[tuple[float, float]], shape: tuple[int, ...]) -> Interval:
    total = sum(variance for variance, _ in parts)
    shares = sum(variance**2 / df for variance, df in parts)
    df = total**2 / shares if shares > 0.0 else parts[1][1]
    se = math.sqrt(total)
    half = _quantile(df) * se
    return Interval(mean, mean - half, mean + half, se, math.sqrt(parts[1][0]), df, shape[1], shape[0])


def _quantile(df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(df, 1.0), 0.5 + LEVEL / 2))


def resamples(n: int, group: ArrayLike | None, seed: int) -> tuple[Floats, int]:
    """How often each test row stands in each of 400 resamples (of clusters), and the number of clusters."""
    member = np.arange(n) if group is None else np.unique(np.asarray(group), return_inverse=True)[1]
    clusters = int(member.max()) + 1
    # Raw words of a counter-based generator stay the same in every numpy version.
    words = np.random.Philox(key=seed).random_raw(RESAMPLES * clusters).reshape(RESAMPLES, clusters)
    chosen = (words % np.uint64(clusters)).astype(np.int64) + np.arange(RESAMPLES)[:, None] * clusters
    counts = np.bincount(chosen.ravel(), minlength=RESAMPLES * clusters).reshape(RESAMPLES, clusters)
    return counts[:, member].astype(np.float64), clusters


def _mean_f1(weights: Floats, truth: NDArray[np.int64], guesses: NDArray[np.int64], n_labels: int) -> Floats:
    each = np.stack([_f1(weights, truth, guess, n_labels) for guess in guesses])
    mean: Floats = each.mean(axis=0)
    return mean


def _f1(weights: Floats, truth: NDArray[np.int64], guess: NDArray[np.int64], n_labels: int) -> Floats:
    """Macro-F1 for each row of weights (resamples x rows), over the labels with any weight in the truth."""
    from scipy.sparse import csr_array

    n = len(truth)

    def per_label(labels: NDArray[np.int64], values: Floats) -> Floats:
        table = csr_array((values, labels, np.arange(n + 1)), shape=(n, n_labels))
        return np.asarray(weights @ table, dtype=np.float64)

    true = per_label(truth, np.ones(n))
    both = true + per_label(guess, np.ones(n))
    hits = per_label(truth, (truth == guess).astype(np.float64))
    scores = np.divide(2.0 * hits, both, out=np.zeros_like(hits), where=true > 0)
    mean: Floats = scores.sum(axis=1) / np.maximum((true > 0).sum(axis=1), 1)
    return mean

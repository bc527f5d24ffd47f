"""The blend: which of the kept records join the real ones, in what proportion, and in which order.

Everything here works on numbers that stand for rows (which label, which hash), so that a million rows cost a few
arrays; the rows themselves are moved once, by ``engine.write``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np


class Blend(BaseModel):
    """``blend:`` of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    real: Literal["all", "kept", "none"] = "all"
    """The real rows: all, those that the steps left, or none."""
    ratio: float | None = Field(None, ge=0, le=1000)
    """Made rows for each real row, in equal shares of the labels; without it, all that were kept."""
    per_label: Literal["median", "equal", "match", "invert"] | int | None = None
    """Fill each label up to the median of the real counts, to the largest, or to N; or as many made rows as can be had
    in the shares of the real rows (match), or in the opposite ones, most for the rarest label (invert)."""
    cap: int | None = Field(None, ge=1)
    """At most this many made rows of one label."""
    most: int | None = Field(None, ge=1)
    """At most this many made rows in all."""
    weight: Annotated[float, Field(gt=0, le=1000)] | str | None = None
    """What a made row weighs in training beside a real one, which weighs 1: a number, or a column that holds it."""
    order: Literal["mixed", "real_first", "made_first", "curriculum"] = "mixed"
    """How the rows stand in train/: mixed by a hash, one kind before the other, or real rows and then the made ones
    from the highest value of `by` to the lowest: the easy ones first (Bengio et al. 2009)."""
    attach: dict[str, str] | None = Field(None, min_length=1)
    """Fields of a made row that become columns of its root's row, in place of a row of their own: `{text: negative}`.
    Of several made rows of a root the first by a hash is taken; with `real: kept` only roots that have one are written.
    """
    by: str = "label_prob"
    """The column that a curriculum goes by; made rows without a value come last."""


def choose(blend: Blend, real_counts: np.ndarray, made_labels: np.ndarray, made_keys: np.ndarray) -> np.ndarray:
    """Which made rows enter: a boolean for each.

    ``real_counts[k]`` is the number of real rows of label k, ``made_labels`` the label of each made row (-1: none),
    ``made_keys`` its hash of (seed, id): within a label, rows enter in the order of their keys, and none twice.
    """
    import numpy as np

    if blend.ratio is None and blend.per_label is None and blend.cap is None and blend.most is None:
        return np.ones(len(made_labels), bool)
    n_labels = len(real_counts)
    labels = np.where(made_labels < 0, n_labels, made_labels)
    have = np.bincount(labels, minlength=n_labels + 1)
    quota = have.copy()
    most = len(made_labels) if blend.most is None else blend.most
    if blend.ratio is not None:
        most = min(most, round(blend.ratio * int(real_counts.sum())))
    if blend.per_label is not None and n_labels:
        present = real_counts[real_counts > 0]
        if blend.per_label in ("match", "invert"):
            wanted = real_counts if blend.per_label == "match" else 1.0 / np.maximum(real_counts, 1)
            shares = wanted / max(1e-300, wanted.sum())
            room = np.min(have[:n_labels][shares > 0] / shares[shares > 0], initial=np.inf)
            fill = np.floor(shares * min(room, most) + 1e-9)  # in these shares, however few are wanted
        else:
            target = {"median": np.median(present), "equal": present.max()}.get(str(blend.per_label), blend.per_label)
            fill = np.maximum(0, np.ceil(float(target)) - real_counts)
        quota[:n_labels] = np.minimum(have[:n_labels], fill.astype(np.int64))
        quota[n_labels] = 0
    if blend.cap is not None:
        quota = np.minimum(quota, blend.cap)
    quota = equal_shares(quota, int(min(most, quota.sum())))
    order = np.lexsort((made_keys, labels))
    rank = np.empty(len(labels), np.int64)
    starts = np.concatenate(([0], np.cumsum(have)[:-1]))
    rank[order] = np.arange(len(labels)) - starts[labels[order]]
    chosen: np.ndarray = rank < quota[labels]
    return chosen


def equal_shares(have: np.ndarray, total: int) -> np.ndarray:
    """Split ``total`` evenly over groups that hold ``have`` at most; what one lacks the others give.

    The remainder of an uneven split goes to the first groups, so the sum is exactly min(total, sum(have)).
    """
    import numpy as np

    total = min(total, int(have.sum()))
    low, high = 0, int(have.max(initial=0))
    while low < high:  # the largest level such that min(have, level) sums to at most the total
        level = (low + high + 1) // 2
        if np.minimum(have, level).sum() <= total:
            low = level
        else:
            high = level - 1
    share = np.minimum(have, low)
    left = total - int(share.sum())
    share[np.flatnonzero(have > low)[:left]] += 1
    found: np.ndarray = share
    return found

"""Four verdicts from one gain: ``use``, ``no_gain``, ``harmful``, ``unclear``.

The interval covers test rows and draws of made rows.  It is about *these* real rows, and two models fitted on
a small set differ by luck too, truly, on any test set: noise that moves a boundary to the better side by
chance.  The larger the test set, the more certainly such a gain is "shown".  So ``use`` and ``harmful`` ask for two
things more: that the gain or loss is worth speaking of, and that it comes back each time the real rows are resampled,
half of that worth at least.  ``benchmarks/null_verdicts.md`` holds what this rule and others said of rows that are
worth nothing, and of real ones.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from leaven.measure.interval import Interval

Verdict = Literal["use", "no_gain", "harmful", "unclear"]

WORTH = 0.01
"""A gain worth having: one point of accuracy or macro-F1."""
RESAMPLINGS = 8
"""How often the real rows are resampled (``arms.resample``) and both arms fitted again."""


def may_be_use(gain: Interval, worth: float = WORTH) -> bool:
    """Whether only the resamplings stand between this gain and ``use``; if not, they need not be fitted."""
    return gain.low > 0.0 and gain.mean >= worth


def may_be_harmful(gain: Interval, worth: float = WORTH) -> bool:
    """The same for ``harmful``."""
    return gain.high < 0.0 and gain.mean <= -worth


def verdict(gain: Interval, resampled: ArrayLike, worth: float = WORTH) -> Verdict:
    """What to do about made rows.

    ``gain`` is the chosen arm's gain over real only, on the test set; ``resampled`` are its gains (one number
    each) in the resamplings of the real rows, on the same test set.  Without any, nothing is ``use`` or ``harmful``.

    - use: the interval lies above 0, the mean is at least ``worth``, each resampling gains half of it.
    - harmful: the same with the signs turned round.
    - no_gain: the interval holds no gain worth having; a loss that is small, or not in every resampling, is this too.
    - unclear: anything else; ``reason`` says whether test rows or training rows are too few.
    """
    gains = np.atleast_1d(np.asarray(resampled, dtype=np.float64))
    if may_be_use(gain, worth) and len(gains) and bool((gains >= worth / 2).all()):
        return "use"
    if may_be_harmful(gain, worth) and len(gains) and bool((gains <= -worth / 2).all()):
        return "harmful"
    if gain.high < worth:
        return "no_gain"
    return "unclear"


def reason(gain: Interval, resampled: ArrayLike, worth: float = WORTH) -> Literal["", "rows", "luck", "small"]:
    """Why a verdict is ``unclear``, in one word; empty for the other three.

    rows: the interval holds 0 and a gain worth having; more test rows would narrow it.  luck: the gain is
    shown on these real rows but is gone in some resampling of them.  small: the gain is shown, but may be
    below ``worth``.
    """
    if verdict(gain, resampled, worth) != "unclear":
        return ""
    if gain.low <= 0.0:
        return "rows"
    return "small" if gain.mean < worth else "luck"

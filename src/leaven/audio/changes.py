"""What was audibly done to a sound, in words that a caption may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DECIBELS, SEMITONES, SPEED, BAND, SECONDS = 1.0, 0.5, 0.05, 3.0, 0.1
"""Less than this is not said: a level, a pitch, a share of the speed, one band's level, an echo or a silence."""


def words(drawn: Mapping[str, Any], seconds: float) -> list[str]:
    """The words for what was drawn for a sound that lasted so long, each with its sign.

    >>> words({"speed": 1.2, "pitch": -3, "volume": 0.4}, 5.0)
    ['lower', 'faster']
    """
    speed = drawn.get("speed", 1.0)
    after = seconds / speed
    filled = drawn["length"] - after if "length" in drawn else 0.0
    later = drawn.get("shift", 0.0) * drawn.get("length", after)
    found = [
        _sign(drawn.get("volume", 0.0), DECIBELS, "louder", "quieter"),
        _sign(drawn.get("pitch", 0.0), SEMITONES, "higher", "lower"),
        _sign(speed - 1, SPEED, "faster", "slower"),
        _sign(drawn.get("reverb", 0.0), SECONDS, "echoing", ""),
        _sign(drawn.get("fade", 0.0), SECONDS, "fading in and out", ""),
        _sign(filled, SECONDS, "followed by silence", "cut short"),
        _sign(later, SECONDS, "after a silence", "without its beginning"),
    ]
    for gain, band in zip(drawn.get("eq", ()), ("bass", "middle", "treble"), strict=False):
        found.append(_sign(gain, BAND, f"with stronger {band}", f"with weaker {band}"))
    return [word for word in found if word]


def _sign(amount: float, audible: float, more: str, less: str) -> str:
    return "" if abs(amount) < audible else more if amount > 0 else less

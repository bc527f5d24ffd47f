"""Parameters that are a range to draw from: [low, high]."""

from __future__ import annotations

from collections.abc import Mapping

from leaven.errors import RecipeError

Range = tuple[float, float]


def check(operator: str, given: Mapping[str, Range | float | None], limits: Mapping[str, Range]) -> None:
    """Refuse a range that falls, or that goes beyond what the operator can do; a number is a range of its own."""
    for name, value in given.items():
        if value is None:
            continue
        low, high = value if isinstance(value, tuple) else (value, value)
        least, most = limits[name]
        if not least <= low <= high <= most:
            said = f"[{low:g}, {high:g}]" if isinstance(value, tuple) else f"{value:g}"
            raise ValueError(
                RecipeError(
                    f"{name} of {operator} is {said}; it goes from {least:g} to {most:g}, the lower number first.",
                    f"{name}: [{max(low, least):g}, {min(max(high, low), most):g}]"
                    if least <= low <= most
                    else f"{name}: [{least:g}, {most:g}]",
                )
            )

"""Parameters that are a range to draw from, [low, high], or a number that stands for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import AfterValidator, ValidationInfo

from leaven.errors import RecipeError

if TYPE_CHECKING:
    import numpy as np

Range = tuple[float, float]
Given = TypeVar("Given", float, Range, float | Range)


def within(least: float, most: float) -> AfterValidator:
    """What an operator can do: ``rotate: Annotated[Range, within(-180, 180)]``."""

    def check(value: Given, info: ValidationInfo) -> Given:
        ends = value if isinstance(value, tuple) else (value,)
        if least <= ends[0] <= ends[-1] <= most:
            return value
        said, nearest = (_written(some) for some in (ends, [min(most, max(least, end)) for end in sorted(ends)]))
        order = ", the lower first" if len(ends) > 1 else ""
        name = info.field_name
        raise ValueError(
            RecipeError(f"{name} is {said}; it goes from {least:g} to {most:g}{order}.", f"{name}: {nearest}")
        )

    return AfterValidator(check)


def drawn_from(value: float | Range, rng: np.random.Generator) -> float:
    """A number drawn evenly from a range, to four digits; for a number nothing is drawn."""
    return round(float(rng.uniform(*value)), 4) if isinstance(value, tuple) else value


def _written(ends: tuple[float, ...] | list[float]) -> str:
    said = ", ".join(f"{end:g}" for end in ends)
    return f"[{said}]" if len(ends) > 1 else said

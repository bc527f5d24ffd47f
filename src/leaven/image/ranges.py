"""Parameters that are a range to draw from, [low, high], within what an image can bear."""

from __future__ import annotations

from pydantic import AfterValidator, ValidationInfo

from leaven.errors import RecipeError

Range = tuple[float, float]


def within(least: float, most: float) -> AfterValidator:
    """``rotate: Annotated[Range, within(-180, 180)]``"""

    def check(value: Range, info: ValidationInfo) -> Range:
        low, high = value
        if not least <= low <= high <= most:
            raise ValueError(
                RecipeError(
                    f"{info.field_name} is [{low:g}, {high:g}]; it goes from {least:g} to {most:g}, the lower first.",
                    f"{info.field_name}: [{max(least, min(low, high)):g}, {min(most, max(low, high)):g}]",
                )
            )
        return value

    return AfterValidator(check)

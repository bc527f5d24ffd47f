"""Parameters that are a range to draw from, [low, high], or a number that stands for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from leaven.errors import RecipeError, brief

if TYPE_CHECKING:
    import numpy as np

Range = tuple[float, float]


def within(least: float, most: float) -> WrapValidator:
    """What an operator can do: ``rotate: Annotated[Range, within(-180, 180)]``."""

    def check(given: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> float | Range:
        name = str(info.field_name)
        try:
            value: float | Range = read(given)
        except ValidationError as error:
            if isinstance(given, str) and any(problem["type"] == "float_parsing" for problem in error.errors()):
                raise  # a number may stand here, so an expression may
            raise ValueError(_no_range(name, given, least, most)) from None
        ends = value if isinstance(value, tuple) else (value,)
        if least <= ends[0] <= ends[-1] <= most:
            return value
        said, nearest = (_written(some) for some in (ends, [min(most, max(least, end)) for end in sorted(ends)]))
        order = ", the lower first" if len(ends) > 1 else ""
        raise ValueError(
            RecipeError(f"{name} is {said}; it goes from {least:g} to {most:g}{order}.", f"{name}: {nearest}")
        )

    return WrapValidator(check)


def drawn_from(value: float | Range, rng: np.random.Generator) -> float:
    """A number drawn evenly from a range, to four digits; for a number nothing is drawn."""
    return round(float(rng.uniform(*value)), 4) if isinstance(value, tuple) else value


def _no_range(name: str, given: Any, least: float, most: float) -> RecipeError:
    """What is said of a value that is not two numbers.  One number is refused, not guessed at: of 5, some mean exactly
    5, and others from -5 to 5."""
    try:
        exact = float(given) if not isinstance(given, bool) else None
    except (TypeError, ValueError):
        exact = None
    fix = f"two numbers from {least:g} to {most:g}, the lower first: {name}: [LOW, HIGH]"
    if exact is not None and least <= exact <= most:
        either = f", or from -{abs(exact):g} to {abs(exact):g}: [{-abs(exact):g}, {abs(exact):g}]"
        fix = f"exactly {exact:g}: {name}: [{exact:g}, {exact:g}]" + (either if exact and least == -most else "")
    return RecipeError(
        f"{name} is {brief(repr(given))}; it is a range, low and high, from which a number is drawn for each child.",
        fix,
    )


def _written(ends: tuple[float, ...] | list[float]) -> str:
    said = ", ".join(f"{end:g}" for end in ends)
    return f"[{said}]" if len(ends) > 1 else said

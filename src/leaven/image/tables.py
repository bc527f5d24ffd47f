"""The 14 operations of automatic policies and how strong each is, in torchvision's two spaces of 31 steps (0 to 30).

RandAugment and TrivialAugment Wide as torchvision has them (autoaugment.py, 0352a47).  The releases of the two papers
differ: there posterize and solarize of RandAugment are the harder the smaller the magnitude is, TrivialAugment moves by
32 pixels at any size, and factors of light run from .01 to 2 without a sign.
"""

from __future__ import annotations

STEPS = 31
SIGNED = (
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
)
"""Those whose strength is made negative by the toss of a coin."""
OPS = ("identity", *SIGNED, "posterize", "solarize", "auto_contrast", "equalize")
RANDAUGMENT = {"shear": 0.3, "rotate": 30.0, "factor": 0.9, "bits": 4}
TRIVIAL = {"shear": 0.99, "rotate": 135.0, "factor": 0.99, "bits": 6}
MOST_OF_SIDE, MOST_PIXELS = 150 / 331, 32.0


def strength(space: str, op: str, step: int, size: tuple[int, int]) -> float | None:
    """How strong an operation is at a step: a slope, pixels, degrees, what is added to a factor of 1, bits, or a
    threshold; None where it has no strength.

    >>> [strength("randaugment", op, 9, (224, 224)) for op in ("shear_x", "translate_x", "rotate", "posterize")]
    [0.09, 30, 9.0, 7]
    """
    share = step / (STEPS - 1)
    most = TRIVIAL if space == "trivial" else RANDAUGMENT
    if op in ("shear_x", "shear_y"):
        return round(most["shear"] * share, 6)
    if op in ("translate_x", "translate_y"):
        side = size[0] if op == "translate_x" else size[1]
        return int(round((MOST_PIXELS if space == "trivial" else MOST_OF_SIDE * side) * share, 6))
    if op == "rotate":
        return round(most["rotate"] * share, 6)
    if op in ("brightness", "color", "contrast", "sharpness"):
        return round(most["factor"] * share, 6)
    if op == "posterize":
        return 8 - round(most["bits"] * share)
    return round(255 * (1 - share), 6) if op == "solarize" else None

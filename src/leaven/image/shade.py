"""An image in another light, through another lens, or saved badly; nothing moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from leaven.image.carried import noted, said
from leaven.image.light import blurred, curve, jpeg, noisy, tint
from leaven.image.mirrored import tinted
from leaven.media.image import Image
from leaven.operators import Make
from leaven.ranges import Range, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

EITHER_WAY = ("brightness", "contrast", "saturation", "hue", "gamma")


def shaded(
    pixels: NDArray[np.uint8], drawn: dict[str, Any], noise: NDArray[np.float32] | None = None, gray: bool = False
) -> NDArray[np.uint8]:
    """Pixels with what was drawn done to them: colour, light, blur, noise, compression."""
    if drawn.get("saturation") or drawn.get("hue"):
        pixels = tint(pixels, drawn.get("saturation", 0.0), drawn.get("hue", 0.0))
    light = {name: drawn[name] for name in ("brightness", "contrast", "gamma") if drawn.get(name)}
    if light:
        pixels = curve(pixels, **light)
    if "blur" in drawn:
        pixels = blurred(pixels, drawn["blur"])
    if noise is not None:
        pixels = noisy(pixels, drawn["noise"], noise)
    return jpeg(pixels, drawn["jpeg"], gray) if "jpeg" in drawn else pixels


class Shade(Make):
    """Change the light, colour, sharpness or grain of an image; boxes, masks, points and labels stay true.

    Each change is made with chance `p`, by a number drawn evenly from minus to plus its value (blur and noise from 0).
    `hue` makes words for colours false, so it is left out where an English text or label names one, and the history
    says so (`no: ...`), but for fields named in `holds`.

    Needs an image.  Makes an image; boxes, masks and points stay.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.full((4, 4, 3), 100, np.uint8))
    >>> [row] = Shade(brightness=0.2, contrast=0)({"image": photo})
    >>> 80 <= int(row["image"].pixels[0, 0, 0]) <= 120
    True
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points", "map"})
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    p: float = Field(1.0, ge=0, le=1)
    """The chance of each change."""
    brightness: float = Field(0.2, ge=0, le=1)
    """How much brighter or darker, as a share."""
    contrast: float = Field(0.2, ge=0, le=1)
    """How much farther from the mean gray, or nearer, as a share."""
    saturation: float = Field(0.0, ge=0, le=1)
    """How much more or less colourful, as a share."""
    hue: float = Field(0.0, ge=0, le=0.5)
    """How far the colours are turned, as a share of their circle."""
    gamma: float = Field(0.0, ge=0, lt=1)
    """By how much the power to which values are raised is above or below 1."""
    blur: float = Field(0.0, ge=0, le=100)
    """The largest sigma of a Gaussian blur, in pixels."""
    noise: float = Field(0.0, ge=0, le=255)
    """The largest standard deviation of Gaussian noise, of 255 grays."""
    jpeg: Annotated[Range, within(1, 100)] | None = None
    """The quality, low and high, of a JPEG whose traces it bears."""
    on: str | None = None
    """The image to change; the main one."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        import numpy as np

        on = self.on or "image"
        image: Image = record[on]
        same = {name: record[name] for _, name in noted(record, ctx, on, self.moves)}
        why = tinted(said(record, ctx, self.holds)) if self.hue else ""
        gray = image.kind.endswith("gray")
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            drawn = self.draw(rng)
            no = {"hue": f"no: {why}"} if why and drawn.pop("hue", None) is not None else {}
            width, height = image.size
            layers = 1 if gray else 3  # a gray image stays gray
            noise = rng.standard_normal((height, width, layers), np.float32) if "noise" in drawn else None
            new = Image.of(shaded(image.pixels, drawn, noise, gray), image)
            yield record.child({on: new, **same}, drawn={**drawn, **no})

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """What happens to an image; always as many numbers, so that one change more leaves the others as they were."""
        names = (*EITHER_WAY, "blur", "noise", "jpeg")
        numbers = rng.random(2 * len(names)).tolist()
        happens = {name: chance < self.p for name, chance in zip(names, numbers[: len(names)], strict=True)}
        u = dict(zip(names, numbers[len(names) :], strict=True))
        drawn: dict[str, Any] = {}
        for name in names[:-1]:
            most = getattr(self, name)
            if most and happens[name]:
                drawn[name] = round(most * (2 * u[name] - 1 if name in EITHER_WAY else u[name]), 4)
        if self.jpeg and happens["jpeg"]:
            low, high = self.jpeg
            drawn["jpeg"] = round(low + (high - low) * u["jpeg"])
        return drawn

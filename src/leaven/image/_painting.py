"""What every operator that paints takes, and how what was painted becomes a child's image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from leaven.image.resized import resized
from leaven.media.image import Image
from leaven.media.opencv import opencv

if TYPE_CHECKING:
    from leaven.fields import Column


class Painting(BaseModel):
    """Parameters shared by the operators that ask who paints."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    steps: int = Field(30, ge=1, le=1000)
    """How many steps the model takes from noise to an image."""
    guidance: float = Field(7.5, ge=0, le=100)
    """How closely it follows the prompt."""
    negative: str = ""
    """What is not to be seen."""
    adapter: str | None = None
    """The step that fitted the model to the data: `adapter: own` after `adapter as own: {role: paint}`."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model paint.other=URI`."""

    def how(self) -> dict[str, Any]:
        """What the model is told beside the prompt."""
        said = {"steps": self.steps, "guidance": self.guidance}
        return {**said, "negative": self.negative} if self.negative else said


def shown_by(names: Collection[str], changed: str, columns: Mapping[str, Column]) -> set[str]:
    """Columns that an image was painted from, and those that they are about in turn: what it shows, so they stay true.

    >>> from leaven.fields import Column
    >>> about = {"edges": Column("image", frozenset({"mask"})), "mask": Column("mask", frozenset({"image"}))}
    >>> sorted(shown_by(["edges"], "image", about))
    ['edges', 'mask']
    """
    found: set[str] = set()
    waiting = {name for name in names if name in columns} - {changed}
    while waiting:
        found |= waiting
        waiting = {own for name in waiting for own in columns[name].about if own in columns} - found - {changed}
    return found


def as_its_parent(painted: Image, parent: Image | None) -> Image:
    """A painted image in its parent's size, encoded as that is: of a gray one its lightness alone; else as it is."""
    if parent is None:
        return painted
    pixels = resized(painted.pixels, *parent.size)
    if parent.kind.endswith("gray"):
        cv2 = opencv()
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return Image.of(pixels, parent)

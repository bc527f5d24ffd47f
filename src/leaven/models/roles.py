"""Roles: what operators ask of models, each one narrow method.  Arrays are numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    import numpy as np

    from leaven.media.audio import Audio
    from leaven.media.image import Image

    Item = str | Image | Audio

State = Mapping[str, Any]

ASKED = (
    "chat", "complete", "classify", "embed", "translate", "fill", "tag", "caption", "detect", "segment", "map", "paint",
    "speak", "transcribe", "sound",
)  # fmt: skip
"""The roles for which a user may name a model."""
FALLBACKS = {
    "complete": ("chat",),
    "classify": ("complete", "chat"),
    "translate": ("chat",),
    "tag": ("chat",),
    "caption": ("chat",),
}
"""Over whom a role is played that nobody plays itself."""


class Embed(Protocol):
    """Texts to vectors."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """n x d, float32, unit length; zeros for a text without a known token."""


class Box(TypedDict):
    """Where something is in an image: pixels from the left upper corner, what it is, and how sure a model is."""

    x: float
    y: float
    w: float
    h: float
    label: str
    score: float


class Span(TypedDict):
    """Where something stands in a text: characters from ``start`` up to ``end``, what it says, and what it is."""

    start: int
    end: int
    text: str
    label: str


class Fill(Protocol):
    """Texts with blanks to whole texts."""

    def fill(self, text: str, *, blank: str, label: str | None, rng: np.random.Generator) -> str:
        """The text with every blank filled; ``label=None`` fills without regard to a label."""

"""Roles: what operators ask of models, each one narrow method.  Arrays are numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from leaven.media.audio import Audio
    from leaven.media.image import Image

    Item = str | Image | Audio

State = Mapping[str, Any]

ASKED = ("chat", "complete", "classify", "embed", "translate", "speak", "transcribe")
"""The roles for which a user may name a model."""
FALLBACKS = {"complete": ("chat",), "classify": ("complete", "chat"), "translate": ("chat",)}
"""Over whom a role is played that nobody plays itself."""


class Embed(Protocol):
    """Texts to vectors."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """n x d, float32, unit length; zeros for a text without a known token."""


class Fill(Protocol):
    """Texts with blanks to whole texts."""

    def fill(self, text: str, *, blank: str, label: str | None, rng: np.random.Generator) -> str:
        """The text with every blank filled; ``label=None`` fills without regard to a label."""

"""Which class plays a role with a model of transformers, by the role and by what the model's config says it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaven.models.asker import Player

LOCAL = "leaven.models.backends.local"
WHO = {
    "chat": ("speaks", "Speaks"),
    "complete": ("speaks", "Speaks"),
    "classify": ("classifies", "Classifies"),
    "fill": ("fills", "Fills"),
    "translate": ("translates", "Translates"),
    "tag": ("tags", "Tags"),
    "caption": ("captions", "Captions"),
    "detect": ("detects", "Detects"),
    "segment": ("segments", "Segments"),
    "map": ("maps", "Maps"),
    "transcribe": ("hears", "Hears"),
    "speak": ("reads_aloud", "ReadsAloud"),
}
"""Role to the file and the class that plays it."""


def of_transformers(role: str, uri: str, place: str) -> Player:
    """Who plays ``transformers:FOLDER`` or ``transformers:NAME`` in a role.

    Raises ModelError for a model that cannot play it.
    """
    if role == "embed":
        from leaven.models.backends.encoders import Encoder

        return Encoder(uri, place)
    from leaven.models.backends.local.weights import find

    file, name = WHO[role]
    kind = getattr(import_module(f"{LOCAL}.{file}"), name)
    player: Player = kind(find(uri, place))
    return player

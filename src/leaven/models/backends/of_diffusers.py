"""Which class plays a role with a pipeline of diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaven.models.asker import Player


def of_diffusers(role: str, uri: str, place: str) -> Player:
    """Who plays ``diffusers:FOLDER`` or ``diffusers:NAME`` for ``paint`` or ``sound``.

    Raises ModelError for a pipeline that cannot.
    """
    from leaven.models.backends.local.weights import find

    weights = find(uri, place, "model_index.json")
    if role == "paint":
        from leaven.models.backends.local.paints import Paints

        return Paints(weights)
    from leaven.models.backends.local.sounds import Sounds

    return Sounds(weights)

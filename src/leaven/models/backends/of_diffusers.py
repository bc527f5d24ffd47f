"""Which class plays a role with a pipeline of diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from leaven.errors import ModelError, suggest

if TYPE_CHECKING:
    from leaven.models.asker import Player
    from leaven.models.calls import Adapter

BESIDE = {"controlnet": "config.json", "ip_adapter": "image_encoder/config.json"}
"""What may stand beside a pipeline, and the file that says what it is."""
ADAPTER = "adapter"


def of_diffusers(role: str, uri: str, place: str) -> Player:
    """Who plays ``diffusers:FOLDER`` or ``diffusers:NAME`` for ``paint`` or ``sound``.

    For ``paint`` other folders may be named beside it: ``diffusers:FOLDER?controlnet=FOLDER2&ip_adapter=FOLDER3``.
    ``adapter=FOLDER4`` paints with a LoRA or words that an `adapter` step fitted.
    Raises ModelError for a pipeline that cannot.
    """
    from leaven.models.backends.local.weights import find

    place, _, said = place.partition("?")
    weights = find(uri, place, "model_index.json")
    named = dict(parse_qsl(said))
    for name, other in named.items():
        if name not in (*BESIDE, ADAPTER) or role != "paint":
            near = suggest(name, [*BESIDE, ADAPTER])
            raise ModelError(f"{uri}: nothing named `{name}` stands beside a pipeline.", f"{near}.")
        if name == "ip_adapter" and not Path(other).expanduser().is_dir():
            raise ModelError(f"there is no folder {other}.", "name the folder of an IP-Adapter that lies here.")
        if name == ADAPTER and not Path(other).expanduser().is_dir():
            raise ModelError(f"there is no folder {other}.", "name the folder that an `adapter` step wrote.")
    if role == "paint":
        from leaven.models.backends.local.paints import Paints

        fitted = named.pop(ADAPTER, "")
        beside = {name: find(uri, other, BESIDE[name]) for name, other in named.items()}
        return Paints(weights, beside, _adapter(Path(fitted).expanduser()) if fitted else None)
    from leaven.models.backends.local.sounds import Sounds

    return Sounds(weights)


def _adapter(folder: Path) -> Adapter:
    from leaven.models.backends.local.weights import hashed
    from leaven.models.calls import Adapter

    return Adapter(f"{folder.resolve().name} {hashed(folder)}", folder)

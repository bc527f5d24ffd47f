"""Images by a generator that a step of the recipe fitted to the user's own, from nothing: no weights are named."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.errors import MissingExtra, ModelError
from leaven.media.image import Image
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.weights import Weights, hashed
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.small_diffusion import SmallDiffusion

STEPS, GUIDANCE, STRENGTH = 30, 2.0, 0.6
NOT_HERE = ("mask", "control", "like", "boxes", "instruct")
"""What it could be given to paint from, and makes nothing of."""


class Fitted(Local):
    """Plays ``paint`` with what the call's adapter holds, or with a folder: ``fitted:FOLDER``.

    The prompt is a label, as it stands in the data; an empty one paints any.
    """

    extra: ClassVar[str] = "diffusion"

    def __init__(self, uri: str, place: str) -> None:
        if find_spec("diffusers") is None or find_spec("torch") is None:
            raise MissingExtra(f"{uri} needs the extra `diffusion`.", 'pip install "leaven[diffusion]"')
        folder = Path(place).expanduser()
        if place and not folder.is_dir():
            raise ModelError(f"{uri}: there is no folder {place}.", "name the folder that an `adapter` step wrote.")
        name = f"{folder.resolve().name} {hashed(folder)}" if place else uri
        # Small enough never to be asked for room; the name of what was fitted is part of each call.
        super().__init__(Weights(uri, place, name, "", folder))

    def load(self) -> None:
        """Nothing is read before it is known which."""

    def unload(self) -> None:
        _loaded.cache_clear()

    def kind(self, ask: Ask) -> Hashable:
        return ask.adapter

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> Answer | CallFailed:
        said: dict[str, Any] = dict(ask.content)
        if given := [name for name in NOT_HERE if said.get(name)]:
            raise ModelError(
                f"a generator that was fitted here paints a label; it cannot be given {given[0]}.",
                "name a model for it: --model paint=diffusers:FOLDER",
            )
        if not ask.adapter and not self.weights.place:
            raise ModelError(f"{self.uri} names nothing that was fitted.", "paint: {adapter: NAME}, or fitted:FOLDER")
        model = _loaded(ask.adapter.folder if ask.adapter else Path(self.weights.place).expanduser())
        label = str(said["prompt"]) or None
        if label is not None and label not in model.classes:
            return CallFailed("no_such_label", f"the generator was fitted without the label `{label}`")
        begun = ask.media[said["image"]] if said.get("image") else None
        pixels = model.draw(
            label,
            seed=int(ask.sampling.get("seed", 0)),
            steps=int(said.get("steps") or STEPS),
            guidance=float(said["guidance"] if said.get("guidance") is not None else GUIDANCE),
            start=begun.pixels if isinstance(begun, Image) else None,
            strength=float(said.get("strength") or STRENGTH),
        )
        return Answer("", media=Image.of(pixels))


@lru_cache(maxsize=4)
def _loaded(folder: Path) -> SmallDiffusion:
    from leaven.models.backends.local.small_diffusion import SmallDiffusion

    return SmallDiffusion.load(folder)

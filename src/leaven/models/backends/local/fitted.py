"""Images and sounds by generators that a step of the recipe fitted to the user's own, from nothing: no weights are
named."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from leaven.errors import MissingExtra, ModelError
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.backends.local import small_sound
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.small_diffusion import SmallDiffusion
from leaven.models.backends.local.small_sound import SmallSound
from leaven.models.backends.local.weights import Weights, hashed
from leaven.models.calls import Answer, Ask, CallFailed

STEPS, GUIDANCE, STRENGTH = 30, 2.0, 0.6
NOT_HERE = ("mask", "control", "like", "boxes", "instruct", "negative")
"""What it could be given besides, and makes nothing of."""
AT_EASE = 0.05
"""Seconds by which a sound may be longer than the generator's: they are left out, or silent."""


class Fitted(Local):
    """Plays ``paint`` and ``sound`` with what the call's adapter holds, or with a folder: ``fitted:FOLDER``.

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
        _painter.cache_clear()
        _sounder.cache_clear()

    def kind(self, ask: Ask) -> Hashable:
        return ask.adapter

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> Answer | CallFailed:
        said: dict[str, Any] = dict(ask.content)
        if given := [name for name in NOT_HERE if said.get(name)]:
            raise ModelError(
                f"a generator that was fitted here {ask.role}s a label; it cannot be given {given[0]}.",
                f"name a model for it: --model {ask.role}=diffusers:FOLDER",
            )
        if not ask.adapter and not self.weights.place:
            raise ModelError(
                f"{self.uri} names nothing that was fitted.", f"{ask.role}: {{adapter: NAME}}, or fitted:FOLDER"
            )
        folder = ask.adapter.folder if ask.adapter else Path(self.weights.place).expanduser()
        model = _sounder(folder) if ask.role == "sound" else _painter(folder)
        label = str(said["prompt"]) or None
        if label is not None and label not in model.classes:
            return CallFailed("no_such_label", f"the generator was fitted without the label `{label}`")
        begun = ask.media.get(said.get("image") or said.get("start") or "")
        how: dict[str, Any] = {
            "seed": int(ask.sampling.get("seed", 0)),
            "steps": int(said.get("steps") or STEPS),
            "guidance": float(said["guidance"] if said.get("guidance") is not None else GUIDANCE),
            "strength": float(said.get("strength") or STRENGTH),
        }
        if not isinstance(model, SmallSound):
            start = begun.pixels if isinstance(begun, Image) else None
            return Answer("", media=Image.of(model.draw(label, start=start, **how)))
        seconds = max(said.get("seconds") or 0, begun.seconds if isinstance(begun, Audio) else 0)
        if seconds > model.seconds + AT_EASE:
            return CallFailed("too_long", f"{seconds:.2f} s; the generator makes sounds of {model.seconds:.2f} s")
        from_ = (begun.mono, begun.rate) if isinstance(begun, Audio) else None
        samples = model.draw(label, start=from_, seconds=said.get("seconds"), **how)
        return (
            Answer("", media=Audio.of(samples, model.rate))
            if len(samples)
            else CallFailed("silent", "nothing is heard in what was made")
        )


@lru_cache(maxsize=4)
def _painter(folder: Path) -> SmallDiffusion:
    if (folder / small_sound.ABOUT).is_file():
        raise ModelError(f"{folder} holds a generator of sounds.", f"--model sound=fitted:{folder}")
    return SmallDiffusion.load(folder)


@lru_cache(maxsize=4)
def _sounder(folder: Path) -> SmallSound:
    return SmallSound.load(folder)

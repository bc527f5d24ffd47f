"""The transforms of the package audiomentations, where somebody has it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.errors import MissingExtra, RecipeError, suggest
from leaven.media.audio import Audio
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context


class Audiomentations(Make):
    """Apply transforms of the package audiomentations, one after the other; the label stays.

    It is not one of ours: install it (it takes some 500 MB).  Its random numbers come from the record's own key like
    all others here, for as long as it runs alone in its process.  It says nothing of where it moved things in time: a
    record with segments needs `holds` for transforms that move none.

    Needs audio.  Makes audio.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> tone = Audio.of(np.sin(np.arange(16000) / 5) / 2, 16000)
    >>> Audiomentations({"PolarityInversion": {"p": 1.0}})({"audio": tone})  # doctest: +SKIP
    [{'audio': Audio(1.00 s, 16000 Hz, 1 ch)}]
    """

    takes: ClassVar[str] = "audio"
    transforms: dict[str, dict[str, Any]]
    """Names of its classes and their parameters, in order: `{Gain: {min_gain_db: -6, p: 0.5}}`."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The sound to change; the main audio."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "audio"
        sound: Audio = record[field]
        transforms = _built(self.transforms)
        for ordinal in range(self.n):
            seed = int(ctx.rng_of(ordinal).integers(2**32))
            new, drawn = _applied(transforms, sound.samples, sound.rate, seed)
            yield record.child({field: Audio.of(new, sound.rate, sound)}, drawn=drawn)


def _built(transforms: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    try:
        import audiomentations
        from audiomentations.core.transforms_interface import BaseWaveformTransform
    except ImportError:
        raise MissingExtra("this recipe needs the package audiomentations.", "pip install audiomentations") from None
    known = {
        name: kind
        for name, kind in vars(audiomentations).items()
        if inspect.isclass(kind) and issubclass(kind, BaseWaveformTransform)
    }
    found = []
    for name, parameters in transforms.items():
        if name not in known:
            raise RecipeError(f"audiomentations has no transform `{name}`.", f"{suggest(name, known)}.")
        try:
            found.append(known[name](**parameters))
        except (TypeError, ValueError, AssertionError) as error:
            raise RecipeError(f"{name} of audiomentations: {error}.", "correct its parameters.") from None
    return found


def _applied(
    transforms: list[Any], samples: NDArray[np.float32], rate: int, seed: int
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The samples after all transforms, and which of them were applied.  Its state is global: it is set, and put
    back."""
    import random

    import numpy as np

    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        now = np.ascontiguousarray(samples.T)
        applied = []
        for transform in transforms:
            now = transform(now, sample_rate=rate)
            if transform.parameters.get("should_apply"):
                applied.append(type(transform).__name__)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    return np.ascontiguousarray(now.T, np.float32), {"seed": seed, "applied": applied}

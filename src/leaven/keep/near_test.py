"""No row that stands in the test set, or nearly does: it would make the measurement lie.

Of a pair its image (its sound) decides, and no text: a caption is often said again of another image.  And of images
only one that the recipe brought in or changed: a caption written anew for an image of the source shows a model nothing
of the test that the source did not, even where the test set has the same image (it is the split that leaks then, and
``measure`` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.context import MEDIA_AT_A_TIME, plainly
from leaven.keep.near import TextIndex, exact_keys, one_of
from leaven.keep.prints import CELLS, MOST_RATE, SIDE, KnownImages, KnownSounds, image_print, sound_print
from leaven.media.broken import Broken
from leaven.operators import Keep, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class NearTest(Keep):
    """Refuse what is equal or near to a test row; the engine puts it at the end of every recipe that has test rows.

    Near is an overlap (Jaccard) of 5-character pieces of at least ``at``, case and blanks folded.
    Images are near where their difference hashes differ in at most 6 of 64 bits and their thumbnails
    correlate by 0.98; sounds where their log-mel spectra, 30 dB deep, correlate by 0.99.

    Needs a text, an image or a sound, and test rows to compare with.

    >>> NearTest()({"text": "I lost my card!"}, test=[{"text": "i lost my card"}])
    [{'text': 'I lost my card!', '_reason': 'near_test'}]
    """

    takes: ClassVar[str] = "text or image or audio"
    at: float = Field(0.8, gt=0, le=1)
    """The overlap from which a text counts as near."""
    on: str | None = None
    """The field to compare; the main text, image or sound."""
    own: bool = False
    """Let through what a source row holds as it is, such as an image that got a new caption."""

    def fits_on(self) -> tuple[str, ...]:
        return ("test", "source") if self.own else ("test",)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        field = self.on or ""
        state = _known(rows["test"], field) if "test" in rows else {"texts": np.array([], np.str_)}
        if "source" in rows:
            state["own"] = np.sort(exact_keys(rows["source"].said([field])))
        return state

    def keep(self, record: Record, ctx: Context) -> str:
        value = record.get(self.on or "")
        if "own" in ctx.state and one_of(ctx.state["own"], exact_keys([plainly(value)]))[0]:
            return ""
        return "near_test" if _near(_Held(ctx.state), self.at)(value) else ""


def _known(test: Rows, field: str) -> dict[str, Any]:
    """What the test rows hold in a field: texts, or prints of what can be decoded."""
    import numpy as np

    kind = test.kinds.get(field, "")
    if kind not in ("image", "audio"):
        return {"texts": np.array(test.texts([field]), dtype=np.str_)}
    found: list[Any] = []
    rate = 0
    for begin in range(0, len(test), MEDIA_AT_A_TIME):
        for value in test.take(range(begin, min(begin + MEDIA_AT_A_TIME, len(test)))).column(field):
            try:
                if value is not None and kind == "image":
                    found.append(image_print(value.pixels))
                elif value is not None:
                    rate = rate or min(value.rate, MOST_RATE)
                    found.append(sound_print(value, rate))
            except Broken:
                continue
    if kind == "audio":
        return {"rate": np.array(rate), "sounds": np.array(found, np.float32).reshape(-1, CELLS * CELLS)}
    return {
        "bits": np.array([bits for bits, _ in found], np.uint64),
        "small": np.array([small for _, small in found], np.uint8).reshape(-1, 3 * SIDE * SIDE),
    }


class _Held:
    """A state as a key of a cache: the same one is the same object for as long as a stage runs."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state

    def __hash__(self) -> int:
        return id(self.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.state is self.state


@lru_cache(maxsize=4)
def _near(held: _Held, at: float) -> Callable[[Any], bool]:
    """What tells whether a value is near to one of the test's.  Raises Broken."""
    state = held.state
    if "bits" in state:
        images = KnownImages(state["bits"], state["small"])
        return lambda value: value is not None and images.near(image_print(value.pixels))
    if "sounds" in state:
        sounds, rate = KnownSounds(state["sounds"]), int(state["rate"]) or MOST_RATE
        return lambda value: value is not None and sounds.near(sound_print(value, rate))
    index = TextIndex(at)
    for text in state["texts"].tolist():
        index.add(text)
    return lambda value: bool(index.near(str(value or "")))

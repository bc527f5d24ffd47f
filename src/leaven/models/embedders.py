"""Which embedder plays: the one whose vectors tell the labels apart better, judged out of fold on the real rows.

WordLlama is strong on English and weak elsewhere; hashed character pieces need no weights and no language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.backends.hashed import Hashed
from leaven.models.backends.linear import choose_C, fit_linear, predict, stratified_folds

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.roles import Item

MOST_JUDGED = 2000
BUILT_IN = ("wordllama", "hashed")
"""The embedders that run in this process; ``--model embed=NAME`` takes one without judging them."""


def choose(texts: Sequence[str], labels: Sequence[str | None], seed: int, named: str = "") -> dict[str, Any]:
    """The state of an embedder: its name, and the arrays of a fitted one; ``named`` where one is wanted."""
    import numpy as np

    from leaven.models.backends.wordllama import WordLlama

    if named == "wordllama":
        return {"name": np.array("wordllama")}
    hashed = Hashed.fit(texts, seed)
    if named == "hashed":
        return {"name": np.array("hashed"), **hashed.arrays()}
    known = [i for i, label in enumerate(labels) if label is not None][:MOST_JUDGED]
    if len({labels[i] for i in known}) < 2:
        return {"name": np.array("wordllama")}
    names = sorted({str(labels[i]) for i in known})
    y = np.array([names.index(str(labels[i])) for i in known])
    some = [texts[i] for i in known]
    scores = {
        "wordllama": out_of_fold(WordLlama().embed(some), y, seed),
        "hashed": out_of_fold(hashed.embed(some), y, seed),
    }
    if scores["hashed"] > scores["wordllama"] + 0.01:  # at a tie the one that knows words
        return {"name": np.array("hashed"), **hashed.arrays()}
    return {"name": np.array("wordllama")}


def out_of_fold(vectors: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Accuracy on held-out folds of a linear student, two folds, one C: enough to rank two embedders."""
    fold = stratified_folds(y, 3, seed)
    c = choose_C(vectors, y, (3.0, 30.0), 2, seed)
    right = total = 0
    for number in range(int(fold.max()) + 1):
        tested = fold == number
        state = fit_linear(vectors[~tested], y[~tested], C=c, n_labels=int(y.max()) + 1)
        right += int((predict(state, vectors[tested]) == y[tested]).sum())
        total += int(tested.sum())
    return right / max(1, total)


class LocalModels:
    """The embedders of this process, each loaded when first asked for: texts are embedded by the one that was chosen,
    images and sounds by features that need no weights."""

    def __init__(self, embedder: Mapping[str, Any]) -> None:
        self._state = embedder

    def embed(self, items: Sequence[Item]) -> np.ndarray:
        """Vectors of texts, of images or of sounds, all of one kind in a call: n x d, float32, unit length."""
        import numpy as np

        if not len(items):
            return np.zeros((0, 1), np.float32)
        kind = kind_of(items)
        embedder: Any = self._texts if kind == "text" else self._images if kind == "image" else self._sounds
        found: np.ndarray = embedder.embed(items)
        return found

    @cached_property
    def _texts(self) -> Any:
        if str(self._state["name"]) == "hashed":
            return Hashed.from_arrays(self._state)
        from leaven.models.backends.wordllama import WordLlama

        return WordLlama()

    @cached_property
    def _images(self) -> Any:
        from leaven.models.backends.image_features import ImageFeatures

        return ImageFeatures()

    @cached_property
    def _sounds(self) -> Any:
        from leaven.models.backends.audio_features import AudioFeatures

        return AudioFeatures()


def kind_of(items: Sequence[Item]) -> str:
    """``text``, ``image`` or ``audio``: what the items of a call are.  Raises TypeError where they differ."""
    names = {Image: "image", Audio: "audio", str: "text"}
    kinds = {next((name for kind, name in names.items() if isinstance(item, kind)), "") for item in items}
    if len(kinds) != 1 or "" in kinds:
        said = sorted({type(item).__name__ for item in items})
        raise TypeError(f"a call embeds texts, images or sounds, all of one kind; these are {', '.join(said)}")
    return kinds.pop()

"""Whether captions fit, told by an encoder that knows images (or sounds) and texts: CLIP, SigLIP, CLAP.

Two numbers a caption: its cosine with its own image, and whether it is nearer to it than to every other real image.
The made rows' stand beside the real ones', as all traits do; nothing is trained.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.measure.bench import Rows
from leaven.measure.students import of_table
from leaven.models.backends.encoders import Encoder

PLAYED_BY = "transformers:"
Vectors = NDArray[np.float32]


def encoder_of(models: Mapping[str, str], kind: str) -> PairEncoder | None:
    """The encoder among the models that play ``embed``, where it knows texts and this kind."""
    for name in models.get("embed", "").split(", "):
        if name.startswith(PLAYED_BY):
            encoder = Encoder(name, name.removeprefix(PLAYED_BY))
            if {"text", kind} <= set(encoder.kinds):
                return PairEncoder(encoder)
    return None


class PairEncoder:
    """Items of one kind a call to unit vectors, n x d; ``close`` it, since it holds threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.run_until_complete(self._encoder.close())
        self._loop.close()

    def __call__(self, items: Sequence[Any]) -> Vectors:
        found, _ = self._loop.run_until_complete(self._encoder.embed(items))
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(length, 1e-12), np.float32)


def note_fit(real: Rows, made: Rows, seen: Mapping[str, Vectors], encode: PairEncoder) -> None:
    """Add the two numbers to the notes of all rows; ``seen`` are the vectors of their images or sounds."""
    texts = list(dict.fromkeys(text for rows in (real, made) for note in rows.notes for text in note.captions))
    if not texts:
        return
    said = dict(zip(texts, encode(texts), strict=True))
    others = of_table(seen, real.items)
    for rows in (real, made):
        for row, note in enumerate(rows.notes):
            if not note.captions:
                continue
            of = np.array([row]) if rows is real else rows.roots[row]
            own = of[of >= 0]
            vectors = np.stack([said[text] for text in note.captions])
            fit = vectors @ seen[rows.items[row]]
            rest = np.delete(vectors @ others.T, own, axis=1)  # its parents' images are nearly its own
            first = fit[:, None] > rest if rest.shape[1] else np.ones((len(fit), 1), bool)
            note.things["pair", "cosine of caption and its own"] = fit.astype(float).tolist()
            note.things["pair", "its own is the nearest, share"] = first.all(axis=1).astype(float).tolist()

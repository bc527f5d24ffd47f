"""Augmented View Dropout: of the texts that describe a thing, each epoch shows others, in another order."""

from __future__ import annotations

from collections.abc import Sequence

from leaven.records import random_key


def views(texts: Sequence[str], *, seed: int, epoch: int, record: str, keep: float = 0.5) -> list[str]:
    """Some of a record's texts (tags, captions), at least one, in a drawn order; none where it has none.

    Each is kept with the chance ``keep``; where none is, one is drawn.  The draw hangs on (seed, epoch, record) alone.
    Source: Manco, Salamon and Nieto 2024 (Augment, Drop & Swap, arXiv:2409.11498), who do not give the chance.

    >>> sorted(views(["a flute", "calm"], seed=0, epoch=0, record="song", keep=1))
    ['a flute', 'calm']
    """
    import numpy as np

    if not texts:
        return []
    key = np.frombuffer(random_key(seed, "views", epoch, record, 0), np.uint64)
    rng = np.random.Generator(np.random.Philox(key=key))
    kept = [i for i in range(len(texts)) if rng.random() < keep] or [int(rng.integers(len(texts)))]
    return [texts[kept[i]] for i in rng.permutation(len(kept))]

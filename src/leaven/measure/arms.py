"""Which rows an arm trains on, and how often each stands there.  Pure functions of ids, labels and a seed.

Weights are counts, and every arm's sum to the number of real rows in the end (``fit_linear(...,
total=n_real)``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]


def draw(ids: Sequence[str], labels: ArrayLike, amount: int, seed: int) -> Ints:
    """Indices of ``amount`` rows in equal shares per label, each label's in the order of hash(seed, id).

    A label with too few rows gives all it has, and the others fill up; all rows where there are fewer than
    ``amount``.
    """
    of_label = np.asarray(labels, dtype=np.int64)
    keys = [_key(seed, name) for name in ids]
    queues: dict[int, list[int]] = {}
    for i in sorted(range(len(keys)), key=lambda i: keys[i]):
        queues.setdefault(int(of_label[i]), []).append(i)
    # One row of each label in turn: round r takes the r-th row of every label.  Within a round the hash
    # decides, so that where the amount ends in the middle of a round, each seed leaves other labels short.
    turns = [(turn, keys[i], i) for queue in queues.values() for turn, i in enumerate(queue)]
    return np.array(sorted(i for _, _, i in sorted(turns)[: max(0, amount)]), dtype=np.int64)


def resample(labels: ArrayLike, seed: int) -> Ints:
    """How often each real row stands in bootstrap ``seed``: drawn with replacement inside each label.

    Inside labels, so that none gets lost and the class shares stay.  Raw Philox words are the same in every
    numpy.
    """
    of_label = np.asarray(labels, dtype=np.int64)
    words = np.random.Philox(key=[seed, 0x6C656176]).random_raw(len(of_label))
    counts = np.zeros(len(of_label), dtype=np.int64)
    for label in np.unique(of_label):
        rows = np.flatnonzero(of_label == label)
        np.add.at(counts, rows[words[rows] % np.uint64(len(rows))], 1)
    return counts


def inherit(root_counts: Ints, roots: ArrayLike) -> Ints:
    """Counts of made rows: those of the real row each came from; 1 where it came from none (root below 0).

    ``roots`` are rows x parents, or one parent a row.  Of several parents it is the product: of a row drawn twice and
    one drawn three times, six pairs can be made, and none where one of the two is not there.
    """
    of_roots = np.asarray(roots, dtype=np.int64)
    of_roots = of_roots[:, None] if of_roots.ndim == 1 else of_roots
    found: Ints = np.where(of_roots >= 0, root_counts[of_roots], 1).prod(axis=1).astype(np.int64)
    return found


def _key(seed: int, name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16, key=str(seed).encode()).digest()

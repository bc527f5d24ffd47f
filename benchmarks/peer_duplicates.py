"""Near duplicates as semhash and datasketch find them, in what ``million_keeps.py`` wrote, beside an exact count.

    MILLION_KEEPS=FOLDER python benchmarks/million_keeps.py ROWS top    # leaves the data in FOLDER
    python benchmarks/peer_duplicates.py FOLDER ROWS datasketch|semhash|leaven-texts|leaven-vectors

Run it where semhash and datasketch are installed; they are no part of leaven.  Exact is: every row in order against
all that stay; so ROWS must be some ten thousand.  Time is CPU seconds, for other work ran on the machine.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

AT = {"texts": 0.8, "vectors": 0.9}
OTHERS = 2000
"""The rows before those that are compared: the source and the test set of the other benchmark."""


def pieces(text: str) -> frozenset[str]:
    text = " ".join(text.casefold().split())
    return frozenset(text[i : i + 5] for i in range(max(1, len(text) - 4)))


def exact_texts(texts: list[str]) -> np.ndarray:
    """Jaccard of 5-character pieces, from a product of sparse matrices."""
    from scipy.sparse import csr_array

    held = [sorted(pieces(text)) for text in texts]
    numbers = {piece: i for i, piece in enumerate(sorted({piece for one in held for piece in one}))}
    edges = np.cumsum([0, *map(len, held)])
    columns = np.array([numbers[piece] for one in held for piece in one])
    table = csr_array((np.ones(len(columns), np.int32), columns, edges), (len(texts), len(numbers)))
    sizes, turned = np.diff(edges), table.T.tocsr()
    gone = np.zeros(len(texts), bool)
    for begin in range(0, len(texts), 500):
        both = (table[begin : begin + 500] @ turned).tocoo()
        rows, others = both.coords[0] + begin, both.coords[1]
        near = (both.data >= AT["texts"] * (sizes[rows] + sizes[others] - both.data)) & (others < rows)
        for row, other in sorted(zip(rows[near].tolist(), others[near].tolist(), strict=True)):
            gone[row] |= not gone[other]
    return gone


def exact_vectors(vectors: np.ndarray) -> np.ndarray:
    gone = np.zeros(len(vectors), bool)
    for begin in range(0, len(vectors), 500):
        end = min(begin + 500, len(vectors))
        near = np.round(vectors[begin:end] @ vectors[:end].T, 5) >= AT["vectors"]
        for row, other in np.argwhere(np.tril(near, begin - 1)).tolist():
            gone[begin + row] |= not gone[other]
    return gone


def datasketch(texts: list[str]) -> np.ndarray:
    """Its MinHash of 128 values and its LSH, each text against those that stay; what LSH proposes is a duplicate."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=AT["texts"], num_perm=128)
    gone = np.zeros(len(texts), bool)
    for row, text in enumerate(texts):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([piece.encode() for piece in pieces(text)])
        gone[row] = bool(index.query(sketch))
        if not gone[row]:
            index.insert(str(row), sketch)
    return gone


def semhash(vectors: np.ndarray) -> np.ndarray:
    """Its self-deduplication over these vectors."""
    from semhash import SemHash

    class Given:
        def encode(self, inputs: list[str], **_: object) -> np.ndarray:
            return vectors[[int(one) for one in inputs]]

    names = [str(row) for row in range(len(vectors))]
    found = SemHash.from_embeddings(vectors, names, Given()).self_deduplicate(threshold=AT["vectors"])
    gone = np.ones(len(vectors), bool)
    gone[[int(one) for one in found.selected]] = False
    return gone


def leaven_texts(texts: list[str]) -> np.ndarray:
    from leaven.keep.near_texts import NearTexts

    return NearTexts(np.array(texts), AT["texts"]).to_earlier(np.arange(len(texts)))


def leaven_vectors(vectors: np.ndarray) -> np.ndarray:
    from leaven.keep import near_vectors

    near_vectors.PAIRS = 0  # in cells, as a million rows are
    return near_vectors.NearVectors(vectors, AT["vectors"]).to_earlier(np.arange(len(vectors)))


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    folder, n, who = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    kind = "vectors" if who in ("semhash", "leaven-vectors") else "texts"
    given = np.array(np.load(folder / f"{kind}.npy", mmap_mode="r")[OTHERS : OTHERS + n])
    rows = given.tolist() if kind == "texts" else given
    way = {"datasketch": datasketch, "semhash": semhash, "leaven-texts": leaven_texts, "leaven-vectors": leaven_vectors}
    before, cpu, began = peak(), time.process_time(), time.time()
    gone = way[who](rows)  # type: ignore[operator]
    cpu, wall, more = time.process_time() - cpu, time.time() - began, peak() - before
    exact = exact_texts(rows) if kind == "texts" else exact_vectors(given)
    right = int((gone & exact).sum())
    print(
        f"| {who} | {n:,} | {AT[kind]} | {cpu:.1f} | {wall:.1f} | {more / 1024:,.0f} | {gone.sum():,}"
        f" | {right / exact.sum():.4f} | {right / gone.sum():.4f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""Near duplicates as semhash and datasketch find them, in what ``million_keeps.py`` wrote, beside an exact count.

    MILLION_KEEPS=FOLDER python benchmarks/million_keeps.py ROWS top    # leaves the data in FOLDER
    python benchmarks/peer_duplicates.py FOLDER ROWS datasketch|semhash|leaven-texts|leaven-vectors

Run it where semhash and datasketch are installed; they are no part of leaven.  Exact is: every row in order against
all that stay, from all near pairs (``exact_duplicates.py``; they take minutes where the rows are many, and are left in
FOLDER).  Time is CPU seconds, for other work ran on the machine.  Memory is the peak of the process less what it held
before, the rows among it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from exact_duplicates import gone as by_pairs
from exact_duplicates import near_texts, near_vectors, pieces

AT = {"texts": 0.8, "vectors": 0.9}
OTHERS = 2000
"""The rows before those that are compared: the source and the test set of the other benchmark."""


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


def leaven_texts(texts: np.ndarray) -> np.ndarray:
    from leaven.keep.near_texts import NearTexts

    return NearTexts(texts, AT["texts"]).to_earlier(np.arange(len(texts)))


def leaven_vectors(vectors: np.ndarray) -> np.ndarray:
    from leaven.keep import near_vectors

    near_vectors.PAIRS = 0  # in cells, as a million rows are
    return near_vectors.NearVectors(vectors, AT["vectors"]).to_earlier(np.arange(len(vectors)))


def exact(folder: Path, kind: str, given: np.ndarray) -> np.ndarray:
    """Which rows go by all near pairs."""
    kept = folder / f"pairs-{kind}-{len(given)}.npy"
    if not kept.exists():
        whole = len(np.load(folder / f"{kind}.npy", mmap_mode="r"))
        vectors = kind == "vectors"
        np.save(kept, near_vectors(given, AT[kind], whole) if vectors else near_texts(given.tolist(), AT[kind]))
    return by_pairs(np.load(kept), len(given))


def planted(folder: Path, kind: str, gone: np.ndarray, right: np.ndarray) -> str:
    """Of the planted copies that the exact count refuses, the share refused: by their cosine, or by the words changed
    (-1 for capitals)."""
    done = np.load(folder / ("cosines.npy" if kind == "vectors" else "done.npy"))[OTHERS : OTHERS + len(gone)]
    of = [(one, right & (done == one)) for one in np.unique(done[done != 0])[::-1]]
    return ", ".join(f"{one:.3g}: {gone[rows].mean():.4f} of {rows.sum():,}" for one, rows in of if rows.any())


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    folder, n, who = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    kind = "vectors" if who in ("semhash", "leaven-vectors") else "texts"
    given = np.array(np.load(folder / f"{kind}.npy", mmap_mode="r")[OTHERS : OTHERS + n])
    way = {"datasketch": datasketch, "semhash": semhash, "leaven-texts": leaven_texts, "leaven-vectors": leaven_vectors}
    rows = given.tolist() if who == "datasketch" else given
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before, cpu, began = memory("VmRSS"), time.process_time(), time.time()
    gone = way[who](rows)  # type: ignore[operator]
    cpu, wall, more = time.process_time() - cpu, time.time() - began, memory("VmHWM") - before
    print(f"| {who} | {n:,} | {AT[kind]} | {cpu:.1f} | {wall:.1f} | {more / 1024:,.0f}", end="", flush=True)
    np.save(folder / f"gone-{who}-{n}.npy", gone)
    all_pairs = exact(folder, kind, given)
    right = int((gone & all_pairs).sum())
    print(f" | {gone.sum():,} | {right / all_pairs.sum():.4f} | {right / gone.sum():.4f} |")
    print(f"\nof the planted copies among {all_pairs.sum():,}, refused: {planted(folder, kind, gone, all_pairs)}\n")


if __name__ == "__main__":
    main()

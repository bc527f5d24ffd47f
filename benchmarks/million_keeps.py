"""Time and memory of every keep over a million records with vectors of 384 numbers, each in a process of its own.

    python benchmarks/million_keeps.py [ROWS] [CASE ...]

Each keep decides as the engine lets it: columns in source order, read before the clock starts.  Memory is the peak of
the process less what it held before the columns were read, beside the bytes of the columns (those of a state that it
compares with, and the numbers of the groups, are columns that it reads).  Linux only: memory is read from /proc.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from leaven.context import Context
from leaven.keep.cover import Cover, _as_text
from leaven.keep.keep import KeepIf
from leaven.keep.near import exact_keys
from leaven.keep.near_test import NearTest
from leaven.keep.sample import Sample
from leaven.keep.top import Top
from leaven.keep.unique import Unique
from leaven.operators import Keep
from leaven.records import Record

DIMENSIONS = 384
OTHERS = 1000
"""Rows of the source, and of the test set."""
PLANTED = 0.1
COSINES = (0.99, 0.97, 0.95, 0.93, 0.91, 0.89, 0.85)
SYLLABLES = [a + b for a in "bcdfghjklmnprstvw" for b in "aeiou"]
BLOCK = 8192


def vectors(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around n / 200 topics of uneven size, a tenth of them at a known cosine from an earlier row, and
    that cosine (0 elsewhere)."""
    draw = np.random.default_rng(7)
    topics = max(20, n // 200)
    scale = (np.arange(1, DIMENSIONS + 1) ** -0.35).astype(np.float32)
    centres = _unit(draw.standard_normal((topics, DIMENSIONS), np.float32) * scale)
    share = np.arange(1, topics + 1) ** -0.8
    of = draw.choice(topics, n, p=share / share.sum())
    found = np.empty((n, DIMENSIONS), np.float32)
    for begin in range(0, n, BLOCK):
        noise = _unit(draw.standard_normal((len(of[begin : begin + BLOCK]), DIMENSIONS), np.float32) * scale)
        found[begin : begin + BLOCK] = _unit(centres[of[begin : begin + BLOCK]] * 0.6**0.5 + noise * 0.4**0.5)
    copies, origins = _planted(n, draw)
    cosines = np.zeros(n, np.float32)
    cosines[copies] = draw.choice(COSINES, len(copies))
    for row, origin in zip(copies, origins, strict=True):
        across = draw.standard_normal(DIMENSIONS, np.float32) * scale
        across -= found[origin] * (found[origin] @ across)
        cosine = cosines[row]
        found[row] = cosine * found[origin] + (1 - cosine**2) ** 0.5 * across / np.linalg.norm(across)
    return found, cosines


def texts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Texts of 6 to 16 made-up words, common and rare (Zipf), a tenth of them an earlier one with one to three words
    changed, a twentieth one in capitals; and what was done to each: the words changed, -1 for capitals."""
    draw, numbers = random.Random(7), np.random.default_rng(7)
    words = list(dict.fromkeys("".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(50_000)))
    share = 1 / np.arange(1, len(words) + 1)
    drawn = numbers.choice(len(words), (n, 16), p=share / share.sum())
    found = [" ".join(words[j] for j in row[: draw.randint(6, 16)]) for row in drawn]
    done = np.zeros(n, np.int8)
    for row, origin in zip(*_planted(n, numbers), strict=True):
        if draw.random() < 1 / 3:
            found[row], done[row] = found[origin].upper(), -1
            continue
        said, done[row] = found[origin].split(), draw.randint(1, 3)
        for place in draw.sample(range(len(said)), int(done[row])):
            said[place] = draw.choice(words)
        found[row] = " ".join(said)
    return np.array(found, np.str_), done


def _planted(n: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are copies, and of which earlier rows, themselves none."""
    copied = draw.random(n) < PLANTED
    copied[:100] = False
    rows, real = np.flatnonzero(copied), np.flatnonzero(~copied)
    return rows, real[(draw.random(len(rows)) * np.searchsorted(real, rows)).astype(np.int64)]


def _unit(rows: np.ndarray) -> np.ndarray:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def write(folder: Path, n: int) -> None:
    found, cosines = vectors(n + 2 * OTHERS)
    np.save(folder / "vectors.npy", found)
    np.save(folder / "cosines.npy", cosines)
    said, done = texts(n + 2 * OTHERS)
    np.save(folder / "texts.npy", said)
    np.save(folder / "done.npy", done)


# -- the keeps ------------------------------------------------------------------------------------------------------

Case = tuple[Keep, dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]
"""A keep, the columns that it decides by, the groups, the state."""


def one_group(n: int) -> np.ndarray:
    return np.zeros(n, np.int64)


def scores(n: int) -> np.ndarray:
    return np.random.default_rng(1).random(n)


def unique(folder: Path, by: str, at: float) -> Case:
    """Against the stream, and a thousand rows each of the source and the test set."""
    op = Unique(on="text", by=by, at=at, against=["stream", "source", "test"])  # type: ignore[arg-type]
    if by == "vector":  # of each another text
        rows = len(np.load(folder / "vectors.npy", mmap_mode="r"))
        exact = np.random.default_rng(1).integers(0, 2**63, rows).astype(np.uint64)
    else:
        said = np.load(folder / "texts.npy", mmap_mode="r")
        exact = np.concatenate([exact_keys(block) for block in _blocks(said)])
    columns, state = {}, {}
    parts = {"exact": exact}
    if by != "exact":
        parts["near"] = np.load(folder / ("vectors.npy" if by == "vector" else "texts.npy"), mmap_mode="r")
    for name, whole in parts.items():
        columns[name] = np.array(whole[2 * OTHERS :])
        state[f"source_{name}"] = np.array(whole[:OTHERS])
        state[f"test_{name}"] = np.array(whole[OTHERS : 2 * OTHERS])
    columns["own"] = np.zeros(len(columns["exact"]), bool)
    return op, columns, one_group(len(columns["exact"])), state


def _blocks(rows: np.ndarray) -> Iterator[list[str]]:
    for begin in range(0, len(rows), BLOCK):
        yield rows[begin : begin + BLOCK].tolist()


def cover(folder: Path, **parameters: Any) -> Case:
    columns = {"vector": np.array(np.load(folder / "vectors.npy", mmap_mode="r")[2 * OTHERS :])}
    n = len(columns["vector"])
    if parameters.get("how") == "mmr":
        columns["worth"] = scores(n)
    return Cover(on="text", **parameters), columns, one_group(n), {}


def items(n: int) -> Case:
    """Three items a row, of as many as there are rows, common and rare."""
    draw = np.random.default_rng(1)
    drawn = (n * draw.random((n, 3)) ** 2).astype(np.int64)
    return (
        Cover(by="items"),
        {"items": np.array([_as_text(set(row)) for row in drawn.tolist()], np.str_)},
        one_group(n),
        {},
    )


def record_by_record(op: Keep, folder: Path, n: int) -> tuple[Callable[[], np.ndarray], int]:
    """A keep of single records: they come a thousand at a time, and are let go."""
    said = np.load(folder / "texts.npy", mmap_mode="r")
    state = {"texts": np.array(said[OTHERS : 2 * OTHERS])}
    ctx, score = Context(state=state), scores(n)

    def decide() -> np.ndarray:
        found = np.zeros(n, np.uint8)
        for begin in range(0, n, 1000):
            block = said[2 * OTHERS + begin : 2 * OTHERS + begin + 1000].tolist()
            for i, text in enumerate(block, begin):
                found[i] = bool(op.keep(Record(str(i), {"text": text, "score": score[i]}, str(i)), ctx))
        return found

    return decide, score.nbytes + state["texts"].nbytes


CASES: dict[str, Callable[[Path, int], Case]] = {
    "top: {n: 1000, per: label}": lambda f, n: (
        Top(1000, per="label", by="score"), {"by": scores(n)}, np.arange(n) * 7919 % 20, {}),
    "top: {n: 2, per: root}": lambda f, n: (
        Top(2, per="root", by="score"), {"by": scores(n)}, np.arange(n) // 5, {}),
    "sample: {share: 0.1, per: label}": lambda f, n: (
        Sample(share=0.1, per="label"), {"drawn": scores(n)}, np.arange(n) * 7919 % 20, {}),
    "unique": lambda f, n: unique(f, "exact", 1.0),
    "unique: {by: ngram, at: 0.8}": lambda f, n: unique(f, "ngram", 0.8),
    "unique: {by: rouge, at: 0.7}": lambda f, n: unique(f, "rouge", 0.7),
    "unique: {by: vector, at: 0.9}": lambda f, n: unique(f, "vector", 0.9),
    "cover: {n: 1000}": lambda f, n: cover(f, n=1000),
    "cover: {n: 1000, how: kmeans}": lambda f, n: cover(f, n=1000, how="kmeans"),
    "cover: {n: 1000, how: mmr, worth: score}": lambda f, n: cover(f, n=1000, how="mmr", worth="score"),
    "cover: {by: items}": lambda f, n: items(n),
}  # fmt: skip
SINGLE = {"keep: score > 0.5": KeepIf("score > 0.5"), "near_test": NearTest(on="text")}


def memory(name: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def one(folder: Path, name: str, n: int) -> dict[str, Any]:
    if name in SINGLE:
        before = memory("VmRSS")
        decide, held = record_by_record(SINGLE[name], folder, n)
    else:
        warm(name)
        before = memory("VmRSS")
        op, columns, groups, state = CASES[name](folder, n)
        held = sum(array.nbytes for array in (*columns.values(), *state.values(), groups))
        ctx = Context(state=state)

        def decide() -> np.ndarray:
            return op.decide(columns, groups, ctx)

    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    began, cpu = time.time(), time.process_time()
    codes = decide()
    wall, cpu = time.time() - began, time.process_time() - cpu
    found = {"name": name, "rows": n, "wall": wall, "cpu": cpu, "columns": held, "peak": memory("VmHWM") - before}
    found["refused"] = int((codes > 0).sum())
    found["load"] = os.getloadavg()[0]
    found["recall"] = recall(folder, name, codes)
    return found


def warm(name: str) -> None:
    """Load what the keep loads: a library is no column."""
    import rensa  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)


def recall(folder: Path, name: str, codes: np.ndarray) -> dict[str, float]:
    """Of what was planted, the share refused."""
    if "by: vector" in name:
        cosines = np.load(folder / "cosines.npy")[2 * OTHERS :]
        return {f"{cosine}": float((codes[np.isclose(cosines, cosine)] > 0).mean()) for cosine in COSINES}
    if name.startswith("unique"):
        done = np.load(folder / "done.npy")[2 * OTHERS :]
        return {f"{kind}": float((codes[done == kind] > 0).mean()) for kind in (-1, 1, 2, 3)}
    return {}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))))
        return
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("| keep | wall s | CPU s | load | columns MiB | peak MiB | peak / columns | refused |")
    print("|" + "---|" * 8)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("MILLION_KEEPS", temporary))
        if not (folder / "done.npy").exists():
            write(folder, n)
        for name in [*SINGLE, *CASES] if len(sys.argv) < 3 else sys.argv[2:]:
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(folder), name, str(n)], stdout=subprocess.PIPE, check=True
            )
            said = json.loads(done.stdout)
            print(
                f"| `{name}` | {said['wall']:,.1f} | {said['cpu']:,.1f} | {said['load']:.1f}"
                f" | {said['columns'] / 2**20:,.0f} | {said['peak'] / 2**20:,.0f}"
                f" | {said['peak'] / said['columns']:.2f}"
                f" | {said['refused']:,} |",
                flush=True,
            )
            if said["recall"]:
                print(f"\nof what was planted, refused: {said['recall']}\n", flush=True)


if __name__ == "__main__":
    main()

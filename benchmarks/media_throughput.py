"""How fast images and sounds are changed: leaven's step beside a bare loop over the same libraries.

    python -m benchmarks.media_throughput [--records 2048]

*Bare*: for each file decode (Pillow, soundfile), the same kinds of change with drawn amounts (one cv2.warpAffine and
one 256-entry LUT; Signalsmith Stretch and noise at an SNR), encode; one core, nothing written.  *leaven*: the whole
step of a run: records, draws, history, ids, and the part files written.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import python_stretch
import soundfile
from PIL import Image as Pillow

from leaven.engine.folder import Folder
from leaven.engine.local import Engine
from leaven.engine.stage import Stage
from leaven.engine.workers import Job, Workers, work
from leaven.io import dataset as datasets
from leaven.plain_yaml import load
from leaven.recipe import build, check
from leaven.storage import arrow_of

SIZES = ((32, 32), (256, 256), (500, 375), (640, 480), (1024, 768))
"""Width and height of CIFAR's images, of thumbnails, and of usual photographs (ImageNet, COCO)."""
RATE, SECONDS = 16_000, 3.0
STEPS = {
    "image": "[{warp: {rotate: [-15, 15], scale: [0.9, 1.1]}}, {shade: {brightness: 0.2, contrast: 0.2}}]",
    "audio": "[{alter_sound: {pitch: [-2, 2]}}, {add_noise: {snr: [5, 20], noise: white}}]",
}


def photo(i: int, size: tuple[int, int]) -> bytes:
    """A picture with soft shapes and grain, as a JPEG."""
    rng = np.random.default_rng(i)
    small = rng.integers(0, 255, (8, 8, 3), np.uint8)
    pixels = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC).astype(int)
    out = BytesIO()
    grain = rng.integers(-12, 12, pixels.shape)
    Pillow.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def sound(i: int) -> bytes:
    rng = np.random.default_rng(i)
    t = np.arange(int(RATE * SECONDS)) / RATE
    samples = sum(0.2 * np.sin(2 * np.pi * f * t) for f in rng.uniform(100, 3000, 3)) + 0.01 * rng.standard_normal(
        len(t)
    )
    out = BytesIO()
    soundfile.write(out, samples.astype(np.float32), RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def bare_image(data: bytes, rng: np.random.Generator) -> bytes:
    pixels = np.asarray(Pillow.open(BytesIO(data)).convert("RGB"))
    height, width = pixels.shape[:2]
    turn, scale = rng.uniform(-15, 15), rng.uniform(0.9, 1.1)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale)
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114))
    brightness, contrast = rng.uniform(-0.2, 0.2), rng.uniform(0.8, 1.2)
    mean = float(np.dot(cv2.mean(moved)[:3], (0.299, 0.587, 0.114)))
    levels = np.clip(((np.arange(256) - mean) * contrast + mean) * (1 + brightness), 0, 255).astype(np.uint8)
    shown = cv2.cvtColor(cv2.LUT(moved, levels), cv2.COLOR_RGB2BGR)
    done, found = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return bytes(found.tobytes())


def bare_sound(data: bytes, rng: np.random.Generator) -> bytes:
    samples, rate = soundfile.read(BytesIO(data), dtype="float32", always_2d=True)
    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, rate)
    stretch.setTransposeSemitones(rng.uniform(-2, 2))
    moved = stretch.process(np.ascontiguousarray(samples.T)).T
    noise = rng.standard_normal(moved.shape)
    snr = rng.uniform(5, 20)
    gain = math.sqrt(float((moved**2).mean()) / (10 ** (snr / 10) * float((noise**2).mean())))
    out = BytesIO()
    soundfile.write(out, np.clip(moved + gain * noise, -1, 1), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def table(path: Path, kind: str, files: Sequence[bytes]) -> str:
    cells = pa.array([{"bytes": data, "path": f"{i}"} for i, data in enumerate(files)], arrow_of(kind))
    pq.write_table(pa.table({kind: cells, "label": [str(i % 5) for i in range(len(files))]}), path)
    return str(path)


def bare(kind: str, files: Sequence[bytes]) -> float:
    change: Callable[[bytes, np.random.Generator], bytes] = {"image": bare_image, "audio": bare_sound}[kind]
    began = time.perf_counter()
    for i, data in enumerate(files):
        change(data, np.random.Generator(np.random.Philox(key=i)))
    return time.perf_counter() - began


class Kept(Workers):
    """Remembers the parts that a run does, and outlives it, as the processes of a long run would."""

    def __init__(self, number: int) -> None:
        super().__init__(number, (), ())
        self.stage: Stage | None = None
        self.jobs: list[Job] = []

    def run(self, stage: Stage, jobs: Sequence[Job]) -> Iterator[dict[str, int]]:
        self.stage, self.jobs = stage, list(jobs)
        return super().run(stage, jobs)

    def __exit__(self, *_: object) -> None:
        pass


def run(kind: str, data: datasets.Dataset, workers: Workers, folder: Path) -> float:
    """Seconds from the first part to the last."""
    text = f"fields: [{kind}, label]\nsteps: {STEPS[kind]}"
    recipe = check(build(load(text, "r"), text=text, where="r", name="r"), data.typed(), data.counts)
    engine = Engine(recipe, data, Folder(folder))
    engine.pool = workers
    began = time.perf_counter()
    engine.run()
    return time.perf_counter() - began


def beside(kind: str, data: datasets.Dataset, files: Sequence[bytes], seconds: float, folder: Path) -> list[float]:
    """Milliseconds a record of the bare loop and of leaven on one core, and their ratio: medians over parts, each of
    which is done by both in turn, since a shared machine has slow and fast seconds."""
    kept = Kept(1)
    run(kind, data, kept, folder)
    assert kept.stage
    found: list[tuple[float, float, float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, job in enumerate(kept.jobs):
            rows = job.piece.read().num_rows
            without = bare(kind, [files[(i * 64 + k) % len(files)] for k in range(rows)]) / rows
            began = time.perf_counter()
            work(job, kept.stage)
            took = (time.perf_counter() - began) / rows
            found.append((1000 * without, 1000 * took, took / without))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def twice(kind: str, data: datasets.Dataset, turns: int, folder: Path) -> float:
    """How many times as fast two processes are as one: the median over turns, the first of which does not count, since
    modules are imported and memory is touched in it."""
    two = Kept(2)
    found = []
    for turn in range(turns + 1):
        one = run(kind, data, Kept(1), folder / f"one{turn}")
        found.append(one / run(kind, data, two, folder / f"two{turn}"))
    if two.pool:
        two.pool.end(None)
    return statistics.median(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print("| | bare, ms | leaven, ms | beside bare | records | 2 workers beside 1 |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, kind, make, n in cases(arguments.records):
            folder = Path(scratch) / name
            folder.mkdir()
            files = [make(i) for i in range(n)]
            read: Any = datasets.read(
                table(folder / "data.parquet", kind, files), folder / "data", fields={kind: kind, "label": "label"}
            )
            without, took, ratio = beside(kind, read, files, arguments.seconds, folder / "beside")
            faster = twice(kind, read, arguments.turns, folder)
            print(f"| {name} | {without:.2f} | {took:.2f} | {ratio:.2f} | {n:,} | {faster:.2f} x |", flush=True)
            shutil.rmtree(folder)


def cases(records: int) -> Iterator[tuple[str, str, Callable[[int], bytes], int]]:
    for size in SIZES:
        n = 4 * records if size[0] < 100 else records
        yield f"JPEG, {size[0]} x {size[1]}", "image", partial(photo, size=size), n
    yield f"WAV, {SECONDS:g} s at {RATE // 1000} kHz", "audio", sound, records // 2


if __name__ == "__main__":
    main()

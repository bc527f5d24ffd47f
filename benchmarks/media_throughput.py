"""How fast images and sounds are changed: leaven's step beside a bare loop over the same libraries.

    python -m benchmarks.media_throughput [--records 1024] [--repeat 5]

*Bare*: for each file decode (Pillow, soundfile), the same kinds of change with drawn amounts (one cv2.warpAffine and
one 256-entry LUT; Signalsmith Stretch and noise at an SNR), encode; one core, nothing written.  *leaven*: the whole
step of a run with one worker and with two: records, draws, history, ids, and the part files written.  Two workers are
started before the clock, which starts with the step.  The three take turns ``--repeat`` times; each time is the median.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
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
from leaven.io import dataset as datasets
from leaven.plain_yaml import load
from leaven.recipe import build, check
from leaven.storage import arrow_of

SIZES = ((32, 32), (256, 256), (500, 375), (640, 480))
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


def leaven(kind: str, data: datasets.Dataset, workers: int, scratch: Path) -> float:
    """Seconds from the first part to the last."""
    text = f"fields: [{kind}, label]\nsteps: {STEPS[kind]}"
    recipe = check(build(load(text, "r"), text=text, where="r", name="r"), data.typed(), data.counts)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        engine = Engine(recipe, data, Folder(Path(folder)), workers=workers)
        if workers > 1:
            _start(engine, workers)
        began = time.perf_counter()
        engine.run()
        return time.perf_counter() - began


def _start(engine: Engine, workers: int) -> None:
    """Processes that have imported what they need: a long run pays for that once."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from leaven.engine.workers import start_worker

    engine.pool.pool = ProcessPoolExecutor(workers, get_context("spawn"), start_worker, ((), ()))
    list(engine.pool.pool.map(_import, range(4 * workers)))


def _import(_: int) -> None:
    import cv2  # noqa: F401
    import soundfile  # noqa: F401

    from leaven.audio import add_noise, alter_sound  # noqa: F401
    from leaven.image import shade, warp  # noqa: F401

    time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print("| | records | bare, ms each | 1 worker | beside bare | 2 workers | beside 1 |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            n = arguments.records * (4 if size[0] < 100 else 1)
            line(Path(folder), "image", f"JPEG, {size[0]} x {size[1]}", [photo(i, size) for i in range(n)], arguments)
        files = [sound(i) for i in range(arguments.records // 2)]
        line(Path(folder), "audio", f"WAV, {SECONDS:g} s at {RATE // 1000} kHz", files, arguments)


def line(folder: Path, kind: str, name: str, files: Sequence[bytes], arguments: argparse.Namespace) -> None:
    n = len(files)
    path = table(folder / f"{name}.parquet", kind, files)
    read: Any = datasets.read(path, folder / name, fields={kind: kind, "label": "label"})
    took: dict[str, list[float]] = {"bare": [], "1": [], "2": []}
    for _ in range(arguments.repeat):
        took["bare"].append(bare(kind, files))
        took["1"].append(leaven(kind, read, 1, folder))
        took["2"].append(leaven(kind, read, 2, folder))
    b, one, two = (1000 * statistics.median(took[key]) / n for key in ("bare", "1", "2"))
    print(f"| {name} | {n:,} | {b:.2f} | {one:.2f} | {one / b:.2f} | {two:.2f} | {one / two:.2f} x |", flush=True)


if __name__ == "__main__":
    main()

"""Speed and memory of the engine: `classic-text` (five children a row) over a million rows, through the command line.

    python benchmarks/million_rows.py [ROWS] [WORKERS ...]

Each run is compared with one of 20,000 rows: what more its peak of anonymous memory is, over what more rows there are,
is what a row costs.  Linux only: memory is read from /proc.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SMALL = 20_000
CHILDREN = 5
SYLLABLES = [a + b for a in "bcdfghjklmnprstvw" for b in "aeiou"]


def write_rows(path: Path, n: int) -> None:
    """Rows of 6 to 16 made-up words out of 5,000, and one of 20 labels; from a fixed seed."""
    draw = random.Random(7)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(5000)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["utterance", "intent"])
        for _ in range(n):
            writer.writerow([" ".join(draw.choices(words, k=draw.randint(6, 16))), f"intent {draw.randrange(20)}"])


@dataclass
class Result:
    rows: int
    made: int
    read: float
    make: float
    write: float
    wall: float
    cpu: float
    anonymous: int
    """The command's own peak, in bytes."""
    worker: int
    """The largest worker's peak."""
    resident: int
    """The command's peak of all resident memory, files mapped into it included."""

    def line(self, workers: int) -> str:
        made = self.made
        return (
            f"| {workers} | {self.rows:,} | {self.rows / self.read:,.0f} | {made / self.make:,.0f}"
            f" | {made / self.write:,.0f} | {made / self.wall:,.0f} | {made / self.cpu:,.0f} | {self.wall:,.0f}"
            f" | {self.cpu:,.0f} | {self.anonymous / 2**20:,.0f} | {self.worker / 2**20:,.0f}"
            f" | {self.resident / 2**20:,.0f} |"
        )


def memory(pid: int) -> dict[str, int]:
    """RssAnon and VmHWM of a process, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {
        k: int(v.split()[0]) * 1024 for k, _, v in (line.partition(":") for line in lines) if k in ("RssAnon", "VmHWM")
    }


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def run(data: Path, out: Path, workers: int) -> Result:
    """One run, watched from outside: run.json appears when reading is done, new/ when writing begins."""
    command = [sys.executable, "-m", "leaven.cli", "augment", str(data), "-o", str(out), "-r", "classic-text"]
    began = time.time()
    process = subprocess.Popen([*command, "--workers", str(workers), "--json", "-q"], stdout=subprocess.PIPE, text=True)
    read = write = began
    peak, worker, resident = 0, 0, 0
    while True:
        now = memory(process.pid)
        if not now.get("RssAnon"):  # it has ended
            break
        peak, resident = max(peak, now["RssAnon"]), max(resident, now["VmHWM"])
        worker = max([worker, *(memory(child).get("RssAnon", 0) for child in children(process.pid))])
        if read == began and (out / "run.json").exists():
            read = time.time()
        if write == began and (out / "new").exists():
            write = time.time()
        time.sleep(0.02)
    said = process.stdout.read() if process.stdout else ""
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = code
    end = time.time()
    assert code == 0, "the run failed"
    found = json.loads(said)
    resident = max(resident, usage.ru_maxrss * 1024)
    cpu = usage.ru_utime + usage.ru_stime  # workers that it waited for included
    return Result(
        found["read"], found["made"], read - began, write - read, end - write, end - began, cpu, peak, worker, resident
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    counts = [int(n) for n in sys.argv[2:]] or [1, 2]
    print("| workers | rows | read/s | made/s, making | made/s, writing | made/s, all | made/CPU s", end=" ")
    print("| wall s | CPU s | peak MiB | worker MiB | resident MiB |")
    print("|" + "---|" * 12)
    with tempfile.TemporaryDirectory() as folder:
        for n in (SMALL, rows):
            write_rows(Path(folder) / f"{n}.csv", n)
        for workers in counts:
            found = []
            for n in (SMALL, rows):
                found.append(run(Path(folder) / f"{n}.csv", Path(folder) / f"out-{n}-{workers}", workers))
                print(found[-1].line(workers), flush=True)
            grown = (found[1].anonymous - found[0].anonymous) / (found[1].made - found[0].made)
            mapped = (found[1].resident - found[0].resident) / (found[1].made - found[0].made)
            print(
                f"\n{workers} workers: {grown:.1f} bytes a made row ({grown * CHILDREN:.0f} a source row) of anonymous"
                f" memory, {mapped:.1f} with files mapped into it\n",
                flush=True,
            )


if __name__ == "__main__":
    main()

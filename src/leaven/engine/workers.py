"""Run parts: in this process, or in as many as there are cores.  What a part comes to does not depend on which."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa

from leaven.context import Rows
from leaven.engine.allocator import keep_freed_memory
from leaven.engine.folder import Folder
from leaven.engine.part import run_part
from leaven.engine.pieces import Piece, write_table
from leaven.engine.rows import kinds_of
from leaven.engine.stage import DECIDED, Stage
from leaven.models.embedders import LocalModels
from leaven.operators import find

if TYPE_CHECKING:
    from leaven.context import Models


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """One part of one stage."""

    stage: str
    piece: Piece
    decision: tuple[str, int] | None
    out: str
    folder: str
    models: str


class Pool(ProcessPoolExecutor):
    """Processes that do not hear Ctrl-C, which the terminal sends to them too: it is for their parent, which ends them.

    One that is still starting would answer it with a traceback.  So it begins with the signal blocked, which it has
    from whoever starts it; here it waits until that is done.
    """

    def __init__(self, number: int, begin: Callable[..., object], given: tuple[Any, ...] = ()) -> None:
        super().__init__(number, get_context("spawn"), begin, given)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        resource_tracker.ensure_running()  # now: when it starts, it unblocks the signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self, error: type[BaseException] | None) -> None:
        """Wait for what runs; where Ctrl-C is the reason to end, end that too."""
        if error is not None and issubclass(error, KeyboardInterrupt):
            for process in list((self._processes or {}).values()):
                process.terminate()
        self.shutdown(cancel_futures=True)


class Workers:
    """Processes that are started when there is work for more than one, and end with the block."""

    def __init__(self, number: int, operators: Sequence[str], named: Sequence[str]) -> None:
        self.number = number
        self.loads = (tuple(operators), tuple(named))
        self.pool: Pool | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self.pool:
            self.pool.end(error)

    def run(self, stage: Stage, jobs: Sequence[Job]) -> Iterator[dict[str, int]]:
        """Run the parts of a stage; how many records went which way, as each part ends."""
        if self.number == 1 or len(jobs) == 1:
            if stage.media:
                keep_freed_memory()
            for job in jobs:
                yield work(job, stage)
            return
        if jobs and self.pool is None:
            self.pool = Pool(self.number, start_worker, self.loads)
        packed = pickle.dumps(stage)
        running: set[Future[dict[str, int]]] = set()
        for job in jobs:
            assert self.pool is not None
            running.add(self.pool.submit(work_packed, job, packed))
            while len(running) >= 2 * self.number:  # not all at once: a stage may have thousands of parts
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def start_worker(operators: Sequence[str], named: Sequence[str]) -> None:
    """Load the operators that the recipe names, so that a plan can be unpacked; one thread for each worker."""
    alone()
    pa.set_cpu_count(1)
    for name in named:
        find(name, operators)


def alone() -> None:
    """How a process of a pool begins: with one thread for arithmetic, and not longer than its parent."""
    from threadpoolctl import threadpool_limits

    Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # read when it is imported
    keep_freed_memory()


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


_unpacked: dict[str, Stage] = {}


def work_packed(job: Job, packed: bytes) -> dict[str, int]:
    if job.stage not in _unpacked:
        _unpacked.clear()
        _unpacked[job.stage] = pickle.loads(packed)  # noqa: S301  from our own parent process, over its pipe
    return work(job, _unpacked[job.stage])


def work(job: Job, stage: Stage, embed: Models | None = None) -> dict[str, int]:
    """Run a part and put its file in place; how many records went which way.  ``embed`` plays for a local embedder."""
    folder = Path(job.folder)
    decision = _decision(*job.decision) if job.decision else None
    table = job.piece.read()
    table = table.select([n for n in table.column_names if not n.startswith(DECIDED)])
    playing = embed or models(folder, job.models)
    kinds = tuple(kinds_of(stage.columns, stage.schema).items())
    done = run_part(stage, table, decision, lambda name: states(folder, name), playing, lambda path: drawn(path, kinds))
    write_table(Path(job.out), done, None if stage.media else "lz4")  # encoded bytes get no smaller
    counts = np.bincount(done.column("_state").to_numpy(), minlength=4)
    return {"records": len(table), "on": int(counts[0]), "refused": int(counts[1]), "failed": int(counts[2])}


@lru_cache(maxsize=8)
def states(folder: Path, name: str) -> Mapping[str, Any]:
    return Folder(folder).load_state(name)


@lru_cache(maxsize=8)
def drawn(path: str, kinds: tuple[tuple[str, str], ...]) -> Rows:
    """The rows that a step draws from, mapped into memory."""
    return Rows(pa.ipc.open_file(pa.memory_map(path)).read_all(), dict(kinds))


@lru_cache(maxsize=2)
def models(folder: Path, name: str) -> LocalModels:
    return LocalModels(Folder(folder).load_state(name) if name else {"name": "wordllama"})


@lru_cache(maxsize=2)
def _decisions(path: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        return found["codes"], found["edges"]


def _decision(path: str, index: int) -> np.ndarray:
    codes, edges = _decisions(path)
    return codes[edges[index] : edges[index + 1]]

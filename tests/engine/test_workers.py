"""Processes of a pool, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from leaven.engine.workers import Pool, alone

RUN = """
import sys, time
from multiprocessing import active_children
from leaven.engine.workers import Pool, alone

pool = Pool(2, alone)
try:
    sleeps = [pool.submit(time.sleep, 60) for _ in range(4)]
    print(*(child.pid for child in active_children()), flush=True)
    sleeps[0].result()
except BaseException as error:
    pool.end(type(error))
    sys.exit(f"{type(error).__name__}, and {len(active_children())} left")
"""


def interrupted(after: float) -> tuple[str, float, list[int]]:
    """What a process with a pool says when Ctrl-C comes, to all of its group as from a terminal, so many seconds after
    the pool began to start; how long that takes, and who worked for it."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    workers = [int(pid) for pid in process.stdout.readline().split()]
    time.sleep(after)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    return said, time.monotonic() - began, workers


@pytest.mark.parametrize("after", [0.0, 0.6], ids=["while they start", "while they work"])
def test_ctrl_c_is_the_parents_alone(after: float):
    said, seconds, workers = interrupted(after)
    assert said == "KeyboardInterrupt, and 0 left\n"
    assert seconds < 20, "it did not wait for what ran"
    assert len(workers) == 2
    assert not [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()]


def blocked() -> set[Any]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_ctrl_c_while_a_process_is_started_is_heard_after(monkeypatch: pytest.MonkeyPatch):
    begun = []

    def start(self: object, *given: Any) -> Future[None]:
        signal.raise_signal(signal.SIGINT)
        begun.append(given)
        return Future()

    monkeypatch.setattr(ProcessPoolExecutor, "submit", start)
    with pytest.raises(KeyboardInterrupt):
        Pool(1, alone).submit(print, 1)
    assert begun == [(print, 1)]
    assert blocked() == set()


def test_from_another_thread(monkeypatch: pytest.MonkeyPatch):
    found = []
    monkeypatch.setattr(ProcessPoolExecutor, "submit", lambda *_: found.append(blocked()))
    thread = Thread(target=Pool(1, alone).submit, args=(print,))
    thread.start()
    thread.join()
    assert found == [{signal.SIGINT}], "a process has the signals that its thread blocks"

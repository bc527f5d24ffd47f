"""Commands in processes of their own that begin at once: they are forked from one that has imported everything."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
LEAVEN = """
import aiohttp, pyarrow.parquet, leaven.engine.augment, leaven.models.backends.openai, leaven.cli
leaven.cli.write_report = lambda *_: None
run = leaven.cli.run
"""
"""What is imported, and ``run``, which takes the arguments of a command: without its report."""


class Commands:
    """One command at a time; ``prepare`` is the code of the process that they are forked from."""

    CODE = """
import json, os, sys
{prepare}
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(run(json.loads(line)))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""

    def __init__(self, prepare: str = LEAVEN) -> None:
        self.parent = subprocess.Popen(
            [sys.executable, "-c", self.CODE.format(prepare=prepare)], cwd=TESTS,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def say(self) -> int:
        assert self.parent.stdout
        return int(self.parent.stdout.readline())

    def start(self, *arguments: object) -> None:
        assert self.parent.stdin
        self.parent.stdin.write(json.dumps([str(a) for a in arguments]) + "\n")
        self.parent.stdin.flush()
        self.child = self.say()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGKILL)

    def ended(self) -> int:
        """The status that the command ended with; 0 where it was done before it was killed."""
        return self.say()

    def close(self) -> None:
        self.parent.communicate()

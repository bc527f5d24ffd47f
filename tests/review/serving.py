"""``leaven review`` as a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from leaven.engine.decisions import path_of


class Serving:
    """The command, from the line with its address on."""

    def __init__(self, out: Path, *asked: str) -> None:
        self.out = out
        code = "import leaven.cli; leaven.cli.main()"
        command = [sys.executable, "-c", code, "review", str(out), *asked]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.said = self.process.stdout.readline()
        found = re.fullmatch(
            r"Review: (http://127\.0\.0\.1:(\d+)/#(\S{32}))   \(Ctrl-C ends it; every decision is already saved\)\n",
            self.said,
        )
        assert found, self.said + (self.process.communicate()[1] if not self.said else "")
        self.url, self.port, self.key = found[1], int(found[2]), found[3]

    def lines(self) -> list[dict[str, Any]]:
        """The decisions in the file."""
        path = path_of(self.out)
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> str:
        """Ctrl-C; what it says then."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=15)
        assert not err, err
        assert self.process.returncode == 0
        return out

"""The server as a process of its own, and a listener that must hear nothing."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from .options import read_script

TESTS = Path(__file__).parents[1]


class Server:
    """A running server; options are those of `options.Options`, by name.

    >>> with Server(capacity=16, latency=0.05) as server:
    ...     server.url
    'http://127.0.0.1:41234/v1'
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__.split('.')[-1]}.server", "--parent"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
        )
        assert self.process.stdout
        try:
            self.port: int = json.loads(self.process.stdout.readline())["port"]
            self.set(**self.options)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    @property
    def url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, Any]:
        """What it has seen and said; the keys are in `counts.Counts.as_json`."""
        found: dict[str, Any] = self.control("GET", "counts")
        return found

    def bodies(self) -> list[Any]:
        """The last 1,000 bodies it was sent, in the order they came, read as JSON; a form as its text."""
        return [json.loads(body) if body[:1] in "[{" else body for body in self.control("GET", "bodies")]

    def set(self, **options: Any) -> None:
        """Change options; the others stay.  ``script`` may be a file or the objects themselves."""
        if isinstance(options.get("script"), str | os.PathLike):
            options["script"] = read_script(options["script"])
        self.control("POST", "set", options)

    def reset(self) -> None:
        """Forget what was seen; the options stay."""
        self.control("POST", "reset")

    def control(self, method: str, name: str, body: Any = None) -> Any:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request(method, f"/_control/{name}", json.dumps(body).encode() if body is not None else None)
            came = link.getresponse()
            text = came.read()
        finally:
            link.close()
        if came.status != 200:
            raise ValueError(text.decode())
        return json.loads(text)


class Listener:
    """A TCP port on loopback that records whoever connects, and what they say first.  It never answers.

    >>> with Listener() as listener:
    ...     listener.heard()
    []
    """

    def __enter__(self) -> Listener:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.said: list[bytes] = []
        self.marks: dict[bytes, threading.Event] = {}
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, at: TracebackType | None) -> None:
        self.heard()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()

    def heard(self) -> list[bytes]:
        """The first bytes of each connection up to now, empty where none came within half a second."""
        mark = uuid.uuid4().bytes
        here = self.marks[mark] = threading.Event()
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            own.sendall(mark)
            here.wait()  # connections are taken in order, so all earlier ones are written down by now
        return list(self.said)

    def listen(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            with link:
                link.settimeout(0.5)
                try:
                    said = link.recv(65536)
                except OSError:
                    said = b""
            if said in self.marks:
                self.marks[said].set()
            else:
                self.said.append(said)

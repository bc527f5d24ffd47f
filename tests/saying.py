"""A server in this process that says what a test makes of each request, byte by byte where it has to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Heard:
    """One request; the names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Said:
    """One answer.  ``claim`` is how many bytes more are promised than come."""

    body: bytes | Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claim: int = 0


def chat(content: Any, *, finish: str = "stop", usage: Any = None, **message: Any) -> Said:
    """An answer of a chat model."""
    said: dict[str, Any] = {
        "choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}]
    }
    return Said({**said, "usage": usage} if usage is not None else said)


def rewrites(*texts: str) -> Said:
    """What `paraphrase` asks for."""
    return chat(json.dumps({"rewrites": texts}))


def error(status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Said:
    return Said({"error": {"message": message, **more}}, status, headers or {})


class Saying:
    """
    >>> with Saying(lambda heard: chat("yes")) as server:
    ...     server.url
    'http://127.0.0.1:41234/v1'
    """

    def __init__(self, reply: Callable[[Heard], Said]) -> None:
        self.reply = reply
        self.heard: list[Heard] = []

    def __enter__(self) -> Saying:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.path, headers, json.loads(raw) if raw[:1] in (b"{", b"[") else raw)
                outer.heard.append(heard)
                said = outer.reply(heard)
                body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                try:
                    self.send_response(said.status)
                    for name, value in said.headers.items():
                        self.send_header(name, value)
                    if "transfer-encoding" not in said.headers:
                        self.send_header("Content-Length", str(len(body) + said.claim))
                    if said.claim:
                        self.close_connection = True
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # the client has heard enough
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *args: object) -> None: ...

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 128  # with 5, calls at a time wait a second to be heard

            def handle_error(self, *args: object) -> None: ...

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

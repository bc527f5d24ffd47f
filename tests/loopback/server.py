"""The server.

    python -m tests.loopback.server --port 0 --latency 0.05 --capacity 16

prints one JSON line, ``{"port": ..., "url": ...}``, and serves until it is ended.  What it can be told is in
`options.py`; ``POST /_control/set`` tells it later.  ``GET /_control/counts`` and ``GET /_control/bodies`` say what it
has seen, ``POST /_control/reset`` forgets that.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import answers, errors, hostile, media
from .batches import Batches
from .connection import Connection
from .counts import Counts
from .draws import Draws, digest
from .errors import Refused
from .forms import read_form
from .limits import Limits
from .options import OF_IMAGES, Options, from_flags
from .wire import Head, answer

MAKES: dict[str, Callable[[Mapping[str, Any], str, Options], dict[str, Any] | bytes]] = {
    "/v1/chat/completions": answers.chat,
    "/v1/completions": answers.completion,
    "/v1/embeddings": answers.embeddings,
    "/v1/images/generations": media.images,
    "/v1/images/edits": media.edits,
    "/v1/audio/speech": media.speech,
    "/v1/audio/transcriptions": media.transcription,
}
GARBAGE = b"\xff\xfe<html><body>upstream connect error</body></html>"


class Service:
    """Decides what each request gets, and when."""

    def __init__(self, options: Options) -> None:
        self.loop = asyncio.get_running_loop()
        self.counts = Counts()
        self.batches = Batches(self.loop.time)
        self.behave(options)

    def behave(self, options: Options) -> None:
        self.options = options
        self.limits = Limits(options, self.loop.time)

    def connected(self) -> None:
        self.counts.connections += 1

    def take(self, connection: Connection, head: Head, body: bytes) -> None:
        """Answer a request, now or later."""
        if head.path.startswith("/_control/"):
            connection.send(self.control(head, body))
            return
        options, key = self.options, digest(body)
        self.counts.saw(head, body, key)
        if options.drop:
            connection.transport.abort()
        elif options.redirect:
            self.finish(connection, 307, key, answer(307, b"", f"location: {options.redirect}\r\n"))
        else:
            try:
                self.serve(connection, head, body, key)
            except Refused as refused:
                self.finish(connection, refused.status, key, self.raw(refused.status, refused.body, key))

    def serve(self, connection: Connection, head: Head, body: bytes, key: str) -> None:
        """What becomes of a request.  Refused: it is answered with an error at once."""
        options, counts = self.options, self.counts
        if options.key is not None and head.authorization != f"Bearer {options.key}":
            raise errors.wrong_key(head.authorization)
        if head.path.startswith("/v1/models"):
            self.finish(connection, 200, key, self.raw(200, self.models(head), key))
            return
        if head.path == "/v1/audio/voices" and options.voices:
            self.finish(connection, 200, key, self.raw(200, json.dumps({"voices": options.voices}).encode(), key))
            return
        if head.path.startswith(("/v1/files", "/v1/batches")):
            self.batch(connection, head, body, key)
            return
        asked = self.asked(head, body)
        self.limits.admit(counts.in_flight)
        connection.admitted = True
        counts.in_flight += 1
        counts.max_in_flight = max(counts.max_in_flight, counts.in_flight)
        drawn = None
        if options.hostile:
            drawn = hostile.drawn(asked, head.path, key, counts.admitted[key], options)
        counts.admitted[key] += 1
        if drawn:
            counts.hostile[drawn[0]] += 1
            self.be_hostile(connection, head, asked, key, *drawn)
        else:
            self.later(connection, 200, key, self.raw(200, self.made(head, asked, key), key), honest=True)

    def batch(self, connection: Connection, head: Head, body: bytes, key: str) -> None:
        """A request about a file or a batch."""
        if self.options.no_batches:
            raise Refused(404, f"Invalid URL ({head.method} {head.path})")
        if self.options.hostile:
            drawn = hostile.drawn({}, head.path, key, self.counts.admitted[key], self.options)
            self.counts.admitted[key] += 1
            if drawn and drawn[0] in ("429", "500", "503", "garbage"):
                self.counts.hostile[drawn[0]] += 1
                self.be_hostile(connection, head, {}, key, *drawn)
                return
        told = self.batches.serve(head, body, self.options)
        if told is None:
            connection.transport.abort()
        else:
            self.finish(connection, 200, key, self.raw(200, told, key))

    def asked(self, head: Head, body: bytes) -> dict[str, Any]:
        """The body of a request that can be answered."""
        options = self.options
        if head.path not in MAKES:
            raise Refused(404, f"Invalid URL ({head.method} {head.path})")
        if head.method != "POST":
            raise Refused(405, f"Not allowed to {head.method} on {head.path} (HINT: Perhaps you meant to use POST)")
        try:
            asked = read_form(head.kind, body) or json.loads(body)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            raise Refused(400, "We could not parse the JSON body of your request.")
        if not asked.get("model"):
            raise errors.missing("model")
        if options.models and asked["model"] not in options.models:
            raise errors.no_model(asked["model"])
        if asked.get("stream"):
            raise Refused(400, "Unsupported value: 'stream' does not support true here.", param="stream")
        for name in options.refuse:
            if name in asked:
                raise errors.refused_parameter(name, asked)
        return asked

    def made(
        self, head: Head, asked: Mapping[str, Any], key: str, draws: Draws | None = None, kind: str = "invalid"
    ) -> bytes:
        """The body of an answer; with ``draws`` of one that holds nothing usable, of this kind."""
        image = kind in OF_IMAGES
        try:
            made = MAKES[head.path](asked, key, replace(self.options, always_b64=True) if image else self.options)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as wrong:
            raise Refused(400, f"Invalid type or value in the request: {wrong!r}") from wrong
        if isinstance(made, bytes):
            return made
        if draws:
            made = media.spoiled(made, kind, draws) if image else hostile.spoil(made, draws)
        return json.dumps(made).encode()

    def be_hostile(
        self, connection: Connection, head: Head, asked: Mapping[str, Any], key: str, kind: str, draws: Draws
    ) -> None:
        if kind == "429":
            raise errors.rate_limit("requests per min (RPM)")
        if kind == "refused":
            raise errors.refused_parameter(hostile.parameter(asked, draws), asked)
        if kind == "policy":
            raise errors.policy()
        if kind == "500":
            self.later(connection, 500, key, self.raw(500, errors.server_error().body, key))
        elif kind == "503":
            self.later(connection, 503, key, self.raw(503, errors.overloaded().body, key, "retry-after: 0\r\n"))
        elif kind == "garbage":
            self.later(connection, 200, key, self.raw(200, GARBAGE, key))
        elif kind == "invalid" or kind in OF_IMAGES:
            self.later(connection, 200, key, self.raw(200, self.made(head, asked, key, draws, kind), key))
        elif kind == "half":
            body = self.made(head, asked, key)
            connection.closing = True
            self.later(connection, 200, key, answer(200, body[: len(body) // 2], claim=len(body) - len(body) // 2))
        # "never": the connection stays open, and the request counts as in flight until the client gives up

    def raw(self, status: int, body: bytes, key: str, more: str = "") -> bytes:
        limits = self.limits.headers(status, self.counts.in_flight)
        return answer(status, body, f"x-request-id: req_{key}\r\n{limits}{more}")

    def later(self, connection: Connection, status: int, key: str, raw: bytes, honest: bool = False) -> None:
        wait, finish = self.options.latency, self.finish
        if wait:
            connection.timer = self.loop.call_later(wait, finish, connection, status, key, raw, honest)
        else:
            finish(connection, status, key, raw, honest)

    def finish(self, connection: Connection, status: int, key: str, raw: bytes, honest: bool = False) -> None:
        self.release(connection)
        self.counts.statuses[status] += 1
        if honest:
            self.counts.answered[key] += 1
        connection.send(raw)

    def release(self, connection: Connection) -> None:
        """A request is no longer in flight: it was answered, or its client is gone."""
        if connection.admitted:
            connection.admitted = False
            self.counts.in_flight -= 1

    def models(self, head: Head) -> bytes:
        name = head.path.removeprefix("/v1/models").strip("/")
        if not name:
            return json.dumps(answers.models(self.options.models)).encode()
        if self.options.models and name not in self.options.models:
            raise errors.no_model(name)
        return json.dumps(answers.model(name)).encode()

    def control(self, head: Head, body: bytes) -> bytes:
        """What tests ask and say; it is not counted, and stands above every mode."""
        told: Any = {}
        match head.path.removeprefix("/_control/"):
            case "counts":
                told = {**self.counts.as_json(), "lines": self.batches.paid, "batches": len(self.batches.batches)}
            case "bodies":
                told = [body.decode("utf-8", "replace") for body in self.counts.last]
            case "reset":
                self.counts = Counts(self.counts.in_flight)
                self.batches = Batches(self.loop.time)
                self.behave(self.options)
            case "set":
                try:
                    self.behave(self.options.changed(json.loads(body)))
                except (TypeError, ValueError) as wrong:
                    return answer(400, str(wrong).encode(), kind="text/plain")
            case _:
                return answer(404, b"counts, bodies, reset or set", kind="text/plain")
        return answer(200, json.dumps(told).encode())


async def serve(port: int, with_parent: bool, options: Options) -> None:
    loop, parent = asyncio.get_running_loop(), os.getppid()
    service = Service(options)
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}/v1"}), flush=True)
    gc.freeze()
    gc.set_threshold(100_000)  # a request leaves no cycles
    while not with_parent or os.getppid() == parent:
        await asyncio.sleep(1)


def main() -> None:
    try:
        asyncio.run(serve(*from_flags()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

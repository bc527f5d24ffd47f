"""``leaven review``: serve the page of one run on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import secrets
import shlex
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from leaven.engine.decisions import path_of, standing
from leaven.errors import DataError
from leaven.records import place
from leaven.report.content import Content
from leaven.review.app import App

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 40_000


def serve(folder: Path, port: int | None, say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C; how many records are decided about then.

    Without ``port`` a folder has the same one each time, where it is free: what a browser kept while no server was
    there belongs to its port.  Raises DataError where there is no run, nothing was made, or the port is taken.
    """
    content = Content(folder)
    if not content.finished:
        raise DataError(f"{folder} holds no finished run.", "let leaven augment finish it first.")
    if not len(content.refused) and not content.train.made.any():
        raise DataError(f"{folder}: nothing was made, so there is nothing to review.", "try another recipe.")
    listening = _listen(folder, port)
    at = listening.getsockname()[1]
    app = App(content, secrets.token_urlsafe(24), at)
    try:
        asyncio.run(_run(app, listening, say))
    except KeyboardInterrupt:
        pass
    finally:
        found, _ = app.saved.since(0)
        app.saved.close()
    return len(standing(found))


async def _run(app: App, listening: socket.socket, say: Callable[[str], None]) -> None:
    runner = web.AppRunner(app.routes(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    port = listening.getsockname()[1]
    say(f"Review: http://{LOOPBACK}:{port}/#{app.key}   (Ctrl-C ends it; every decision is already saved)")
    try:
        await asyncio.Event().wait()
    finally:
        with suppress(asyncio.CancelledError):
            await runner.cleanup()


def _listen(folder: Path, port: int | None) -> socket.socket:
    usual = FIRST + place(str(folder.resolve())) % (LAST - FIRST)
    for wanted in (usual, 0) if port is None else (port,):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, wanted))
            listening.listen(64)
        except OSError as error:
            listening.close()
            if wanted == 0 or (port is None and error.errno == errno.EADDRINUSE):
                continue
            raise DataError(f"port {wanted} cannot be used ({error.strerror}).", "leave out --port.") from None
        return listening
    raise DataError("no port is free.", "end another server.")


def ended(folder: Path, decided: int) -> list[str]:
    """What the command says when it ends."""
    if not decided:
        return ["Nothing is decided."]
    records = "1 record is" if decided == 1 else f"{decided:,} records are"
    return [
        f"{records} decided about: {shlex.quote(str(path_of(folder)))}",
        "Next:  the same leaven augment command applies it, without a call",
    ]

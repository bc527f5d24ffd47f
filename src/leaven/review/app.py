"""What the review page asks its server.  Loopback only; a key that a page of elsewhere cannot know comes with each
question."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from aiohttp import web

from leaven.engine.decisions import FOLDER, RELABEL, UNDO, Decision, parse
from leaven.engine.folder import Folder, write_whole
from leaven.engine.recorded_recipe import recorded_recipe
from leaven.errors import DataError, LeavenError
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.plain_yaml import load
from leaven.recipe import build
from leaven.records import short_hash
from leaven.report.content import Content
from leaven.report.thumbnail import thumbnail, veil
from leaven.review.clusters import clusters
from leaven.review.made import Made
from leaven.review.page import page, policy
from leaven.review.saved import Saved
from leaven.review.thresholds import Threshold, moved, source_of, thresholds

KEY = "X-Leaven-Key"
LARGEST = 64 << 20
LISTED = 200
"""Rows that are listed at a time."""
SIDES = (480, 2_400)
"""Pixels of an image that is shown, and of one that is looked at closely."""
SOUNDS = ((b"RIFF", "audio/wav"), (b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"))
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class App:
    """Answers for one run.  Raises DataError where there is none, or nothing in it to look at."""

    def __init__(self, content: Content, key: str, port: int) -> None:
        self.content, self.key = content, key
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.made = Made(content)
        self.saved = Saved(content.folder)
        known, self.offset = self.saved.since(0)
        self.columns = self.made.columns(decision.id for decision in known)
        self.thresholds: list[Threshold] = thresholds(content.recipe, self.made, self.columns)
        self.clusters: asyncio.Task[tuple[np.ndarray, int]] | None = None
        self._prints: dict[str, str] = {}
        self._reader = ThreadPoolExecutor(1)  # a Parquet file that is open cannot be read by two threads

    def routes(self) -> web.Application:
        app = web.Application(middlewares=[self.guarded], client_max_size=LARGEST)
        app.router.add_get("/", self.page)
        app.router.add_get("/api/run", self.run)
        app.router.add_get("/api/columns", self.numbers)
        app.router.add_get("/api/clusters", self.covered)
        app.router.add_get("/api/list", self.listed)
        app.router.add_get("/api/find", self.find)
        app.router.add_get("/api/record/{n}", self.record)
        app.router.add_get("/api/text", self.text)
        app.router.add_get("/api/media", self.media)
        app.router.add_get("/api/decisions", self.decisions)
        app.router.add_post("/api/decisions", self.decide)
        app.router.add_post("/api/recipe", self.recipe)
        return app

    async def _reading(self, work: Callable[..., T], *given: Any) -> T:
        """Read rows aside, so that other questions are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *given)

    # -- who may ask --------------------------------------------------------------------------------------------------

    @cached_property
    def guarded(self) -> Any:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            host = request.headers.get("Host", "")
            if host not in self.hosts or (origin is not None and origin != f"http://{host}"):
                raise web.HTTPForbidden(text="asked from elsewhere")
            key = request.headers.get(KEY, "")
            if request.path.startswith("/api/") and not hmac.compare_digest(key.encode(), self.key.encode()):
                raise web.HTTPForbidden(text="another key")
            try:
                response = await handler(request)
            except LeavenError as error:
                response = web.json_response({"error": error.what, "fix": error.fix}, status=422)
            response.headers.update(
                {
                    "Cache-Control": "no-store",
                    "Content-Security-Policy": policy(),
                    "Cross-Origin-Resource-Policy": "same-origin",
                    "Referrer-Policy": "no-referrer",
                    "X-Content-Type-Options": "nosniff",
                }
            )
            return response

        return guarded

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=page(), content_type="text/html")

    # -- all rows -----------------------------------------------------------------------------------------------------

    async def run(self, request: web.Request) -> web.Response:
        """Names and counts; numbers of rows come as arrays."""
        content, columns = self.content, self.columns
        said = content.said
        return web.json_response(
            {
                "id": short_hash(f"{content.folder.resolve()} {said.get('fingerprint')}"),
                "name": content.folder.name,
                "data": said.get("data", ""),
                "recipe": said.get("recipe", ""),
                "finished": content.finished,
                "rows": len(self.made),
                "kept": len(self.made.kept),
                "left_out": max(0, content.count("kept") - len(self.made.kept)),
                "label": content.label,
                "known": list(content.dataset.labels),
                "labels": columns.labels,
                "steps": columns.steps,
                "reasons": columns.reasons,
                "scores": list(columns.scores),
                "thresholds": [t.as_json() for t in self.thresholds],
                "keeps": [source_of(step) for step in content.recipe.steps() if source_of(step)]
                if content.recipe
                else [],
            }
        )

    async def numbers(self, request: web.Request) -> web.Response:
        """The arrays of all rows, little-endian, one after the other: each score (f64), label (i32), step and reason
        (u16), state (u8), and what each threshold did (u8)."""
        c = self.columns
        arrays = [
            *(values.astype("<f8") for values in c.scores.values()),
            c.label.astype("<i4"),
            c.step.astype("<u2"),
            c.reason.astype("<u2"),
            c.state.astype("u1"),
            *(t.met.astype("u1") for t in self.thresholds),
        ]
        return _bytes(b"".join(array.tobytes() for array in arrays))

    async def covered(self, request: web.Request) -> web.Response:
        """The cluster of each row (i16); 202 while they are looked for."""
        if self.clusters is None:
            self.clusters = asyncio.create_task(asyncio.to_thread(_clusters, self.content.folder))
        with suppress(TimeoutError):
            found, k = await asyncio.wait_for(asyncio.shield(self.clusters), 10)
            return _bytes(found.astype("<i2").tobytes(), {"X-Clusters": str(k)})
        return web.Response(status=202)

    async def find(self, request: web.Request) -> web.Response:
        found = await self._reading(self.made.find, request.query.get("q", ""))
        return _bytes(found.astype("<i4").tobytes())

    # -- some rows ----------------------------------------------------------------------------------------------------

    async def listed(self, request: web.Request) -> web.Response:
        numbers = [self._number(part) for part in request.query.get("at", "").split(",")[:LISTED] if part]
        return web.json_response(await self._reading(self.made.listed, numbers))

    async def record(self, request: web.Request) -> web.Response:
        n = self._number(request.match_info["n"])
        found = await self._reading(self.made.record, n)
        self._prints[found["id"]] = found["content"]
        return web.json_response(found)

    async def text(self, request: web.Request) -> web.Response:
        text = await self._reading(self.made.text, request.query.get("id", ""), request.query.get("column", ""))
        return web.Response(text=text, content_type="text/plain")

    async def media(self, request: web.Request) -> web.Response:
        """An image or a sound of a record: images written anew, so that nothing but pixels gets into the page."""
        own, column = request.query.get("id", ""), request.query.get("column", "")
        side = SIDES[request.query.get("large") == "1"]
        try:
            return await self._reading(self._media, own, column, side)
        except Broken as broken:
            raise DataError(f"it cannot be decoded: {broken.reason}.", "look at the file that it came from.") from None

    def _media(self, own: str, column: str, side: int) -> web.Response:
        value = self.made.media(own, column)
        if value is None:
            raise web.HTTPNotFound
        if isinstance(value, Audio):
            kind = next((kind for start, kind in SOUNDS if value.encoded.startswith(start)), "audio/mpeg")
            return _bytes(value.encoded, kind=kind)
        mask = self.content.kinds[column] == "mask"
        uri = veil(value, side) if mask else thumbnail(value, side).uri
        head, _, data = uri.partition(",")
        size = {} if mask else {"X-Size": "{}x{}".format(*value.size)}
        return _bytes(base64.b64decode(data), size, head.removeprefix("data:").removesuffix(";base64"))

    def _number(self, said: str) -> int:
        if not said.isdecimal() or int(said) >= len(self.made):
            raise web.HTTPNotFound
        return int(said)

    # -- decisions ----------------------------------------------------------------------------------------------------

    async def decisions(self, request: web.Request) -> web.Response:
        """The lines from a byte of the file on, each with the number of its record, or null."""
        begin = request.query.get("since", "0")
        at = int(begin) if begin.isdecimal() and int(begin) <= self.saved.size() else 0
        found, end = self.saved.since(at)
        lines = await self._reading(self._numbered, found)
        return web.json_response({"lines": lines, "end": end, "begin": at, "anew": self._anew()})

    async def decide(self, request: web.Request) -> web.Response:
        """Lines to add: saved once this answers."""
        said = await request.json(loads=_loads)
        found = [self._checked(line) for line in said] if isinstance(said, list) else []
        self.saved.add(found)
        return web.json_response({"saved": len(found), "at": time.strftime("%H:%M")})

    def _checked(self, said: Any) -> Decision:
        decision = parse(json.dumps(said).encode())
        if decision is None:
            raise DataError("this is no decision.", "reload the page.")
        if decision.action == RELABEL and decision.new not in self.content.dataset.labels:
            raise DataError(f"there is no label `{str(decision.new)[:60]}`.", "take one that the data have.")
        return decision

    def _numbered(self, found: list[Decision]) -> list[dict[str, Any]]:
        """Decisions with the number of their record; ``stale`` where that holds something else than was seen."""
        here = sorted({self.made.number[d.id] for d in found if d.id in self.made.number and d.id not in self._prints})
        self._prints |= dict(zip((self.made.ids[n] for n in here), self.made.prints(here), strict=True))
        return [
            {
                "n": self.made.number.get(d.id),
                "id": d.id,
                "content": d.content,
                "action": d.action,
                "new": d.new,
                "time": d.time,
                "stale": d.action != UNDO and self._prints.get(d.id) != d.content,
            }
            for d in found
        ]

    def _anew(self) -> bool:
        """True where the run was written again since the page was opened."""
        try:
            return Folder(self.content.folder).describe() != self.content.said
        except DataError:
            return False

    # -- the recipe ---------------------------------------------------------------------------------------------------

    async def recipe(self, request: web.Request) -> web.Response:
        """Write the recipe with another number into ``review/recipe.yaml``; the line, and how to run it."""
        said = await request.json(loads=_loads)
        try:
            threshold, index, value = self.thresholds[said["threshold"]], said["condition"], float(said["value"])
            threshold.conditions[index]
        except (KeyError, IndexError, TypeError, ValueError):
            raise DataError("this names no threshold.", "reload the page.") from None
        return web.json_response(await self._reading(self._write, threshold, index, value))

    def _write(self, threshold: Threshold, index: int, value: float) -> dict[str, Any]:
        folder = Folder(self.content.folder)
        text, line, at = moved(str(self.content.said["recipe_text"]), threshold, index, value)
        path = folder.path / FOLDER / "recipe.yaml"
        recipe = recorded_recipe(folder)
        sets = self.content.said.get("set") or ()
        again = build(
            load(text, path.name), text=text, where=path.name, name=path.stem, sets=sets, folder=folder.recipe
        )
        new = threshold.source[: threshold.conditions[index].at[0]]
        if not any(source_of(step).startswith(new) and source_of(step) in line for step in again.steps()):
            raise DataError("a --set of the run stands over this line.", f"change the --set: {line}")
        for name, data in recipe.files().items():
            write_whole(path.parent / name, data)
        write_whole(path, text.encode())
        return {"path": str(path), "line": line, "number": at}


def _clusters(folder: Path) -> tuple[np.ndarray, int]:
    return clusters(Made(Content(folder)))  # with files of its own: they are looked for while records are read


def _bytes(data: bytes, headers: dict[str, str] | None = None, kind: str = "application/octet-stream") -> web.Response:
    return web.Response(body=data, headers=headers or {}, content_type=kind)


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError("this is no JSON.", "reload the page.") from None

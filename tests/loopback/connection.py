"""One connection, kept alive: a request at a time, in the order they came."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .errors import Refused
from .wire import Head, answer, read_head


class Taker(Protocol):
    """Who answers: `take` must call ``connection.send`` once, or close."""

    def connected(self) -> None: ...

    def take(self, connection: Connection, head: Head, body: bytes) -> None: ...

    def release(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Parts the bytes that come in into requests."""

    def __init__(self, service: Taker) -> None:
        self.service = service
        self.unread = b""
        self.busy = False
        self.closing = False
        self.admitted = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.connected()

    def data_received(self, data: bytes) -> None:
        self.unread = self.unread + data if self.unread else data
        if not self.busy:
            self.next_request()

    def next_request(self) -> None:
        """Take one whole request from what came in, if there is one."""
        data = self.unread
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        try:
            head = read_head(data[:end])
        except ValueError as wrong:
            self.refuse(Refused(400, str(wrong)))
            return
        if head.length is None:
            self.refuse(Refused(411, "Send Content-Length."))
            return
        begins, ends = end + 4, end + 4 + head.length
        if len(data) < ends:
            return
        self.unread = data[ends:]
        self.busy = True
        self.closing = head.closing
        self.service.take(self, head, data[begins:ends])

    def refuse(self, refused: Refused) -> None:
        """What cannot be read as a request ends the connection."""
        self.closing = True
        self.send(answer(refused.status, refused.body))

    def send(self, raw: bytes) -> None:
        """Answer the request in hand; then take the next one, if it is here already."""
        self.timer = None
        self.transport.write(raw)
        self.busy = False
        if self.closing:
            self.transport.close()
        elif self.unread:
            self.next_request()

    def connection_lost(self, wrong: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
        self.service.release(self)

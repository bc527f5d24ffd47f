"""The fastest honest client: what is left of a server's latency when nothing but sockets stands between.

    python -m benchmarks.bare_socket [--calls 2000] [--latency 0.05] [--at 16,64,256]

One connection a slot, kept alive; each sends its next request when its answer is whole.  It is told how many requests
the server takes at a time.  Of an answer it reads the status and Content-Length, nothing else.  Ideal is
calls / slots x latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from urllib.parse import urlsplit


class Slot(asyncio.Protocol):
    """One connection that sends bodies until there are none left."""

    def __init__(self, head: bytes, bodies: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.head = head
        self.bodies = bodies
        self.done = done
        self.came = b""
        self.need = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send_next(self) -> None:
        body = next(self.bodies, None)
        if body is None:
            self.transport.close()
            self.done.set_result(None)
        else:
            self.transport.write(b"%b%d\r\n\r\n%b" % (self.head, len(body), body))

    def data_received(self, data: bytes) -> None:
        data = self.came + data if self.came else data
        if self.need < 0:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.came = data
                return
            if not data.startswith(b"HTTP/1.1 200 "):
                self.fail(RuntimeError(f"not answered: {data[:200]!r}"))
                return
            at = data.lower().find(b"\r\ncontent-length:", 0, end + 2) + 17
            self.need = end + 4 + int(data[at : data.find(b"\r\n", at)])
        if len(data) < self.need:
            self.came = data
            return
        self.came, self.need = b"", -1
        self.send_next()

    def connection_lost(self, wrong: Exception | None) -> None:
        self.fail(wrong or ConnectionError("the server closed the connection"))

    def fail(self, wrong: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(wrong)
            self.transport.close()


async def run(url: str, bodies: Sequence[bytes], concurrency: int) -> float:
    """POST each body to ``url``, ``concurrency`` at a time, and return the seconds it took once all are connected.

    RuntimeError: an answer was not 200.  ConnectionError: a connection ended early.
    """
    place = urlsplit(url)
    loop = asyncio.get_running_loop()
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    waiting = iter(bodies)
    slots: list[Slot] = []
    try:
        for _ in range(concurrency):
            make = partial(Slot, head, waiting, loop.create_future())
            slots.append((await loop.create_connection(make, place.hostname or "", place.port or 80))[1])
        began = time.perf_counter()
        for slot in slots:
            slot.send_next()
        await asyncio.gather(*(slot.done for slot in slots))
        return time.perf_counter() - began
    finally:
        for slot in slots:
            slot.transport.close()


def chat_bodies(n: int) -> list[bytes]:
    """Different small chat requests."""
    return [
        json.dumps(
            {
                "model": "loopback",
                "messages": [
                    {"role": "system", "content": "You reword messages to a bank. Keep what they mean."},
                    {"role": "user", "content": f"Reword this message:\nWhere is the card number {i} that I ordered?"},
                ],
                "temperature": 1,
            }
        ).encode()
        for i in range(n)
    ]


def main() -> None:
    from tests.loopback.process import Server

    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--at", default="16,64,256")
    asked = parser.parse_args()
    bodies = chat_bodies(asked.calls)
    print("| at a time | seconds | x ideal | client CPU a call | server CPU a call |\n|---|---|---|---|---|")
    for slots in map(int, asked.at.split(",")):
        with Server(latency=asked.latency, capacity=slots) as server:
            began = time.process_time()
            took = asyncio.run(run(f"{server.url}/chat/completions", bodies, slots))
            client = (time.process_time() - began) / len(bodies) * 1000
            host = server.counts()["cpu_seconds"] / len(bodies) * 1000
        ideal = len(bodies) / slots * asked.latency
        print(f"| {slots} | {took:.2f} | {took / ideal:.2f} | {client:.3f} ms | {host:.3f} ms |", flush=True)


if __name__ == "__main__":
    main()

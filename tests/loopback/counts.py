"""What the server has seen and said."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from .wire import Head

LAST = 1000
"""So many bodies are kept whole."""


class Counts:
    """Counters since the start or the last reset.  Bodies are known by ``draws.digest``."""

    def __init__(self, in_flight: int = 0) -> None:
        self.requests: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self.admitted: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.hostile: Counter[str] = Counter()
        self.authorization: Counter[str] = Counter()
        self.last: deque[bytes] = deque(maxlen=LAST)
        self.connections = 0
        self.in_flight = in_flight
        self.max_in_flight = in_flight
        self.cpu = time.process_time()

    def saw(self, head: Head, body: bytes, key: str) -> None:
        self.requests[head.path] += 1
        if body:
            self.bodies[key] += 1
            self.last.append(body)
        if head.authorization:
            self.authorization[head.authorization] += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,  # by path
            "paths": sorted(self.requests),
            "bodies": self.bodies,  # by hash: how often it was sent
            "answered": self.answered,  # by hash: how often an honest 200 was sent back
            "statuses": self.statuses,
            "hostile": self.hostile,  # by kind
            "authorization": sorted(self.authorization),
            "connections": self.connections,
            "in_flight": self.in_flight,  # admitted and not yet answered
            "max_in_flight": self.max_in_flight,
            "cpu_seconds": time.process_time() - self.cpu,
        }

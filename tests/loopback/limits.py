"""How much the server takes on: so many requests at a time, or so many a minute; and what it says of that."""

from __future__ import annotations

import math
from collections.abc import Callable

from .errors import rate_limit
from .options import Options


class Limits:
    """The bucket of ``--rpm``, and the headers.  ``now`` is a clock in seconds."""

    def __init__(self, options: Options, now: Callable[[], float]) -> None:
        self.options = options
        self.now = now
        self.left = float(options.rpm)
        self.at = now()

    def admit(self, in_flight: int) -> None:
        """Let one more in, or raise 429."""
        options = self.options
        if options.capacity is not None and in_flight >= options.capacity:
            raise rate_limit("requests at a time")
        if options.rpm:
            self.fill()
            if self.left < 1:
                raise rate_limit("requests per min (RPM)")
            self.left -= 1

    def fill(self) -> None:
        now, rpm = self.now(), self.options.rpm
        self.left = min(rpm, self.left + (now - self.at) * rpm / 60)
        self.at = now

    def headers(self, status: int, in_flight: int) -> str:
        """Whole header lines, with ``--headers``; else nothing."""
        options = self.options
        if not options.headers:
            return ""
        wait, lines = 1, ""
        if options.rpm:
            self.fill()
            wait = math.ceil(max(0, 1 - self.left) * 60 / options.rpm) or 1
            lines = said(options.rpm, int(self.left), (options.rpm - self.left) * 60 / options.rpm)
        elif options.capacity is not None:
            lines = said(options.capacity, max(0, options.capacity - in_flight), options.latency)
        return lines + (f"retry-after: {wait}\r\n" if status == 429 else "")


def said(limit: int, left: int, full_in: float) -> str:
    """OpenAI's headers; ``full_in`` seconds are written as Go writes them: 120ms, 1.5s, 6m0s."""
    minutes, seconds = divmod(full_in, 60)
    span = (
        f"{int(minutes)}m{seconds:.0f}s" if minutes else f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3g}s"
    )
    return (
        f"x-ratelimit-limit-requests: {limit}\r\nx-ratelimit-remaining-requests: {left}\r\n"
        f"x-ratelimit-reset-requests: {span}\r\n"
    )

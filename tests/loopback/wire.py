"""HTTP/1.1 as bytes: the head of a request, and answers.  As little work a call as Python allows."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

REASONS = {
    200: "OK",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Head(NamedTuple):
    """What of a request's head the server acts on."""

    method: str
    path: str
    length: int | None
    authorization: str | None
    closing: bool
    kind: str = ""
    """The type of its body."""


@lru_cache(4096)  # a client that keeps its connections sends the same few heads over and over
def read_head(head: bytes) -> Head:
    """The head of a request.  ``length`` is None where a body comes without one.  ValueError: not HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP/1: {version}")
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a header: {line}")
        fields[name.lower()] = value.strip()
    length = None if "transfer-encoding" in fields else int(fields.get("content-length", 0))
    closing = fields.get("connection", "").lower() == "close"
    return Head(method, path, length, fields.get("authorization"), closing, fields.get("content-type", ""))


def answer(status: int, body: bytes, headers: str = "", *, kind: str = "application/json", claim: int = 0) -> bytes:
    """An answer in bytes.  ``headers`` are whole lines; ``claim`` is how many bytes too many it promises."""
    return (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body) + claim}\r\n{headers}\r\n"
    ).encode("latin-1") + body

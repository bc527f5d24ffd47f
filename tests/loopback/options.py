"""What the server can be told, at its start or later by /_control/set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

KINDS = ("429", "500", "503", "garbage", "half", "invalid", "refused", "never")
"""What may come instead of an answer: a status, a 200 that is no JSON, one that ends early, one that says nothing
usable, a 400 that names a parameter, and nothing at all."""
OF_IMAGES = ("empty", "cut", "noise", "wide")
"""What may come instead of an image: none, base64 that ends early, bytes that are no image or half of one, and an image
of another shape."""
MORE = ("policy", *OF_IMAGES)
"""What comes where it is named alone; ``policy`` is a 400 that says that the provider's rules forbid it."""


@dataclass(frozen=True)
class Options:
    """How the server behaves.  Names are the flags' (``hostile_seed`` is ``--hostile-seed``)."""

    latency: float = 0.0
    """Seconds from a request to its answer."""
    capacity: int | None = None
    """Requests answered at a time; those beyond are refused at once, with 429."""
    rpm: int = 0
    """Requests a minute: a bucket of so many that fills up again evenly.  0: any number."""
    headers: bool = False
    """Say the limits: ``Retry-After`` with 429, ``x-ratelimit-*`` with everything."""
    hostile: float = 0.0
    """The share of requests that get one of ``hostile_kinds`` instead of an answer."""
    hostile_seed: int = 1
    hostile_kinds: tuple[str, ...] = KINDS
    refuse: tuple[str, ...] = ()
    """Parameters that are always refused, with 400."""
    redirect: str | None = None
    """Where 307 sends every request."""
    drop: bool = False
    """Close every connection at its first request."""
    no_usage: bool = False
    think: bool = False
    """Put <think>...</think> before the answer."""
    key: str | None = None
    """The only key that is let in."""
    voices: tuple[str, ...] = ()
    """The voices that it lists; none: it lists none, and has those of the protocol."""
    always_b64: bool = False
    """Answer with images themselves also where no format is asked for, as gpt-image-1 does."""
    batch_seconds: float = 0.0
    """Seconds until a batch ends."""
    batch_share: float = 1.0
    """The share of its lines that are worked through by then."""
    fate: str = "completed"
    """How batches end: completed, expired, cancelled or failed."""
    fail: str = ""
    """A line of a batch that holds this text is refused."""
    no_batches: bool = False
    """Have no batch API."""
    lose: int = 0
    """So many batches are begun without an answer: the connection is cut."""
    models: tuple[str, ...] = ()
    """The only models there are; none: any."""
    script: tuple[Mapping[str, Any], ...] = ()
    """Answers by heart: ``{"match": what the prompt contains, "answer": text or object}``, the first that matches."""

    def changed(self, changes: Mapping[str, Any]) -> Options:
        """These options with others.  TypeError, ValueError: there are no such."""
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(getattr(Options, name, None), tuple) and value is not None else value
            for name, value in changes.items()
        }
        unknown = set(made.get("hostile_kinds", ())) - {*KINDS, *MORE}
        if unknown:
            raise ValueError(f"no hostile kinds: {', '.join(sorted(unknown))}")
        return replace(self, **made)


def from_flags(arguments: list[str] | None = None) -> tuple[int, bool, Options]:
    """The port, whether to end with the parent process, and the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--parent", action="store_true", help="end when the process that started this one ends")
    for field in fields(Options):
        flag = "--" + field.name.replace("_", "-")
        if field.name == "script":
            parser.add_argument(flag, type=read_script, default=field.default, metavar="FILE.jsonl")
        elif isinstance(field.default, tuple):
            parser.add_argument(flag, type=lambda text: tuple(text.split(",")), default=field.default, metavar="A,B")
        elif isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            number = {"latency": float, "hostile": float, "capacity": int, "rpm": int, "hostile_seed": int,
                      "batch_seconds": float, "batch_share": float, "lose": int}  # fmt: skip
            parser.add_argument(flag, type=number.get(field.name, str), default=field.default)
    found = vars(parser.parse_args(arguments))
    return found.pop("port"), found.pop("parent"), Options().changed(found)


def read_script(path: str | Path) -> tuple[Mapping[str, Any], ...]:
    """The answers of a script file, one JSON object a line."""
    return tuple(json.loads(line) for line in Path(path).read_text("utf-8").splitlines() if line.strip())

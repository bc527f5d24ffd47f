"""What comes instead of an answer, drawn from (body, how often it was let in before, seed)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .draws import Draws, digest
from .options import OF_IMAGES, Options

MAY_BE_REFUSED = ("temperature", "max_tokens", "response_format", "logprobs")


def drawn(asked: Mapping[str, Any], path: str, key: str, before: int, options: Options) -> tuple[str, Draws] | None:
    """The kind and further draws, or None for an honest answer.

    ``refused`` comes only to a request that has a parameter to refuse, ``invalid`` only where text is made, and
    OF_IMAGES only where an image is.
    """
    draws = Draws(digest(f"{key} {before} {options.hostile_seed}".encode()))
    if draws.below(1_000_000) >= options.hostile * 1_000_000:
        return None
    kinds = [
        kind
        for kind in options.hostile_kinds
        if (kind != "refused" or any(name in asked for name in MAY_BE_REFUSED))
        and (kind != "invalid" or "completions" in path)
        and (kind not in OF_IMAGES or "/images/" in path)
    ]
    return (kinds[draws.below(len(kinds))], draws) if kinds else None


def parameter(asked: Mapping[str, Any], draws: Draws) -> str:
    """The parameter that is refused this time."""
    names = [name for name in MAY_BE_REFUSED if name in asked]
    return names[draws.below(len(names))]


def spoil(answer: dict[str, Any], draws: Draws) -> dict[str, Any]:
    """An answer of the right form that holds nothing usable: prose, or JSON that was cut off."""
    for choice in answer["choices"]:
        if draws.below(2):
            text = "I am sorry, but I cannot help with that."
            why = "stop"
        else:
            text = '{"answers": ["this one was not fini'
            why = "length"
        choice["finish_reason"] = why
        if "message" in choice:
            choice["message"]["content"] = text
        else:
            choice["text"] = text
    return answer

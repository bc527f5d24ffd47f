"""Tokens: here a word and the white space before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from zlib import crc32

from .schema import FILLERS

TOKEN = re.compile(r"\s*\S+|\s+$")


def split(text: str) -> list[str]:
    """The tokens of a text; joined, they are the text."""
    return TOKEN.findall(text)


def count(text: str) -> int:
    """About ``len(split(text))``, many times as fast."""
    return len(text.split())


def cut(text: str, limit: int | None) -> tuple[str, str]:
    """The first ``limit`` tokens, and why the text ends there: "stop" or "length"."""
    if limit is None or count(text) <= limit:
        return text, "stop"
    return "".join(split(text)[:limit]), "length"


def with_logprobs(tokens: Iterable[str]) -> Iterator[tuple[str, int, float, list[tuple[str, float]]]]:
    """Each token, its place in the text, its log-probability, and less likely ones in its stead.

    A log-probability depends on the token and on what stands before it, so equal beginnings have equal ones.
    """
    before, at = 0, 0
    for token in tokens:
        before = crc32(token.encode("utf-8", "surrogatepass"), before)
        logprob = -(1 + before % 4000) / 1000
        yield token, at, logprob, [(f" {word}", logprob - 0.5 * (i + 1)) for i, word in enumerate(FILLERS)]
        at += len(token)


def for_chat(text: str, top: int) -> dict[str, Any]:
    """``choices[].logprobs`` of a chat answer."""

    def entry(token: str, logprob: float) -> dict[str, Any]:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}

    return {
        "content": [
            {
                **entry(token, logprob),
                "top_logprobs": [entry(*one) for one in [(token, logprob), *others][:top]],
            }
            for token, _, logprob, others in with_logprobs(split(text))
        ],
        "refusal": None,
    }


def for_completion(prompt: str, made: str, top: int, echo: bool) -> dict[str, Any]:
    """``choices[].logprobs`` of a completion; with ``echo`` the prompt's too, and its first token has none."""
    found = [one for one in with_logprobs([*split(prompt), *split(made)]) if echo or one[1] >= len(prompt)]
    likely: list[dict[str, float] | None] = [dict([(token, lp), *others][:top]) for token, _, lp, others in found]
    logprobs: list[float | None] = [logprob for _, _, logprob, _ in found]
    if echo and found:
        likely[0] = logprobs[0] = None
    return {
        "tokens": [token for token, *_ in found],
        "token_logprobs": logprobs,
        "top_logprobs": likely if top else None,
        "text_offset": [at for _, at, *_ in found],
    }

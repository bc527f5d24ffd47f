"""Models that run in this process, asked as operators' calls ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaven.models.backends.of_transformers import of_transformers
from leaven.models.calls import About, Answer, Ask, CallFailed

Asked = tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
"""Content, media and sampling."""


def answers(role: str, folder: Path, asked: Sequence[Asked]) -> list[Answer | CallFailed]:
    """The answers to calls that are all made at once."""

    async def work() -> list[Answer | CallFailed]:
        player = of_transformers(role, f"transformers:{folder}", str(folder))
        calls = [Ask(role, content, sampling, media=media) for content, media, sampling in asked]
        try:
            made = [player.play(call, About("step", 0, f"{i}")) for i, call in enumerate(calls)]
            found = await asyncio.gather(*made, return_exceptions=True)
        finally:
            await player.close()
        for one in found:
            if not isinstance(one, Answer | CallFailed):
                raise one
        return [one for one in found if isinstance(one, Answer | CallFailed)]

    return asyncio.run(work())


def answer(role: str, folder: Path, *asked: Any) -> Answer:
    """The answer to one call: content, media, sampling."""
    [found] = answers(role, folder, [(*asked, *({},) * (3 - len(asked)))])
    if isinstance(found, CallFailed):
        raise found
    return found


def together_and_alone(role: str, folder: Path, asked: Sequence[Asked]) -> tuple[list[Answer], list[Answer]]:
    """The answers to calls in one batch, as a GPU gets them, and one by one."""
    player: Any = of_transformers(role, f"transformers:{folder}", str(folder))
    calls = [Ask(role, content, sampling, media=media) for content, media, sampling in asked]
    assert len({player.kind(call) for call in calls}) == 1
    player._open()
    try:
        batches = [player._pool.submit(player._answered, some) for some in (calls, *([call] for call in calls))]
        batch, *alone = [batch.result() for batch in batches]
        return batch, [one for [one] in alone]
    finally:
        asyncio.run(player.close())

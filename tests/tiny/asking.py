"""Models of this process asked as a run asks them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from leaven.models.backends.of_transformers import of_transformers
from leaven.models.calls import About, Answer, Ask, CallFailed


def said(folder: Path, *asks: Ask) -> list[Answer | CallFailed]:
    """What a model answers, all asked at the same time."""

    async def work() -> list[Any]:
        player = of_transformers(asks[0].role, f"transformers:{folder}", str(folder))
        try:
            about = [About("step", 0, f"{i}") for i in range(len(asks))]
            found = await asyncio.gather(
                *(player.play(ask, of) for ask, of in zip(asks, about, strict=True)), return_exceptions=True
            )
        finally:
            await player.close()
        return found

    found = asyncio.run(work())
    for one in found:
        if not isinstance(one, Answer | CallFailed):
            raise one
    return found


def texts(found: list[Answer | CallFailed]) -> list[str]:
    """What each says, or the reason why it says nothing."""
    return [one.text if isinstance(one, Answer) else one.reason for one in found]

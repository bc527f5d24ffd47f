"""A model of this process that answers in batches, as on a GPU, where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from leaven.models.backends.local import local
from leaven.models.backends.local.local import Local
from leaven.models.calls import About, Answer, Ask


@contextmanager
def as_on_a_gpu(player: Local, *, halves: bool = False) -> Iterator[list[list[Ask]]]:
    """Within, what is alike is answered together, by the first CPU under another name; yields the batches.

    ``halves`` loads it in bfloat16, as on a GPU.  The player is to be one that was not asked before.
    """
    import torch

    batches: list[list[Ask]] = []
    load, answers = player.load, player.answers

    def loaded() -> None:
        player.device = "cpu:0"
        if halves:
            player.dtype = torch.bfloat16
        load()

    def answered(asks: Sequence[Ask]) -> list[Any]:
        batches.append(list(asks))
        return answers(asks)

    vars(player).update(load=loaded, answers=answered)
    moment, local.MOMENT = local.MOMENT, 0.1  # on a busy machine they come one by one
    try:
        yield batches
    finally:
        local.MOMENT = moment


def in_both_ways(player: Local, asks: Sequence[Ask]) -> tuple[list[Answer], list[Answer]]:
    """The answers to calls that are on their way at once, the last record's first; and to each when it is alone."""

    async def work() -> tuple[list[Answer], list[Answer]]:
        about = [About("step", 0, f"{i}") for i in range(len(asks))]
        pairs = list(zip(asks, about, strict=True))
        try:
            together = await asyncio.gather(*(player.play(ask, of) for ask, of in reversed(pairs)))
            alone = [await player.play(ask, of) for ask, of in pairs]
        finally:
            await player.close()
        return list(reversed(together)), alone

    return asyncio.run(work())

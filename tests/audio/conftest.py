"""Sounds to test with, and one operator on one record with what it drew."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import soundfile

from leaven import one_record
from leaven.media.audio import Audio
from leaven.operators import Make
from leaven.records import Record

Fields = Mapping[str, Any]
Made = Callable[..., list[Record]]


@pytest.fixture
def made() -> Made:
    """``made(op, fields, source=[...], seed=0)``: the children as records, whose ``drawn`` is there."""

    def children(op: Make, fields: Fields, source: Sequence[Fields] = (), seed: int = 0) -> list[Record]:
        record = Record("0123456789abcdef01234567", dict(fields))
        record.root = record.id
        bound = one_record.bound(op, record.fields, None)
        ctx = one_record._context(bound, record, seed, {"source": [dict(row) for row in source]})
        return list(bound.make(record, ctx.of(record)))

    return children


@pytest.fixture
def tone() -> Callable[..., Audio]:
    """``tone(440, seconds=1, rate=16000, level=0.25)``: a sine; ``channels=2`` has it twice as loud on the left."""

    def sine(
        hertz: float = 440.0, *, seconds: float = 1.0, rate: int = 16000, level: float = 0.25, channels: int = 1
    ) -> Audio:
        wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        return Audio.of(np.stack([wave / (i + 1) for i in range(channels)], 1).astype(np.float32), rate)

    return sine


@pytest.fixture
def written() -> Callable[..., Audio]:
    """``written(samples, rate, "PCM_24")``: a sound as it stands in a file."""

    def file(samples: np.ndarray, rate: int, kind: str = "PCM_16") -> Audio:
        out = io.BytesIO()
        soundfile.write(out, samples, rate, kind, format="WAV")
        return Audio(out.getvalue(), "a.wav")

    return file

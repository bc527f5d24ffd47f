"""The bridge to a package that most have not: what it says without it, and what it does with it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import numpy as np
import pytest

from leaven.audio.audiomentations import Audiomentations
from leaven.errors import MissingExtra, RecipeError
from leaven.media.audio import Audio
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


def test_without_the_package(made: Made, tone: Tone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    with pytest.raises(MissingExtra, match="pip install audiomentations"):
        made(Audiomentations({"Gain": {}}), {"audio": tone()})


def test_with_the_package(made: Made, tone: Tone):
    pytest.importorskip("audiomentations")
    op = Audiomentations({"Gain": {"min_gain_db": -6.0, "max_gain_db": 0.0, "p": 1.0}, "Shift": {"p": 0.5}}, n=6)
    row = {"audio": tone(channels=2)}
    random.seed(7)
    np.random.seed(7)
    expected = random.random(), np.random.rand()
    random.seed(7)
    np.random.seed(7)
    found = made(op, row)
    assert (random.random(), np.random.rand()) == expected, "the global state is as it was"
    again = made(op, row)
    assert [c["audio"].encoded for c in found] == [c["audio"].encoded for c in again]
    assert len({c["audio"].encoded for c in found}) == 6
    assert {tuple(c.drawn["applied"]) for c in found} == {("Gain",), ("Gain", "Shift")}
    with pytest.raises(RecipeError, match="no transform `Gains`"):
        made(Audiomentations({"Gains": {}}), row)
    with pytest.raises(RecipeError, match="Gain of audiomentations"):
        made(Audiomentations({"Gain": {"loud": 1}}), row)

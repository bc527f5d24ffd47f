"""A small generator of sounds that is trained here: it sounds what it was told, from noise or from a sound, in the same
bytes twice and after a break."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import DataError, ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local import small_diffusion
from leaven.models.backends.local.fitting import CHECKPOINT, Progress
from leaven.models.backends.local.small_diffusion import SmallDiffusion
from leaven.models.backends.local.small_sound import ABOUT, SmallSound
from leaven.models.calls import About, Adapter, Answer, Ask, CallFailed
from leaven.models.config import Config
from leaven.models.players import Players
from leaven.records import digest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

RATE = 4000
LOW, HIGH = 300.0, 1300.0
TINY: dict[str, Any] = {"width": 8, "batch": 16, "lr": 1e-2, "size": 8}


def tone(hertz: float, seconds: float = 0.2, *, loud: float = 0.5, rate: int = RATE) -> Audio:
    return Audio.of((loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)), rate)


def tones(each: int = 12) -> tuple[list[Audio], list[str | None]]:
    """Low and high tones of differing lengths."""
    sounds = [tone((HIGH if i % 2 else LOW) * (1 + i / 400), 0.10 + 0.004 * i) for i in range(2 * each)]
    return sounds, ["high" if i % 2 else "low" for i in range(2 * each)]


def height(samples: np.ndarray, rate: int = RATE) -> float:
    """The frequency at which most of it is."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    """Few noisy pictures are looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion, "CHECKED", 24)
        yield


@pytest.fixture(scope="module")
def model() -> SmallSound:
    return SmallSound.fit(*tones(), steps=60, **TINY)


@pytest.fixture(scope="module")
def folder(model: SmallSound, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("fitted")
    model.save(found)
    return found


def test_it_sounds_what_it_was_told(model: SmallSound):
    assert (model.classes, model.rate, model.even, model.left) == (("high", "low"), RATE, 0, (0, 0))
    for seed in range(3):
        low, high = (model.draw(label, seed=seed, steps=10) for label in ("low", "high"))
        assert low.dtype == np.float32
        assert height(low) < 600 < 900 < height(high)
        for sound in (low, high):
            assert 0.05 * RATE < len(sound) <= model.seconds * RATE
            assert 0.05 < np.abs(sound).max() <= 1
            assert abs(sound[-1]) < 0.01  # it ends without a click


def test_seed_and_guidance_and_steps_and_seconds_matter(model: SmallSound):
    first = model.draw("low", seed=1, steps=4)
    assert np.array_equal(first, model.draw("low", seed=1, steps=4))
    for how in ({"seed": 2}, {"guidance": 1.0}, {"steps": 5}):
        assert not np.array_equal(first, model.draw("low", **{"seed": 1, "steps": 4, **how}))
    assert not np.array_equal(first, model.draw(None, seed=1, steps=4))
    short, long = (model.draw("low", seed=1, steps=4, seconds=seconds) for seconds in (0.05, 0.5))
    assert (len(short), len(long)) == (200, 2000)
    assert np.array_equal(short[:150], first[:150])
    assert short[-1] == 0
    assert np.array_equal(long[: len(first)], first)
    assert not long[len(first) :].any()


def test_it_begins_from_a_sound(model: SmallSound):
    """A middle tone, which it never heard, and at another rate."""
    start = tone(700, 0.15, rate=8000)
    near, far = (
        model.draw("high", seed=1, steps=10, start=(start.mono, start.rate), strength=strength)
        for strength in (0.1, 1.0)
    )
    assert abs(height(near) - 700) < 80
    assert height(far) > 900


def test_where_the_picture_stays_the_sound_does(model: SmallSound, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SmallDiffusion, "draw", lambda *_, start, **__: start)
    start = tone(700, 0.15)
    found = model.draw("high", seed=1, start=(start.mono, start.rate))
    assert np.corrcoef(found[:500], start.mono[:500])[0, 1] > 0.97


def test_a_folder_and_what_is_none(model: SmallSound, folder: Path, tmp_path: Path):
    again = SmallSound.load(folder)
    assert (again.scale, again.rate, again.even, again.left) == (model.scale, RATE, 0, (0, 0))
    assert np.array_equal(again.draw("low", seed=1, steps=2), model.draw("low", seed=1, steps=2))
    with pytest.raises(ModelError, match="holds no generator that was fitted here"):
        SmallSound.load(tmp_path)
    model.pictures.save(tmp_path)
    with pytest.raises(ModelError, match="holds no generator of sounds that was fitted here"):
        SmallSound.load(tmp_path)
    (tmp_path / ABOUT).write_text('{"rate": 1}')
    with pytest.raises(ModelError, match="holds no generator of sounds that was fitted here"):
        SmallSound.load(tmp_path)


def test_twice_and_cut_off_it_comes_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(small_diffusion, "FEWEST_STEPS", 4)
    SmallSound.fit(*tones(), steps=8, **TINY).save(tmp_path / "whole")

    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        raise Cut

    work = tmp_path / "work"
    with pytest.raises(Cut):
        SmallSound.fit(*tones(), steps=8, folder=work, told=cut, **TINY)
    assert (work / CHECKPOINT).is_file()
    later: list[Progress] = []
    SmallSound.fit(*tones(), steps=8, folder=work, told=later.append, **TINY).save(tmp_path / "two")
    assert [progress.step for progress in later] == [8]
    assert files(tmp_path / "whole") == files(tmp_path / "two")


def test_sounds_of_any_rate_and_length_and_channels():
    low = [tone(LOW, 0.1 + i / 100, rate=8000) for i in range(20)]
    stereo = Audio.of(np.stack([tone(LOW, 0.2, rate=8000).mono, np.zeros(1600, np.float32)], axis=1), 8000)
    others = [tone(LOW, 1.5, rate=8000), tone(LOW, 0.1, rate=44_100), stereo, Audio.of(np.zeros(800), 8000)]
    found = SmallSound.fit([*low, *others], ["a"] * 24, steps=1, **TINY)
    assert found.rate == found.scale.rate == 8000  # of most
    assert found.left == (1, 1)  # the long one is cut, the silent one left out
    assert found.seconds == 0.292  # all but the longest twentieth: 0.29
    # Where all agree it is theirs that is drawn, and worked on at 16,000 at the most.
    found = SmallSound.fit([tone(LOW, 0.1, rate=22_050)] * 8, ["a"] * 8, steps=1, **TINY)
    assert (found.rate, found.scale.rate, found.even) == (22_050, 16_000, 1600)
    assert len(found.draw("a", seed=0, steps=1)) == 2205


def test_how_many_bands_and_moments_it_takes(monkeypatch: pytest.MonkeyPatch):
    seen: list[Any] = []

    def fit(images: Iterator[np.ndarray], labels: Any, **how: Any) -> Any:
        seen.append((how["size"], len(list(images))))

    monkeypatch.setattr(SmallDiffusion, "fit", fit)
    for seconds in (0.5, 1.0, 4.0):
        found = SmallSound.fit([tone(LOW, seconds)] * 8, ["a"] * 8)
        seen.append((found.scale.hop / RATE, found.even / RATE, found.left.cut))
    # 24 of 21 ms, 40 of 25 ms; 4 s are too long: 64 of 40 ms, and the rest is cut
    assert seen == [(24, 8), (0.021, 0.5, 0), (40, 8), (0.025, 1.0, 0), (64, 8), (0.04, 0, 8)]


def test_what_it_cannot_be_fitted_to():
    with pytest.raises(DataError, match="7 sounds are too few to fit a generator to\\."):
        SmallSound.fit([tone(LOW)] * 7, ["a"] * 7)
    silence = Audio.of(np.zeros(800), RATE)
    with pytest.raises(DataError, match=r"4 sounds are too few to fit a generator to \(5 more are silent\)"):
        SmallSound.fit([tone(LOW)] * 4 + [silence] * 5, ["a"] * 9)
    with pytest.raises(ModelError, match="a generator of 12 bands and moments is not built"):
        SmallSound.fit([tone(LOW)] * 8, ["a"] * 8, size=12)


# -- asked for the role ---------------------------------------------------------------------------------------------

START = tone(700, 0.15)
LONG = tone(700, 2.0)
MEDIA = {digest(sound.encoded).hex(): sound for sound in (START, LONG)}
NAME, LONGER = MEDIA


def answers(uri: str, asks: Sequence[Mapping[str, Any]], adapter: Adapter | None = None, role: str = "sound") -> Any:
    """What comes of calls that are all made at once; each has a seed of its own."""

    async def work() -> list[Any]:
        players = Players({role: uri}, Config(), recording=lambda _: [])
        _, player = players.player(role)
        calls = [
            Ask(role, {"steps": 2, **asked}, {"seed": i}, media=MEDIA, adapter=adapter) for i, asked in enumerate(asks)
        ]
        try:
            made = [player.play(call, About("step", 0, f"{i}")) for i, call in enumerate(calls)]
            return await asyncio.gather(*made, return_exceptions=True)
        finally:
            await players.close()

    return asyncio.run(work())


def test_a_folder_is_named_for_the_role(folder: Path):
    begun = {"start": NAME, "strength": 0.1, "steps": 10}
    asked = [{"prompt": "low"}, {"prompt": "high", "seconds": 0.1}, {"prompt": "low", **begun}]
    found = answers(f"fitted:{folder}", asked)
    assert all(isinstance(one, Answer) and isinstance(one.media, Audio) for one in found)
    assert found[1].media.seconds == 0.1
    assert 500 < height(found[2].media.mono) < 900
    alone = [answers(f"fitted:{folder}", asked[:i] + asked[i:][:1])[-1].media.encoded for i in range(2)]
    assert alone == [found[0].media.encoded, found[1].media.encoded]
    of_a_call = answers("fitted", asked, Adapter("own", folder))
    assert [one.media.encoded for one in of_a_call] == [one.media.encoded for one in found]


def test_what_it_cannot_sound(folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked = [{"prompt": "a low tone"}, {"prompt": "low", "start": LONGER}, {"prompt": "low", "negative": "noise"}]
    unknown, long, negative = answers(f"fitted:{folder}", asked)
    assert str(unknown) == "no_such_label: the generator was fitted without the label `a low tone`"
    assert isinstance(long, CallFailed)
    assert str(long) == "too_long: 2.00 s; the generator makes sounds of 0.19 s"
    assert isinstance(negative, ModelError)
    assert "that was fitted here sounds a label; it cannot be given negative" in str(negative)
    monkeypatch.setattr(SmallDiffusion, "draw", lambda *_, **__: np.zeros((8, 8), np.uint8))
    [silent] = answers(f"fitted:{folder}", [{"prompt": "low"}])
    assert str(silent) == "silent: nothing is heard in what was made"
    [painted] = answers(f"fitted:{folder}", [{"prompt": "low"}], role="paint")
    assert isinstance(painted, ModelError)
    assert "holds a generator of sounds" in str(painted)


def test_nothing_heavy_is_loaded_by_what_names_it():
    heavy = "{'torch', 'diffusers', 'scipy', 'soundfile'}"
    code = f"import sys, leaven.any_record.adapter, leaven.media.mel_picture; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

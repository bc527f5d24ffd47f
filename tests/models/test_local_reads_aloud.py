"""VITS in a folder: a sound for a text, its own voices, noise of the call's own, and what it cannot say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from asked import cli
from asked_here import answer, answers
from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local.drawn_noise import drawn_noise
from leaven.models.backends.local.reads_aloud import ReadsAloud
from leaven.models.backends.local.weights import find
from leaven.models.calls import About, Answer, Ask, CallFailed
from tiny import encoders, voices

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXT = "the card is lost"


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voices.vits(tmp_path_factory.mktemp("tiny") / "vits")


def asked(text: str = TEXT, voice: str = "0", rate: float = 1.0, seed: int = 1) -> tuple[Any, Any, Any]:
    return {"text": text, "voice": voice, "rate": rate}, {}, {"seed": seed}


def said(folder: Path, *what: Any, **how: Any) -> Audio:
    media = answer("speak", folder, *asked(*what, **how)).media
    assert isinstance(media, Audio)
    return media


def failed(folder: Path, text: str) -> CallFailed:
    [found] = answers("speak", folder, [asked(text)])
    assert isinstance(found, CallFailed)
    return found


def test_a_sound_by_text_voice_rate_and_seed(vits: Path):
    sound = said(vits)
    assert sound.rate == 16000
    assert sound.channels == 1
    assert sound.encoded == said(vits).encoded
    others = [said(vits, "hello"), said(vits, voice="1"), said(vits, seed=2), said(vits, rate=0.5)]
    assert len({sound.encoded, *(other.encoded for other in others)}) == 5
    assert others[-1].seconds > 1.3 * sound.seconds, "at half the pace"


def test_the_same_alone_and_beside_others(vits: Path):
    calls = [asked(seed=i, voice=str(i % 2)) for i in range(4)]
    beside = [one.media.encoded for one in answers("speak", vits, calls * 3) if isinstance(one, Answer) and one.media]
    assert beside[:4] * 3 == beside
    assert len(set(beside)) == 4
    assert said(vits, seed=2, voice="0").encoded == beside[2]


def test_noise_of_the_calls_own(vits: Path):
    """Torch's own generator is neither read nor set."""
    states = []

    class Watched(ReadsAloud):
        def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
            states.append(torch.get_rng_state())
            found = super().answers(asks)
            states.append(torch.get_rng_state())
            return found

    player = Watched(find(f"transformers:{vits}", str(vits)))
    content, _, sampling = asked()
    asyncio.run(player.play(Ask("speak", content, sampling), About("step", 0, "record")))
    asyncio.run(player.close())
    assert torch.equal(*states)
    with drawn_noise(torch.Generator().manual_seed(1)):
        drawn = torch.randn(2, 3), torch.randn_like(torch.zeros(4))
    own = torch.Generator().manual_seed(1)
    assert torch.equal(drawn[0], torch.randn(2, 3, generator=own))
    assert torch.equal(drawn[1], torch.randn(4, generator=own))


def test_voices(vits: Path, tmp_path: Path):
    assert json.loads(answer("speak", vits, {"voices": "all"}).text) == ["0", "1"]
    alone = voices.vits(tmp_path / "alone", 1)
    assert json.loads(answer("speak", alone, {"voices": "all"}).text) == ["default"]
    assert said(alone, voice="default").seconds > 0
    with pytest.raises(ModelError, match=r"has no voice `en-us`\.\n.*name one of its own: 0 to 1"):
        said(vits, voice="en-us")
    with pytest.raises(ModelError, match="name one of its own: default"):
        said(alone, voice="0")


def test_what_it_cannot_say(vits: Path):
    """Its tokenizer would leave out what it does not know, and say the rest."""
    assert said(vits, "The card, is lost!").encoded == said(vits, TEXT).encoded, "capitals and stops are not heard"
    for text, what in (("call 911", "say 9 1"), ("café", "say é"), ("...", "no letter"), ("да", "say д а")):
        found = failed(vits, text)
        assert found.reason == "unspeakable"
        assert what in found.detail
    assert failed(vits, "a" * 2001).reason == "too_long"


def test_what_another_package_would_read(vits: Path, tmp_path: Path):
    other = tmp_path / "spelled"
    other.mkdir()
    for file in vits.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    how = json.loads((vits / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps({**how, "is_uroman": True}))
    with pytest.raises(ModelError, match=r"through the package `uroman`, which is not installed\.\n.*pip install"):
        said(other)


def test_no_speaker(tmp_path: Path):
    with pytest.raises(ModelError, match=r"of type `clap`, which is not asked to speak\.\n.*name VITS"):
        said(encoders.clap(tmp_path / "clap"))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text('{"model_type": "vits"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        said(empty, voice="default")


def test_in_a_run(vits: Path, tmp_path: Path, no_report: None):
    """Each child has a voice and noise of its own, one worker and two write the same; what cannot be said is failed."""
    source, recipe = tmp_path / "rows.csv", tmp_path / "r.yaml"
    source.write_text("text,label\nlost card,card\nstolen card,card\nnew money,money\nroom 9,room\n")
    recipe.write_text(json.dumps({"steps": [{"speak": {"n": 2}}]}))
    written = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        more = ("--model", f"speak=transformers:{vits}", "--workers", workers, "-q")
        assert cli("augment", str(source), "-o", str(out), "-r", str(recipe), *more).code == 3, "with failures"
        written.append([file.read_bytes() for file in sorted((out / "train").glob("*.parquet"))])
    assert written[0] == written[1]
    made = [row for row in pq.read_table(tmp_path / "1" / "train").to_pylist() if row["_synthetic"]]
    assert len(made) == 6
    assert len({row["audio"]["bytes"] for row in made}) == 6
    assert {json.loads(row["_steps"][-1]["drawn"])["voice"] for row in made} == {"0", "1"}
    for row in made:
        assert np.abs(Audio(row["audio"]["bytes"]).samples).max() > 0
    failures = (tmp_path / "1" / "failed").rglob("*")
    assert any("unspeakable" in file.read_text("utf-8") for file in failures if file.suffix == ".jsonl")

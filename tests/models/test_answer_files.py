"""Sounds that were answered: in files beside the ledger, written before the row that names them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.media.audio import Audio
from leaven.models.answer_files import AnswerFiles
from leaven.models.asker import Asker
from leaven.models.backends.fake import Fake, hum
from leaven.models.budget import Budget
from leaven.models.calls import About, Answer, Ask
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.replay import Replayed, ReplayedPlayers

ABOUT = About("speak", 0, "record")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_sound_is_a_file_named_by_its_bytes(tmp_path: Path):
    store = AnswerFiles(tmp_path / "answers")
    name = store.put(hum(7))
    assert store.put(hum(7)) == name
    assert store.put(hum(8)) != name
    assert name.endswith(".wav")
    assert len(files(tmp_path / "answers")) == 2
    assert store.get(name) == hum(7)
    assert store.get(name).path == ""


def test_without_a_folder_it_is_held_in_memory():
    store = AnswerFiles(None)
    assert store.get(store.put(hum(7))) == hum(7)


@pytest.mark.parametrize(("begin", "ending"), [(b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3\x03", "mp3")])
def test_its_ending_is_that_of_its_format(begin: bytes, ending: str, tmp_path: Path):
    assert AnswerFiles(tmp_path).put(Audio(begin + b"...")).endswith(f".{ending}")


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "answers").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        AnswerFiles(tmp_path / "answers").put(hum(1))


# -- through the ledger ---------------------------------------------------------------------------------------------


def asked(ledger: Ledger, *, replay: bool = False) -> tuple[Audio, Asker]:
    player = Replayed("speak", "fake:shape", "fake") if replay else Fake("fake:shape")
    asker = Asker(ledger, Budget(None, 0.0), replay=replay)
    players = ReplayedPlayers({"speak": player})  # type: ignore[dict-item]
    talk = Conversation(asker, players)
    players._players["speak"].role = "speak"
    return asyncio.run(talk.speak("hello", ABOUT, voice="high", rate=1.0)), asker


def test_an_answer_is_stored_once_and_replayed(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(Ledger(path)) as ledger:
        sound, asker = asked(ledger)
        assert (asker.spend.calls, asker.spend.stored) == (1, 0)
        again, asker = asked(ledger)
        assert (again, asker.spend.calls, asker.spend.stored) == (sound, 0, 1)
    [name] = files(tmp_path / "answers")
    with contextlib.closing(sqlite3.connect(path)) as db:
        [[said]] = db.execute("SELECT answer FROM answers").fetchall()
    assert json.loads(said) == {"text": "", "finish": "stop", "media": name}
    with contextlib.closing(Ledger(path)) as ledger:
        assert asked(ledger, replay=True)[0] == sound


def test_a_file_that_is_gone_is_asked_for_anew_but_not_by_a_replay(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(Ledger(path)) as ledger:
        sound, _ = asked(ledger)
    [name] = files(tmp_path / "answers")
    (tmp_path / "answers" / name).unlink()
    with contextlib.closing(Ledger(path)) as ledger:
        with pytest.raises(DataError, match=f"{name} is gone, which the ledger names"):
            asked(ledger, replay=True)
        again, asker = asked(ledger)
        assert (again, asker.spend.calls) == (sound, 1)
    assert files(tmp_path / "answers") == [name]


@given(st.integers(0, 255), st.text(max_size=20))
def test_any_sound_and_text_come_back(pitch: int, text: str):
    answer = Answer(text, media=hum(pitch))

    async def work(ledger: Ledger) -> None:
        await asker.ask(Says(answer), Ask("speak", {"text": text}), ABOUT)

    with contextlib.closing(Ledger(None)) as ledger:
        asker = Asker(ledger, Budget(None, 0.0))
        asyncio.run(work(ledger))
        asyncio.run(work(ledger))
        assert asker.spend.stored == 1


class Says(Fake):
    def __init__(self, answer: Answer) -> None:
        super().__init__("fake:shape")
        self.answer = answer

    async def play(self, ask: Ask, about: About) -> Answer:
        return self.answer


def test_a_sound_is_asked_about_by_its_bytes():
    ledger = Ledger(None)
    asker = Asker(ledger, Budget(None, 0.0))
    talk = Conversation(asker, ReplayedPlayers({"transcribe": Says(Answer(" two\nwords "))}))  # type: ignore[dict-item]
    talk.players._players["transcribe"].role = "transcribe"  # type: ignore[union-attr]
    heard = [asyncio.run(talk.transcribe(sound, ABOUT)) for sound in (hum(1), hum(1), hum(2))]
    assert heard == ["two words"] * 3
    assert (asker.spend.calls, asker.spend.stored) == (2, 1)


def test_the_voices_are_asked_for_once():
    asker = Asker(Ledger(None), Budget(None, 0.0))
    player = Fake("fake:shape")
    player.role = "speak"  # type: ignore[attr-defined]
    talk = Conversation(asker, ReplayedPlayers({"speak": player}))  # type: ignore[dict-item]
    assert asyncio.run(talk.voices()) == asyncio.run(talk.voices()) == ["high", "low"]
    assert (asker.spend.calls, asker.spend.stored) == (1, 1)


def test_the_hum_of_a_fake_is_a_plain_wav():
    with wave.open(BytesIO(hum(200).encoded)) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (8000, 1600, 1)
    assert np.abs(hum(3).samples).max() == pytest.approx(8000 / 32768)

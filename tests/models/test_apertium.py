"""The translator of the system's packages, where it is installed; else only what is said without it."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leaven.errors import MissingExtra, ModelError
from leaven.models.backends import apertium
from leaven.models.backends.apertium import END, Apertium, Translator, escaped, unescaped
from leaven.models.calls import About, Ask, CallFailed

installed = pytest.mark.skipif(not which("apertium"), reason="apt install apertium-eng-spa")
SIGNS = "[]{}^$/\\@<>~*#&+=._-'\"?! \n\t\r\x00\x85\u2028\xa0\u200b\ud800\uffff\U0001ffffé漢🙂"
words = st.sampled_from(
    ["the", "cat", "is", "here", "I", "want", "to", "U.S", "1.5", "can't", "<b>", "[[t:b:1]]", "^a/b<n>$"]
)
texts = st.lists(st.one_of(words, st.text(SIGNS, max_size=4), st.text(max_size=5)), max_size=8).map("".join)
spaced = st.lists(words, max_size=8).map(" ".join)


def bulk(pair: Apertium, some: Sequence[str], to: str = "spa", source: str = "eng") -> list[str]:
    return asyncio.run(pair.translate(some, to=to, source=source))


@installed
def test_it_translates_both_ways():
    pair = Apertium("eng-spa")
    assert bulk(pair, ["The cat is black.", "Where is the house?"]) == ["El gato es negro.", "Dónde es la casa?"]
    assert bulk(pair, ["El gato es negro."], "eng", "spa") == ["The cat is black."]
    assert bulk(Apertium("spa-eng"), ["The cat is black."]) == ["El gato es negro."]


@installed
@settings(max_examples=3)
@given(st.lists(st.one_of(texts, spaced), min_size=3, max_size=6))
@example(["x ^=", "cancel the cat", "1.5on", "\n", "the cat\n\nthe dog\r\n", "a" * 10_000, "the cat "])
@example(["a\x00b", "\uffff the cat \uffff", "[[/]]\\", "\\n", "[cat]", "~5 cats ~ [x~]"])
def test_every_text_has_one_answer_in_its_place_the_same_alone_and_in_bulk(some: list[str]):
    pair = Apertium("eng-spa")
    found = bulk(pair, some)
    assert found == [bulk(pair, [text])[0] for text in some]
    back = bulk(pair, found, "eng", "spa")
    assert bulk(pair, found[::-1], "eng", "spa") == back[::-1]
    for text, there, here in zip(some, found, back, strict=True):
        assert apertium.APART.findall(text) == apertium.APART.findall(there) == apertium.APART.findall(here)
        assert END not in there + here


@installed
def test_signs_line_ends_and_unknown_words_stay():
    pair = Apertium("eng-spa")
    text = "  The xyzzyq [cat] ^a/b$ {x} @home \\n ~5 <b>\n\n\tThe dog\r\n"
    assert bulk(pair, [text]) == ["  El xyzzyq [gato] ^un/b$ {x} @casa \\n ~5 <b>\n\n\tEl perro\r\n"]
    assert bulk(pair, ["", " ", "\n", "\uffff", "中文 عربي 🙂"]) == ["", " ", "\n", "\uffff", "中文 عربي 🙂"]


@installed
def test_a_long_text_and_many_are_several_processes(monkeypatch: pytest.MonkeyPatch):
    pair = Apertium("eng-spa")
    some = [f"The cat is black in {i}." for i in range(60)]
    found = bulk(pair, some)
    assert found[7] == "El gato es negro en 7."
    monkeypatch.setattr(apertium, "MOST", 500)
    assert bulk(pair, [*some, "The cat is black. " * 600]) == [*found, "El gato es negro. " * 600]


@given(st.text(SIGNS + "abc", max_size=20))
def test_the_format_holds_any_line(line: str):
    assert unescaped(escaped(line)) == line


# -- callers -------------------------------------------------------------------------------------------------------


def program(folder: Path, body: str) -> Path:
    """A stand-in for the program, which counts its calls in ``calls``."""
    path = folder / "apertium"
    listing = 'if [ "$1" = -l ]; then echo "  eng-spa"; echo "  spa-eng"; exit; fi'
    path.write_text(f"#!/bin/sh\n{listing}\necho x >> {folder}/calls\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


async def at_once(pair: Apertium, some: Sequence[str]) -> list[list[str] | BaseException]:
    calls = [pair.translate([text], to="spa", source="eng") for text in some]
    return await asyncio.gather(*calls, return_exceptions=True)


def test_those_that_wait_share_a_process(fake: Path):
    program(fake, "cat")
    pair = Apertium("eng-spa")
    some = [f"text {i}\nof two lines" for i in range(300)] * 2
    assert asyncio.run(at_once(pair, some)) == [[text] for text in some]
    assert (fake / "calls").read_text() == "x\n"
    assert bulk(pair, ["another"]) == ["another"]  # another loop
    assert (fake / "calls").read_text() == "x\nx\n"


def test_who_gives_up_leaves_the_others_theirs(fake: Path):
    program(fake, "sleep 0.2; cat")

    async def some() -> list[str]:
        pair = Apertium("eng-spa")
        first = asyncio.create_task(pair.translate(["one"], to="spa", source="eng"))
        second = asyncio.create_task(pair.translate(["two"], to="spa", source="eng"))
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert asyncio.run(some()) == ["two"]
    assert (fake / "calls").read_text() == "x\n"


def test_a_text_at_which_the_pipe_dies_fails_alone(fake: Path):
    program(fake, "perl -0ne 'last if /bad/; print'")  # as a crashed stage: what comes after is lost, the code is 0
    some = [f"text {i}" for i in range(20)]
    some[7] = "a bad one"
    found = asyncio.run(at_once(Apertium("eng-spa"), some))
    assert isinstance(found[7], CallFailed)
    assert found[7].reason == "no_answer"
    assert [f for i, f in enumerate(found) if i != 7] == [[text] for i, text in enumerate(some) if i != 7]


def test_what_it_says_where_it_fails(fake: Path):
    program(fake, "echo 'no such file' >&2; exit 3")
    with pytest.raises(ModelError, match="ended with code 3: no such file"):
        bulk(Apertium("eng-spa"), ["a"])


def test_a_program_that_hangs_is_ended_with_all_its_stages(fake: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apertium, "TIMEOUT", 0.3)
    program(fake, f"(sleep 1; touch {fake}/late) | cat")
    began = time.monotonic()
    with pytest.raises(CallFailed, match="timed_out"):
        bulk(Apertium("eng-spa"), ["a"])
    assert time.monotonic() - began < 1
    time.sleep(1)
    assert not (fake / "late").exists()


def test_what_is_not_installed(fake: Path, monkeypatch: pytest.MonkeyPatch):
    program(fake, "cat")
    with pytest.raises(MissingExtra, match=r"no pair `eng-fra`.*it has eng-spa, spa-eng"):
        Apertium("eng-fra")
    with pytest.raises(ModelError, match="does not translate from eng to fra"):
        bulk(Apertium("eng-spa"), ["a"], "fra")
    monkeypatch.setenv("PATH", str(fake / "nowhere"))
    with pytest.raises(MissingExtra) as error:
        Apertium("eng-spa")
    assert error.value.fix == "apt install apertium-eng-spa, or --model translate=openai:MODEL"


def test_it_plays_the_role(fake: Path):
    program(fake, "sed 's/cat/gato/'")
    player = Translator("apertium:eng-spa", "eng-spa")
    ask = Ask("translate", {"text": "a cat", "to": "spa", "source": "eng"})
    answer = asyncio.run(player.play(ask, About("translate", 0, "r")))
    assert (answer.text, answer.tokens_out, player.free) == ("a gato", 0, True)

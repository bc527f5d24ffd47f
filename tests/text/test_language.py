"""Which language a text is in, and how it stands to that of the real rows."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.models.backends.langid import THREE, languages
from leaven.text.language import Language

pytest.importorskip("py3langid", reason="the extra `text` is not installed")

ENGLISH = [
    {"text": text} for text in ("I have lost my card", "are you open on sunday", "where can I see that film", "qx")
]
MIXED = [*ENGLISH, {"text": "Ich habe meine Karte verloren"}, {"text": "Wann haben Sie am Sonntag geöffnet?"}]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I have lost my card, please block it", "eng"),
        ("Ich habe meine Karte verloren", "deu"),
        ("ajoute cette chanson à ma playlist", "fra"),
        ("Este es un juego muy bueno", "spa"),
        ("waar is mijn kaart", "nld"),
        ("我的银行卡丢了", "zho"),
        ("カードをなくしました", "jpn"),
        ("ICH HABE MEINE KARTE VERLOREN", "deu"),
    ],
)
def test_the_language(text: str, language: str):
    [row] = Language()({"text": text}, source=ENGLISH)
    assert row["language"] == language
    assert row["language_prob"] > 0.5
    assert (row["language_real"] > 0.5) == (language == "eng")
    assert (row["language_real"] < 0.01) == (language != "eng")


@pytest.mark.parametrize("text", ["", "   ", "12 34 - 56", "😀 !!", "qqqq"[:0]])
def test_where_nothing_tells(text: str):
    [row] = Language()({"text": text}, source=ENGLISH)
    assert (row["language"], row["language_prob"], row["language_real"]) == (None, 0, 1)


def test_the_languages_of_the_real_rows():
    text = {"text": "Wo ist meine Karte geblieben?"}
    assert Language()(text, source=ENGLISH)[0]["language_real"] < 0.01
    assert Language()(text, source=MIXED)[0]["language_real"] > 0.8
    many = [*ENGLISH[:3] * 20, MIXED[4]]  # one row in 61
    assert Language()(text, source=[{**row, "label": str(i)} for i, row in enumerate(many)])[0]["language_real"] < 0.01
    unsure = [{"text": "ok qx"}]  # of no row it is sure
    assert 0 <= Language()(text, source=unsure)[0]["language_real"] <= 1


def test_codes_have_three_letters():
    assert len(THREE) == len(set(THREE.values()))
    assert all(len(two) == 2 and len(three) == 3 for two, three in THREE.items())
    assert all(len(code) == 3 for code in languages("where is it"))


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_text(text: str):
    found = languages(text)
    assert found == languages(text)
    assert sum(found.values()) <= 1.001
    assert list(found.values()) == sorted(found.values(), reverse=True) or len(found) > 1
    [row] = Language()({"text": text}, source=ENGLISH)
    assert 0 <= row["language_real"] <= 1
    assert (row["language"] is None) == (not found)


def test_a_long_text_takes_no_long():
    languages("load")
    began = time.perf_counter()
    assert next(iter(languages("where is my card " * 60_000))) == "eng"
    assert time.perf_counter() - began < 1


def test_without_the_package():
    code = (
        "import sys; sys.modules['py3langid'] = None\n"
        "from leaven.text.language import Language\nfrom leaven.errors import MissingExtra\n"
        "try: Language()({'text': 'where'}, source=[{'text': 'here'}])\n"
        "except MissingExtra as error: print(error.fix)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'pip install "leaven[text]"'

"""WordLlama's vectors: what a text's is, that neighbours do not matter, what a broken install says."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import MissingExtra
from leaven.models.backends.linear import fit_linear, predict
from leaven.models.backends.wordllama import TOKENIZER, WEIGHTS, WordLlama, files

BANKING = Path(__file__).parents[2] / ".." / "shared" / "data" / "text" / "banking77"


@pytest.fixture(scope="module")
def model() -> WordLlama:
    return WordLlama()


def test_both_files_lie_inside_the_package():
    weights, tokenizer = files()
    assert weights.stat().st_size > 16_000_000
    assert tokenizer.stat().st_size > 1_000_000


def test_the_package_itself_is_not_imported():
    code = (
        "import os, sys; from leaven.models.backends.wordllama import WordLlama; WordLlama();"
        "print('wordllama' in sys.modules, os.environ['TOKENIZERS_PARALLELISM'])"
    )
    env = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert said.split() == ["False", "false"]


def test_unit_length_float32_and_zeros_for_no_token(model: WordLlama):
    vectors = model.embed(["How do I locate my card?", "", "x"])
    assert vectors.shape == (3, 256)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)
    assert not vectors[1].any()
    assert model.embed([]).shape == (0, 256)


def test_mean_of_token_rows(model: WordLlama):
    text = "one two two"
    ids = model._tokenizer.encode(text, add_special_tokens=False).ids
    mean = model._table[ids].mean(axis=0)
    assert np.allclose(model.embed([text])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_near_in_meaning_is_near(model: WordLlama):
    a, b, c = model.embed(["my card has not arrived", "where is the card I ordered", "a recipe for plum cake"])
    assert a @ b > a @ c + 0.1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=40))
def test_a_vector_does_not_depend_on_its_neighbours(others: list[str], text: str):
    model = _shared()
    alone = model.embed([text])[0]
    among = model.embed([*others, text, "a much longer text than all the others " * 5])[len(others)]
    assert alone.tobytes() == among.tobytes()
    assert np.isfinite(alone).all()


def test_lone_surrogates_are_taken(model: WordLlama):
    assert np.isfinite(model.embed(["broken \ud800 escape", "fine"])).all()


def test_missing_and_damaged_files_say_the_pip_line(tmp_path: Path):
    with pytest.raises(MissingExtra, match="pip install"):
        WordLlama(tmp_path)
    for name in (WEIGHTS, TOKENIZER):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(MissingExtra, match="pip install --force-reinstall"):
        WordLlama(tmp_path)


def rows(name: str) -> list[dict[str, str]]:
    with (BANKING / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not BANKING.exists(), reason="shared data is absent")
def test_banking77_at_five_a_label(model: WordLlama):
    train, test = rows("train.csv"), rows("test.csv")
    labels = sorted({row["category"] for row in train})
    y = np.array([labels.index(row["category"]) for row in train])
    first = np.sort(np.concatenate([np.flatnonzero(y == c)[:5] for c in range(len(labels))]))
    state = fit_linear(model.embed([train[i]["text"] for i in first]), y[first], C=100.0)
    truth = [labels.index(row["category"]) for row in test]
    assert np.mean(predict(state, model.embed([row["text"] for row in test])) == truth) == pytest.approx(0.74, abs=0.03)


_MODEL: list[WordLlama] = []


def _shared() -> WordLlama:
    if not _MODEL:
        _MODEL.append(WordLlama())
    return _MODEL[0]

"""Blanks filled by models that run here."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leaven.errors import ModelError
from leaven.models.calls import Answer, Ask, CallFailed
from tiny import readers
from tiny.asking import said, texts

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCORES = {"smith": 2.0, "bob": 1.0, "ann": 0.0, "[MASK]": 9.0, "[SEP]": 9.0, "[unused0]": 9.0, "##s": 5.0, ",": 4.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fills")


@pytest.fixture(scope="module")
def known(root: Path) -> Path:
    return readers.masked(root / "known", SCORES)


@pytest.fixture(scope="module")
def masked(root: Path) -> Path:
    return readers.masked(root / "masked")


def fill(text: str, whole_words: bool = True, **sampling: Any) -> Ask:
    return Ask("fill", {"text": text, "blank": "____", "whole_words": whole_words}, sampling)


def test_the_likeliest_word_without_a_temperature_and_all_else_as_it_was(known: Path):
    text = "  ____, met  ____'s BOSS\nin Paris…"
    assert (
        texts(said(known, fill(text, seed=1), fill(text, temperature=0)))
        == ["  smith, met  smith's BOSS\nin Paris…"] * 2
    )


def test_without_whole_words_pieces_and_punctuation_come_but_never_a_mark(known: Path):
    found = texts(said(known, *(fill("____", False, temperature=1.0, seed=seed) for seed in range(60))))
    assert found[0]
    assert set(found) <= {"s", ",", "smith", "bob", "ann"}
    assert texts(said(known, fill("a ____", False))) == ["a s"]


def test_each_blank_is_drawn_by_itself_from_the_tempered_softmax(known: Path):
    asks = [fill("____ " * 20, temperature=2.0, seed=seed) for seed in range(150)]
    drawn = [text.split() for text in texts(said(known, *asks))]
    pairs = Counter((row[i], row[i + 1]) for row in drawn for i in range(0, 20, 2))
    weights = {word: math.exp(SCORES[word] / 2) for word in ("smith", "bob", "ann")}
    total = sum(weights.values())
    for one, p in weights.items():
        for other, q in weights.items():
            expected = 1500 * p * q / total**2
            assert abs(pairs[one, other] - expected) < 4 * math.sqrt(expected)


def test_top_p_leaves_the_tail(known: Path):
    asks = [fill("____", temperature=1.0, top_p=0.6, seed=seed) for seed in range(50)]
    assert set(texts(said(known, *asks))) == {"smith"}  # 0.665 alone


def test_the_same_alone_and_among_others_and_by_the_seed(masked: Path):
    asks = [fill(f"my ____ is lost {'very ' * n} in ____", temperature=3.0, seed=n) for n in range(12)]
    together = texts(said(masked, *asks))
    assert together == [text for ask in asks for text in texts(said(masked, ask))]
    others = texts(
        said(masked, *(fill(ask.content["text"], temperature=3.0, seed=99 + n) for n, ask in enumerate(asks)))
    )
    assert sum(one != other for one, other in zip(together, others, strict=True)) >= 10


def test_roberta_fills_words_with_their_blanks_and_counts_its_places(root: Path):
    folder = readers.roberta(root / "roberta")
    [word, long, longer] = said(
        folder, fill("a ____ b", False), fill("x" * 61 + "____", False), fill("x" * 62 + "____", False)
    )
    assert isinstance(word, Answer)
    assert word.text.startswith("a ")
    assert word.text.endswith(" b")
    assert isinstance(long, Answer)
    assert word.text != "a ____ b"
    assert isinstance(longer, CallFailed)
    assert (longer.reason, longer.detail) == (
        "too_long",
        "65 tokens; the model reads 64",
    )


def test_t5_puts_its_spans_back(root: Path):
    folder = readers.t5(root / "t5", ["<extra_id_0>", "▁ann", "▁smith", "<extra_id_1>", "▁paris", "<extra_id_2>"])
    both, one, none = said(folder, fill("____ lives in ____."), fill("see ____"), fill("nothing"))
    assert texts([both, one, none]) == ["ann smith lives in paris.", "see ann smith", "nothing"]


def test_a_span_that_t5_leaves_out_is_an_error_with_what_it_wrote(root: Path):
    folder = readers.t5(root / "short", ["<extra_id_0>", "▁ann", "<extra_id_1>"])
    [found] = said(folder, fill("____ lives in ____."))
    assert isinstance(found, CallFailed)
    assert found.reason == "no_answer"
    assert found.detail == "blank 2 of 2 was not filled"
    assert "ann" in found.answers[0]


def test_t5_draws_by_the_seed(root: Path):
    folder = readers.t5(root / "warm", ["<extra_id_0>", "▁ann", "▁smith"])
    asks = [fill("see ____", temperature=6.0, max_tokens=4, seed=seed) for seed in range(8)]
    together = said(folder, *asks)
    assert texts(together) == texts([said(folder, ask)[0] for ask in asks])
    assert len({one.text if isinstance(one, Answer) else one.answers[0] for one in together}) > 5


def test_what_it_cannot_fill_it_says(known: Path, root: Path):
    long, marked, many = said(known, fill("x " * 80 + "____"), fill("[MASK] and ____"), fill("no blank"))
    assert isinstance(long, CallFailed)
    assert (long.reason, long.detail) == ("too_long", "83 tokens; the model reads 64")
    assert isinstance(marked, CallFailed)
    assert marked.reason == "mark_in_text"
    assert isinstance(many, Answer)
    assert many.text == "no blank"
    [found] = said(readers.t5(root / "few"), fill("____ " * 11))
    assert isinstance(found, CallFailed)
    assert found.detail == "11 blanks; the model has marks for 10"


def test_other_models_are_refused(root: Path):
    tags = readers.tagger(root / "tags", ["O", "B-PER"], {"ann": "B-PER"})
    with pytest.raises(ModelError, match="is BertForTokenClassification of type `bert`, which fills no blanks"):
        said(tags, fill("____"))
    with pytest.raises(ModelError, match=r"config\.json is absent"):
        said(root, fill("____"))


def test_a_model_without_its_head_is_refused(root: Path, masked: Path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(masked, root / "headless"))
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "transform" not in k}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 4 of the weights that this role needs, such as cls\.predictions"):
        said(folder, fill("____"))

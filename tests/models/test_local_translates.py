"""Translations by models that run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leaven.errors import ModelError
from leaven.models.calls import Answer, Ask, CallFailed
from tiny import readers
from tiny.asking import said, texts

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("translates")


@pytest.fixture(scope="module")
def pair(root: Path) -> Path:
    return readers.marian(root / "pair", seed=4)  # one that says different things


@pytest.fixture(scope="module")
def nllb(root: Path) -> Path:
    return readers.nllb(
        root / "nllb", ("eng_Latn", "spa_Latn", "pes_Arab", "zho_Hans", "zho_Hant", "kas_Arab", "kas_Deva")
    )


def translate(text: str, to: str = "deu", source: str = "eng") -> Ask:
    return Ask("translate", {"text": text, "to": to, "source": source})


def own(folder: Path, text: str, **more: Any) -> str:
    """What transformers itself makes of it."""
    import warnings

    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    to = more.pop("to", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = AutoTokenizer.from_pretrained(folder, **more)
        model = AutoModelForSeq2SeqLM.from_pretrained(folder)
        bos = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(to)} if to else {}
        read = tokenizer(text, return_tensors="pt")
        most = 23
        return str(
            tokenizer.decode(model.generate(**read, max_new_tokens=most, **bos)[0], skip_special_tokens=True)
        ).strip()


def test_marian_translates_its_pair_as_transformers_does_one_by_one(pair: Path):
    sentences = ["hello world", "my card is lost", "the dog met a red car in paris"]
    together = texts(said(pair, *map(translate, sentences)))
    assert together == [own(pair, text) for text in sentences]
    assert len(set(together)) == 3


def test_marian_is_of_one_pair(pair: Path, root: Path):
    with pytest.raises(ModelError, match="writes deu, not spa"):
        said(pair, translate("hello", "spa"))
    with pytest.raises(ModelError, match="reads eng, not spa"):
        said(pair, translate("hello", "deu", "spa"))
    unsaid = readers.marian(root / "unsaid", None, None)
    assert isinstance(said(unsaid, translate("hello", "spa"))[0], Answer)


def test_marian_of_several_languages_is_told_which(root: Path):
    folder = readers.marian(root / "several", "en", "ROMANCE", (">>fra<<", ">>es<<"))
    french, spanish = said(folder, translate("my card is lost", "fra"), translate("my card is lost", "spa"))
    assert isinstance(french, Answer)
    assert french.text == own(folder, ">>fra<< my card is lost")
    assert isinstance(spanish, Answer)
    assert spanish.text == own(folder, ">>es<< my card is lost")
    assert french.text != spanish.text
    with pytest.raises(ModelError, match="writes es, fra, not ita"):
        said(folder, translate("hello", "ita"))


def test_nllb_reads_and_writes_by_its_codes(nllb: Path):
    asks = [translate("my card", "spa"), translate("my card", "zho"), translate("my card", "zho_Hant"),
            translate("my card", "eng", "fas")]  # fmt: skip
    wanted = [("eng_Latn", "spa_Latn"), ("eng_Latn", "zho_Hans"), ("eng_Latn", "zho_Hant"), ("pes_Arab", "eng_Latn")]
    found = texts(said(nllb, *asks))
    assert found == [own(nllb, "my card", src_lang=source, to=to) for source, to in wanted]
    assert len(set(found)) == 4


def test_nllb_guesses_no_language(nllb: Path):
    with pytest.raises(ModelError, match=r"knows eng_Latn, kas_Arab, .*, not xho"):
        said(nllb, translate("my card", "xho"))
    with pytest.raises(ModelError, match="writes kas as kas_Arab, kas_Deva"):
        said(nllb, translate("my card", "kas"))


def test_beams_are_those_of_the_generation_config(root: Path):
    from transformers import GenerationConfig

    folder = readers.marian(root / "beams", seed=4)
    one = texts(said(folder, translate("my card is lost")))
    config = GenerationConfig.from_pretrained(folder)
    config.num_beams = 4
    config.save_pretrained(folder)
    four = texts(said(folder, translate("my card is lost")))
    assert four == [own(folder, "my card is lost")]
    assert four != one


def test_a_text_longer_than_the_model_fails_alone(pair: Path):
    long, short = said(pair, translate("lost " * 30), translate("hello"))
    assert isinstance(long, CallFailed)
    assert long.reason == "too_long"
    assert "the model reads 24" in long.detail
    assert isinstance(short, Answer)
    assert short.finish in ("stop", "length")


def test_what_does_not_translate_is_refused(root: Path):
    with pytest.raises(ModelError, match="is T5ForConditionalGeneration of type `t5`, which does not translate"):
        said(readers.t5(root / "t5"), translate("hello"))

"""Labels given by models that run here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import cli
from leaven.errors import ModelError
from leaven.models.calls import Answer, Ask, CallFailed
from tiny import readers
from tiny.asking import said

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["what is the weather in paris", "book a room", "my card is lost and who is it", "hello"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifies")


@pytest.fixture(scope="module")
def own(root: Path) -> Path:
    return readers.classifier(root / "own", ["travel", "banking", "weather"])


@pytest.fixture(scope="module")
def inference(root: Path) -> Path:
    return readers.classifier(root / "inference", ["contradiction", "neutral", "ENTAILMENT"])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For what transformers does itself: on so little several threads mostly wait for each other, for seconds."""
    import torch

    several = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(several)


def classify(text: str, *among: str) -> Ask:
    return Ask("classify", {"text": text, "among": list(among)})


def probs(folder: Path, *asks: Ask) -> list[dict[str, float]]:
    found = said(folder, *asks)
    assert all(isinstance(one, Answer) for one in found)
    return [json.loads(one.text) for one in found if isinstance(one, Answer)]


def test_own_labels_as_transformers_gives_them(own: Path, one_thread: None):
    from transformers import pipeline

    expected = pipeline("text-classification", model=str(own), top_k=None)(TEXTS)
    found = probs(own, *(classify(text, "Weather", "travel", "BANKING") for text in TEXTS))
    for mine, theirs in zip(found, expected, strict=True):
        assert list(mine) == ["Weather", "travel", "BANKING"]
        assert {k.lower(): v for k, v in mine.items()} == pytest.approx(
            {x["label"]: x["score"] for x in theirs}, abs=2e-6
        )
    assert len({one["travel"] for one in found}) == 4


def test_some_of_the_labels_share_what_they_have(own: Path):
    [all_three], [two] = (
        probs(own, classify("hello", "travel", "banking", "weather")),
        probs(own, classify("hello", "travel", "weather")),
    )
    both = all_three["travel"] + all_three["weather"]
    assert two == pytest.approx(
        {"travel": all_three["travel"] / both, "weather": all_three["weather"] / both}, abs=1e-5
    )


def test_any_labels_by_inference_as_transformers_does(inference: Path, one_thread: None):
    from transformers import pipeline

    zero = pipeline("zero-shot-classification", model=str(inference))
    labels = ["weather", "a card", "banking", "dog", "room", "travel", "red", "blue", "car"]
    for text, mine in zip(TEXTS, probs(inference, *(classify(text, *labels) for text in TEXTS)), strict=True):
        theirs = zero(text, labels)
        assert mine == pytest.approx(dict(zip(theirs["labels"], theirs["scores"], strict=True)), abs=1e-5)


def test_the_same_alone_and_among_others(inference: Path, own: Path):
    for folder, labels in ((own, ("travel", "weather")), (inference, ("a dog", "card"))):
        asks = [classify(text * n, *labels) for n, text in enumerate(TEXTS, 1)]
        assert probs(folder, *asks) == [probs(folder, ask)[0] for ask in asks]


def test_labels_that_it_lacks_and_texts_that_are_too_long(own: Path, inference: Path, root: Path):
    with pytest.raises(ModelError, match="has no label music; it has banking, travel, weather"):
        said(own, classify("hello", "travel", "music"))
    long, short = said(inference, classify("hello " * 70, "dog"), classify("hello", "dog"))
    assert isinstance(long, CallFailed)
    assert (long.reason, long.detail) == ("too_long", "78 tokens; the model reads 64")
    assert isinstance(short, Answer)
    assert json.loads(short.text) == {"dog": 1.0}
    with pytest.raises(ModelError, match="is BertForMaskedLM of type `bert`, which gives no labels"):
        said(readers.masked(root / "masked"), classify("hello", "dog"))


def test_a_run_of_guess_and_translate(tmp_path: Path, own: Path, no_report: None):
    """Both roles, by the steps that ask them; the same with two workers."""
    pytest.importorskip("sentencepiece")
    marian = readers.marian(tmp_path / "marian")
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{'ab'[len(text) % 2]}\n" for text in TEXTS))
    (tmp_path / "recipe.yaml").write_text(
        "fields: [text, label]\nsteps:\n  - translate: {to: deu}\n  - guess: {among: [travel, banking, weather]}\n"
        "  - note: {seen: guess}\n"
    )
    written = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        command = ["augment", str(tmp_path / "rows.csv"), "-o", str(out), "-r", str(tmp_path / "recipe.yaml"), "-q"]
        named = [f"--model=translate=transformers:{marian}", f"--model=classify=transformers:{own}"]
        assert cli.run([*command, *named, "--workers", f"{workers}"]) == 0
        written.append([path.read_bytes() for path in sorted((out / "train").iterdir())])
    assert written[0] == written[1]
    made = [row for row in pq.read_table(tmp_path / "out1" / "train").to_pylist() if row["_synthetic"]]
    assert made
    assert {row["lang"] for row in made} == {"deu"}
    assert {row["seen"] for row in made} <= {"travel", "banking", "weather"}

"""What stands where in a text, by models that run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaven.errors import ModelError
from leaven.models.backends.local.tags import windows_of
from leaven.models.calls import Answer, Ask
from tiny import readers
from tiny.asking import said

pytest.importorskip("torch")
pytest.importorskip("transformers")

BIO = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG")
KNOWS = {
    "ann": "B-PER",
    "bob": "B-PER",
    "joe": "B-PER",
    "biden": "I-PER",
    "smith": "I-PER",
    "acme": "B-ORG",
    "corp": "I-ORG",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tags")


@pytest.fixture(scope="module")
def bio(root: Path) -> Path:
    return readers.tagger(root / "bio", BIO, KNOWS)


def tag(text: str, *labels: str) -> Ask:
    return Ask("tag", {"text": text, "labels": list(labels)})


def spans(folder: Path, *asks: Ask) -> list[list[Any]]:
    """(text, label) of each span, which stands where it says."""
    found = []
    for ask, answer in zip(asks, said(folder, *asks), strict=True):
        assert isinstance(answer, Answer)
        named = json.loads(answer.text)
        assert all(ask.content["text"][one["start"] : one["end"]] == one["text"] for one in named)
        found.append([(one["start"], one["text"], one["label"]) for one in named])
    return found


def test_words_join_by_their_prefixes_and_stand_where_they_say(bio: Path):
    [found] = spans(bio, tag("Joe  Biden, Ann Bob met at ACME Corp; Biden!"))
    assert found == [(0, "Joe  Biden", "PER"), (12, "Ann", "PER"), (16, "Bob", "PER"), (27, "ACME Corp", "ORG"),
                     (38, "Biden", "PER")]  # fmt: skip


def test_the_labels_asked_for_by_other_names(bio: Path):
    text = "ann at acme corp"
    found = spans(bio, tag(text, "PERSON"), tag(text, "organization"), tag(text, "ORG", "per"), tag("who is it", "PER"))
    assert found == [[(0, "ann", "PERSON")], [(7, "acme corp", "organization")],
                     [(0, "ann", "per"), (7, "acme corp", "ORG")], []]  # fmt: skip


def test_labels_without_prefixes_join_neighbours(root: Path):
    folder = readers.tagger(root / "plain", ["O", "PER"], {"joe": "PER", "biden": "PER", "ann": "PER"})
    assert spans(folder, tag("joe biden met ann")) == [[(0, "joe biden", "PER"), (14, "ann", "PER")]]


def test_a_text_longer_than_the_model_is_read_whole(root: Path, bio: Path):
    text = " ".join(["ann", *["met"] * 29, "joe", "biden"] * 12)
    [found] = spans(bio, tag(text))
    assert [one[1] for one in found] == ["ann", "joe biden"] * 12
    short = readers.tagger(root / "short", BIO, KNOWS, length=8)
    assert [one[1] for one in spans(short, tag(text))[0]] == ["ann", "joe biden"] * 12


@pytest.mark.parametrize("room", [1, 2, 3, 6, 7, 62])
@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 8, 13, 62, 63, 200])
def test_windows_give_each_token_once_and_never_from_an_edge(length: int, room: int):
    windows = list(windows_of(length, room))
    assert [i for w in windows for i in range(w.first, w.last)] == list(range(length))
    for w in windows:
        assert 0 <= w.start <= w.first <= w.last <= w.end <= length
        assert w.end - w.start <= room
        edge = room // 4
        assert w.start == 0 or w.first - w.start >= edge
        assert w.end == length or w.end - w.last >= edge


def test_the_same_alone_and_among_others(root: Path):
    folder = readers.tagger(root / "many", BIO, KNOWS)
    asks = [tag(" ".join(["ann", "met"] * n)) for n in range(1, 40, 4)]
    assert spans(folder, *asks) == [found for ask in asks for found in spans(folder, ask)]


def test_what_is_not_there_is_said(bio: Path, root: Path):
    with pytest.raises(ModelError, match="knows no label GPE; it knows ORG, PER"):
        said(bio, tag("ann", "GPE"))
    with pytest.raises(ModelError, match="is BertForMaskedLM of type `bert`, which tags no words"):
        said(readers.masked(root / "masked"), tag("ann"))
    assert spans(bio, tag("")) == [[]]

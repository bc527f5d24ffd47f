"""The first of those that say the same stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.keep.near import TextIndex, jaccard, pieces
from leaven.keep.unique import Unique


class Angles:
    """A text is an angle in degrees."""

    def embed(self, texts: Any) -> Any:
        at = np.radians(np.array([float(text) for text in texts]))
        return np.stack([np.cos(at), np.sin(at)], axis=1).astype(np.float32).reshape(-1, 2)


def of(texts: list[str]) -> list[dict[str, Any]]:
    return [{"text": text, "label": "x"} for text in texts]


def unique(**parameters: Any) -> Unique:
    return Unique(**{"on": "text", "against": ["stream"], **parameters})


def test_pieces():
    assert pieces("The  CAT sat") == {"the c", "he ca", "e cat", " cat ", "cat s", "at sa", "t sat"}
    assert pieces("abc") == {"abc"}
    assert jaccard(pieces("abcdef"), pieces("abcdeg")) == 1 / 3


def test_exact(reasons: Any):
    texts = ["A card", "other", "a  CARD ", "other", "A card."]
    assert reasons(unique(), of(texts)) == ["", "", "duplicate", "duplicate", ""]


def test_exact_over_two_fields(reasons: Any):
    rows = [{"a": "x", "b": "y"}, {"a": "x", "b": "z"}, {"a": "x", "b": "y"}]
    assert reasons(unique(on=["a", "b"]), rows) == ["", "", "duplicate"]
    assert reasons(unique(on="a"), rows) == ["", "duplicate", "duplicate"]


def test_against_source_and_test(reasons: Any):
    op = unique(against=["stream", "source", "test"])
    rows = of(["lost card", "lost key", "lost bag", "both"])
    sets = {"source": of(["Lost card", "both"]), "test": of(["lost KEY", "both"])}
    assert reasons(op, rows, **sets) == ["duplicate", "near_test", "", "near_test"]
    assert reasons(unique(against=["source"]), of(["a", "a"]), source=of(["b"])) == ["", ""]
    assert reasons(op, rows, source=of(["Lost card"])) == ["duplicate", "", "", ""], "there is no test set"


def test_a_real_row_is_not_compared_with_itself(reasons: Any):
    source = [{"_id": f"r{i}", "text": text} for i, text in enumerate(["a row", "a row", "another row"])]
    rows = [*({**row, "_parents": ()} for row in source), {"_id": "m", "text": "another row"}]
    for by in ("exact", "ngram"):
        found = reasons(unique(by=by, at=0.9, against=["stream", "source"]), rows, source=source)
        assert found == ["", "duplicate", "", "duplicate"]


def test_ngram(reasons: Any):
    texts = ["my card was stolen on the train", "my card was stolen on the train!", "where is the bank", "my card was"]
    assert reasons(unique(by="ngram", at=0.8), of(texts)) == ["", "near_duplicate", "", ""]
    assert reasons(unique(by="ngram", at=0.2), of(texts)) == ["", "near_duplicate", "", "near_duplicate"]
    op = unique(by="ngram", at=0.8, against=["source", "test"])
    found = reasons(op, of(texts[:3]), source=of([texts[0]]), test=of(["where is the bank?"]))
    assert found == ["duplicate", "near_duplicate", "near_test"]


def test_vector(reasons: Any):
    op = unique(by="vector", at=np.cos(np.radians(10.5)).item())
    assert reasons(op, of(["0", "10", "30", "41", "50"]), models=Angles()) == [
        "",
        "near_duplicate",
        "",
        "",
        "near_duplicate",
    ]
    against = unique(by="vector", at=0.98, against=["stream", "source", "test"])
    found = reasons(against, of(["0", "45", "90"]), models=Angles(), source=of(["1"]), test=of(["91"]))
    assert found == ["near_duplicate", "", "near_test"]


def test_near_ones_go_only_where_the_kept_one_stays(reasons: Any):
    """0 takes 10 out; 20 is near to 10 alone, and stays; 30 is near to 20."""
    op = unique(by="vector", at=np.cos(np.radians(10.5)).item())
    chain = of(["0", "10", "20", "30", "40"])
    assert reasons(op, chain, models=Angles()) == ["", "near_duplicate", "", "near_duplicate", ""]
    gone = unique(by="vector", at=op.at, against=["stream", "source"])
    assert reasons(gone, chain, models=Angles(), source=of(["-5"])) == [
        "near_duplicate",
        "",
        "near_duplicate",
        "",
        "near_duplicate",
    ]


def test_the_first_in_order_stays(reasons: Any):
    texts = ["a b c d e f g h", "a b c d e f g h i"]
    for by, order in (("exact", ["x", "X"]), ("ngram", texts), ("ngram", texts[::-1])):
        assert reasons(unique(by=by, at=0.8), of(order))[0] == ""
        assert reasons(unique(by=by, at=0.8), of(order))[1] != ""


@pytest.mark.parametrize("at", [0.2, 0.4, 0.5, 0.7, 0.8, 0.95])
def test_no_near_text_is_overlooked(at: float):
    """What MinHash proposes holds every pair that the exact overlap finds."""
    rng = np.random.default_rng(3)
    words = [f"w{i}x{i * 7 % 13}" for i in range(30)]
    texts = [" ".join(rng.choice(words, 8, replace=False)) for _ in range(30)]
    texts += [
        " ".join([*text.split()[int(rng.integers(5)) :], str(rng.choice(words))]) for text in texts for _ in "123"
    ]
    index = TextIndex(at)
    for text in texts:
        index.add(text)
    held = [pieces(text) for text in texts]
    for text, mine in zip(texts, held, strict=True):
        assert index.near(text) == [i for i, other in enumerate(held) if jaccard(mine, other) >= at]

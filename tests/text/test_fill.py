"""The filler learned from the user's own texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from asked import cli, ledger, output, recipe, source, table
from leaven.errors import ModelError, RecipeError
from leaven.models.backends.fake import Fake
from leaven.models.backends.ngram import NgramFill
from leaven.models.calls import About, Answer, Ask
from leaven.text.fill import Fill

DESK = [
    {"text": "I lost my card yesterday", "label": "card"},
    {"text": "I lost my purse yesterday", "label": "card"},
    {"text": "I lost my wallet yesterday", "label": "card"},
    {"text": "I lost my ticket yesterday", "label": "card"},
    {"text": "I lost my voice yesterday", "label": "health"},
    {"text": "I lost my sight yesterday", "label": "health"},
    {"text": "I lost my hearing yesterday", "label": "health"},
    {"text": "I lost my balance yesterday", "label": "health"},
]
KNOWN = {word for row in DESK for word in row["text"].split()}
CARD, HEALTH = ({row["text"].split()[3] for row in DESK if row["label"] == x} for x in ("card", "health"))


def drawn(label: str | None, n: int = 400, text: str = "I lost my ____ yesterday") -> Counter[str]:
    filler = NgramFill([row["text"] for row in DESK], [row["label"] for row in DESK])
    rng = np.random.default_rng(1)
    made = [filler.fill(text, blank="____", label=label, rng=rng) for _ in range(n)]
    assert all(m.split()[:3] == ["I", "lost", "my"] for m in made)
    return Counter(m.split()[3] for m in made)


def test_only_known_words():
    for seed in range(20):
        for row in Fill(n=5, template="____ ____ kraken ____ ____ ____")(
            {"text": "x", "label": "card"}, seed=seed, source=DESK
        ):
            words = row["text"].split()
            assert len(words) == 6
            assert set(words) <= KNOWN | {"kraken"}


def test_the_label_weighs_its_own_words():
    card, health = drawn("card"), drawn("health")
    assert set(card) == set(health) == CARD | HEALTH
    # of the own label .85 / 4 + .15 / 8, of the others .15 / 8: nine in ten
    assert sum(card[w] for w in CARD) / 400 == pytest.approx(0.925, abs=0.05)
    assert sum(health[w] for w in HEALTH) / 400 == pytest.approx(0.925, abs=0.05)


@pytest.mark.parametrize("label", [None, "never seen"])
def test_no_label_and_an_unknown_one_mix_all(label: str | None):
    found = drawn(label)
    assert sum(found[w] for w in CARD) / 400 == pytest.approx(0.5, abs=0.08)


def test_both_neighbours_count():
    texts = ["red car stops", "red bus waits", "red tram waits", "red bike rests"]
    filler = NgramFill(texts, [None] * 4)
    found = Counter(
        filler.fill("red ____ stops", blank="____", label=None, rng=np.random.default_rng(i)) for i in range(200)
    )
    assert found.most_common(1)[0][0] == "red car stops"
    assert found["red car stops"] > 100


def test_the_same_for_seed_record_and_ordinal():
    record = {"text": "x", "label": "card", "blanks": "I lost my ____ ____"}
    five = Fill(n=5)(record, source=DESK)
    assert five == Fill(n=5)(record, source=DESK)
    assert five == Fill(n=9)(record, source=DESK)[:5]
    assert five == Fill(n=5)(record, source=DESK[::-1])
    others = [Fill(n=5)(record, seed=1, source=DESK), Fill(n=5)({**record, "text": "y"}, source=DESK)]
    assert all([row["text"] for row in five] != [row["text"] for row in other] for other in others)
    assert {row["label"] for row in five} == {"card"}


def test_without_labels():
    [row] = Fill(template="I lost my ____ today")({"text": "x"}, source=[{"text": row["text"]} for row in DESK])
    assert row["text"].split()[3] in CARD | HEALTH


def test_label_without_a_word_of_its_own():
    filler = NgramFill(["a b c", " "], ["x", "empty"])
    assert set(filler.fill("____ ____", blank="____", label="empty", rng=np.random.default_rng(0)).split()) <= set(
        "abc"
    )
    nothing = NgramFill([""], [None])
    assert nothing.fill("a ____", blank="____", label=None, rng=np.random.default_rng(0)) == "a ____"


def test_a_text_without_blanks_stays():
    assert [r["text"] for r in Fill(template="as it is")({"text": "x", "label": "card"}, source=DESK)] == ["as it is"]


# -- by a model -------------------------------------------------------------------------------------------------------


def test_a_model_is_asked_once_for_each():
    record = {"text": "x", "label": "card", "blanks": "I lost my ____ ____"}
    rows = Fill(n=3, by="model", temperature=2.0)(record, fill="fake:shape")
    assert len({row["text"] for row in rows}) == 3
    for row in rows:
        assert row["text"].startswith("I lost my ")
        assert len(row["text"].split()) == 5
        assert "____" not in row["text"]
        assert row["label"] == "card"
    assert rows == Fill(n=3, by="model", temperature=2.0)(record, fill="fake:shape")


def test_what_is_asked_of_a_model(monkeypatch: pytest.MonkeyPatch):
    asked: list[Ask] = []

    async def heard(self: Fake, ask: Ask, about: About) -> Answer:
        asked.append(ask)
        return Answer(" " if about.number else " a card ")

    monkeypatch.setattr(Fake, "play", heard)
    op = Fill(n=2, by="model", template="{{ label }}: ____", whole_words=False, temperature=0.5)
    one, other = op({"text": "x", "label": "card"}, fill="fake:shape")
    content = {"text": "card: ____", "blank": "____", "whole_words": False}
    assert [(ask.role, ask.content, ask.sampling) for ask in asked] == [("fill", content, {"temperature": 0.5})] * 2
    assert (one["text"], other["_reason"]) == ("a card", "empty")


def test_what_only_a_model_takes():
    for parameters in ({"temperature": 1.0}, {"whole_words": False}, {"model": "large"}):
        with pytest.raises(RecipeError, match=f"`{next(iter(parameters))}` of fill is for a model"):
            Fill(**parameters)


def test_a_model_needs_no_source_and_somebody_who_plays():
    assert not Fill(by="model").needs_state()
    assert Fill().needs_state()
    assert (Fill(by="model").awaits(), Fill().awaits()) == (True, False)
    with pytest.raises(ModelError, match="no model is named for the role fill"):
        Fill(by="model")({"text": "x", "blanks": "a ____"})


def test_a_run_asks_the_model_and_is_the_same_with_two_workers(tmp_path: Path):
    made = recipe(tmp_path, "blanks", "fill: {by: model, n: 2}")
    outs = []
    for workers in (1, 2):
        given = ["-o", tmp_path / str(workers), "-r", made, "--model", "fill=fake:shape", "-q", "--workers", workers]
        done = cli("augment", source(tmp_path), *given)
        assert done.code == 0, done.err
        outs.append(output(tmp_path / str(workers)))
    assert outs[0] == outs[1]
    assert len(ledger(tmp_path / "1")) == 40
    assert not any("____" in row["text"] for row in table(tmp_path / "1"))

"""Opinions by models that did not see the record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from leaven.any_record.prediction import Prediction, label_means
from leaven.context import Context, Rows
from leaven.errors import DataError, RecipeError
from leaven.fields import Column
from leaven.one_record import table
from leaven.records import Record

TEXTS = {
    "card": [
        "lost my card",
        "card was stolen",
        "block this card",
        "new card please",
        "my card is broken",
        "card is gone",
    ],
    "hours": [
        "open on sunday",
        "opening hours today",
        "when do you close",
        "closing time",
        "open late",
        "hours on monday",
    ],
    "room": [
        "book a room",
        "reserve the meeting room",
        "room with chairs",
        "is the room free",
        "large room",
        "room price",
    ],
}
SOURCE = [{"text": text, "label": label} for label, texts in TEXTS.items() for text in texts]


class Embedder:
    """One direction for each of a few words; what a text is about, exactly."""

    words = ("card", "open", "hours", "close", "closing", "room", "zebra", "unicorn", "lost", "book")

    def embed(self, texts: Any) -> Any:
        import numpy as np

        found = np.array([[float(word in text.split()) for word in self.words] for text in texts]).reshape(
            len(texts), len(self.words)
        )
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def judged(
    op: Prediction, source: list[dict[str, Any]], records: list[Record] | None = None, **sets: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What is noted of the source's rows (and further records), by text."""
    op = op.bind({"text": Column("text")}) if op.group is None else op.model_copy(update={"input": ["text"]})
    rows = {name: Rows(table(given)) for name, given in {"source": source, **sets}.items() if name in op.fits_on()}
    labels = {row["label"]: row["label"] for row in sorted(source, key=lambda row: row["label"])}
    constants = {"labels": labels, "label_field": "label"}
    state = op.fit(rows, Context(models=Embedder(), constants=constants))
    ctx = Context(models=Embedder(), state=state, constants=constants)
    held = [Record(row["_id"], row, root=row["_id"]) for row in table(source).to_pylist()] + (records or [])
    return {record["text"]: dict(noted) for record, noted in zip(held, op.notes(held, ctx), strict=True)}


def ids(source: list[dict[str, Any]]) -> dict[str, str]:
    return {row["text"]: row["_id"] for row in table(source).to_pylist()}


def test_says_the_label_of_plain_cases():
    found = judged(Prediction(), SOURCE)
    right = [found[row["text"]]["prediction"] == row["label"] for row in SOURCE]
    assert sum(right) >= 15
    for noted in found.values():
        assert set(noted) == {"prediction", "label_prob", "confidence", "label_norm", "in_sample"}
        assert 0 <= noted["label_prob"] <= noted["confidence"] <= 1
        assert noted["in_sample"] == 0


def test_fold_purity():
    """Only one row holds the word unicorn, and it bears a label of its own choosing: who saw it knows, its own model
    must not."""
    planted = [*SOURCE, {"text": "unicorn", "label": "card"}]
    asked = Record("asked", {"text": "unicorn", "label": "card"}, root="elsewhere")
    knowing = judged(Prediction(), planted, [asked])["unicorn"]["label_prob"]
    unaware = judged(Prediction(), planted)["unicorn"]["label_prob"]
    assert knowing > 0.5
    assert unaware < 0.45
    assert judged(Prediction(folds=0), planted)["unicorn"]["label_prob"] > 0.5


def test_a_child_has_the_fold_of_its_root():
    planted = [*SOURCE, {"text": "unicorn", "label": "card"}]
    child = Record("child", {"text": "unicorn unicorn", "label": "card"}, root=ids(planted)["unicorn"], parents=("x",))
    stranger = Record("other", {"text": "unicorn  unicorn", "label": "card"}, root="elsewhere", parents=("y",))
    found = judged(Prediction(), planted, [child, stranger])
    assert found["unicorn unicorn"]["label_prob"] == found["unicorn"]["label_prob"]
    assert found["unicorn  unicorn"]["label_prob"] > found["unicorn"]["label_prob"] + 0.1


def test_rows_of_equal_text_share_a_fold():
    planted = [*SOURCE, *({"text": text, "label": "card"} for text in ("unicorn", "Unicorn ", "unicorn"))]
    once = [*SOURCE, {"text": "unicorn", "label": "card"}]
    assert judged(Prediction(), planted)["unicorn"]["label_prob"] < 0.5
    assert judged(Prediction(), once)["unicorn"]["label_prob"] < 0.5


def test_a_group_stays_together():
    rows = [{**row, "who": f"p{i}"} for i, row in enumerate(SOURCE)]
    same = [{"text": f"unicorn {i}", "label": "card", "who": "q"} for i in range(3)]
    apart = [{**row, "who": f"r{i}"} for i, row in enumerate(same)]
    together = judged(Prediction(group="who"), [*rows, *same])
    loose = judged(Prediction(group="who"), [*rows, *apart])
    for i in range(3):
        assert together[f"unicorn {i}"]["label_prob"] < 0.45 < loose[f"unicorn {i}"]["label_prob"]
    assert Prediction().bind({"text": Column("text"), "who": Column("group")}).group == "who"
    with pytest.raises(RecipeError, match="`whom`, which names no field"):
        judged(Prediction(group="whom"), rows)


def test_a_label_with_one_row_is_judged_by_all_and_said_to_be():
    found = judged(Prediction(), [*SOURCE, {"text": "zebra", "label": "animals"}])
    assert found["zebra"]["in_sample"] == 1
    assert found["zebra"]["prediction"] == "animals"
    assert {noted["in_sample"] for text, noted in found.items() if text != "zebra"} == {0}


def test_a_label_that_the_fold_never_saw():
    """Both rows of a label are of one group, so the models without it know no such label."""
    rows = [{**row, "who": f"p{i}"} for i, row in enumerate(SOURCE)]
    rows += [{"text": "zebra", "label": "animals", "who": "z"}, {"text": "zebra room", "label": "animals", "who": "z"}]
    found = judged(Prediction(group="who"), rows)
    assert found["zebra"]["in_sample"] == found["zebra room"]["in_sample"] == 1
    assert found["zebra"]["prediction"] == "animals"
    assert found["room price"]["in_sample"] == 0


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_label_norm_is_the_mean_out_of_fold_probability(temperature: float):
    found = judged(Prediction(temperature=temperature), SOURCE)
    for label, texts in TEXTS.items():
        mean = sum(found[text]["label_prob"] for text in texts) / len(texts)
        assert [found[text]["label_norm"] for text in texts] == pytest.approx([mean] * 6, abs=2e-6), label


def test_label_means_are_those_of_confident_learning():
    """ALIA's worked numbers: of the probabilities .9 and .7 of one label, .6 and .8 of another."""
    own, y = np.array([0.9, 0.7, 0.6, 0.8, np.nan]), np.array([0, 0, 1, 1, 1])
    assert label_means(own, y, 2) == pytest.approx([0.8, 0.7])
    assert label_means(own, y, 3)[2] == pytest.approx(0.75), "of a label without any, the mean of all"
    assert np.isnan(label_means(np.full(5, np.nan), y, 2)).all()


def test_temperature_softens():
    sharp, plain, soft = (judged(Prediction(temperature=t), SOURCE) for t in (0.5, 1.0, 4.0))
    for text in plain:
        assert sharp[text]["prediction"] == plain[text]["prediction"] == soft[text]["prediction"]
        assert sharp[text]["confidence"] > plain[text]["confidence"] > soft[text]["confidence"] > 1 / 3
    two = [row for row in SOURCE if row["label"] != "room"]
    plain, soft = (judged(Prediction(temperature=t), two) for t in (1.0, 2.0))
    for text in plain:  # p^(1/t), scaled to one: the odds of two labels are the square root
        odds, softer = (noted / (1 - noted) for noted in (plain[text]["confidence"], soft[text]["confidence"]))
        assert softer == pytest.approx(math.sqrt(odds), rel=1e-3)


def test_without_folds():
    asked = Record("asked", {"text": "open room", "label": "room"}, root="elsewhere")
    found = judged(Prediction(folds=0), SOURCE, [asked])
    assert {found[row["text"]]["in_sample"] for row in SOURCE} == {1}
    assert found["open room"]["in_sample"] == 0
    for texts in TEXTS.values():  # the one model's, as of those that a fold held out
        mean = sum(found[text]["label_prob"] for text in texts) / len(texts)
        assert found[texts[0]]["label_norm"] == pytest.approx(mean, abs=2e-6)


def test_records_of_no_known_label():
    asked = [Record("a", {"text": "open room"}, root="a"), Record("b", {"text": "open  room", "label": "x"}, root="b")]
    found = judged(Prediction(), SOURCE, asked)
    for text in ("open room", "open  room"):
        assert found[text]["label_prob"] is None
        assert found[text]["label_norm"] is None
        assert found[text]["prediction"] in TEXTS


def test_trained_on_what_was_made_too():
    """A made row teaches, but not the model that judges its root, in whatever order the sets are named."""
    root = ids(SOURCE)["room price"]
    made = [{"text": "zebra zebra", "label": "hours", "_root": root}]
    stranger = Record("s", {"text": "zebra", "label": "hours"}, root="elsewhere")
    kin = Record("k", {"text": "zebra  ", "label": "hours"}, root=root, parents=(root,))
    for train_on in (["source", "made"], ["made", "source"]):
        op = Prediction(train_on=train_on)
        found = judged(op, SOURCE, [stranger, kin], made=made)
        assert found["zebra"]["label_prob"] > found["zebra  "]["label_prob"] + 0.1
        assert found["zebra  "]["in_sample"] == 0
    without = judged(Prediction(), SOURCE, [stranger])
    assert without["zebra"]["label_prob"] < found["zebra"]["label_prob"]


def test_what_was_made_of_a_pool_row_is_in_sample_for_it():
    made = [{"text": "zebra", "label": "hours", "_id": "p1", "_root": "p1"}]
    record = Record("p1", {"text": "zebra", "label": None}, root="p1")
    found = judged(Prediction(train_on=["source", "made"]), SOURCE, [record], made=made)
    assert found["zebra"]["in_sample"] == 1


def test_another_target():
    rows = [{**row, "tone": "rude" if "card" in row["text"] else "kind"} for row in SOURCE]
    op = Prediction(target="tone", input="text")
    found = judged(op, rows)
    assert {noted["prediction"] for noted in found.values()} == {"rude", "kind"}
    with pytest.raises(DataError, match="no row with a `mood`"):
        judged(Prediction(target="mood", input="text"), rows)


def test_reads_all_texts_but_the_target():
    columns = {"title": Column("text"), "label": Column("label"), "note": Column("text"), "n": Column("value")}
    assert Prediction().bind(columns).inputs() == ["title", "note"]
    assert Prediction(input="note").bind(columns).inputs() == ["note"]

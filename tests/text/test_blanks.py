"""How many words are blanked, and which."""

from __future__ import annotations

from typing import Any

import pytest

from leaven.errors import RecipeError
from leaven.text.blanks import BLANK, Blanks, blank


def test_apply():
    assert blank(["my", "card", "is", "lost"], {1, 3}) == "my ____ is ____"


@pytest.mark.parametrize(
    ("words", "ratio", "gone"),
    [(10, 0.5, 5), (10, 0.24, 2), (10, 0.01, 1), (10, 1.0, 9), (5, 0.5, 2), (2, 0.9, 1), (1, 0.1, 1)],
)
def test_the_share_that_goes(words: int, ratio: float, gone: int):
    given = [f"w{i}" for i in range(words)]
    for seed in range(20):
        [row] = Blanks(ratio=ratio)({"text": " ".join(given)}, seed=seed)
        made = row["blanks"].split()
        assert made.count(BLANK) == gone
        assert all(b in (a, BLANK) for a, b in zip(given, made, strict=True))
        assert row["text"] == " ".join(given)


def test_every_word_may_go():
    gone = {
        place
        for seed in range(60)
        for place, word in enumerate(Blanks(ratio=0.2)({"text": "a b c d e"}, seed=seed)[0]["blanks"].split())
        if word == BLANK
    }
    assert gone == set(range(5))


def test_an_empty_text_has_none():
    assert Blanks()({"text": "", "label": "x"}) == [{"text": "", "label": "x", "blanks": ""}]


def of_spans(text: str, *names: str, seed: int = 0, **parameters: Any) -> dict[str, Any]:
    """The row after blanking a share of 0.3 of its characters, in spans."""
    spans = [{"start": text.index(name), "end": text.index(name) + len(name), "label": "PERSON"} for name in names]
    op = Blanks(**{"ratio": 0.3, "choose": "spans", "unit": "characters", **parameters})
    [row] = op({"text": text, "spans": spans}, seed=seed)
    return row


def test_spans_are_left_out_until_the_rest_fits():
    text = "Ann Smith met Maria as she went out of the harbour"
    assert sum(map(len, text.split())) == 40  # 12 of them
    found = {of_spans(text, "Ann Smith", "Maria", seed=seed)["blanks"] for seed in range(20)}
    assert found == {text.replace("Ann Smith", BLANK), text.replace("Maria", BLANK)}  # 8 and 5: one of them
    both = of_spans(text, "Ann Smith", "Maria", ratio=0.325)["blanks"]  # 13
    assert both == text.replace("Ann Smith", BLANK).replace("Maria", BLANK)


def test_none_of_a_record_whose_spans_are_longer_than_the_share():
    text = "Ann Smithereens met Maria as she walked to the sea now"
    assert sum(map(len, text.split())) == 44  # 13 of them
    assert of_spans(text, "Ann Smithereens")["blanks"] is None
    assert of_spans(text, "Ann Smithereens", ratio=0.32)["blanks"] == text.replace("Ann Smithereens", BLANK)
    assert of_spans("no one is here")["blanks"] is None


def test_what_is_blanked_of_spans():
    text = "Éva & B. met at  the\tharbour of  Rio, as they said they would — all three of them."
    row = of_spans(text, "Éva", "&", "Rio", "—", "t", "Rio,")
    assert row["blanks"] == "____ & B. met at  the\tharbour of  ____ as they said they would — all three of them."
    assert of_spans(text, "B. met", "met at", ratio=1.0)["blanks"].count(BLANK) == 1
    assert (
        of_spans("Ann and Bob left the town", "Ann", "Bob", unit="words", ratio=0.5)["blanks"]
        == "____ and ____ left the town"
    )
    assert of_spans("Ann and Bob left the town", "Ann", "Bob", unit="words", ratio=0.17)["blanks"].count(BLANK) == 1


def test_spans_by_their_text_and_as_a_line_of_json_holds_them():
    op = Blanks(ratio=1.0, choose="spans", spans="seen")
    row = {"text": "Ann saw Ann", "seen": '[{"text": "Ann", "label": "PER"}, {"text": "Bob", "label": "PER"}]'}
    assert op(row)[0]["blanks"] == "____ saw Ann"
    with pytest.raises(RecipeError, match="a span is"):
        op({"text": "Ann", "seen": ["Ann"]})


def test_what_is_for_spans_alone():
    with pytest.raises(RecipeError, match="`unit` of blanks is for spans"):
        Blanks(unit="characters")
    assert Blanks(choose="spans", on="title").reads() == {"title", "spans"}

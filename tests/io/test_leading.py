"""The records that stand first in shards show what all of them hold, where five can."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaven.io.export.leading import LOOKED_AT, Leading, filled, leading

FILES, KEYS = st.frozensets(st.sampled_from(["png", "cls", "txt"])), st.frozensets(st.sampled_from("abcdefg"))


def test_the_first_five_where_they_show_all():
    kind = (frozenset(["png"]), frozenset("ab"))
    assert leading([kind] * 9) == Leading([0, 1, 2, 3, 4], alone=False, unseen=[])
    assert leading([kind] * 2) == Leading([0, 1], alone=False, unseen=[])
    assert leading([]) == Leading([], alone=False, unseen=[])


def test_a_record_that_alone_holds_something_is_brought_to_the_front():
    png = frozenset(["png"])
    kinds = [(png, frozenset("a"))] * 50 + [(png, frozenset("abc"))] + [(png, frozenset("b"))] * 50
    assert leading(kinds) == Leading([0, 1, 2, 3, 50], alone=False, unseen=[])


def test_where_few_have_every_file_these_are_alone():
    some, all_ = frozenset(["png"]), frozenset(["png", "cls"])
    kinds = [(some, frozenset("ab")), (all_, frozenset("a")), (some, frozenset("a")), (all_, frozenset("a"))]
    assert leading(kinds) == Leading([1, 3], alone=True, unseen=["b"])
    assert leading([(some, frozenset("a")), (frozenset(["cls"]), frozenset("a"))]) == Leading([], False, ["cls", "png"])


@given(st.lists(st.tuples(FILES, KEYS), max_size=30))
def test_the_leading_records(kinds: list[tuple[frozenset[str], frozenset[str]]]):
    found = leading(kinds)
    every = frozenset[str]().union(*(files for files, _ in kinds))
    whole = [number for number, (files, _) in enumerate(kinds) if files == every]
    assert found.numbers == sorted(set(found.numbers) & set(whole))
    assert len(found.numbers) == min(LOOKED_AT, len(whole))
    assert found.alone == (0 < len(whole) < LOOKED_AT and len(whole) < len(kinds))
    if whole:
        keys = frozenset[str]().union(*(filled for _, filled in kinds))
        seen = frozenset[str]().union(*(kinds[number][1] for number in found.numbers))
        assert set(found.unseen) == keys - seen


def test_what_is_empty_holds_nothing():
    said = {
        "a": None,
        "b": [],
        "c": [[]],
        "d": {"x": None, "y": 0},
        "e": [{"p": None}, {"p": [[1.0]]}],
        "f": "",
        "g": False,
    }
    assert set(filled(said)) == {"d.y", "e.p", "f", "g"}

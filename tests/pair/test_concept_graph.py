"""Concepts near one another, over a graph; and the note that draws one for a text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.pair.concept_graph import Graph, candidates, chances, graph_of
from leaven.pair.concepts import Concepts

TOY = """start,start_lang,relation,end,end_lang
erhu,zho,is_a,bowed_instrument,zho
bowed_instrument,zho,is_a,instrument,zho
bowed_instrument,zho,synonym,bowed_string_instrument,eng
instrument,zho,synonym,instrument,eng
violin,eng,is_a,bowed_string_instrument,eng
cello,eng,is_a,bowed_string_instrument,eng
saxophone,eng,is_a,instrument,eng
"""


def edges(text: str) -> list[dict[str, str]]:
    header, *lines = text.split()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def graph(text: str = TOY) -> Graph:
    return graph_of(edges(text))


@pytest.fixture
def toy(tmp_path: Path) -> str:
    path = tmp_path / "toy.csv"
    path.write_text(TOY)
    return str(path)


# -- the graph --------------------------------------------------------------------------------------------------------


def test_the_toy_graph():
    """Up, across, down: violin and cello 3 edges away, saxophone 4."""
    assert candidates(graph(), ("erhu", "zho"), "eng") == {"violin": 3, "cello": 3, "saxophone": 4}


def test_a_second_level_below_is_one_further():
    deeper = TOY + "string_thing,eng,is_a,instrument,eng\nharp,eng,is_a,string_thing,eng\nlyre,eng,is_a,harp,eng\n"
    found = candidates(graph(deeper), ("erhu", "zho"), "eng")
    assert (found["string thing"], found["harp"]) == (4, 5)
    assert "lyre" not in found, "three levels down after two up"


def test_a_translation_is_one_edge_away_and_the_shortest_way_counts():
    more = TOY + "erhu,zho,synonym,chinese_fiddle,eng\nerhu,zho,synonym,violin,eng\n"
    found = candidates(graph(more), ("erhu", "zho"), "eng")
    assert found == {"chinese fiddle": 1, "violin": 1, "cello": 3, "saxophone": 4}
    assert list(found) == ["chinese fiddle", "violin", "cello", "saxophone"]


def test_three_orders_at_most():
    steps = "".join(f"k{i},zho,is_a,k{i + 1},zho\n" for i in range(6))
    for order, distance in ((2, 4), (3, 5)):
        text = TOY.split("\n")[0] + f"\n{steps}k{order},zho,synonym,K,eng\nthing,eng,is_a,K,eng\n"
        assert candidates(graph(text), ("k0", "zho"), "eng") == {"thing": distance}
    text = TOY.split("\n")[0] + f"\n{steps}k4,zho,synonym,K,eng\nthing,eng,is_a,K,eng\n"
    assert candidates(graph(text), ("k0", "zho"), "eng") == {}


def test_the_way_up_stays_in_its_language_and_the_way_down_too():
    other = TOY.split("\n")[0] + "\nerhu,zho,is_a,lute,jpn\nlute,jpn,synonym,lute,eng\noud,eng,is_a,lute,eng\n"
    assert candidates(graph(other), ("erhu", "zho"), "eng") == {}
    same_name = TOY + "gambus,ind,is_a,instrument,eng\n"
    assert "gambus" not in candidates(graph(same_name), ("erhu", "zho"), "eng")


def test_two_languages_may_share_a_name():
    text = "start,start_lang,relation,end,end_lang\nbaju,ind,is_a,pakaian,ind\nangklung,ind,synonym,angklung,eng\n"
    assert candidates(graph(text), ("angklung", "ind"), "eng") == {}, "nothing would change"
    assert candidates(graph(text), ("angklung", "eng"), "ind") == {}


def test_circles_end():
    text = TOY + "instrument,zho,is_a,bowed_instrument,zho\ninstrument,eng,is_a,saxophone,eng\n"
    assert candidates(graph(text), ("erhu", "zho"), "eng")["saxophone"] == 4


def test_concepts_are_what_is_nothing_s_kind():
    assert graph().concepts("zho") == [("erhu", "zho")]
    assert sorted(graph().concepts("eng")) == [("cello", "eng"), ("saxophone", "eng"), ("violin", "eng")]


def test_conceptnet_s_relations_are_read():
    rows = [{**row, "relation": {"is_a": "/r/IsA", "synonym": "/r/Synonym"}[row["relation"]]} for row in edges(TOY)]
    assert candidates(graph_of(rows), ("erhu", "zho"), "eng") == {"violin": 3, "cello": 3, "saxophone": 4}
    with pytest.raises(RecipeError, match="row 1: `/r/RelatedTo` is no relation"):
        graph_of([{**rows[0], "relation": "/r/RelatedTo"}])


# -- chances ----------------------------------------------------------------------------------------------------------


def test_chances_fall_with_the_distance():
    violin, saxophone = chances([3, 4])
    assert violin / saxophone == pytest.approx(4 / 3)
    violin, saxophone = chances([3, 4], "exp")
    assert violin / saxophone == pytest.approx(2.718281828)


def test_a_distance_of_nothing_counts_as_one():
    assert chances([0, 1]) == [0.5, 0.5]
    assert chances([0, 2]) == pytest.approx([2 / 3, 1 / 3])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.sampled_from(["inverse", "exp"]))
def test_chances_sum_to_one(distances: list[int], by: Any):
    found = chances(distances, by)
    assert sum(found) == pytest.approx(1)
    for a, b in zip(distances, found, strict=True):
        assert all(b >= other for d, other in zip(distances, found, strict=True) if d >= max(a, 1))


# -- the note ---------------------------------------------------------------------------------------------------------


def test_a_concept_for_what_the_text_names(toy: str):
    [row] = Concepts(toy, lang="zho")({"text": "Two Violins? No, one Violin."})
    assert row == {"text": "Two Violins? No, one Violin.", "new": "erhu", "old": "Violin", "distance": 3}
    [row] = Concepts(toy, lang="zho")({"text": "a drum"})
    assert row == {"text": "a drum", "new": None, "old": None, "distance": None}
    [row] = Concepts(toy, lang="zho", on="text")({"text": None})
    assert row["new"] is None


def test_nearer_ones_are_drawn_more_often(toy: str):
    op = Concepts(toy, lang="zho")
    drawn = Counter(op({"text": "a violin and a saxophone"}, seed=seed)[0]["old"] for seed in range(700))
    assert drawn["violin"] / drawn["saxophone"] == pytest.approx(4 / 3, rel=0.2)


def test_names_of_the_fields_and_of_languages(toy: str):
    op = Concepts(toy, lang=["ind", "zho"], into=["theirs", "ours", "far"])
    [row] = op({"text": "a cello"})
    assert (row["theirs"], row["ours"], row["far"]) == ("erhu", "cello", 3)
    assert list(op.writes()) == ["theirs", "ours", "far"]
    [row] = Concepts(toy, lang="ind")({"text": "a cello"})
    assert row["new"] is None


def test_it_cannot_do_without_its_graph():
    with pytest.raises(RecipeError, match="concepts needs a graph"):
        Concepts(lang="zho")({"text": "a violin"})


def test_a_file_that_is_no_graph(tmp_path: Path):
    path = tmp_path / "near.csv"
    path.write_text("source,target\nerhu,violin\n")
    with pytest.raises(RecipeError, match="it has no column `start`"):
        Concepts(str(path), lang="zho")

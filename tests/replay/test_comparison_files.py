"""A comparison as a file: those that come with leaven, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaven.errors import DataError, RecipeError
from leaven.replay.rows import Folder, Row, distinct, drawn
from leaven.replay.table import File, names, read

GOOD = """\
about: Two methods.
paper: Somebody 2024
student: a tree
source: Table 1
columns: {text: text, label: label, parent: seed}
real: seeds.csv
test: {file: test.tsv, delimiter: tab, quoting: none}
draws: [7, 8]
sizes: [5]
methods: {first: a.csv, second: "b.csv"}
published:
  none: {5: [80, 82.5]}
  first: {5: 85}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_a_file_of_ones_own_is_read(tmp_path: Path):
    table = read(written(tmp_path, GOOD))
    assert table.name == "mine"
    assert table.test == File("test.tsv", "\t", quoted=False)
    assert table.methods == {"first": File("a.csv"), "second": File("b.csv")}
    assert table.published == {"none": {5: (0.8, 0.825)}, "first": {5: (0.85,)}}
    assert (table.draws, table.sizes, table.parent) == ((7, 8), (5,), "seed")


def test_those_that_come_with_leaven_are_read():
    tables = {name: read(name) for name in names()}
    assert list(tables) == ["amazon-auggpt", "atis-llm", "snips-chatgpt", "sst5-llm"]
    assert [len(table.methods) for table in tables.values()] == [27, 6, 3, 4]
    assert tables["atis-llm"].published["none"][5] == pytest.approx((0.8841, 0.8696, 0.8058), abs=1e-3)
    assert tables["snips-chatgpt"].published["crowd"] == {0: pytest.approx((0.9857,))}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("about:", "abuot:", "mine.yaml line 1: `abuot` is no key of a comparison.\n  Fix: the nearest is `about`"),
        ("student: a tree\n", "", "it has no `student`"),
        ("sizes: [5]", "sizes: [0]", "mine.yaml line 9: `sizes` are rows a label"),
        ("draws: [7, 8]", "draws: [a]", "line 8: with `sizes`, `draws` are the seeds of random numbers"),
        (
            "  first: {5: 85}",
            "  frist: {5: 85}",
            "`published` names `frist`, which is no method.\n  Fix: the nearest is",
        ),
        ("  first: {5: 85}", "  first: {6: 85}", "line 13: `first` has a number of size 6, which `sizes` has not"),
        ("  first: {5: 85}", "  first: {5: 850}", "line 13: `first`: an accuracy is a number of 0 to 100"),
        ("  first: {5: 85}", "  first: {5: [1, 2, 3]}", "`first` has 3 numbers, and there are 2 draws"),
        ("  first: {5: 85}", "  first: 85", "the published number of `first` is not readable"),
        ("first: a.csv", "none: a.csv", "`none` is no augmentation"),
        ("quoting: none", "quoting: odd", "`quoting: odd` is not known.\n  Fix: quoting: double, or none"),
        ("delimiter: tab", "delimiter: '|'", "`delimiter: |` is not known.\n  Fix: it is comma, tab, semicolon"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, said: str):
    assert old in GOOD
    with pytest.raises(RecipeError) as error:
        read(written(tmp_path, GOOD.replace(old, new)))
    assert said in str(error.value)


def test_an_unknown_name_states_the_nearest():
    with pytest.raises(RecipeError) as error:
        read("atis-lm")
    assert str(error.value) == (
        "there is no comparison `atis-lm`.\n  Fix: the nearest is `atis-llm`; a file is named with its .yaml."
    )


def test_files_that_are_not_there_or_lack_a_column(tmp_path: Path):
    table = read(written(tmp_path, GOOD))
    with pytest.raises(DataError, match="there is no such folder"):
        Folder(table, str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"seeds\.csv is not there"):
        Folder(table, str(tmp_path))
    (tmp_path / "seeds.csv").write_text("text,label\nhi,a\n")
    (tmp_path / "a.csv").write_text("text,label,sede\nhi,a,hi\n")
    folder = Folder(table, str(tmp_path))
    seeds = folder.real(7)
    with pytest.raises(DataError) as error:
        folder.made("first", seeds, 7)
    assert "it has no column `seed`.\n  Fix: the nearest is `sede`." in str(error.value)
    with pytest.raises(DataError, match="put the recorded file there"):
        folder.made("second", seeds, 7)


def test_children_in_order_belong_to_the_seeds_before_them(tmp_path: Path):
    text = GOOD.replace(", parent: seed", "").replace("sizes: [5]\n", "parents: in order\n")
    text = text.replace("{5: [80, 82.5]}", "[80, 82.5]").replace("{5: 85}", "85")
    table = read(written(tmp_path, text))
    (tmp_path / "seeds.csv").write_text("text,label\nA,x\nB,y\n")
    (tmp_path / "a.csv").write_text("text,label\nA,x\nB,y\na1,x\na2,x\nb1,y\nb2,y\n")
    (tmp_path / "b.csv").write_text("text,label\nA,x\nB,y\na1,x\n")
    folder = Folder(table, str(tmp_path))
    seeds = folder.real(7)
    assert [(row.text, row.parent) for row in folder.made("first", seeds, 7)] == [
        ("a1", 0), ("a2", 0), ("b1", 1), ("b2", 1),
    ]  # fmt: skip
    with pytest.raises(DataError, match="as many children of each"):
        folder.made("second", seeds, 7)


def test_seeds_are_drawn_as_pandas_draws_them():
    """What ``frame.sample(frac=1, random_state=42)`` and ``sample(3, random_state=42)`` of each label give."""
    rows = [Row(str(i), "ab"[i % 2]) for i in range(12)]
    assert [row.text for row in drawn(rows, 3, 42)] == EXPECTED
    assert len(drawn(rows, 100, 42)) == 12


EXPECTED = ["10", "0", "6", "9", "5", "3"]


def test_rows_that_stand_twice_count_once():
    rows = [Row("a", "x", 0), Row("a", "x", 1), Row("a", "y", 0)]
    assert distinct(rows) == [rows[0], rows[2]]

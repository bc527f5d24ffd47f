"""What people see when an input is wrong: two lines, exit code 1, and nothing left behind."""

from __future__ import annotations

import copy
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven.cli import run
from leaven.engine.folder import Folder
from leaven.errors import DataError, RecipeError, listed

Captured = pytest.CaptureFixture[str]
ROWS = "".join(f"this is text number {i} of some,{'ab'[i % 2]}\n" for i in range(12))
GOOD = "text,label\n" + ROWS
LONG = "x" * 5_242_880


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def labelled(*labels: object) -> str:
    return lines(*({"text": f"hello {i}", "label": label} for i, label in enumerate(labels)))


def parquet(**columns: object) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


@dataclass
class Case:
    """A file (its name and content), what is added to the command, and the two lines."""

    name: str
    content: str | bytes | Callable[[Path], None] | None
    first: str
    fix: str
    options: list[str] = field(default_factory=list)
    id: str = ""


DATA = [
    Case("god.csv", None, "DataError: god.csv: there is no such file.", "good.csv is in the same folder."),
    Case("no/x.csv", None, "DataError: no/x.csv: there is no such file.",
         "there is no folder no either; check the path."),
    Case("a.csv", "", "DataError: a.csv is empty (0 bytes).", "give a file with a header line and at least 2 rows."),
    Case("a.csv", "\n\n", "DataError: a.csv has no header line.",
         "give a file with a header line and at least 2 rows."),
    Case("a.csv", "text,label\n", "DataError: a.csv has column names and no rows.", "give at least 2 rows."),
    Case("a.csv", GOOD.encode() + b"caf\xe9 au lait,b\n",
         "DataError: a.csv byte 400 (row 13) is not UTF-8; it reads as Windows-1252.",
         "save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 a.csv > a-utf8.csv"),
    Case("a b.csv.gz", gzip.compress(b"t\xe9xt,label\nx,y\n"),
         "DataError: a b.csv.gz byte 1 (the header) is not UTF-8; it reads as Windows-1252.",
         "save it as UTF-8: gunzip -c 'a b.csv.gz' | iconv -f WINDOWS-1252 -t UTF-8 > 'a b-utf8.csv'"),
    Case("a.csv", GOOD.encode("utf-16"), "DataError: a.csv is UTF-16, not UTF-8.",
         "save it as UTF-8: iconv -f UTF-16 -t UTF-8 a.csv > a-utf8.csv"),
    Case("a.csv", GOOD.encode("utf-16-le"), "DataError: a.csv is UTF-16LE, not UTF-8.",
         "save it as UTF-8: iconv -f UTF-16LE -t UTF-8 a.csv > a-utf8.csv"),
    Case("a.jsonl", labelled("a", "b").encode("utf-16-be"), "DataError: a.jsonl is UTF-16BE, not UTF-8.",
         "save it as UTF-8: iconv -f UTF-16BE -t UTF-8 a.jsonl > a-utf8.jsonl"),
    Case("a.csv", GOOD + "a, b,c\nx\n",
         "DataError: a.csv line 14 has 3 fields, the header has 2; 2 lines are like that.",
         "put the text in double quotes, or save with tabs as a.tsv."),
    Case("a.csv", GOOD + '"never closed,a\n' + GOOD, "DataError: a.csv line 14: a closing quote is missing.",
         "put the text in double quotes, and double the quotes inside it, or save with tabs."),
    Case("a.csv", GOOD + '"mid" le,a\n', "DataError: a.csv line 14: a quote inside the text is not doubled.",
         "put the text in double quotes, and double the quotes inside it, or save with tabs."),
    Case("a.csv", GOOD + '"open,a\nnext,b\n"closed",b\n',
         "DataError: a.csv line 14: a closing quote is missing, or a quote in the text is not doubled"
         " (found in line 16).",
         "put the text in double quotes, and double the quotes inside it, or save with tabs."),
    Case("bank.csv", "utterance,intent\none,a\ntwo,b\nthree,a\nfour,b\n",
         "DataError: bank.csv has no column `category`; it has utterance, intent.",
         "--label intent", ["--label", "category"]),
    Case("a.csv", GOOD, "DataError: a.csv has no column `txet`; it has text, label.", "--text text",
         ["--text", "txet"]),
    Case("a.csv", GOOD, "DataError: a.csv has no column `labl`; it has text, label.", "--field premise=label",
         ["--field", "premise=labl"]),
    Case("a.csv", "a,b\n" + "".join(f"{i} thing {i * 7} foo,{i} bar {i * 3}\n" for i in range(9)),
         "DataError: a.csv: no column looks like a label (few values, repeated); it has a, b.",
         "name it with --label COLUMN."),
    Case("a.csv", "label\na\nb\na\nb\n",
         "DataError: a.csv: no other column looks like a text; `label` is the label; it has label.",
         "name it with --text COLUMN."),
    Case("a.csv", "text,label\n" + "".join(f"hello there {i},x\n" for i in range(6)),
         'DataError: a.csv: the label `label` has one value only, "x", in 6 rows.',
         "name another column with --label COLUMN, or add rows of a second label."),
    Case("a.csv", GOOD + ",a\n  ,b\nfine,b\n" + "\t,a\n",
         "DataError: a.csv row 13: the text is empty; 3 of 16 rows are (13, 14, 16).",
         "fill them in or remove these rows."),
    Case("a.csv", "_id,text,label\na17,hello one,x\nb,hello two,y\na17,hello three,x\n",
         "DataError: a.csv: id `a17` stands in rows 1 and 3 with different texts.",
         "make ids unique, or drop the column `_id`; equal rows without an id are fine."),
    Case("a.csv", "_id,text,label\na,hello one,x\n,hello two,y\n", "DataError: a.csv: row 2 has no id.",
         "make ids unique, or drop the column `_id`; equal rows without an id are fine."),
    Case("a.csv", f"{GOOD}{LONG},b\n",
         "DataError: a.csv row 13: a cell of 5,242,880 characters; the limit is 1,000,000.",
         "often a closing quote is missing near row 12; if the text is right, shorten it.", id="5 MB"),
    Case("a.parquet", parquet(text=["a", "b"], label=["x", "y"], note=["", LONG]),
         "DataError: a.parquet row 2: a cell of 5,242,880 characters; the limit is 1,000,000.",
         "often a closing quote is missing near row 1; if the text is right, shorten it."),
    Case("a.csv", GOOD + "a\0b hello,a\n",
         "DataError: a.csv row 13: the text holds a NUL character; 1 of 13 rows does (13).",
         "remove the NUL characters or this row."),
    Case("a.csv", "text,label,text\na,b,c\n", "DataError: a.csv has two columns called `text`.",
         "rename one of them in the header line."),
    Case("a.csv", "text,label,,\na,b,c,\n", "DataError: a.csv has 2 columns without a name.",
         "name them in the header line, or remove them."),
    Case("a.parquet", lambda path: pq.write_table(pa.table([["a"], ["b"], ["c"]], ["text", "label", "label"]), path),
         "DataError: a.parquet has two columns called `label`.", "rename one of them."),
    Case("a.jsonl", labelled(["a"], ["b", "c"]), "DataError: a.jsonl: the column `label` holds lists, not texts.",
         "one label a row: make one row of each, or join them into one text."),
    Case("a.parquet", parquet(text=["aa", "bb"], label=[["x"], ["y"]]),
         "DataError: a.parquet: the column `label` holds lists, not texts.",
         "one label a row: make one row of each, or join them into one text."),
    Case("a.jsonl", labelled(0.5, 1.5, 0.5), "DataError: a.jsonl: the column `label` holds numbers, not texts.",
         "make classes of the numbers, such as low and high; regression is not built yet."),
    Case("a.csv", "text,label\n" + "".join(f"hello {i},{i + 0.37}\n" for i in range(20)),
         "DataError: a.csv: the column `label` holds numbers, not texts.",
         "make classes of the numbers, such as low and high; regression is not built yet."),
    Case("a.jsonl", labelled({"a": 1}, {"a": 2}), "DataError: a.jsonl: the column `label` holds objects, not texts.",
         "write them as texts, or name another column with --label COLUMN."),
    Case("a.json", '[{"text": "a",', "DataError: a.json is no JSON: entry 1: expecting property name enclosed in double"
         " quotes (character 15).", "give a JSON array of objects, or one object on each line."),
    Case("a.json", '[{"text": "a", "label": "b"}', "DataError: a.json is no JSON: the array is not closed after"
         " entry 1.", "give a JSON array of objects, or one object on each line."),
    Case("a.json", '[{"text": "a"} {"text": "b"}]', "DataError: a.json is no JSON: a comma is missing after entry 1.",
         "give a JSON array of objects, or one object on each line."),
    Case("a.json", "[1, 2]", "DataError: a.json: entry 1 is no JSON object.",
         'each row is an object: {"text": "...", "label": "..."}'),
    Case("a.json", "[]", "DataError: a.json holds no rows.", "give at least 2 objects."),
    Case("a.json", '{"text": ["a", "b"], "label": ["x", "y"]}',
         "DataError: a.json holds one object of columns, not rows.",
         'write rows; with pandas: frame.to_json(FILE, orient="records")'),
    Case("a.jsonl", labelled("x") + '{"text": oops}\n',
         "DataError: a.jsonl line 2 is no JSON object: expecting value (character 10).",
         "give one JSON object on each line, or one array of objects."),
    Case("a.jsonl", "[" * 100_000, "DataError: a.jsonl is no JSON: entry 1: it is nested too deeply.",
         "give a JSON array of objects, or one object on each line.", id="deep"),
    Case("a.jsonl", '{"text": "a", "label": ' + "9" * 6000 + "}\n",
         "DataError: a.jsonl line 1 is no JSON object: a number has more than 4,300 digits.",
         "give one JSON object on each line, or one array of objects.", id="digits"),
    Case("a.jsonl", labelled("a") + '{"text": "aa\\ud800a", "label": "x"}\n',
         "DataError: a.jsonl row 2: `text` holds half a character (\\ud800).",
         "remove it, or write the whole pair."),
    Case("a.parquet", "hello", "DataError: a.parquet is no whole Parquet file (Parquet file size is 5 bytes, smaller"
         " than the minimum file footer (8 bytes)).", "write or download it again."),
    Case("a.csv.gz", "hello", "DataError: a.csv.gz is no whole gzip file: its bytes are something else.",
         "compress or download it again."),
    Case("a.csv.gz", gzip.compress(GOOD.encode() * 500)[:-60],
         "DataError: a.csv.gz is no whole gzip file: it ends too early.", "compress or download it again."),
    Case("a.xlsx", "PK", "DataError: a.xlsx: files of this kind are not read.", "save the sheet as .csv (UTF-8)."),
    Case("csv", GOOD, "DataError: csv: files of this kind are not read.",
         "give .csv, .tsv, .jsonl, .json, .parquet, .tar or a folder."),
    Case("photos", lambda path: path.mkdir(), "DataError: photos holds no table.",
         "give a file, or a folder of images or sounds, of .parquet files, or one saved by datasets.save_to_disk."),
    Case("saved", lambda path: [path.mkdir(), (path / "dataset_dict.json").write_text("{oops")][0],
         "DataError: saved/dataset_dict.json is damaged.", "save the dataset again."),
    Case("a.csv", "text,label,split\naaa,x,train\nbbb,y,fold3\n",
         "DataError: a.csv row 2: `fold3` in the column split is no split.",
         "train, test, dev and validation are; rename the column if it means something else."),
    Case("a.csv", "text,label,split\naaa,x,test\nbbb,y,test\n",
         "DataError: a.csv has no labelled rows of the split `train` to start from; it has 2 of test.",
         "add such rows, or rename the column split if it means something else."),
    Case("a.csv", "text,label\naaa b,\nbbb,\n", "DataError: a.csv has no labelled rows to start from.",
         "fill in the label of some rows."),
    Case("a.csv", "te\u202ext,la\nbel\n", "DataError: a.csv line 2 has 1 field, the header has 2.",
         "put the text in double quotes, or save with tabs as a.tsv."),
    Case("a.csv", 'a\u202eb,"c\nd"\n1,2\n', "DataError: a.csv has no column `x\\x1b[31m`; it has a\\u202eb, c\\nd.",
         "--field f=COLUMN", ["--field", "f=x\x1b[31m"]),
]  # fmt: skip

STEPS = "fields: [text, label]\nsteps:\n  - edit_chars\n"
RECIPES = [
    Case("mine.yaml", "steps:\n  - edit_char\n", "RecipeError: mine.yaml line 2: there is no operator `edit_char`.",
         "the nearest is `edit_chars`."),
    Case("mine.yaml", "steps:\n  - unique:\n      byy: x\n",
         "RecipeError: mine.yaml line 3: unique has no parameter `byy`.",
         "the nearest is `by`; it takes on, by, at, against."),
    Case("mine.yaml", "steps:\n  - edit_chars: {n: 500}\n", "RecipeError: mine.yaml line 2: n is 500; edit_chars allows"
         " 1 to 50.", "n: 50"),
    Case("mine.yaml", STEPS + "  - keep: txt|length > 3\n",
         "RecipeError: mine.yaml line 4: keep reads `txt`, which names no field; there are text, label.",
         "the nearest is `text`."),
    Case("mine.yaml", STEPS + '  - top: {n: 2, by: "1", per: lable}\n',
         "RecipeError: mine.yaml line 4: `per: lable` names no field; the data has text, label.",
         "the nearest is `label`."),
    Case("mine.yaml", "steps:\n  - repeat: {until: {per: lable, kept: 3}, steps: [edit_chars]}\n",
         "RecipeError: mine.yaml line 2: `per: lable` names no field; the data has text, label.",
         "the nearest is `label`."),
    Case("mien.yaml", None, "RecipeError: mien.yaml: there is no such file.", "check the path."),
    Case("mine.yaml", "", "RecipeError: mine.yaml: it is empty.", "write something into it, or name another file."),
    Case("mine.yaml", "- a\n", "RecipeError: mine.yaml: a recipe is a mapping with the key `steps`.",
         "see leaven recipes classic-text"),
    Case("mine.yaml", "steps:\n", "RecipeError: mine.yaml line 1: `steps` is empty.",
         "write one step a line: - edit_chars"),
    Case("mine.yaml", f"about: {'x' * 2_000_000}\n{STEPS}", "RecipeError: mine.yaml: it is larger than 1,000,000"
         " bytes.", "split it; data belongs in a table of its own.", id="2 MB"),
    Case("mine.yaml", "let: &a {x: 1}\nsteps: *a\n",
         "RecipeError: mine.yaml line 1: `&a` is not allowed; a recipe holds no anchors.",
         "write the value out, or name it under `let:`; quote a text that begins so."),
    Case("mine.yaml", "steps:\n  - edit_chars: !!python/object:os.system {}\n",
         "RecipeError: mine.yaml line 2: `!!python/object` is not allowed; a recipe holds plain values only.",
         "remove the tag. Python code belongs in an operator: docs/write-your-own."),
    Case("mine.yaml", STEPS + '  - match: {on: text, to: "{{ record.__class__ }}"}\n',
         "RecipeError: mine.yaml line 4: the prompt reads record.__class__, which templates may not.",
         "use the fields of the record: {{ text }}, {{ label }}."),
    Case("mine.yaml", STEPS + "  - match: {on: text, to: \"{{ 'a' * 10**9 }}\"}\n",
         "RecipeError: mine.yaml line 4: `{{ 'a' * 10**9 }}`: `**` is not part of the language.", "write x * x."),
    Case("mine.yaml", "name: a\nname: b\n" + STEPS, "RecipeError: mine.yaml line 2: `name` is given twice, in lines 1"
         " and 2.", "remove one of them."),
    Case("mine.yaml", "steps:\n\t- edit_chars\n",
         "RecipeError: mine.yaml line 2: a character stands where a value should begin.",
         "indent with blanks, never with tabs; quote a text that begins with @, `, %, * or &."),
    Case("mine.yaml", "let: 3\n" + STEPS, "RecipeError: mine.yaml line 1: `let` is a mapping.", "let: {...}"),
    Case("mine.yaml", "fields: {text: txet}\nsteps: [edit_chars]\n",
         "RecipeError: mine.yaml line 1: `text: txet` names no type of field.", "the nearest is `text`."),
    Case("mine.yaml", "steps: [edit_chars]\nblend: {ratio: -1}\n",
         "RecipeError: mine.yaml line 2: ratio is -1; blend allows 0 to 1000.", "ratio: 0"),
    Case("mine.yaml", "steps:\n  - when: label == 'a'\n",
         "RecipeError: mine.yaml line 2: `when` stands without an operator.",
         "begin the step with one: - edit_chars, and `when:` below it."),
    Case("mine.yaml", "steps:\n  - edit_words:\n      p: 0.1\n    holds: [label]\n",
         "RecipeError: mine.yaml line 2: `holds` stands beside edit_words, and not among its parameters.",
         "edit_words: {holds: ...}, or indent it below `edit_words:`"),
    Case("mine.yaml", "steps:\n  - edit_words as some:\n    n: 2\n    p: 1\n",
         "RecipeError: mine.yaml line 2: `n` and `p` stand beside edit_words, and not among its parameters.",
         "edit_words as some: {n: ..., p: ...}, or indent it below `edit_words as some:`"),
    Case("mine.yaml", "steps:\n  - edit_words:\n    edit_chars:\n",
         "RecipeError: mine.yaml line 2: one step names 2 operators: edit_words, edit_chars.",
         "begin each with `- `; indent parameters below their operator."),
    Case("mine.yaml", "steps:\n  - alter_sound:\n      n: 2\n      pitch: '3'\n",
         "RecipeError: mine.yaml line 4: pitch is '3'; it is a range, low and high, from which a number is drawn for"
         " each child.", "exactly 3: pitch: [3, 3], or from -3 to 3: [-3, 3]"),
    Case("mine.yaml", "steps:\n  - copy_paste: {on: text}\n",
         "RecipeError: mine.yaml line 2: copy_paste needs boxes or mask; the data has text, label.",
         "name a column with --field NAME=COLUMN, or take another recipe: leaven recipes"),
    Case("mine.yaml", "steps:\n  - repeat: {until: {dev: accuracy, patience: x}, steps: [edit_chars]}\n",
         "RecipeError: mine.yaml line 2: patience is x; until allows 1 to 1000.", "patience: 2"),
    Case("mine.yaml", "steps:\n  - from: pool\n  - prediction\n",
         "RecipeError: mine.yaml line 2: it starts from rows without a label (the pool), and there are none.",
         "give them with --unlabelled FILE, or leave the label of some rows empty."),
]  # fmt: skip

OPTIONS = [
    (["-r", "recombin"], "RecipeError: there is no recipe `recombin`.",
     "the nearest is `recombine`; a file is named with its .yaml."),
    (["-r", "classic-text", "--set", "uniqe.on=text"],
     "RecipeError: --set uniqe.on=text: `uniqe` is no step of the recipe.", "the nearest is `unique`."),
    (["-r", "classic-text", "--set", "unique.foo=3"], "RecipeError: recipe classic-text line 8: unique has no parameter"
     " `foo`.", "it takes on, by, at, against."),
    (["-r", "classic-text", "--set", "unique.foo"], "RecipeError: --set unique.foo has no `=`.",
     "--set STEP.PARAM=VALUE"),
    (["-r", "classic-text", "--set", "unique.=3"], "RecipeError: --set unique.=3 names no parameter.",
     "--set STEP.PARAM=VALUE"),
    (["-r", "self-train"], "RecipeError: recipe self-train line 6: it starts from rows without a label (the pool), and"
     " there are none.", "give them with --unlabelled FILE, or leave the label of some rows empty."),
    (["--field", "text"], "DataError: --field text is not NAME=COLUMN.", "--field premise=sentence1"),
    (["--text", "text", "--field", "text=label"],
     "DataError: --field text=label: the text is the column `text` already.", "name it once."),
    (["--text", "text", "--label", "text"], "DataError: the text and the label are both the column `text`.",
     "name a column of its own for each."),
    (["--test", "1.5"], "DataError: --test 1.5 is neither a file nor a share between 0 and 1.", "--test 0.3"),
    (["--test", "god.csv"], "DataError: god.csv: there is no such file.", "good.csv is in the same folder."),
    (["--test", "good.csv"], "DataError: good.csv: every row stands in the test set too.",
     "give other rows with --test FILE."),
    (["--test", "other.csv"], "DataError: other.csv has no column `label`, the label of good.csv; it has text, zzz.",
     "call it `label` there too."),
    (["--operators", "nodir"], "RecipeError: nodir: there is no such folder.",
     "--operators DIR, with a .py file of each operator"),
    (["--tset", "x"], "UsageError: leaven augment: no such option: --tset.", "the nearest is --set."),
    (["--seed", "x"], "UsageError: leaven augment: invalid value for '--seed': it is no whole number.",
     "leaven augment --help"),
    (["--seed=-5"],
     "UsageError: leaven augment: invalid value for '--seed': it has to be greater than or equal to 0.",
     "leaven augment --help"),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "other.csv").write_text("text,zzz\nabc d,3\nabc e,3\n")
    return tmp_path


def put(case: Case) -> None:
    path = Path(case.name)
    if callable(case.content):
        case.content(path)
    elif case.content is not None:
        path.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())


def refused(capsys: Captured, *arguments: str) -> list[str]:
    """The two lines of a command that ends with exit code 1."""
    assert run(list(arguments)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()


@pytest.mark.parametrize("case", DATA, ids=lambda c: c.id or c.first[11:60])
def test_data(place: Path, capsys: Captured, case: Case):
    put(case)
    before = sorted(place.rglob("*"))
    said = refused(capsys, "augment", case.name, "-o", "new/out", "-q", *case.options)
    assert said == [case.first, f"  Fix: {case.fix}"]
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("case", RECIPES, ids=lambda c: c.id or c.first[13:60])
def test_recipe(place: Path, capsys: Captured, case: Case):
    put(case)
    said = refused(capsys, "augment", "good.csv", "-o", "out", "-q", "-r", case.name)
    assert said == [case.first, f"  Fix: {case.fix}"]
    assert not Path("out").exists()


@pytest.mark.parametrize(("options", "first", "fix"), OPTIONS, ids=lambda x: x if isinstance(x, str) else None)
def test_option(place: Path, capsys: Captured, options: list[str], first: str, fix: str):
    assert refused(capsys, "augment", "good.csv", "-o", "out", "-q", *options) == [first, f"  Fix: {fix}"]
    assert not Path("out").exists()


def test_all_findings_of_a_check_are_told_five_at_most(place: Path, capsys: Captured):
    Path("mine.yaml").write_text(STEPS + "".join(f"  - keep: x{i} > 3\n" for i in range(9)))
    said = refused(capsys, "augment", "good.csv", "-o", "out", "-q", "-r", "mine.yaml")
    assert said[::2][:5] == [
        f"RecipeError: mine.yaml line {4 + i}: keep reads `x{i}`, which names no field; there are text, label."
        for i in range(5)
    ]
    assert said[10:] == ["and 4 more"]


def test_what_only_a_record_shows_names_its_line_and_leaves_nothing(place: Path, capsys: Captured):
    Path("mine.yaml").write_text("fields: [text, label]\nsteps:\n  - keep: text * 3 != 'a'\n")
    said = refused(capsys, "augment", "good.csv", "-o", "out", "-q", "-r", "mine.yaml", "--workers", "1")
    assert said[0].startswith("RecipeError: mine.yaml line 3: `text * 3 != 'a'`: ")
    assert len(said) == 2
    assert not Path("out").exists()


@pytest.mark.parametrize("rows", [2, 3])
def test_a_few_rows_are_enough(place: Path, capsys: Captured, rows: int):
    Path("few.csv").write_text("text,label\n" + "".join(ROWS.splitlines(True)[:rows]))
    assert run(["augment", "few.csv", "-o", "out", "-q", "-r", "classic-text", "--workers", "1"]) == 0


def test_a_label_for_each_row_is_a_warning(place: Path, capsys: Captured):
    Path("each.csv").write_text("text,label\n" + "".join(f"text {i} of many,l{i}\n" for i in range(9)))
    assert run(["augment", "each.csv", "-o", "out", "-q", "-r", "classic-text", "--workers", "1"]) == 0
    assert "warning: each of the 9 rows has a label of its own" in capsys.readouterr().err


# -- the folder of a run ------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def ran(place: Path, capsys: Captured) -> Path:
    assert run(["augment", "good.csv", "-o", "out", "-q", "-r", "classic-text", "--workers", "1"]) == 0
    capsys.readouterr()
    return Path("out")


def test_a_run_of_other_data_stays_as_it_is(ran: Path, capsys: Captured):
    Path("theirs.csv").write_text(GOOD.replace("text number", "other number"))
    before = snapshot(ran)
    assert refused(capsys, "augment", "theirs.csv", "-o", "out", "-q") == [
        "DataError: out holds a run of other data: good.csv, 12 rows; no id in common with theirs.csv.",
        "  Fix: choose another folder with -o; leaven does not overwrite a run.",
    ]
    assert snapshot(ran) == before


@pytest.mark.parametrize(
    "recipe", ["steps:\n  - edit_chars\n  - keep: txt\n", "steps:\n  - keep: text * 3 != 'a'\n"], ids=["check", "run"]
)
def test_a_wrong_recipe_leaves_an_older_run_as_it_is(ran: Path, capsys: Captured, recipe: str):
    Path("mine.yaml").write_text(recipe)
    before = snapshot(ran)
    refused(capsys, "augment", "good.csv", "-o", "out", "-q", "-r", "mine.yaml", "--test", "0.3", "--workers", "1")
    after = snapshot(ran)
    assert {name: after[name] for name in before} == before
    assert {Path(name).parent.name for name in after.keys() - before.keys()} <= {"parts", "states"}  # known by hash


def test_folders_that_are_none(place: Path, capsys: Captured):
    Path("theirs").mkdir()
    Path("theirs/notes.txt").write_text("x")
    Path("file").write_text("x")
    Path("old").mkdir()
    Path("old/run.json").write_text('["x"]')
    for out, first in {
        "theirs": "theirs is not empty and holds no run.",
        "file": "file is a file, not a folder.",
        "file/out": "file/out cannot be written (Not a directory).",
        "old": "old/run.json is damaged.",
        "x" * 300: f"{'x' * 300} cannot be written (File name too long).",
    }.items():
        said = refused(capsys, "augment", "good.csv", "-o", out, "-q")
        assert said[0] == f"DataError: {first}"
        assert said[1].startswith("  Fix: choose another folder with -o")
    assert sorted(p.name for p in Path("theirs").iterdir()) == ["notes.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(place: Path, capsys: Captured):
    Path("closed").mkdir(mode=0o500)
    said = refused(capsys, "augment", "good.csv", "-o", "closed/out", "-q")
    assert said[0] == "DataError: closed/out cannot be written (Permission denied)."


def test_two_commands_on_one_folder(place: Path):
    code = "import sys; from leaven.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "augment", "good.csv", "-o", "out", "-q"]
    with Folder(Path("out")).locked():
        done = subprocess.run(command, capture_output=True, text=True)
        assert Path("out").is_dir()  # it was there before that command
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "DataError: another command is at work in out.",
        "  Fix: wait for it, or choose another folder with -o.",
    ]
    both = [subprocess.Popen([*command, "--workers", "1"], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 1]), errors
    assert Path("out/train/part-00000.parquet").is_file()


# -- measure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ([], "DataError: out set no test rows aside."),
        (["--metric", "foo"], "DataError: --metric foo is not known."),
        (["--ratios", "x"], "DataError: --ratios x is no list of numbers from 0 to 1000."),
        (["--test", "god.csv"], "DataError: god.csv: there is no such file."),
        (["--test", "new.csv"], "DataError: no test row has a label of the source."),
    ],
)
def test_measure(ran: Path, capsys: Captured, options: list[str], first: str):
    Path("new.csv").write_text("text,label\nabc d,zzz\nabc e,yyy\n")
    before = snapshot(ran)
    said = refused(capsys, "measure", "out", "-q", *options)
    assert said[0] == first
    assert len(said) == 2
    assert said[1].startswith("  Fix: ")
    assert snapshot(ran) == before


def test_measure_of_what_is_no_run(place: Path, capsys: Captured):
    Path("folder").mkdir()
    said = refused(capsys, "measure", "folder", "-q")
    assert len(said) == 2
    assert said[0].startswith("DataError: folder")


# -- the errors themselves ------------------------------------------------------------------------------------------


def test_an_error_is_two_lines_and_travels_between_processes():
    other = DataError("b.", "c.")
    error = RecipeError("a\nb.", "do\rthis.", where="x.yaml line 3", others=[other])
    assert str(error).splitlines() == ["x.yaml line 3: a\\nb.", "  Fix: do\\rthis.", "DataError: b.", "  Fix: c."]
    again = copy.deepcopy(error)  # by way of __reduce__, as between processes
    assert str(again) == str(error)
    assert isinstance(again.others[0], DataError)


def test_many_names_are_cut():
    assert listed(str(i) for i in range(15)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"
    assert listed([]) == "none"
    assert listed(["x" * 100]) == "x" * 57 + "..."

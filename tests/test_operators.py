"""What holds for every operator, found by looking: one that is added is swept without a line here but its case."""

from __future__ import annotations

import doctest
import importlib
import json
import pickle
import random
import re
import shutil
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven import cli, operators
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.operators import Keep, Make, Note, Operator
from worlds import World, bare, images, pairs, sounds, texts, unmasked, vectors

NAMES = operators.names()
BESIDE = Path(__file__).with_name("beside")
CHILDREN = {"edit_words": {"n": 3}}
SHOWN = "{% for row in examples %}{{ row.text }}\n{% endfor %}"
ALTERED = {"alter_sound": {"n": 2}}
WARPED = {"warp": {"n": 2, "rotate": [-8, 8]}}
CALLED = {"question": "text", "tool": "'Cut'", "arguments": "['example.jpg', label]"}
TOOLS = [
    {"name": "Cut", "use": "cuts out", "arguments": ["image", "what"], "makes": "image", "first": "Edges"},
    {"name": "Edges", "use": "finds edges", "arguments": ["image"], "makes": "image"},
]
CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "adapter": ([], {"role": "paint", "steps": 1, "size": 8}),
    "add_noise": ([], {"n": 2}),
    "albumentations": ([], {"transform": "HorizontalFlip"}),
    "alter_sound": ([], {"n": 2}),
    "audiomentations": ([], {"transforms": {"Gain": {}}}),
    "ask": ([CHILDREN], {"prompt": "Is this polite? {{ text }}", "into": {"polite": "bool"}}),
    "annotate": ([{"shade": {"n": 2}}], {"into": "depth", "top": 255}),
    "blanks": ([], {"ratio": 0.5}),
    "boxes": ([{"shade": {"n": 2}}], {"phrases": "[label, 'a square']"}),
    "calibrate": ([], {"n": 3, "few": 4, "alpha": 0.1}),
    "caption": ([{"shade": {"n": 2}}], {"prompt": "a photo of", "temperature": 1.0, "top_k": 50}),
    "code_switch": ([], {"to": ["spa"], "lexicon": "words.csv", "words": 0.5, "n": 2}),
    "cluster": ([CHILDREN], {"k": 3}),
    "collage": ([], {"n": 2, "soft": True, "holds": ["caption"]}),
    "concepts": ([], {"graph": "graph.csv", "lang": "spa", "target": "eng"}),
    "copy_paste": ([], {"n": 2}),
    "copy": ([], {"n": 2, "each": ["short", "long"], "into": "length"}),
    "cover": ([CHILDREN], {"share": 0.5}),
    "cut_switch": ([], {"on": ["image_left", "image_right"], "p": 1.0, "n": 2, "holds": ["boxes"]}),
    "continue": ([], {"calls": 2, "draw": {"k": 3, "same": "label"}, "prompt": SHOWN, "stop": "\n"}),
    "edit_chars": ([], {"n": 2, "p": 0.3}),
    "edit_words": ([], {"n": 3, "p": 0.2}),
    "erase": ([], {"n": 2}),
    "filter_sound": ([], {"n": 2}),
    "instances": ([{"shade": {"n": 2}}], {"of": "image", "smallest": 2}),
    "fill": (["blanks"], {"n": 2}),
    "fluency": ([CHILDREN], {}),
    "guess": ([CHILDREN], {"among": ["hours", "room", "fine"]}),
    "inpaint": ([], {"prompt": "a {{ label }} square", "grow": 1, "outside": True, "holds": ["boxes", "points"]}),
    "judge": ([CHILDREN], {"rubric": {"fits": "says what the label means", "short": "is short"}, "samples": 2}),
    "keep": ([CHILDREN], {"that": "text|length > 50"}),
    "language": ([CHILDREN], {}),
    "layout": ([CHILDREN], {"of": "[label, 'a desk']"}),
    "lookup": ([], {"table": "words.csv", "where": "row.word in text|lower", "into": {"new": "row.translation"}}),
    "mask": ([WARPED], {"grow": 1, "classes": ["blue", "red"]}),
    "mask_spectrum": ([], {"n": 2}),
    "match": ([CHILDREN], {"on": "text", "to": "{{ parent.text }}"}),
    "mix_images": ([], {"n": 2, "soft": True, "lam": 0.6}),
    "mix_sounds": ([], {"n": 2, "soft": True}),
    "mix_vectors": ([], {"n": 2, "soft": True, "lam": 0.6}),
    "near_test": ([{"edit_words": {"n": 1, "ops": ["punctuation"]}}], {"at": 0.5}),
    "neighbours": ([CHILDREN], {"k": 2}),
    "note": ([CHILDREN], {"fields": {"size": "text|length", "luck": "uniform(0, 1)"}}),
    "novelty": ([CHILDREN], {"n": 2}),
    "paint": ([], {"prompt": "{{ text }}", "n": 2, "width": 40, "height": 32}),
    "paraphrase": ([], {"n": 3, "style": "{{ choice(['short', 'polite']) }}", "draw": {"k": 2, "other": "label"}}),
    "overlap": ([CHILDREN], {"with": "parent.text"}),
    "paste": ([], {"n": 2, "seam": "none"}),
    "perplexity": ([CHILDREN], {"after": "{{ label }}: "}),
    "personal": ([CHILDREN], {}),
    "policy": ([], {"n": 3}),
    "prediction": ([CHILDREN], {"folds": 3, "temperature": 2.0}),
    "recode": ([], {"n": 2}),
    "repaint": ([], {"prompt": "a {{ label }} square", "n": 2, "holds": ["boxes", "mask", "points"]}),
    "retarget": ([], {"to": "other"}),
    "shade": ([], {"n": 2}),
    "shake_vector": ([], {"n": 2, "drop": 0.2}),
    "sound": ([], {"prompt": "{{ caption }}", "n": 2, "start": "audio", "holds": ["segments"]}),
    "speak": ([], {"n": 2}),
    "spans": ([CHILDREN], {"labels": ["NAME", "PLACE"]}),
    "spans_kept": ([CHILDREN], {"of": "parent.text", "what": ["numbers", "names"]}),
    "swap_terms": ([], {"table": "terms.csv", "n": 1, "on": "caption"}),
    "sample": ([CHILDREN], {"n": 2, "per": "label"}),
    "sketch": ([], {"keep": 0.4}),
    "structure": ([WARPED], {"how": "scribble", "colours": "classes"}),
    "span_fault": (
        [CHILDREN, {"note": {"spans": "[{'text': text[:5], 'label': label}]"}}],
        {"among": ["hours", "room"], "without": "'"},
    ),
    "top": ([CHILDREN, {"note": {"luck": "uniform(0, 1)"}}], {"n": 1, "by": "luck", "per": "root"}),
    "tool_dialogue": ([{"note": CALLED}], {"tools": TOOLS, "shown": [1, 2], "cut": True}),
    "tool_success": ([CHILDREN], {"of": "text", "to": "parent.text"}),
    "transcript": ([ALTERED], {}),
    "translate": ([], {"via": "spa"}),
    "variability": ([CHILDREN], {"epochs": 3, "folds": 3}),
    "warp": ([], {"n": 2, "flip": "horizontal", "rotate": [-8, 8], "scale": [0.95, 1.05]}),
    "typicality": ([CHILDREN], {}),
    "unique": ([CHILDREN], {"by": "ngram", "at": 0.8, "against": ["stream", "source", "test"]}),
    "vote": ([CHILDREN], {"of": "[label, 'hours', text]"}),
    "weight": ([CHILDREN], {"folds": 3}),
    "zero_shot": ([CHILDREN], {"among": ["opening hours", "a room", "a fine"], "to": "about {{ name }}", "scale": 20}),
    "write": ([], {"n": 2, "draw": {"k": 2, "per": "label"}, "prompt": SHOWN + "Write {{ n }} about {{ label }}."}),
}
"""For each operator the steps before it, and its parameters.  With test rows at hand."""
MODELS = dict.fromkeys(
    ("chat", "translate", "speak", "transcribe", "caption", "paint", "sound", "detect", "segment", "map", "tag"),
    "fake:shape",
)
"""Who plays the roles that operators ask."""
MENDED = {
    "collage": ("label", "caption"),
    "mix_images": ("label", "caption"),
    "mix_sounds": ("label", "caption"),
    "mix_vectors": ("label",),
    "policy": ("caption",),
    "swap_terms": ("caption",),
    "warp": ("caption",),
}
"""The types of other fields that a make may change, so that they stay true."""
CLASSES = {"keep": "KeepIf", "note": "NoteFields"}  # the plain names are those of the base classes
ALL = [
    {"note": {"luck": "uniform(0, 1)"}}, "blanks", {"fill": {"n": 3}}, "prediction", "neighbours",
    {"match": {"on": "text", "to": "{{ root.text }}"}}, {"keep": "confidence > 0.05"},
    {"unique": {"by": "vector", "at": 0.97}}, {"top": {"n": 2, "per": "root"}}, {"sample": {"share": 0.8}},
    "edit_chars",
]  # fmt: skip


def case(name: str) -> tuple[list[Any], Operator]:
    if name not in CASES:
        pytest.fail(
            f"the sweep has no case for `{name}`: add to CASES in {Path(__file__).name} the steps before it (often"
            " none) and the parameters to try it with.",
            pytrace=False,
        )
    before, parameters = CASES[name]
    return before, operators.find(name)(**parameters)


BRIDGES = {"albumentations", "audiomentations"}
"""They run what the user has; here mostly nothing."""


def runs(name: str) -> bool:
    try:
        return name not in BRIDGES or bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


RUNNING = [name for name in NAMES if runs(name)]


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that operators name lie here."""
    monkeypatch.chdir(BESIDE)


def step(name: str) -> dict[str, Any]:
    parameters = CASES[name][1]
    return {name: parameters["fields"] if name == "note" else parameters}


WORLDS = {
    "text": texts,
    "image": images,
    "unmasked": unmasked,
    "bare": bare,
    "audio": sounds,
    "pair": pairs,
    "vector": vectors,
}
OF_WORLD = {
    "adapter": "image",
    **dict.fromkeys(("collage", "instances", "mask", "mix_images", "paste"), "unmasked"),
    **dict.fromkeys(("annotate", "boxes"), "bare"),
    "layout": "text",
    "structure": "image",
    "cut_switch": "pair",
    "lookup": "text",
    "sound": "audio",
    "swap_terms": "image",
}
"""For operators that work on any record, or on two fields at a time: the world that shows them, else by `takes`."""


@cache
def world_of(name: str) -> World:
    takes = operators.find(name).takes.partition(" or ")[0]
    return WORLDS[OF_WORLD.get(name, takes or "text")]()


SOURCE, TEST = texts().source, texts().test


def run(
    folder: Path,
    steps: list[Any],
    rows: list[dict[str, Any]] | None = None,
    workers: int = 1,
    world: World | None = None,
    report: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of train and refused of a run in an own folder, in the order of the files; a report takes half of the
    time."""
    world = world or texts()
    folder.mkdir()
    shutil.copytree(BESIDE, folder, dirs_exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"fields": world.fields, "steps": steps}))
    source = world.table(folder / "rows", world.source if rows is None else rows)
    given = [source, "--test", world.table(folder / "test", world.test)]
    given += [f"--model={role}={uri}" for role, uri in MODELS.items()]
    if any("perplexity" in step for step in steps):  # no chat model knows how likely a text is
        given.append("--model=complete=fake:shape")
    with pytest.MonkeyPatch.context() as patch:
        if not report:
            patch.setattr(cli, "write_report", lambda *_: None)
        command = ["augment", *given, "-o", str(folder / "out"), "-r", str(recipe), "--workers", str(workers), "-q"]
        assert cli.run(command) == 0
    assert (folder / "out" / "report.html").is_file() == report
    return {name: read(folder / "out" / name) for name in ("train", "refused")}


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def sources(folder: Path) -> dict[str, dict[str, Any]]:
    found = pa.ipc.open_file(folder / "out" / "input" / "source.arrow").read_all().to_pylist()
    return {row["_id"]: row for row in found}


def test_helpers_and_private_files_are_no_operators():
    assert "near_test" in NAMES
    assert not {"near", "thesaurus"} & set(NAMES)
    with pytest.raises(operators.RecipeError, match="there is no operator `near`"):
        operators.find("near")


def test_no_case_without_an_operator():
    assert set(CASES) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_class(name: str):
    cls = operators.find(name)
    assert cls.name == name
    assert cls.__module__.rsplit(".", 1)[1] == name
    assert cls.__name__ == CLASSES.get(name, "".join(word.title() for word in name.split("_")))
    assert [kind for kind in (Note, Make, Keep) if issubclass(cls, kind)] == [
        {"note": Note, "make": Make, "keep": Keep}[cls.kind]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_docstring(name: str):
    cls = operators.find(name)
    said = cls.__doc__ or ""
    assert re.match(r"[A-Z][^\n]+[.:;]?\n", said), "the first line says what it does"
    assert re.search(r"^[^\n]+\.\n\n", said), "the first sentence is one line, and stands alone"
    assert re.search(r"\bNeeds\b", said), "it says what it needs"
    if issubclass(cls, Note):
        assert re.search(r"\bWrites\b", said), "it says what it writes"
    if issubclass(cls, Make):
        assert re.search(r"\bMakes\b", said), "it says what it makes"
    assert re.search(rf">>> .*\b{cls.__name__}\([^\n]*\)\(", said), "an example runs it on a record"
    undescribed = [key for key, field in cls.model_fields.items() if not field.description]
    assert not undescribed, "each parameter has a line of its own below it"


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name: str):
    module = importlib.import_module(operators.find(name).__module__)
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_travels_as_plain_data_and_between_processes(name: str):
    _, op = case(name)
    again = type(op)(**json.loads(json.dumps(op.spec())))
    assert again == op
    assert again.spec() == op.spec()
    names = {field.alias or key for key, field in type(op).model_fields.items()}
    assert set(type(op).model_json_schema()["properties"]) == names
    carried = pickle.loads(pickle.dumps(op))  # noqa: S301
    assert type(carried) is type(op)
    assert carried == op
    with pytest.raises(operators.RecipeError, match="no_such_parameter"):
        type(op)(**{**op.spec(), "no_such_parameter": 1})


@pytest.mark.parametrize("name", RUNNING)
def test_on_one_record_in_python(name: str):
    _, op = case(name)
    world = world_of(name)
    record = {**world.source[3], "blanks": "may we ____ the room", "luck": 0.5}
    before = dict(record)
    rows = op(record, seed=3, source=world.source, test=world.test, **MODELS)
    assert same(record, before)
    assert same(rows, op(record, seed=3, source=list(reversed(world.source)), test=world.test, **MODELS))
    assert rows
    new = touched(op, world)
    for row in rows:
        assert re.fullmatch(r"\w+", row.get("_reason", "x"))
        left = [key for key in before if key not in new]
        assert same({key: row[key] for key in left}, {key: before[key] for key in left})
        wrote = set(op.writes()) if isinstance(op, Make | Note) else set()
        assert wrote <= set(row) <= {*before, *new, "_reason"}


@pytest.mark.parametrize("name", RUNNING)
def test_in_a_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Children carry their parents, what a step does not touch stays, the report shows them, and neither the order of
    the file nor the number of parts changes a row."""
    before, op = case(name)
    world = world_of(name)
    steps = [*before, step(name)]
    found = run(tmp_path / "plain", steps, world=world, report=True)
    source = sources(tmp_path / "plain")
    made = [row for row in found["train"] if row["_synthetic"]]
    new = touched(op, world)
    for row in made + found["refused"]:
        assert len(row["_parents"]) == 1 or "draw" in type(op).model_fields
        parent = source[row["_parents"][0]]
        left = {"shelf", "label"} - new
        assert {key: row[key] for key in left} == {key: parent[key] for key in left}
        assert row["_steps"][-1]["step"]
        for entry in row["_steps"]:
            json.loads(entry["drawn"])
    for row in found["train"]:
        if not row["_synthetic"]:
            assert {k: row[k] for k in world.fields} == {k: source[row["_id"]][k] for k in world.fields}
    assert len({row["_id"] for row in found["train"] + found["refused"]}) == len(found["train"] + found["refused"])
    for row in found["refused"]:
        assert re.fullmatch(r"\w+", row["_reason"])
        assert row["_step"]
    if isinstance(op, Make):
        assert any(row["_steps"][-1]["step"] == name for row in made)
    if isinstance(op, Keep):
        assert any(row["_step"] == name for row in found["refused"]), "the case shows nothing that it refuses"
        assert made, "the case shows nothing that it keeps"
    many_parts(monkeypatch, 3)
    shuffled = random.Random(5).sample(world.source, len(world.source))
    other = run(tmp_path / "other", steps, shuffled, world=world)
    assert parts(tmp_path / "plain") == 1
    assert parts(tmp_path / "other") >= 4
    assert by_id(other) == by_id(found)
    assert other["train"] == found["train"], "not in the same order"


def many_parts(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Parts of so few rows; the names of the modules that know the number are theirs to choose."""
    for name, module in list(sys.modules.items()):
        for rows_per_part in ("ROWS_PER_PART", "MEDIA_PER_PART"):
            if name.startswith("leaven.io.") and hasattr(module, rows_per_part):
                monkeypatch.setattr(module, rows_per_part, rows)


def touched(op: Operator, world: World) -> set[str]:
    """The fields that an operator may change: the one it works on, what it moves along, what it writes."""
    if not isinstance(op, Make | Note):
        return set()
    found = set(op.writes())
    if isinstance(op, Make):
        main = next((n for n, kind in world.fields.items() if kind == op.takes.partition(" or ")[0]), "")
        found |= {*op.changes()} or {main}
        found |= {name for name, kind in world.fields.items() if kind in {*op.moves, *MENDED.get(op.name, ())}}
    return found


def same(one: Any, other: Any) -> bool:
    """Equal values; images and sounds by their bytes."""
    if isinstance(one, Image | Audio) and isinstance(other, Image | Audio):
        return one.encoded == other.encoded
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def parts(folder: Path) -> int:
    batches: int = pa.ipc.open_file(folder / "out" / "input" / "source.arrow").num_record_batches
    return batches


def by_id(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {name: sorted(rows, key=lambda row: row["_id"]) for name, rows in found.items()}


def test_two_workers_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    many_parts(monkeypatch, 9)
    one, two = (run(tmp_path / str(n), ALL, workers=n) for n in (1, 2))
    assert parts(tmp_path / "1") == 4
    assert one == two
    assert any(row["_synthetic"] for row in one["train"])
    files = [sorted((tmp_path / n / "out" / "train").iterdir()) for n in ("1", "2")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_one_record_becomes_what_it_becomes_in_a_run(tmp_path: Path):
    rows = [{"text": row["text"], "label": row["label"]} for row in SOURCE]  # a column that rides along is in no id
    for steps, name, parameters in (
        ([{"edit_words": {"n": 1}}], "edit_words", {"n": 1}),
        ([{"fill": {"n": 1, "template": "{{ text }} ____ ____"}}], "fill", {"template": "{{ text }} ____ ____"}),
    ):
        found = run(tmp_path / name, steps, rows)
        source = sources(tmp_path / name)
        made = [row for row in found["train"] if row["_synthetic"]]
        assert len(made) > 20
        op = operators.find(name)(**parameters)
        for row in made:
            parent = {key: source[row["_parents"][0]][key] for key in ("text", "label")}
            assert [r["text"] for r in op(parent, source=rows)] == [row["text"]]


def test_what_is_missing_is_said():
    Prediction = operators.find("prediction")
    with pytest.raises(operators.RecipeError, match="needs text; the record has size"):
        operators.find("edit_words")()({"size": 3})
    with pytest.raises(Exception, match=r"learns from the source rows, and none are given.\n.*source=\["):
        Prediction()({"text": "x", "label": "a"})
    with pytest.raises(Exception, match=r"learns from the test rows"):
        operators.find("near_test")()({"text": "x"})
    with pytest.raises(Exception, match="no row with a `label`"):
        Prediction()({"text": "x"}, source=[{"text": "y"}])
    with pytest.raises(Exception, match="names no field"):
        operators.find("keep")("sise > 3")({"size": 3})


def test_the_sweep_names_an_operator_without_a_case():
    with pytest.raises(pytest.fail.Exception, match="no case for `shout`: add to CASES"):
        case("shout")


def test_own_operators_of_one_name_in_two_folders(tmp_path: Path):
    for folder, text in (("a", "one"), ("b", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "say.py").write_text(OWN.format(text=text))
        (tmp_path / folder / "helper.py").write_text("SOME = 1\n")
        found = operators.find("say", [str(tmp_path / folder)])
        assert [row["text"] for row in found()({"text": "x"})] == [text]
        assert set(operators.names([str(tmp_path / folder)])) - set(NAMES) == {"say"}
    (tmp_path / "a" / "say.py").write_text(OWN.format(text="three"))
    assert operators.find("say", [str(tmp_path / "a")])()({"text": "x"}) == [{"text": "three"}]


def test_own_operator_that_does_not_load(tmp_path: Path):
    (tmp_path / "bad.py").write_text("import no_such_module\n\nclass Bad(int): pass\n")
    with pytest.raises(operators.RecipeError, match=r"bad.py: the operator file does not load: ModuleNotFoundError"):
        operators.find("bad", [str(tmp_path)])
    (tmp_path / "other.py").write_text(OWN.format(text="x"))
    with pytest.raises(operators.RecipeError, match="defines no operator called `other`"):
        operators.find("other", [str(tmp_path)])


OWN = """
from leaven.operators import Make

class Say(Make):
    def make(self, record, ctx):
        yield record.child(text="{text}")
"""

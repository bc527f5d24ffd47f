"""The JSON schema that editors read: it takes what leaven takes, and sees what is misspelt."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from leaven import operators, recipe
from leaven.errors import RecipeError
from leaven.plain_yaml import load
from leaven.recipe.schema import schema

ROOT = Path(__file__).parents[1]
SCHEMA = schema()
PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")


def test_the_file_is_fresh():
    made = runpy.run_path(str(ROOT / "docs" / "make_schema.py"))["text"]()
    assert (ROOT / "docs" / "recipe.schema.json").read_text("utf-8") == made, "stale: python docs/make_schema.py"


def refs(value: Any) -> list[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value["$ref"]] if isinstance(value, dict) and "$ref" in value else []
    return own + [ref for part in inner for ref in refs(part)]


def test_it_holds_every_operator_with_its_parameters_and_their_words():
    assert {ref.removeprefix("#/definitions/") for ref in refs(SCHEMA)} <= SCHEMA["definitions"].keys()
    for name in operators.names():
        cls, said = operators.find(name), SCHEMA["definitions"][name]
        assert said["description"].startswith((cls.__doc__ or "").split("\n")[0].strip())
        assert ">>>" not in said["description"]
        if name != "note":
            assert said["properties"].keys() == cls.model_fields.keys()
            for key, field in cls.model_fields.items():
                assert said["properties"][key].get("description") == field.description
    assert SCHEMA["definitions"]["edit_chars"]["properties"]["n"]["anyOf"][0] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 50,
    }


def fits(text: str) -> bool:
    validator = pytest.importorskip("jsonschema").Draft7Validator
    validator.check_schema(SCHEMA)
    return bool(validator(SCHEMA).is_valid(load(text, "r.yaml")))


def builds(text: str) -> bool:
    try:
        recipe.build(load(text, "r.yaml"), text=text, where="r.yaml", name="r")
    except RecipeError:
        return False
    return True


@pytest.mark.parametrize("name", recipe.names())
def test_built_in_recipes_fit(name: str):
    assert fits(recipe.source(name))


def test_the_recipes_of_the_docs_fit():
    found = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "steps:" in text]
    assert found
    for text in found:
        assert fits(text)


def steps(*lines: str) -> str:
    return "steps:\n" + "".join(f"  - {line}\n" for line in lines)


GOOD = [
    steps("edit_words"),
    steps("edit_words: 4"),
    steps("edit_words: {n: 4, p: 0.1, ops: [swap]}"),
    steps("edit_words:"),
    steps("edit_words: {n: 'choice([1, 2])', p: k}"),
    steps("edit_words as e: {n: 2}", "edit_chars as f"),
    steps("{edit_words: {n: 2}, when: text != ''}"),
    steps("keep: prediction == label"),
    steps("keep: {that: prediction == label, reason: label_changed}"),
    steps("keep: true"),
    steps("note: {label: prediction, n: 3}"),
    steps("top: {n: 4 * median, by: confidence, per: label}"),
    steps("unique: text", "unique: [text, label]"),
    steps("any: [[edit_words], []]", "any: {words: [edit_words as w], chars: [edit_chars: 2]}"),
    steps("repeat: {times: 3, until: {dev: accuracy, patience: 2}, result: last, steps: [edit_chars]}"),
    steps("repeat: {until: {per: label, kept: 2 * median}, steps: [edit_chars]}"),
    steps("from: pool", "prediction: {folds: 0, train_on: [source, made]}"),
    "name: a\nfields: {premise: text, y: label, z: [a, b]}\npool: [text]\nlet: {k: 4}\nlabels: {a: b}\n"
    + steps("edit_words")
    + "blend: {ratio: 2, per_label: median, cap: 3}\n",
    steps("edit_words") + "blend:\nfields:\nlet:\n",
]
BAD = [
    "fields: [text]\n",
    steps("edit_wrds"),
    steps("edit_wrds: {n: 4}"),
    steps("edit_words: {m: 4}"),
    steps("edit_words as e: {m: 4}"),
    steps("edit_words: {n: 0}"),
    steps("edit_words: {n: 4, p: 2}"),
    steps("edit_words: {ops: [swop]}"),
    steps("{edit_words: {n: 2}, edit_chars: {n: 1}}"),
    steps("{when: text}"),
    steps("keep"),
    steps("keep: {reason: x}"),
    steps("any: [edit_words]"),
    steps("{any: [[edit_words]], when: text}"),
    steps("repeat: {times: 0, steps: [edit_chars]}"),
    steps("repeat: {times: 3}"),
    steps("repeat: {step: [edit_chars]}"),
    steps("repeat: {until: {dev: loss}, steps: [edit_chars]}"),
    steps("from: pol"),
    steps("repeat: {steps: [from: pool]}"),
    steps("edit_words") + "blend: {ratoi: 2}\n",
    steps("edit_words") + "blend: {per_label: most}\n",
    steps("edit_words") + "feilds: [text]\n",
    steps("edit_words") + "fields: {a: txt}\n",
    steps("edit_words") + "base: sketch\n",
    steps("edit_words") + "models: {chta: x}\n",
    "steps: edit_words\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_leaven_takes_fits(text: str):
    assert builds(text)
    assert fits(text)


@pytest.mark.parametrize("text", BAD)
def test_what_leaven_refuses_for_its_form_does_not_fit(text: str):
    assert not builds(text)
    assert not fits(text)


def test_operators_of_plug_ins_and_of_folders(tmp_path: Path):
    assert fits(steps("mylab:sketch: {n: 3}", "mylab:sketch as s", "{mylab:sketch: 3, when: text}"))
    (tmp_path / "shout.py").write_text(
        "from leaven.operators import Make\nclass Shout(Make):\n    n: int = 1\n    def make(self, record, ctx): ...\n"
    )
    said = schema([str(tmp_path)])["definitions"]
    assert said["shout"]["properties"]["n"]["anyOf"][0] == {"type": "integer"}
    assert "shout" not in SCHEMA["definitions"]
    assert json.dumps(said)

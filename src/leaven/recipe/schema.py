"""The JSON schema of recipes, for editors: what may be written where, from the operators' own classes.

It knows names, types and limits, and refuses no recipe that leaven takes; what stands in an expression, and which
columns there are, only leaven's own check knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leaven import operators
from leaven.blend.blend import Blend
from leaven.fields import TYPES, VALUE
from leaven.models.roles import ASKED
from leaven.operators import Operator
from leaven.recipe.build import KEYS, LATER, SETS

Schema = dict[str, Any]
EXPRESSION: Schema = {"description": "An expression, such as `prediction == label`."}
WORDS: Schema = {"type": ["string", "number", "boolean", "null"]}
NAME = r"\w+"
PLUGIN = r"\w+:\w+"
SOME = {"integer", "number", "boolean", "array"}
"""Types of parameters that take an expression too: it is evaluated when the step runs."""


def schema(folders: Sequence[str] = ()) -> Schema:
    """The schema, of draft 7; with folders it knows the operators in them."""
    classes = [operators.find(name, folders) for name in operators.names(folders)]
    shared: Schema = {}
    heads = {cls.name: _operator(cls, shared) for cls in classes}
    of: Schema = shared.get("Draw", {}).get("properties", {}).get("of", {})
    if "anyOf" in of:  # rows that stand in `let` are drawn by their name
        of["anyOf"] = [*of["anyOf"], {"type": "string", "description": "A list of rows in `let`."}]
    steps = _ref("steps")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A recipe of leaven",
        "type": "object",
        "properties": {key: said for key, said in _keys(steps).items() if key not in LATER},
        "required": ["steps"],
        "additionalProperties": False,
        "definitions": {
            "fields": _fields(),
            "steps": {"type": "array", "items": _ref("step")},
            "step": _step(heads, [cls.name for cls in classes if not _required(cls)]),
            "from": _object({"from": {"enum": list(SETS)}}, required=["from"]),
            "until": _until(),
            "Blend": _tidy(_of(Blend, shared)),
            **{name: _tidy(said) for name, said in sorted(shared.items())},
            **heads,
        },
    }


def _keys(steps: Schema) -> Schema:
    """The keys of a recipe; one that nothing is known of may hold anything."""
    roles = "|".join(ASKED)
    known: Schema = {
        **dict.fromkeys(("name", "paper", "about", "cost"), WORDS),
        **dict.fromkeys(("fields", "pool", "given"), _ref("fields")),
        "labels": {"type": ["object", "null"], "additionalProperties": WORDS},
        "models": {"type": ["object", "null"], "propertyNames": {"pattern": rf"^({roles})(\.\w+)?$"}},
        "let": {"type": ["object", "null"]},
        "steps": {"type": "array", "items": {"anyOf": [_ref("step"), _ref("from")]}},
        "blend": {"anyOf": [_ref("Blend"), {"type": "null"}]},
    }
    return {key: known.get(key, {}) for key in KEYS}


def _fields() -> Schema:
    """Names of fields, or names and types."""
    types = sorted({*TYPES, VALUE})
    kinds = {"anyOf": [{"enum": [*types, *(f"{name}?" for name in types)]}, {"type": "array"}]}
    return {
        "anyOf": [
            {"type": "array", "items": {"type": "string"}},
            {"type": "object", "additionalProperties": kinds},
            {"type": "null"},
        ]
    }


def _step(heads: Mapping[str, Schema], bare: Sequence[str]) -> Schema:
    """An operator's name, or the name with its parameters and ``when`` beside it."""
    steps = _ref("steps")
    any_: Schema = {"description": "Branches: each record goes into every one."}
    any_ |= {"type": ["array", "object"], "items": steps, "additionalProperties": steps}
    flow = {
        "any": any_,
        "repeat": _object(
            {
                "times": {"type": "integer", "minimum": 1, "maximum": 1000},
                "until": {"anyOf": [_ref("until"), {"type": "null"}]},
                "calls": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
                "result": {"enum": ["all", "last"]},
                "steps": steps,
            },
            required=["steps"],
        ),
        "start": {"anyOf": [_object({"per": {"type": "string"}, "n": EXPRESSION}), {"type": "null"}]},
    }
    one = {"maxProperties": 1, "not": {"required": ["when"]}}
    two = {"minProperties": 2, "maxProperties": 2, "required": ["when"]}
    two["not"] = {"anyOf": [{"required": [name]} for name in ("any", "repeat")]}
    named = {
        "anyOf": [
            {"enum": sorted([*bare, "start"])},
            {"pattern": rf"^\s*({'|'.join(bare)}|{PLUGIN})(\s+as\s+{NAME})?\s*$"},
        ]
    }
    return {
        "if": {"type": "string"},
        "then": named,
        "else": {
            "type": "object",
            "minProperties": 1,
            "properties": {**{name: _ref(name) for name in heads}, **flow, "when": EXPRESSION},
            "patternProperties": {
                **{rf"^\s*{name}\s+as\s+{NAME}\s*$": _ref(name) for name in heads},
                rf"^\s*{PLUGIN}(\s+as\s+{NAME})?\s*$": {},
            },
            "additionalProperties": False,
            "anyOf": [one, two],
        },
    }


def _until() -> Schema:
    patience = {"type": "integer", "minimum": 1, "maximum": 1000}
    kept = _object({"per": {"type": "string"}, "kept": EXPRESSION}, required=["per", "kept"])
    dev = _object({"dev": {"enum": ["accuracy"]}, "patience": patience}, required=["dev"])
    return {"anyOf": [kept, dev]}


def _operator(cls: type[Operator], shared: Schema) -> Schema:
    """An operator's parameters as a mapping, or the first one alone."""
    found = _of(cls, shared)
    about = " ".join((cls.__doc__ or "").partition(">>> ")[0].split())
    parameters = {name: _parameter(said) for name, said in found.get("properties", {}).items()}
    if cls.name == "note":  # its mapping is that of the fields
        return {"description": about, "type": "object", "additionalProperties": EXPRESSION}
    first, required = cls.first_parameter(), _required(cls)
    alone: list[Schema] = [] if required else [{"type": "null"}]
    if first and set(required) <= {first}:
        alone.append(parameters[first])
    return {
        "description": about,
        "properties": parameters,
        "required": required,
        "additionalProperties": False,
        "if": {"not": {"type": "object"}},
        "then": {"anyOf": alone} if alone else False,
    }


def _required(cls: type[Operator]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if field.is_required()]


def _of(cls: Any, shared: Schema) -> Schema:
    """What pydantic says of a class; the classes inside it go to ``shared``."""
    found: Schema = cls.model_json_schema(ref_template="#/definitions/{model}")
    shared.update(found.pop("$defs", {}))
    return found


def _parameter(said: Schema) -> Schema:
    """A parameter's schema; where it is a number, a list or a switch, an expression may stand; not for a range."""
    kinds = [kind.get("type") for kind in said.get("anyOf", [said]) if "prefixItems" not in kind]
    said = _tidy(said)
    if not SOME.intersection(kinds) or "string" in kinds:
        return said
    about: Schema = {key: said.pop(key) for key in ("description", "default") if key in said}
    return {**about, "anyOf": [*said.get("anyOf", [said]), {"type": "string", "description": "An expression."}]}


def _tidy(said: Schema) -> Schema:
    """Without the titles that pydantic makes of names, and without defaults that say nothing."""
    kept = {key: value for key, value in said.items() if key != "title" and not (key == "default" and value is None)}
    if "properties" in kept:
        kept["properties"] = {name: _tidy(inner) for name, inner in kept["properties"].items()}
    return kept


def _object(properties: Schema, required: Sequence[str] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}

"""What a chat model answered, as an object of the shape that was asked for.

Models number their lines, wrap JSON in fences, think aloud, forget quotes and stop in the middle.  From the strictest
reading to the loosest, the first that validates is taken; what no reading fits is `Unparsable`, with a reason that the
model can mend.  Nothing is made up: an incomplete item is left out, and a plain answer must *be* an allowed value.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from leaven.errors import brief
from leaven.models import damaged_json, prose
from leaven.models.prose import without_thoughts
from leaven.records import folded

__all__ = ["Unparsable", "asked_for", "mend", "parse", "schema", "without_thoughts"]

T = TypeVar("T", bound=BaseModel)

LONGEST_WHY = 300
_LOST = ("error", "errors", "detail", "message", "refusal", "reason")
"""A list under such a name is no list of what was asked for."""
_STRICT = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "$ref", "$defs", "description",
    "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip
"""The keywords of JSON Schema that servers with strict output understand; the others are checked here alone."""


class Unparsable(Exception):
    """An answer that is no object of the shape; ``why`` tells the model what to mend."""

    def __init__(self, why: str) -> None:
        why = why.encode("utf-8", "replace").decode()  # it may quote half a character, which no database takes
        self.why = why if len(why) <= LONGEST_WHY else why[: LONGEST_WHY - 3] + "..."
        super().__init__(self.why)


@dataclass(frozen=True)
class _Field:
    """A field of a shape, as far as plain answers are concerned."""

    name: str
    texts: bool
    """A list of texts."""
    text: bool
    allowed: Mapping[str, Any] | None
    """Of a choice: folded spelling to value."""
    scalar: type | None
    """Of a number or truth value: its type."""
    least: int | None
    most: int | None
    """How many items are asked for."""


def parse(text: str, shape: type[T], *, cut: bool = False) -> T:
    """The object in an answer.  ``cut`` says that the model was stopped before its end.

    Raises Unparsable.  Takes time that grows with the length of the text, whatever stands in it.
    """
    if text.startswith("{") and "\\u" not in text:  # what most answers are: the object, and nothing else
        with suppress(ValidationError):
            return shape.model_validate_json(text)
    complaint = ""
    fields = _fields(shape)
    said = without_thoughts(text)
    for form in _readings(text, said, fields, cut):
        try:
            found = shape.model_validate(form)
        except ValidationError as error:
            complaint = complaint or _complained(error, fields)
            continue
        if _storable(form):
            return found
        complaint = complaint or "a text holds half a character"
    raise Unparsable(complaint or _missing(text, said, fields, cut))


def _readings(text: str, said: str, fields: tuple[_Field, ...], cut: bool) -> Iterator[Any]:
    """Objects that an answer may mean, the surest first."""
    for value in _read(text, said):
        yield from _forms(value, fields)
    if len(fields) == 1 and (plain := _plain(said, fields[0], cut)) is not None:
        yield {fields[0].name: plain}


def _storable(form: Any) -> bool:
    """False where a text holds a lone surrogate, as a broken escape leaves it: no file and no database takes that."""
    try:
        json.dumps(form, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _read(answer: str, said: str) -> Iterator[Any]:
    """The values that an answer may mean, the surest first."""
    for whole in dict.fromkeys((answer.strip(), prose.unfenced(answer), said, prose.unfenced(said))):
        try:
            yield damaged_json.loaded(whole)
        except ValueError:
            continue
    found = list(damaged_json.spans(said))
    for text in prose.fenced(said):
        for span in damaged_json.spans(text):
            yield from damaged_json.read(span)
    lines: list[Any] = []
    for span in found:
        values = damaged_json.read(span)
        yield from values
        lines += values if span.whole and not span.nested else []
    if len(lines) > 1 and all(isinstance(value, dict) for value in lines):
        yield lines


def _forms(value: Any, fields: tuple[_Field, ...]) -> Iterator[Any]:
    """A value, and what else it may stand for, as objects with the fields' names."""
    one = fields[0] if len(fields) == 1 else None
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        yield from _forms(value[0], fields)
    if isinstance(value, dict):
        names = {folded(field.name).replace(" ", "_"): field.name for field in fields}
        if any(field.name in value for field in fields) or not value:
            yield value
        known = {names.get("_".join(folded(str(key)).replace("-", " ").split()), key): v for key, v in value.items()}
        if any(field.name in known for field in fields):
            yield {**known, **{field.name: _loose(known[field.name], field) for field in fields if field.name in known}}
            return
        inner = next(iter(value.values())) if len(value) == 1 else None
        name = folded(str(next(iter(value), "")))
        if isinstance(inner, dict):
            yield from _forms(inner, fields)
        elif one and isinstance(inner, list) and name not in _LOST:
            yield {one.name: _loose(inner, one)}
    elif one:
        yield {one.name: value}
    if one and isinstance(loose := _loose(value, one), list):
        yield {one.name: loose}


def _loose(value: Any, field: _Field) -> Any:
    """A field's value with texts unwrapped from objects, and a choice in its own spelling."""
    if field.allowed is not None and isinstance(value, str):
        return field.allowed.get(folded(value), value)
    if not field.texts:
        return value
    if isinstance(value, dict) and value and all(str(key).strip()[-1:].isdigit() for key in value):
        value = list(value.values())  # {"1": ..., "2": ...}
    if not isinstance(value, list):
        return value
    return [_text(item) for item in value]


def _text(item: Any) -> Any:
    """The one text of an object such as ``{"id": 1, "text": "..."}``."""
    if not isinstance(item, dict):
        return item
    texts = [inner for inner in item.values() if isinstance(inner, str)]
    return texts[0] if len(texts) == 1 else item


def _plain(said: str, field: _Field, cut: bool) -> Any:
    """The value of a shape's only field in an answer that is no JSON, or None."""
    if field.texts:
        return prose.listed_texts(said, cut) or None
    if field.text:
        like_json = damaged_json.like_json(said)
        return None if cut or like_json else prose.sentence(said, (field.name,)) or None
    if field.allowed is None and field.scalar is None:
        return None
    found = [value for forms in prose.values(said, cut) if (value := _value(forms, field)) is not None]
    return found[0] if found and all(value == found[0] for value in found) else None


def _value(forms: list[str], field: _Field) -> Any:
    for form in forms:
        if field.allowed is not None:
            if form in field.allowed:
                return field.allowed[form]
        elif field.scalar is bool:
            if form in ("true", "yes", "false", "no"):
                return form in ("true", "yes")
        elif prose.is_number(form):
            return form
    return None


def _missing(text: str, said: str, fields: tuple[_Field, ...], cut: bool) -> str:
    """What is wrong with an answer that holds nothing to validate."""
    if not text.strip():
        return "the answer is empty"
    if not said:
        return "the answer holds thoughts alone"
    if len(fields) == 1 and fields[0].texts:
        return f"{fields[0].name}: {_count(fields[0])} were asked for, none found"
    names = ", ".join(f"`{field.name}`" for field in fields)
    return f"no JSON object with {names} was found" + (" before the answer was cut off" if cut else "")


def _complained(error: ValidationError, fields: tuple[_Field, ...]) -> str:
    """What pydantic says, in plain words: the first three findings."""
    of_name = {field.name: field for field in fields}
    said: list[str] = []
    for found in error.errors(include_url=False)[:3]:
        place = ".".join(str(part) for part in found["loc"])
        field = of_name.get(place)
        kind, message = found["type"], found["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if kind == "missing":
            said.append(f"{place} is missing")
        elif field and kind in ("too_short", "too_long"):
            said.append(f"{place}: {_count(field)} were asked for, {found['ctx'].get('actual_length') or 'none'} found")
        elif kind in ("literal_error", "enum"):
            said.append(f"{place}: `{brief(str(found['input']))}` is none of the values asked for")
        else:
            said.append(f"{place}: {message[:1].lower()}{message[1:]}" if place else message)
    return "; ".join(said)


def _count(field: _Field) -> str:
    return _counted(field.least, field.most, "texts" if field.texts else "items")


def _counted(least: int | None, most: int | None, noun: str) -> str:
    if least == most:
        return f"{least} {noun}" if least is not None else noun
    if most is None:
        return f"at least {least} {noun}"
    return f"{least} to {most} {noun}" if least else f"at most {most} {noun}"


@lru_cache(maxsize=256)
def _fields(shape: type[BaseModel]) -> tuple[_Field, ...]:
    made: list[_Field] = []
    for name, info in shape.model_fields.items():
        kind = _bare(info.annotation)
        limits = {key: next((v for m in info.metadata if (v := getattr(m, key, None)) is not None), None)
                  for key in ("min_length", "max_length")}  # fmt: skip
        made.append(
            _Field(
                name,
                texts=get_origin(kind) is list and _bare(get_args(kind)[0]) is str,
                text=kind is str,
                allowed=_allowed(kind),
                scalar=kind if kind in (bool, int, float) else None,
                least=limits["min_length"],
                most=limits["max_length"],
            )
        )
    return tuple(made)


def _bare(kind: Any) -> Any:
    """A type without what is annotated to it, and without None."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            rest = [inner for inner in get_args(kind) if inner is not type(None)]
            if len(rest) != 1:
                return kind
            kind = rest[0]
        else:
            return kind


def _allowed(kind: Any) -> dict[str, Any] | None:
    if get_origin(kind) is Literal:
        values = list(get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, Enum):
        values = [member.value for member in kind]
    else:
        return None
    spelled = [folded(str(value)) for value in values]
    return {name: value for name, value in zip(spelled, values) if spelled.count(name) == 1}


# -- what a model is told ---------------------------------------------------------------------------------------------


def asked_for(shape: type[BaseModel]) -> str:
    """Which JSON object to answer with, for the end of a prompt: names, types, counts and allowed values."""
    node = schema(shape)
    rules = [f"- {name}: {rule}" for name, rule in _rules(node)]
    return "\n".join(["Answer with one JSON object of this form and nothing else:", _form(node), *rules])


def mend(why: str, cut: bool) -> str:
    """What a model is told in the one turn in which it may repair its answer."""
    if cut:
        return (
            f"Your answer was cut off before its end ({why}). Answer again in fewer words: the JSON object alone,"
            " without thinking aloud."
        )
    return f"Your answer cannot be used: {why}. Answer again with the JSON object alone, nothing before or after it."


def schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a shape as strict servers take it (OpenAI's ``response_format``).

    Every field is required, no other is allowed, and keywords that such servers refuse are left out; inner shapes
    stand where they are used.
    """
    raw = shape.model_json_schema()
    defs = raw.pop("$defs", {})
    again: set[str] = set()  # shapes that hold themselves
    made = _strict({k: v for k, v in raw.items() if k != "description"}, defs, (), again)
    if again:
        made["$defs"] = {name: _strict(_undescribed(defs[name]), defs, (name,), again) for name in sorted(again)}
    return made


def _strict(
    node: Mapping[str, Any], defs: Mapping[str, Any], inside: tuple[str, ...], again: set[str]
) -> dict[str, Any]:
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        if name in inside:
            again.add(name)
            return {"$ref": node["$ref"]}
        described = {"description": node["description"]} if "description" in node else {}
        return _strict({**_undescribed(defs[name]), **described}, defs, (*inside, name), again)
    if "oneOf" in node:
        node = {**node, "anyOf": node["oneOf"]}
    made = {key: value for key, value in node.items() if key in _STRICT}
    if "const" in node:
        made["enum"] = [node["const"]]
    if "items" in made:
        made["items"] = _strict(made["items"], defs, inside, again)
    if "anyOf" in made:
        made["anyOf"] = [_strict(inner, defs, inside, again) for inner in made["anyOf"]]
    if made.get("type") == "object":
        inner = {name: _strict(value, defs, inside, again) for name, value in node.get("properties", {}).items()}
        made.update(properties=inner, required=list(inner), additionalProperties=False)
    return made


def _undescribed(node: Mapping[str, Any]) -> dict[str, Any]:
    """Without its class's docstring, which is for readers of the code."""
    return {key: value for key, value in node.items() if key != "description"}


def _form(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        return _form(node["anyOf"][0])
    kind = node.get("type")
    if kind == "object":
        return "{" + ", ".join(f"{json.dumps(k)}: {_form(v)}" for k, v in node.get("properties", {}).items()) + "}"
    if kind == "array":
        item = _form(node.get("items", {}))
        return f"[{item}]" if item.startswith("{") else f"[{item}, {item}]"
    return {"integer": "1", "number": "0.5", "boolean": "true"}.get(str(kind), '"..."')


def _rules(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each field that says more than its place in the form, with its rule."""
    for name, inner in node.get("properties", {}).items():
        rule, about = _rule(inner), inner.get("description", "")
        if rule != "a text" or about:
            yield above + name, f"{rule}{f'; {about}' if about else ''}"
        while "items" in inner or "anyOf" in inner:
            inner = inner["items"] if "items" in inner else inner["anyOf"][0]
        yield from _rules(inner, f"{above}{name}.")


def _rule(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join("null" if inner.get("type") == "null" else _rule(inner) for inner in node["anyOf"])
    if "enum" in node:
        return "one of " + ", ".join(json.dumps(value, ensure_ascii=False) for value in node["enum"])
    if node.get("type") == "array":
        item = node.get("items", {})
        nouns = {"string": "texts", "object": "objects", "integer": "whole numbers", "number": "numbers"}
        noun = nouns.get(item.get("type"), "items")
        each = f", each {_rule(item)}" if "enum" in item else ""
        return f"a list of {_counted(node.get('minItems'), node.get('maxItems'), noun)}{each}"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "object": "an object"}
    rule = names.get(str(node.get("type")), "a text")
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"{rule} from {low:g} to {high:g}"
    return f"{rule}, at least {low:g}" if low is not None else f"{rule}, at most {high:g}" if high is not None else rule

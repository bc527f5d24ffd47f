"""A value that is valid for a JSON schema, made of somebody's words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .draws import Draws

FILLERS = ("today", "again", "really", "just", "now", "here", "also", "still", "maybe", "quite", "often", "then")
DEEP = 6
"""From this depth on a schema that holds itself gets as little as it allows."""


class Maker:
    """Makes values for one request: ``words`` to vary, ``wanted`` items where a schema sets no bound."""

    def __init__(self, words: Sequence[str], draws: Draws, wanted: int) -> None:
        self.words = list(words) or ["nothing"]
        self.draws = draws
        self.wanted = wanted
        self.said = {" ".join(self.words)}
        self.root: Mapping[str, Any] = {}

    def sentence(self) -> str:
        """The words with two of them exchanged and one more: another text at every call."""
        draws, words = self.draws, self.words.copy()
        if len(words) > 2:
            at = draws.below(len(words) - 1)
            words[at], words[at + 1] = words[at + 1], words[at]
        words.insert(draws.below(len(words) + 1), FILLERS[draws.below(len(FILLERS))])
        text = " ".join(words)
        if text in self.said:
            text = f"{text} {len(self.said)}"
        self.said.add(text)
        return text

    def value(self, schema: Any, depth: int = 0) -> Any:
        """A value for ``schema``; the outermost call also says where ``$ref`` looks."""
        if not isinstance(schema, dict):
            return self.sentence()
        if not depth:
            self.root = schema
        if "$ref" in schema:
            return self.value(self.find(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][self.draws.below(len(schema["enum"]))]
        if "allOf" in schema:
            return self.value(self.merged(schema), depth + 1)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                ways = sorted(schema[word], key=lambda way: (way.get("type") == "null") == (depth < DEEP))
                return self.value(ways[0], depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind in ("object", "array", "string", "integer", "number"):
            return getattr(self, kind)(schema, depth)
        return bool(self.draws.below(2)) if kind == "boolean" else None

    def find(self, ref: str) -> Any:
        found: Any = self.root
        for name in ref.removeprefix("#").strip("/").split("/"):
            found = found[name.replace("~1", "/").replace("~0", "~")] if name else found
        return found

    def merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            part = self.find(part["$ref"]) if "$ref" in part else part
            properties = {**whole.get("properties", {}), **part.get("properties", {})}
            whole.update(part)
            if properties:
                whole["properties"] = properties
        return whole

    def object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        names = schema.get("properties", {})
        if depth >= DEEP:
            names = {name: of for name, of in names.items() if name in schema.get("required", ())}
        return {name: self.value(of, depth + 1) for name, of in names.items()}

    def array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.value(of, depth + 1) for of in schema.get("prefixItems", ())]
        if schema.get("items") is False or ("prefixItems" in schema and "items" not in schema):
            return first
        wanted = self.wanted if depth < DEEP else 0
        n = max(schema.get("minItems", 0), min(wanted, schema.get("maxItems", wanted)))
        rest: list[Any] = []
        for _ in range(n * 8 if schema.get("uniqueItems") else n):  # a short enum may hold fewer than n
            if len(first) + len(rest) >= n:
                break
            item = self.value(schema.get("items", {}), depth + 1)
            if not schema.get("uniqueItems") or item not in rest:
                rest.append(item)
        return first + rest

    def string(self, schema: Mapping[str, Any], depth: int) -> str:
        text = self.sentence()
        while len(text) < schema.get("minLength", 0):
            text += " " + FILLERS[self.draws.below(len(FILLERS))]
        return text[: schema.get("maxLength", len(text))]

    def number(self, schema: Mapping[str, Any], depth: int) -> float:
        if "multipleOf" in schema:
            return self.stepped(schema, schema["multipleOf"])
        low, high = bounds(schema, 1)
        return low + (high - low) * (1 + self.draws.below(999)) / 1000  # never a bound: it may be exclusive

    def integer(self, schema: Mapping[str, Any], depth: int) -> int:
        return int(self.stepped(schema, schema.get("multipleOf", 1)))

    def stepped(self, schema: Mapping[str, Any], step: float) -> float:
        low, high = bounds(schema, 10 * step)
        first, last = math.ceil(low / step), math.floor(high / step)
        first += first * step == schema.get("exclusiveMinimum")
        last -= last * step == schema.get("exclusiveMaximum")
        return (first + self.draws.below(max(1, last - first + 1))) * step


def bounds(schema: Mapping[str, Any], span: float) -> tuple[float, float]:
    """The least and the greatest allowed number; where one is open, ``span`` from the other."""
    lows = [schema[word] for word in ("minimum", "exclusiveMinimum") if word in schema]
    highs = [schema[word] for word in ("maximum", "exclusiveMaximum") if word in schema]
    low, high = max(lows, default=None), min(highs, default=None)
    if low is None:
        low = min(0, high - span) if high is not None else 0
    return low, low + span if high is None else high

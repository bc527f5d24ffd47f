"""What is wrong with the spans that are marked in a text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import CONTENT, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class SpanFault(Note):
    """Note the first thing that is wrong with the spans of a text, if any.

    In this order: `not_in_text`, a span that the text does not hold; `empty_span`; `unknown_label`, one that no real
    row marks; `same_span`, two that say the same; `banned`, one that holds a character of ``without``.  A span is
    {start, end, label}, in characters, or {text, label}.  After the checks of GMDA (ACM MM 2024, 3664647.3681598).

    Needs a text and spans.
    Writes `span_fault`, one of these words; None where nothing is wrong.

    >>> desk = [{"text": "Ann sang", "spans": [{"start": 0, "end": 3, "label": "PER"}]}]
    >>> [row] = SpanFault()({"text": "Bea ran", "spans": [{"text": "Bea", "label": "LOC"}]}, source=desk)
    >>> row["span_fault"]
    'unknown_label'
    """

    on: str = "spans"
    """The spans."""
    of: str | None = None
    """The text that they mark; the main text."""
    without: str = ""
    """Characters that no span may hold."""
    among: list[str] | None = Field(None, min_length=1)
    """The labels that a span may bear; those that real rows mark."""

    def bind(self, columns: Mapping[str, Column]) -> SpanFault:
        """Take the first text where none is named."""
        texts = [name for name, column in columns.items() if column.type in CONTENT]
        return self.model_copy(update={"of": self.of or next(iter(texts), None)})

    def reads(self) -> frozenset[str]:
        return frozenset(filter(None, (self.on, self.of)))

    def writes(self) -> dict[str, Column]:
        return {"span_fault": Column(VALUE, self.reads(), written=False)}

    def needs_state(self) -> bool:
        return self.among is None

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The labels that real rows mark."""
        import numpy as np

        [table] = rows.values()
        marked = table.column(self.on) if self.on in table else []
        return {"labels": np.array(sorted({label for spans in marked for _, label in read(spans, "")}), np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        labels = set(self.among if self.among is not None else map(str, ctx.state["labels"]))
        for record in records:
            text = str(record.get(self.of or "") or "")
            yield {"span_fault": self.fault(text, read(record.get(self.on), text), labels)}

    def fault(self, text: str, spans: Sequence[tuple[str | None, str]], labels: set[str]) -> str | None:
        said = [span for span, _ in spans]
        checks = {
            "not_in_text": any(span is None or span not in text for span in said),
            "empty_span": not all(span and span.strip() for span in said),
            "unknown_label": any(label not in labels for _, label in spans),
            "same_span": len(set(said)) < len(said),
            "banned": any(letter in span for span in said if span for letter in self.without),
        }
        return next((word for word, wrong in checks.items() if wrong), None)


def read(spans: Any, text: str) -> list[tuple[str | None, str]]:
    """What each span says, and its label; None for one that reaches beyond the text."""
    if isinstance(spans, str):  # as lines of JSON hold them
        spans = json.loads(spans) if spans.startswith("[") else [spans]
    found = []
    for span in spans or ():
        if not isinstance(span, Mapping) or not ({"start", "end"} <= span.keys() or "text" in span):
            raise RecipeError(
                f"a span is {{start, end, label}} or {{text, label}}, not {span!r}.",
                "name the field of spans: on: spans",
            )
        said = span.get("text")
        if said is None:
            start, end = int(span["start"]), int(span["end"])
            said = text[start:end] if 0 <= start <= end <= len(text) else None
        found.append((said, str(span.get("label"))))
    return found

"""A concept of another culture for one that a text names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.io.side_table import side_table
from leaven.operators import File, Note
from leaven.pair.concept_graph import COLUMNS, candidates, chances, graph_of
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

Near = dict[str, list[tuple[str, int]]]
"""A name in the text's language, folded: the concepts that it is near to, with their distances."""


class Concepts(Note):
    """Find a concept that the text names, and draw one of another language or culture that stands near it.

    CultureMixup (EMNLP 2023 main.18): the graph leads from each concept of `lang` (what has no kinds below it) to names
    in `target`, the text's language.  Of all that the text names one pair is drawn, nearer ones more often.  The paper
    draws the concept first and then looks for texts; here each text draws among the concepts near to it.

    The graph is a table `start,start_lang,relation,end,end_lang` (csv, tsv, jsonl ...) of `is_a` and `synonym` edges.
    A text that names nothing near gets empty values.

    Needs text.  Writes three fields, by `into`: the drawn concept, what it stands for in the text, their distance.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "graph.csv"
    >>> _ = path.write_text("start,start_lang,relation,end,end_lang\\nerhu,zho,synonym,Chinese fiddle,eng\\n")
    >>> Concepts(str(path), lang="zho", target="eng")({"text": "A Chinese fiddle hangs there."})
    [{'text': 'A Chinese fiddle hangs there.', 'new': 'erhu', 'old': 'Chinese fiddle', 'distance': 1}]
    """

    takes: ClassVar[str] = "text"
    graph: File | None = None
    """The file of edges, beside the recipe; it cannot do without."""
    lang: str | list[str]
    """The language, or languages, of the concepts to put in."""
    target: str = "eng"
    """The language of the text."""
    by: Literal["inverse", "exp"] = "inverse"
    """The chance of a pair falls as 1 / distance, or as exp(-distance)."""
    into: list[str] = Field(["new", "old", "distance"], min_length=3, max_length=3)
    """The names of the three fields."""
    on: str | None = None
    """The field to look into; the main text."""

    @model_validator(mode="after")
    def _readable(self) -> Concepts:
        if self.graph:
            near_names(self.graph, self.langs(), self.target)
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if not self.graph:
            what = "concepts needs a graph (start,start_lang,relation,end,end_lang)."
            raise RecipeError(what, "--set concepts.graph=FILE")
        return self

    def langs(self) -> tuple[str, ...]:
        return (self.lang,) if isinstance(self.lang, str) else tuple(self.lang)

    def writes(self) -> dict[str, Column]:
        return {name: Column(VALUE, written=False) for name in self.into}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        text = record.get(self.on or "text") or ""
        assert self.graph
        near, named = near_names(self.graph, self.langs(), self.target)
        pairs = [
            (concept, found[0], distance)
            for found in (named.finditer(text) if near else ())
            for concept, distance in near[found[0].casefold()]
        ]
        if not pairs:
            return dict.fromkeys(self.into)
        odds = chances([distance for *_, distance in pairs], self.by)
        return dict(zip(self.into, pairs[int(ctx.rng.choice(len(pairs), p=odds))], strict=True))


@lru_cache(maxsize=8)
def near_names(file: File, langs: tuple[str, ...], target: str) -> tuple[Near, re.Pattern[str]]:
    """For each name in the target language the concepts near to it, and what finds these names, the longest first."""
    graph = graph_of(side_table(file, COLUMNS), file.name)
    near: Near = {}
    names: dict[str, None] = {}
    for lang in langs:
        for concept in graph.concepts(lang):
            for name, distance in candidates(graph, concept, target).items():
                near.setdefault(name.casefold(), []).append((concept[0], distance))
                names[name] = None
    by_length = sorted(names, key=len, reverse=True)
    return near, re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, by_length))})(?!\w)", re.IGNORECASE)

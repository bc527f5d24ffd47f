"""Which concepts of one language stand near one of another: over its kinds, their translations, and what these hold.

CultureMixup's way (EMNLP 2023 main.18): from a concept up to its hypernyms, in its own language; across to a synonym in
the target language; down to hyponyms there, at most as many steps as it went up.  The distance of two concepts is the
number of edges of the shortest such way.  A graph is a table ``start,start_lang,relation,end,end_lang``; its relations
are ``is_a`` (the start is a kind of the end) and ``synonym``; ConceptNet's ``/r/IsA`` and ``/r/Synonym`` are read too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any, Literal

from leaven.errors import RecipeError

ORDERS = 3
"""The most steps up; a concept that has found nothing by then has no candidates."""
COLUMNS = ("start", "start_lang", "relation", "end", "end_lang")

Node = tuple[str, str]
"""A name and its language: two languages may have the same name for different things."""
Edges = dict[Node, list[Node]]


def _edges() -> Edges:
    return defaultdict(list)


@dataclass
class Graph:
    kinds: Edges = field(default_factory=_edges)
    """What a concept is."""
    held: Edges = field(default_factory=_edges)
    """What is one of it."""
    synonyms: Edges = field(default_factory=_edges)

    def concepts(self, lang: str) -> list[Node]:
        """What is nothing's kind in its language: erhu, and not instrument."""
        known = {node: None for edges in (self.kinds, self.held, self.synonyms) for node in edges if node[1] == lang}
        return [node for node in known if not any(one[1] == lang for one in self.held.get(node, ()))]


def graph_of(rows: Iterable[Mapping[str, Any]], where: str = "") -> Graph:
    """The graph of a table's rows; an edge that stands twice counts once."""
    graph = Graph()
    seen = set()
    for number, row in enumerate(rows, 1):
        relation = str(row["relation"]).lower().rpartition("/")[2].replace("_", "")
        start, end = _node(row["start"], row["start_lang"]), _node(row["end"], row["end_lang"])
        if relation not in ("isa", "synonym"):
            raise RecipeError(
                f"row {number}: `{row['relation']}` is no relation of a concept graph.",
                "is_a, or synonym.",
                where=where,
            )
        if (start, relation, end) in seen:
            continue
        seen.add((start, relation, end))
        if relation == "isa":
            graph.kinds[start].append(end)
            graph.held[end].append(start)
        else:
            graph.synonyms[start].append(end)
            graph.synonyms[end].append(start)
    return graph


def candidates(graph: Graph, concept: Node, target: str, orders: int = ORDERS) -> dict[str, int]:
    """The names in the target language that may stand for a concept, each with its distance, the nearest first.

    Its own translations are at distance 1.  A name that is written as the concept is none: nothing would change.
    """
    found: dict[str, int] = {}
    level = [concept]
    seen = {concept}
    for order in range(orders + 1):
        across = [s for node in level for s in graph.synonyms.get(node, ()) if s[1] == target]
        if order == 0:
            _nearest(found, across, 1)
        below, known = across, set(across)
        for down in range(1, order + 1):
            below = [n for node in below for n in graph.held.get(node, ()) if n[1] == target and n not in known]
            below = list(dict.fromkeys(below))
            known.update(below)
            _nearest(found, below, order + 1 + down)
        level = [n for node in level for n in graph.kinds.get(node, ()) if n[1] == concept[1] and n not in seen]
        level = list(dict.fromkeys(level))
        seen.update(level)
    found = {name: distance for name, distance in found.items() if name.casefold() != concept[0].casefold()}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def chances(distances: Sequence[int], by: Literal["inverse", "exp"] = "inverse") -> list[float]:
    """How likely each is drawn: by 1 / distance (the paper's section 3.2) or exp(-distance) (its appendix).

    A distance of 0, as tables of others have it for names that two languages share, counts as 1.

    >>> [round(chance, 4) for chance in chances([3, 4])]
    [0.5714, 0.4286]
    """
    weights = [1 / max(d, 1) if by == "inverse" else exp(-max(d, 1)) for d in distances]
    total = sum(weights)
    return [weight / total for weight in weights]


def _node(name: Any, lang: Any) -> Node:
    """Names of several words have blanks, whether the table writes them so or as ``bowed_instrument``."""
    return " ".join(str(name).replace("_", " ").split()), str(lang)


def _nearest(found: dict[str, int], nodes: Iterable[Node], distance: int) -> None:
    for name, _ in nodes:
        found[name] = min(distance, found.get(name, distance))

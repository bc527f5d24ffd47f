"""What a recipe is once it is read: chains of steps, forks and rounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaven.beside import Beside
from leaven.blend.blend import Blend
from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.expressions import Expression, Template
from leaven.operators import Operator


@dataclass(frozen=True)
class Step:
    """One operator of a recipe.  ``name`` is what people call it, ``key`` what ids and draws are keyed by."""

    op: Operator
    name: str
    key: str
    line: int
    when: Expression | None = None
    values: Mapping[str, Expression] = field(default_factory=dict)
    branch: tuple[str, ...] = ()
    renamed: bool = False

    def column(self, written: str) -> str:
        """The name in the stream of a column that the operator calls ``written``."""
        if not self.renamed or self.op.name == "note" or getattr(self.op, "into", None) is not None:
            return written
        return self.name if written == self.op.name else f"{self.name}_{written}"

    def expressions(self) -> Iterator[Expression | Template]:
        if self.when:
            yield self.when
        yield from self.values.values()
        for key in type(self.op).model_fields:
            value = getattr(self.op, key)
            for item in value.values() if isinstance(value, dict) else [value]:
                if isinstance(item, Expression | Template):
                    yield item
                elif isinstance(item, Draw):
                    yield from item.expressions()


@dataclass(frozen=True)
class Fork:
    """``any``: each record goes into every branch; the branch's name is the column ``branch``."""

    branches: Mapping[str, tuple[Node, ...]]
    line: int


@dataclass(frozen=True)
class Until:
    """When rounds end: each group has ``kept`` records, or ``dev`` has not gained for ``patience`` rounds."""

    per: str = ""
    kept: Expression | None = None
    dev: str = ""
    patience: int = 1


@dataclass(frozen=True)
class Repeat:
    steps: tuple[Node, ...]
    times: int
    until: Until | None
    last: bool
    line: int
    calls: int | None = None
    """About how many calls its rounds may make together; the last one takes as many records as that leaves room for."""

    @property
    def begins(self) -> bool:
        """True where each round starts from nothing."""
        return bool(self.steps) and isinstance(self.steps[0], Start)


@dataclass(frozen=True)
class Start:
    """Records from nothing: ``n`` for each value of the label, or as many as a round still lacks."""

    per: str
    n: Expression | None
    line: int


Node = Step | Fork | Repeat | Start


@dataclass(frozen=True)
class Chain:
    start: str
    nodes: tuple[Node, ...]
    line: int


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and built; ``text`` is its file, as printed by ``leaven recipes NAME``."""

    name: str
    chains: tuple[Chain, ...]
    blend: Blend
    fields: Mapping[str, str]
    pool: Mapping[str, str]
    text: str
    where: str
    about: str = ""
    paper: str = ""
    cost: str = ""
    optional: frozenset[str] = frozenset()
    """Those of ``fields`` that the data may lack."""
    let: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Template] = field(default_factory=dict)
    """The texts of ``let`` that hold ``{{ }}``: rendered where a prompt names them."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Hints by role."""

    def steps(self) -> Iterator[Step]:
        for chain in self.chains:
            yield from walk_steps(chain.nodes)

    def files(self) -> dict[str, bytes]:
        """What the files hold that its steps name."""
        values = (getattr(step.op, key) for step in self.steps() for key in type(step.op).model_fields)
        return {value.name: value.data for value in values if isinstance(value, Beside)}


def lineage(recipe: Recipe) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that some expression reads of ``parent`` and of ``root``; children carry a copy of just these."""
    sources = [e.source for step in recipe.steps() for e in step.expressions()]
    text = "\n".join([*sources, *(template.source for template in recipe.texts.values())])
    found: dict[str, set[str]] = {"parent": set(), "root": set()}
    for line, attribute, item in re.findall(r"\b(parent|root)(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])", text):
        found[line].add(attribute or item)
    return frozenset(found["parent"]), frozenset(found["root"])


def walk_steps(nodes: Sequence[Node]) -> Iterator[Step]:
    for node in nodes:
        if isinstance(node, Step):
            yield node
        elif isinstance(node, Fork):
            for branch in node.branches.values():
                yield from walk_steps(branch)
        elif isinstance(node, Repeat):
            yield from walk_steps(node.steps)


def with_place(error: RecipeError, where: str) -> RecipeError:
    return RecipeError(error.what, error.fix, where=error.where or where)

"""Hold a recipe against a dataset before anything runs: which columns stand where, and which step lost one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from leaven.errors import RecipeError, listed, nearest, suggest
from leaven.expressions import LANGUAGE
from leaven.fields import SCORE, TEXTS, TYPES, VALUE, Column, dropped
from leaven.operators import Make, Note, Operator
from leaven.recipe.model import Chain, Fork, Node, Recipe, Start, Step, walk_steps, with_place
from leaven.storage import MEDIA


def check(recipe: Recipe, columns: Mapping[str, Column], sets: Mapping[str, int]) -> Recipe:
    """The recipe bound to a dataset: parameters that name fields resolved, branches without a field left out.

    ``columns`` are the fields of the data, ``sets`` the rows of each set.  Raises RecipeError with up to five findings.
    """
    found: list[RecipeError] = []
    chains = []
    for name, kind in recipe.fields.items():
        if name not in columns and kind in TYPES and name not in recipe.optional:
            have = listed(columns)
            raise RecipeError(
                f"it needs the field {name} ({kind}); the data has {have}.",
                f"name a column with --field {name}=COLUMN, or take another recipe: leaven recipes",
                where=recipe.where,
            )
    for chain in recipe.chains:
        if chain.start == "pool" and not sets.get("pool"):
            raise RecipeError(
                "it starts from rows without a label (the pool), and there are none.",
                "give them with --unlabelled FILE, or leave the label of some rows empty.",
                where=f"{recipe.where} line {chain.line}",
            )
        if chain.start == "given" and not sets.get("given"):
            raise RecipeError(
                "it starts from candidates made elsewhere, and there are none.",
                "give them with --given FILE.",
                where=f"{recipe.where} line {chain.line}",
            )
        stream = dict(columns)
        if chain.start == "pool":  # the label of a pool row is not known before a step says it
            stream = {n: c for n, c in stream.items() if c.type != "label"}
        checker = _Checker(recipe, found, dict(columns))
        nodes, _ = checker.nodes(chain.nodes, stream)
        chains.append(replace(chain, nodes=nodes))
    if found:
        first = found[0]
        raise RecipeError(first.what, first.fix, where=first.where, others=found[1:])
    if recipe.blend.order == "curriculum" and recipe.blend.by not in set(columns) | _written(chains):
        raise RecipeError(
            f"blend.by is `{recipe.blend.by}`, which names no column; a curriculum goes by one.",
            "note how easy a record is first, as `prediction` does, or blend: {order: curriculum, by: COLUMN}.",
            where=recipe.where,
        )
    if isinstance(recipe.blend.weight, str):
        known = set(columns) | _written(chains)
        if recipe.blend.weight not in known:
            raise RecipeError(
                f"blend.weight is `{recipe.blend.weight}`, which names no column.",
                f"{suggest(recipe.blend.weight, sorted(known))}.",
                where=recipe.where,
            )
    if recipe.blend.attach:
        _check_attached(recipe, columns, chains)
    return replace(recipe, chains=tuple(chains))


def _check_attached(recipe: Recipe, columns: Mapping[str, Column], chains: Sequence[Chain]) -> None:
    """Raise for fields that cannot become columns of their roots' rows."""
    known = set(columns) | _written(chains)
    attach = recipe.blend.attach or {}
    if recipe.blend.real == "none":
        raise RecipeError(
            "blend.attach puts fields into the rows of their roots, and with `real: none` none are written.",
            "blend: {real: kept, attach: ...}",
            where=recipe.where,
        )
    for name, column in attach.items():
        if name not in known:
            raise RecipeError(
                f"blend.attach takes `{name}`, which names no column.",
                f"{suggest(name, sorted(known))}.",
                where=recipe.where,
            )
        if name in columns and columns[name].type in MEDIA:
            raise RecipeError(
                f"blend.attach takes `{name}`, which holds {columns[name].type}s; texts and numbers can be attached.",
                "leave it out, and keep the made rows.",
                where=recipe.where,
            )
        if list(attach.values()).count(column) > 1:
            raise RecipeError(
                f"blend.attach writes `{column}` twice.", "give each field a column of its own.", where=recipe.where
            )
        if column in known or column.startswith("_") or not column:
            raise RecipeError(
                f"blend.attach writes `{column}`, which is a column already, or no name of one.",
                f"blend: {{attach: {{{name}: negative}}}}",
                where=recipe.where,
            )


class _Checker:
    """Walks a chain with the columns that stand at each point; collects what is wrong."""

    def __init__(self, recipe: Recipe, found: list[RecipeError], data: dict[str, Column]) -> None:
        self.recipe = recipe
        self.found = found
        self.data = data
        self.lost: dict[str, tuple[str, int]] = {}

    def nodes(self, nodes: Sequence[Node], columns: dict[str, Column]) -> tuple[tuple[Node, ...], dict[str, Column]]:
        checked: list[Node] = []
        for node in nodes:
            if isinstance(node, Step):
                step = self.step(node, columns)
                if step:
                    checked.append(step)
            elif isinstance(node, Fork):
                checked.append(self.fork(node, columns))
            elif isinstance(node, Start):
                checked.append(self.start(node, columns))
            else:
                if node.until and node.until.per and node.until.per not in {*columns, "root"}:
                    self.no_field("per", node.until.per, columns, node.line)
                steps, after = self.nodes(node.steps, dict(columns))
                if node.begins:
                    columns.clear()
                columns.update(after)
                checked.append(replace(node, steps=steps))
        return tuple(checked), columns

    def start(self, node: Start, columns: dict[str, Column]) -> Start:
        """Nothing stands at a start but the label, where records are begun for each."""
        if node.per and self.data.get(node.per, Column("")).type != "label":
            labels = [name for name, column in self.data.items() if column.type == "label"]
            fix = f"start: {{per: {labels[0]}}}" if labels else "name the column of labels with --label COLUMN"
            self.add(f"`start: {{per: {node.per}}}` names no label; the data has {listed(self.data)}.", fix, node.line)
        kept = {node.per: columns[node.per]} if node.per in columns else {}
        columns.clear()
        columns.update(kept)
        return node

    def fork(self, fork: Fork, columns: dict[str, Column]) -> Fork:
        branches: dict[str, tuple[Node, ...]] = {}
        after: list[dict[str, Column]] = []
        for name, nodes in fork.branches.items():
            lacking = [s for s in walk_steps(nodes) if self.lacks(s.op, columns)]
            if lacking:  # a branch for images in a recipe for texts, say: left out of the plan
                continue
            checked, columns_after = self.nodes(nodes, dict(columns))
            branches[name] = checked
            after.append(columns_after)
        if not branches:
            self.add(
                f"no branch of `any` fits the data, which has {listed(self.data)}.",
                "take another recipe: leaven recipes",
                fork.line,
            )
        columns["branch"] = Column("text", written=False)
        for columns_after in after:
            columns.update(columns_after)
        return replace(fork, branches=branches)

    def step(self, step: Step, columns: dict[str, Column]) -> Step | None:
        before = len(self.found)
        op = step.op
        for key, name in self.named(step):
            if name in self.lost:
                self.unknown(step, name, columns)
            elif name not in columns:
                self.no_field(key, name, columns, step.line)
        if op.takes and getattr(op, "on", "") is None:
            main = self.main(op.takes, columns)
            if not main:
                self.without(step, op.takes, columns)
                return None
            op = op.model_copy(update={"on": main})
        try:
            op = bind(op, columns)
        except RecipeError as error:
            self.found.append(with_place(error, f"{self.recipe.where} line {step.line}"))
        step = replace(step, op=op)
        reads = set(op.reads())
        for name in reads & self.recipe.texts.keys():  # what a text of `let` needs, its prompt needs
            reads |= self.recipe.texts[name].names - type(op).model_fields.keys()
        for name in sorted(reads):
            if (
                name not in columns
                and name not in LANGUAGE
                and name not in self.recipe.let
                and len(self.found) == before
            ):
                self.unknown(step, name, columns)
        for expression in step.expressions():
            allowed = set(columns) | set(self.recipe.let) | set(type(op).model_fields) | KNOWN | {"record"} | op.gives
            for name in sorted(expression.names - allowed):
                if len(self.found) == before:
                    self.unknown(step, name, columns)
        for kinds in op.lacking(columns) if len(self.found) == before else ():
            self.without(step, kinds, columns)
        after = advance(step, columns, self.data)
        for gone in columns.keys() - after.keys():
            self.lost[gone] = (step.name, step.line)
        columns.clear()
        columns.update(after)
        for name in columns.keys() & self.lost.keys():
            del self.lost[name]
        return step

    def named(self, step: Step) -> list[tuple[str, str]]:
        """The fields that parameters such as ``on`` and ``per`` name: the parameter, the field."""
        found: list[tuple[str, str]] = []
        for key in ("on", "per"):
            value = getattr(step.op, key, None)
            found += [(key, name) for name in ([value] if isinstance(value, str) else value or [])]
        return [(key, name) for key, name in found if name not in ("root", "parent", "all", "branch")]

    def no_field(self, key: str, name: str, columns: Mapping[str, Column], line: int) -> None:
        close = nearest(name, columns)
        self.add(
            f"`{key}: {name}` names no field; the data has {listed(columns)}.",
            f"the nearest is `{close}`." if close else f"name one of these: {key}: {next(iter(columns), 'text')}",
            line,
        )

    def lacks(self, op: Operator, columns: Mapping[str, Column]) -> bool:
        """True where the data has no field of a type that the operator works on, or cannot do without."""
        named = getattr(op, "on", None) is not None
        return bool(op.takes and not named and not self.main(op.takes, columns)) or bool(op.lacking(columns))

    def without(self, step: Step, kinds: str, columns: Mapping[str, Column]) -> None:
        """No field is of a type that the step cannot do without."""
        gone = [name for name in self.lost if self.data.get(name, Column("")).type in kinds.split(" or ")]
        if gone:
            self.unknown(step, gone[0], columns)
            return
        have = listed(n for n, c in columns.items() if c.written)
        fix = "name a column with --field NAME=COLUMN, or take another recipe: leaven recipes"
        self.add(f"{step.name} needs {kinds}; the data has {have}.", fix, step.line)

    def main(self, kinds: str, columns: Mapping[str, Column]) -> str:
        """The field of a type (``text``, or ``text or image``) that a step means when it names none: the recipe's
        first, else the data's."""
        wanted = kinds.split(" or ")
        mine = [name for kind in wanted for name, t in self.recipe.fields.items() if t == kind and name in columns]
        others = [n for kind in wanted for n, column in columns.items() if column.type == kind and n != "branch"]
        return next(iter([*mine, *others]), "")

    def unknown(self, step: Step, name: str, columns: Mapping[str, Column]) -> None:
        if name in self.lost:
            by, line = self.lost[name]
            self.add(
                f"{step.name} needs {name}; the step {by} dropped it (line {line}).",
                f"put {step.name} before {by}, or note {name} again after it.",
                step.line,
            )
            return
        close = nearest(name, columns)
        self.add(
            f"{step.name} reads `{name}`, which names no field; there are {listed(columns)}.",
            f"the nearest is `{close}`." if close else "name one of these, or note it in a step before this one.",
            step.line,
        )

    def add(self, what: str, fix: str, line: int) -> None:
        self.found.append(RecipeError(what, fix, where=f"{self.recipe.where} line {line}"))


KNOWN = LANGUAGE | {"branch"}


def advance(step: Step, columns: Mapping[str, Column], data: Mapping[str, Column]) -> dict[str, Column]:
    """The columns that stand after a step; a field of the data keeps its type whoever writes it."""
    after = dict(columns)
    if isinstance(step.op, Make):
        for gone in dropped(step.op.changes(), columns, step.op.holds):
            if columns[gone].type not in step.op.moves:
                del after[gone]
        after.update({name: data.get(name, column) for name, column in step.op.writes().items()})
    elif isinstance(step.op, Note):
        for name, column in step.op.writes().items():
            before = data.get(name, columns.get(name)) if step.op.name == "note" else None
            after[step.column(name)] = column if before is None else _noted_over(before, column, name in data)
    return after


def _noted_over(before: Column, column: Column, of_data: bool) -> Column:
    """What a `note` writes over: of the type that it was; a text that a step wrote is about nothing any more."""
    if of_data:
        return before
    if before.type in TEXTS:
        return Column(before.type)
    return column if before.type in (SCORE, VALUE) else before


def bind(op: Operator, columns: Mapping[str, Column]) -> Operator:
    """Let an operator resolve what it left to the data, such as the inputs of a prediction."""
    resolve = getattr(op, "bind", None)
    return resolve(columns) if resolve else op


def _written(chains: Sequence[Chain]) -> set[str]:
    return {
        step.column(name)
        for chain in chains
        for step in walk_steps(chain.nodes)
        if isinstance(step.op, Note)
        for name in step.op.writes()
    }

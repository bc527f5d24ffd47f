"""Which step fitted the model that another one names: ``paint: {adapter: NAME}``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from leaven.errors import RecipeError, listed, nearest
from leaven.models.players import FITTED
from leaven.recipe.model import Chain, Fork, Node, Repeat, Step


def with_adapters(chains: Sequence[Chain], where: str) -> tuple[Chain, ...]:
    """The chains, whose steps ask a model that was fitted whole in place of one that a user names.

    Raises RecipeError for a step that names no adapter before it, or one of another role.
    """
    fitted: dict[str, Any] = {}
    return tuple(replace(chain, nodes=tuple(_nodes(chain.nodes, fitted, where))) for chain in chains)


def _nodes(nodes: Sequence[Node], fitted: dict[str, Any], where: str) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, Step):
            if node.op.name == "adapter":
                fitted[node.name] = node.op
            yield _asking(node, fitted, f"{where} line {node.line}")
        elif isinstance(node, Fork):
            branches = {name: tuple(_nodes(inner, fitted, where)) for name, inner in node.branches.items()}
            yield replace(node, branches=branches)
        elif isinstance(node, Repeat):
            yield replace(node, steps=tuple(_nodes(node.steps, fitted, where)))
        else:
            yield node


def _asking(step: Step, fitted: dict[str, Any], where: str) -> Step:
    """A step as it asks the adapter that it names."""
    name = getattr(step.op, "adapter", None)
    if not name:
        return step
    if name not in fitted:
        close = nearest(name, fitted)
        raise RecipeError(
            f"{step.name} names the adapter `{name}`, and no step before it fits one of that name.",
            f"the nearest is `{close}`." if close else f"put one before it: - adapter as {name}: {{role: ...}}",
            where=where,
        )
    adapter = fitted[name]
    if adapter.role not in step.op.roles:
        raise RecipeError(
            f"the adapter `{name}` is fitted for {adapter.role}, and {step.name} asks {listed(sorted(step.op.roles))}.",
            f"name the role: adapter as {name}: {{role: {next(iter(sorted(step.op.roles)), '...')}}}",
            where=where,
        )
    own = getattr(step.op, "model", None)
    if own and own != adapter.model:
        raise RecipeError(
            f"{step.name} asks the model `{own}`, and the adapter `{name}` is fitted to another.",
            f"leave out `model` there, or fit that one: adapter as {name}: {{model: {own}, ...}}",
            where=where,
        )
    if adapter.model and "model" in type(step.op).model_fields:
        return replace(step, op=step.op.model_copy(update={"model": adapter.model}))
    if adapter.whole and "model" in type(step.op).model_fields:
        return replace(step, op=step.op.model_copy(update={"model": FITTED}))
    return step

"""A plain operator in a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaven.errors import RecipeError
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.operators import Operator


class Transform:
    """``transform(example, index)`` is the example as the operator leaves it, drawn by (seed, epoch, index) alone.

    The first child of a make stands for the example; where it is refused, or there is none, the example stays.
    """

    def __init__(self, op: Operator, seed: int) -> None:
        self.op, self.seed, self.epoch = op, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Other draws for the same examples."""
        self.epoch = epoch

    def __call__(self, example: Mapping[str, Any], index: int, epoch: int | None = None) -> dict[str, Any]:
        key = digest(b"loop %d %d" % (self.seed, self.epoch if epoch is None else epoch), size=6)
        found = self.op({**example, "_id": str(index)}, seed=int.from_bytes(key, "big"))
        ours = {name: value for name, value in example.items() if name.startswith("_")}
        return {**found[0], **ours} if found and "_reason" not in found[0] else dict(example)

    def __repr__(self) -> str:
        from leaven.api.steps import item, said

        return f"Transform: {said(item(self.op).plain)}; seed {self.seed}, epoch {self.epoch}"


def as_transform(op: Operator, *, seed: int = 0) -> Transform:
    """A make or note that learns nothing and asks no model, for a training loop.

    Raises RecipeError for any other operator.
    """
    if op.kind == "keep":
        raise RecipeError(f"{op.name} keeps or refuses, which a training loop cannot.", "put it into a recipe.")
    if op.needs_state() or op.roles:
        what = "learns from rows" if op.needs_state() else "asks models"
        raise RecipeError(f"{op.name} {what} first.", "put it into a recipe, and train on what run.blend() gives.")
    return Transform(op, seed)

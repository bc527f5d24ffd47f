"""A plain operator in a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.records import digest
from leaven.train.epoch import Epoch
from leaven.train.values import fields_of, opened

if TYPE_CHECKING:
    from leaven.operators import Operator


class Transform:
    """``transform(example, index)`` is the example as the operator leaves it, drawn by (seed, epoch, index) alone.

    An example is a dict of fields, or the bare image, sound or text.  Arrays, tensors and Pillow's images come back in
    the form that they had.  The first child of a make stands for the example; where it is refused, or there is none,
    the example stays.
    """

    def __init__(self, op: Operator, seed: int) -> None:
        self.op, self.seed = op, seed
        self._epoch = Epoch()

    @property
    def epoch(self) -> int:
        return self._epoch.now

    def set_epoch(self, epoch: int) -> None:
        """Other draws for the same examples, in the workers of a loader too."""
        self._epoch.now = int(epoch)

    def __call__(self, example: Any, index: int, epoch: int | None = None) -> Any:
        return self.keyed(example, index, self.epoch if epoch is None else epoch)

    def keyed(self, example: Any, index: int, epoch: int) -> Any:
        """What ``leaven.train.Drawn`` calls, with the epoch that it is in."""
        if not isinstance(example, Mapping):
            name = self._bare(example)
            return self._changed({name: example}, index, epoch)[name]
        return self._changed(example, index, epoch)

    def _changed(self, example: Mapping[str, Any], index: int, epoch: int) -> dict[str, Any]:
        on = getattr(self.op, "on", None)
        kinds = fields_of(example, on if isinstance(on, str) else "", self.op.takes)
        media = {name: opened(kind, example[name]) for name, kind in kinds.items()}
        given = {**example, **{name: value for name, (value, _) in media.items()}, "_id": str(index)}
        key = digest(b"loop %d %d" % (self.seed, epoch), size=6)
        found = self.op(given, seed=int.from_bytes(key, "big"))
        if not found or "_reason" in found[0]:
            return dict(example)
        ours = {name: value for name, value in example.items() if name.startswith("_")}
        backs = {name: back for name, (_, back) in media.items()}
        return {**{name: backs[name](v) if name in backs else v for name, v in found[0].items()}, **ours}

    def _bare(self, example: Any) -> str:
        """The field that a bare value stands for."""
        on = getattr(self.op, "on", None)
        kinds = self.op.takes.split(" or ")
        if "audio" in kinds and isinstance(example, tuple | Audio):
            return "audio"
        return on if isinstance(on, str) else "text" if isinstance(example, str) else kinds[0] or "text"

    def __repr__(self) -> str:
        from leaven.api.steps import item, said

        return f"Transform: {said(item(self.op).plain)}; seed {self.seed}, epoch {self.epoch}"


def as_transform(op: Operator, *, seed: int = 0) -> Transform:
    """A make or note that learns nothing, draws no other rows and asks no model, for a training loop.

    Raises RecipeError for any other operator.
    """
    if op.kind == "keep":
        raise RecipeError(f"{op.name} keeps or refuses, which a training loop cannot.", "put it into a recipe.")
    if op.needs_state() or op.roles:
        what = "learns from rows" if op.needs_state() else "asks models"
        raise RecipeError(f"{op.name} {what} first.", "put it into a recipe, and train on what run.blend() gives.")
    if isinstance(getattr(op, "draw", None), Draw):
        raise RecipeError(
            f"{op.name} draws other rows.",
            "mix batches with leaven.train.mixup, cutmix or mixgen, or put it into a recipe.",
        )
    return Transform(op, seed)

"""A small diffusion model of images, from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from leaven.any_record.fits.way import Said, column_of, first, folder_of, target_of
from leaven.errors import RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context, Rows
    from leaven.fields import Column
    from leaven.operators import State

STEPS, LR = 2000, 2e-3
LARGEST = 64


def check(said: Said) -> None:
    if isinstance(said.input, list):
        raise RecipeError("a generator is steered by one field.", "input: label")
    if said.size and said.size > LARGEST:
        raise RecipeError(f"a small generator works at {LARGEST} pixels a side at the most.", f"size: {LARGEST}")


def bound(said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
    return {"target": target_of("image", said, columns), "input": said.input or column_of("label", columns)}


def reads(said: Said) -> frozenset[str]:
    return frozenset(filter(None, (said.target, first(said))))


def fit(said: Said, rows: Rows, ctx: Context) -> State:
    from leaven.models.backends.local.fitting import CHECKPOINT
    from leaven.models.backends.local.small_diffusion import SmallDiffusion

    rows, labels = labelled(said, rows)
    with folder_of(ctx) as folder:
        model = SmallDiffusion.fit(
            _pixels(rows, str(said.target)),
            labels,
            size=said.size,
            steps=said.steps or STEPS,
            lr=said.lr or LR,
            flip=said.flip,
            seed=ctx.seed,
            folder=folder,
            told=lambda progress: ctx.told(str(progress)),
        )
        model.save(folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return {"rows": len(rows), "best": model.trained.best, "last": model.trained.last, "held": model.trained.held}


def labelled(said: Said, rows: Rows) -> tuple[Rows, list[str | None]]:
    """The rows that have what is to be made, and their labels."""
    there = rows.table.column(str(said.target)).is_valid().to_pylist()
    rows, label = rows.take([i for i, valid in enumerate(there) if valid]), first(said)
    given = rows.column(label) if label and label in rows else [None] * len(rows)
    return rows, [None if label is None else str(label) for label in given]


def _pixels(rows: Rows, name: str) -> Iterator[NDArray[np.uint8]]:
    """The pixels of a column of images, let go one after the other."""
    for image in rows.column(name):
        yield image.pixels
        image.settle()

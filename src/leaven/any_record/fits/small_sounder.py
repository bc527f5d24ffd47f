"""A small diffusion model of sounds, as pictures of their spectra, from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaven.any_record.fits import small_painter
from leaven.any_record.fits.way import Said, column_of, folder_of, target_of
from leaven.errors import RecipeError

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.fields import Column
    from leaven.operators import State

STEPS, LR = small_painter.STEPS, small_painter.LR
reads = small_painter.reads


def check(said: Said) -> None:
    small_painter.check(said)
    if said.flip:
        raise RecipeError("a sound is not mirrored.", "leave out `flip`.")


def bound(said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
    return {"target": target_of("audio", said, columns), "input": said.input or column_of("label", columns)}


def fit(said: Said, rows: Rows, ctx: Context) -> State:
    from leaven.models.backends.local.fitting import CHECKPOINT
    from leaven.models.backends.local.small_sound import SmallSound

    rows, labels = small_painter.labelled(said, rows)
    with folder_of(ctx) as folder:
        model = SmallSound.fit(
            rows.column(str(said.target)),
            labels,
            size=said.size,
            steps=said.steps or STEPS,
            lr=said.lr or LR,
            seed=ctx.seed,
            folder=folder,
            told=lambda progress: ctx.told(str(progress)),
        )
        model.save(folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    trained = model.pictures.trained
    return {"rows": len(rows), **model.left._asdict(), **trained._asdict()}

"""What stands on an image beside its pixels: found, checked, and carried along when the image is moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from leaven.image.mirrored import LABELS, TEXTS
from leaven.image.moved import Motion, move_boxes, move_pixels, move_points
from leaven.media.image import Image

if TYPE_CHECKING:
    from leaven.context import Context
    from leaven.records import Record

Noted = Sequence[tuple[str, str]]
"""Type and column."""


def noted(record: Record, ctx: Context, on: str, kinds: Collection[str]) -> list[tuple[str, str]]:
    """The columns of these types that say something of the record's image, where they hold a value."""
    return [(kind, name) for kind, name in ctx.noted_on(on) if kind in kinds and record.get(name) is not None]


def said(record: Record, ctx: Context, holds: Collection[str]) -> dict[str, tuple[str, Any]]:
    """What texts and labels say of the record: type and value by column, but for the columns that hold anyway."""
    return {
        name: (kind, record.get(name))
        for kind in (*TEXTS, *LABELS)
        for name in ctx.fields_of(kind)
        if name not in holds
    }


def unfit(record: Record, on: str, there: Noted) -> str:
    """Which mask is not of the image's size; empty where all are."""
    width, height = record[on].size
    for kind, name in there:
        if kind == "mask" and record[name].size != (width, height):
            w, h = record[name].size
            return f"{name} is {w} x {h}, the image {width} x {height}"
    return ""


def carried(
    record: Record, on: str, there: Noted, motion: Motion, *, fill: int | None, nearest: bool, smallest: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The moved image and what stands on it, by column, and what was dropped on the way, for the history."""
    image: Image = record[on]
    new: dict[str, Any] = {on: Image.of(move_pixels(image.pixels, motion, fill=fill, nearest=nearest), image)}
    lost: dict[str, Any] = {}
    for kind, name in there:
        value, gone = record[name], 0
        if kind == "mask":
            edge = None if fill is None else 0
            new[name] = Image.of_codes(move_pixels(value.codes, motion, fill=edge, nearest=True))
        elif kind == "boxes":
            new[name], gone = move_boxes(value, motion, smallest)
        else:
            new[name], gone = move_points(value, motion)
        if gone:
            lost[f"{name}_dropped"] = gone
    return new, lost

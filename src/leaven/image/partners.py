"""The drawn rows that an image is put together with, and what all of them say of their images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from leaven.image.carried import unfit
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from leaven.context import Context
    from leaven.draws import Draw


def partners(record: Record, draw: Draw, ordinal: int, field: str, ctx: Context) -> list[Record]:
    """Those that have an image."""
    return [row for row in ctx.partners(record, draw, ordinal) if row.get(field) is not None]


def alone(record: Record) -> Record:
    """The child of a record for which none is drawn: refused."""
    return record.child().refuse("no_partner", "no row with an image can be drawn for it")


def said_of(
    rows: Sequence[Record], field: str, ctx: Context, kinds: Iterable[str]
) -> Iterator[tuple[str, str, list[Any]]]:
    """Type, column and each row's value of what the columns of these types say of images that are put together.

    What no row says is left out.  Raises Refuse where some say it and some do not: of a part of the child nobody would
    know what is there, and an empty list would say that nothing is.
    """
    for kind, name in ctx.noted_on(field):
        values = [row.get(name) for row in rows]
        if kind not in kinds or all(value is None for value in values):
            continue
        if any(value is None for value in values):
            raise Refuse(f"no_{kind}", f"of the images put together some have {name} and some have none")
        if kind == "mask" and (wrong := next(filter(None, (unfit(row, field, [(kind, name)]) for row in rows)), "")):
            raise Refuse("mask_size", wrong)
        yield kind, name, values

"""The labels of what was put together from several records, by how much of it each makes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

LABEL = "label"
LABEL_PROBS = "label_probs"


def label_field(ctx: Context) -> str:
    """The main label of the data; empty where it has none."""
    labels = ctx.fields_of(LABEL)
    main = ctx.constants.get("label_field")
    return main if main in labels else next(iter(labels), "")


def label_mass(parts: Sequence[tuple[float, Record]], label: str) -> dict[str | None, float]:
    """Label to share, of records each with its share of the whole (the shares sum to 1), equal labels added up.

    A record that has soft labels already brings these; the share of one that has neither stands under None.
    """
    found: dict[str | None, float] = {}
    for share, record in parts:
        if share > 0:
            hard = record.get(label)
            own: dict[str | None, float] = record.get(LABEL_PROBS) or {None if hard is None else str(hard): 1.0}
            for name, mass in own.items():
                found[name] = found.get(name, 0.0) + share * mass
    return found


def labels_of(parts: Sequence[tuple[float, Record]], ctx: Context, soft: bool) -> dict[str, Any] | None:
    """The fields that say the labels of what was put together: ``label``, the largest (of equals the first), and with
    ``soft`` also ``label_probs``.  None where these are asked for and a part's label is not known; no field where there
    is no label."""
    label = label_field(ctx)
    if not label:
        return {}
    mass = label_mass(parts, label)
    if soft and None in mass:
        return None
    new: dict[str, Any] = {label: max(mass, key=lambda name: mass[name])}
    if soft or any(record.get(LABEL_PROBS) is not None for _, record in parts):  # those that came along are untrue now
        new[LABEL_PROBS] = None if None in mass else mass
    return new

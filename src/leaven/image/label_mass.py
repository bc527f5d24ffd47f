"""The labels of an image that was put together from several, by how much of it each makes up."""

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


def label_mass(parts: Sequence[tuple[float, Record]], label: str) -> dict[str, float] | None:
    """Label to share, of records each with its share of the image (the shares sum to 1), equal labels added up.

    A record that has soft labels already brings these.  None where one has neither: its share would be lost.
    """
    found: dict[str, float] = {}
    for share, record in parts:
        if share <= 0:
            continue
        own = record.get(LABEL_PROBS) or ({record[label]: 1.0} if record.get(label) is not None else {})
        if not own:
            return None
        for name, mass in own.items():
            found[name] = found.get(name, 0.0) + share * mass
    return found


def labels_of(parts: Sequence[tuple[float, Record]], ctx: Context, soft: bool) -> dict[str, Any] | None:
    """The fields that say the labels of an image put together: ``label``, the largest (of equals the first), and with
    ``soft`` also ``label_probs``.  None where these are asked for and a part's label is not known; no field where there
    is no label."""
    label = label_field(ctx)
    if not label:
        return {}
    mass = label_mass(parts, label)
    if mass is None:
        return None if soft else {}
    largest = max(mass, key=lambda name: mass[name])
    return {label: largest, **({LABEL_PROBS: mass} if soft else {})}

"""Images, sounds and what is marked on them, as a notebook and a line of text show them."""

from __future__ import annotations

import html
from collections import Counter
from typing import Any

from leaven.errors import MissingExtra
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.terminal import shown

SIDE = 80


def value_of(cell: Any) -> Image | Audio | None:
    """The image or sound that a cell holds; None for any other cell."""
    if isinstance(cell, Image | Audio):
        return cell
    if not isinstance(cell, dict) or cell.keys() != {"bytes", "path"} or not isinstance(cell["bytes"], bytes):
        return None
    from leaven.io.media_type import media_in

    kind = Audio if media_in(cell["bytes"]) == "audio" else Image
    return kind(cell["bytes"], cell["path"] or "")


def text_of(cell: Any) -> str | None:
    """Such a cell in a few words, of marks their number and labels, of a soft label its shares; None for any other."""
    value = value_of(cell)
    if value is not None:
        try:
            return repr(value)
        except MissingExtra:
            return type(value).__name__
    if not isinstance(cell, list) or not cell or not isinstance(cell[0], dict):
        return None
    keys = cell[0].keys()
    if keys == {"label", "prob"}:
        return ", ".join(f"{item['label']} {item['prob']:.2f}" for item in cell)
    what = next((word for key, word in (("w", "box"), ("x", "point"), ("start", "segment")) if key in keys), None)
    if what is None or "label" not in keys:
        return None
    labels = Counter(str(mark["label"]) for mark in cell if mark["label"] is not None)
    named = ", ".join(f"{n} {label}" for label, n in labels.most_common(6))
    plural = what if len(cell) == 1 else "boxes" if what == "box" else f"{what}s"
    return f"{len(cell)} {plural}" + (f": {named}" if named else "")


def html_of(cell: Any) -> str:
    """An image as a thumbnail, a sound as a player of its first seconds; nothing where there is none to show."""
    value = value_of(cell)
    try:
        if isinstance(value, Image):
            from leaven.report.thumbnail import thumbnail

            said = html.escape(shown(repr(value)))
            return f'<img alt="{said}" title="{said}" src="{thumbnail(value, SIDE).uri}">'
        if isinstance(value, Audio):
            from leaven.report.spectrogram import clip

            return f'<audio controls aria-label="{html.escape(shown(repr(value)))}" src="{clip(value)}"></audio>'
    except (Broken, MissingExtra):
        return ""
    return ""

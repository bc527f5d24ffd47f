"""What stands beside a child's picture: its other parents, its soft label, and what was drawn for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaven.report.album import Album, Scale
from leaven.report.content import MARKS, Content
from leaven.report.drawn import in_words, moved
from leaven.report.marked import plain
from leaven.show import drawn


def with_pictures(
    content: Content, album: Album, row: Mapping[str, Any], parent: Mapping[str, Any] | None, scale: Scale | None
) -> str:
    """A child's picture, those of its other parents, its soft label, and the steps that made it."""
    label = row.get(content.label) if content.label else None
    kind = "refused" if row.get("_reason") else "kept"
    out = [album.show(row["_id"], ", ".join([kind, *([str(label)] if label is not None else [])]), scale)]
    others = [album.show(other, "other parent", scale, "shots other") for other in row.get("_partners", ())]
    if any(others):
        out.append(f'<div class="with"><span class="col">with</span>{"".join(others)}</div>')
    soft = soft_label(content, row)
    if soft:
        out.append(f'<p class="soft">{plain(soft)}</p>')
    same = [
        moved(parent.get(name) or (), row.get(name) or (), content.kinds[name])
        for name in content.columns_of(*MARKS)
        if parent and len(row.get("_partners", ())) == 0
    ]
    told = in_words(row.get("_steps") or (), ", ".join(filter(None, same)))
    return "".join(out) + (f'<p class="drawn">{told}</p>' if told else "")


def soft_label(content: Content, row: Mapping[str, Any]) -> str:
    """``cat 0.72, dog 0.28``; nothing where one label has it all."""
    for name in content.columns_of("label_probs"):
        found = row.get(name) or ()
        if len(found) > 1:
            return drawn.soft_label(found)
    return ""


def switch(album: Album | None) -> str:
    """The box that takes what is marked off the pictures; it needs no script."""
    if not album or not any(shot.boxes or shot.points or shot.veils for shot in album.every()):
        return ""
    return '<p class="switch"><label><input type="checkbox" id="marks" checked> boxes, points and masks</label></p>'

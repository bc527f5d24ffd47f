"""What is marked on an image or in a sound, as SVG over its picture: boxes, polygons, points and segments.

It is drawn in the page's colours and not burnt into the picture, so that it can be switched off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaven.report.marked import plain
from leaven.report.thumbnail import COLOURS

MOST = 60
"""Marks that one picture shows; their labels are counted below it in full."""
NAMED = 6
"""Names that stand on one picture: one a label, on its largest box, where there is room."""
LETTER = 5.2
"""About how wide a letter of a name is, in the units of a drawing."""
CORNERS = 120


class Colours:
    """The colour of each label: the most frequent ones first, then round again."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._of = {label: i % len(COLOURS) for i, (label, _) in enumerate(Counter(labels).most_common())}

    def __getitem__(self, label: str | None) -> int:
        return self._of.setdefault(str(label or ""), len(self._of) % len(COLOURS))


def boxes(found: Sequence[Mapping[str, Any]], scale: float, colours: Colours) -> str:
    """Boxes with their polygons; ``scale`` is how large a pixel of the image is in the drawing."""
    order = sorted(found, key=lambda box: -float(box["w"] or 0) * float(box["h"] or 0))[:MOST]
    drawn: list[str] = []
    names: dict[str, str] = {}
    for box in order:
        x, y, w, h = (float(box[key] or 0) * scale for key in "xywh")
        label, kind = str(box.get("label") or ""), f"c{colours[box.get('label')]}"
        shapes = [_polygon(flat, scale, kind) for flat in box.get("polygons") or ()]
        frame = f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        outline = (
            f'<rect class="under" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>' if not shapes else ""
        )
        drawn.append(
            f'<g class="{kind}"><title>{plain(label, 60)}</title>{"".join(shapes)}{outline}{frame} class="box"/></g>'
        )
        if label and label not in names and len(names) < NAMED and w > LETTER * min(len(label), 14) and h > 12:
            names[label] = f'<text class="name" x="{x + 2.5:.1f}" y="{y + 9.5:.1f}">{plain(label, 14)}</text>'
    return "".join([*drawn, *names.values()])


def _polygon(flat: Sequence[float], scale: float, kind: str) -> str:
    """A polygon without the corners that lie too close to be seen."""
    corners = [(x * scale, y * scale) for x, y in zip(flat[::2], flat[1::2], strict=False)]
    seen = corners[:1]
    for x, y in corners[1:]:
        if abs(x - seen[-1][0]) + abs(y - seen[-1][1]) > 1.0:
            seen.append((x, y))
    step = -(-len(seen) // CORNERS)
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in seen[::step] or seen)
    return f'<path class="area" d="M{path}z"/>' if len(seen) > 2 else ""


def points(found: Sequence[Mapping[str, Any]], scale: float, colours: Colours) -> str:
    out = []
    for point in found[:MOST]:
        x, y = (float(point[key] or 0) * scale for key in "xy")
        out.append(
            f'<g class="c{colours[point.get("label")]}"><title>{plain(point.get("label") or "", 60)}</title>'
            f'<circle class="spot" cx="{x:.1f}" cy="{y:.1f}" r="3"/></g>'
        )
    return "".join(out)


def segments(found: Sequence[Mapping[str, Any]], seconds: float, width: float, top: float, colours: Colours) -> str:
    """Bars above the spectrogram of a sound's first ``seconds``, which is ``width`` wide."""
    out = []
    for segment in found[:MOST]:
        begin, end = (min(max(float(segment[key] or 0), 0.0), seconds) for key in ("start", "end"))
        if end <= begin:
            continue
        x, w = begin / seconds * width, (end - begin) / seconds * width
        label = str(segment.get("label") or "")
        name = f'<text class="name" x="{x + 2:.1f}" y="{top - 6:.1f}">{plain(label, 20)}</text>'
        out.append(
            f'<g class="c{colours[segment.get("label")]}"><title>{plain(label, 60)}, {begin:.2f} to {end:.2f} s</title>'
            f'<rect class="stretch" x="{x:.1f}" y="{top - 4:.1f}" width="{max(1.0, w):.1f}" height="4"/>'
            f"{name if w > LETTER * min(len(label), 20) else ''}</g>"
        )
    return "".join(out)


def counted(found: Sequence[Mapping[str, Any]], colours: Colours, most: int = 6) -> str:
    """How many marks there are of each label, with its colour."""
    by_label = Counter(str(mark.get("label") or "no label") for mark in found).most_common()
    out = [
        f'<span class="k c{colours[label if label != "no label" else ""]}">{plain(label, 40)} {n:,}</span>'
        for label, n in by_label[:most]
    ]
    if len(by_label) > most:
        out.append(f"<span>and {len(by_label) - most:,} more labels</span>")
    return "".join(out)


def in_words(found: Sequence[Mapping[str, Any]], what: str) -> str:
    """The same in a sentence, for who cannot see the picture."""
    by_label = Counter(str(mark.get("label") or "no label") for mark in found).most_common(8)
    said = ", ".join(f"{n} {label}" for label, n in by_label)
    return f"{what}: {said}" if said else f"no {what}"

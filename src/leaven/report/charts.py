"""Charts as inline SVG: marks and axes in the page's own colours, a title, and no script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaven.report.marked import plain

WIDE = 440
PANEL, PANEL_WIDE = 108, 1.6
"""How high the picture of a point is, below the map, and how many times as wide at most."""


def svg(title: str, width: int, height: int, inner: Iterable[str], *, kind: str = "") -> str:
    """A drawing with its title; ``kind`` is its class."""
    classes = f' class="{kind}"' if kind else ""
    body = "".join(inner)
    return f'<svg viewBox="0 0 {width} {height}" role="img"{classes}><title>{plain(title)}</title>{body}</svg>'


def figure(drawing: str, said: str, numbers: str, *, key: str = "") -> str:
    """A chart with its key, what it says in a sentence (HTML), and its numbers as a table that unfolds."""
    legend = f'<p class="key">{key}</p>' if key else ""
    return (
        f'<figure>{legend}<div class="scroll" tabindex="0" role="group" aria-label="chart">{drawing}</div>'
        f"<figcaption>{said}</figcaption>"
        f'<details class="numbers"><summary>As a table</summary>{numbers}</details></figure>'
    )


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "") -> str:
    """A table of HTML cells; a head that begins with ``#`` stands over numbers."""
    number = [head.startswith("#") for head in heads]
    top = "".join(f'<th scope="col"{_n(n)}>{head.lstrip("#")}</th>' for head, n in zip(heads, number, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{cell}</th>' if i == 0 else f"<td{_n(n)}>{cell}</td>"
            for i, (cell, n) in enumerate(zip(row, number, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    classes = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{plain(caption)}"><table{classes}>'
        f"<caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _n(number: bool) -> str:
    return ' class="n"' if number else ""


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within a range, at most ``most`` or so."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / most))
    step = next(step * m for m in (1, 2, 5, 10) if span / (step * m) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def label(x: float, y: float, text: str, anchor: str = "middle", kind: str = "") -> str:
    classes = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{classes}>{plain(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" height="{max(0, height):.1f}" class="{kind}"/>'


@dataclass(frozen=True)
class Pin:
    """A point of a map with its picture: ``picture`` is drawn, ``mention`` draws it again; ``mini`` is how large it
    stands on the map itself, None for a mark in its place."""

    x: float
    y: float
    who: str
    said: str
    picture: str
    mention: str
    width: float
    height: float
    mini: tuple[float, float] | None


@dataclass(frozen=True)
class Dot:
    """A value with its 95 % interval, at a place of the x axis; ``hollow`` draws it beside the filled ones."""

    at: int
    mean: float
    low: float
    high: float
    hollow: bool = False


def dots(
    title: str,
    places: Sequence[str],
    found: Sequence[Dot],
    reach: tuple[float, float],
    band: tuple[float, float] | None,
    unit: str,
    across: str,
) -> str:
    """Dots with bars over named places; a line at 0, a grey band behind.  What lies outside ``reach`` gets an arrow."""
    height, left, right, top, bottom = 276, 46, 26, 22, 52
    low, high = reach

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * (height - top - bottom)

    def x(place: float) -> float:
        return left + (place + 0.5) / len(places) * (WIDE - left - right)

    out = [line(left, y(t), WIDE - right, y(t), "zero" if t == 0 else "grid") for t in ticks(low, high)]
    if band:
        up, down = y(min(high, band[1])), y(max(low, band[0]))
        out.insert(0, rect(left, min(up, down - 2), WIDE - left - right, max(2, down - up), "band"))
    out += [label(left - 6, y(t) + 4, f"{t:+g}" if t else "0", "end") for t in ticks(low, high)]
    for i, place in enumerate(places):
        for row, word in enumerate(place.split()):
            out.append(label(x(i), height - bottom + 17 + 14 * row, word))
    out += [
        label(left - 38, top - 8, unit, "start", "axis"),
        label(left, height - bottom + 37, across, "start", "axis"),
    ]
    for d in found:
        at = x(d.at) + (7 if d.hollow else -7)
        kind = "dot other" if d.hollow else "dot"
        inner = [line(at, y(max(low, min(high, d.low))), at, y(max(low, min(high, d.high))), "bar")]
        if low <= d.mean <= high:
            inner.append(f'<circle cx="{at:.1f}" cy="{y(d.mean):.1f}" r="4.5"/>')
        else:
            edge, sign = (y(low), 1) if d.mean < low else (y(high), -1)
            inner = [f'<path d="M{at - 5:.1f} {edge - 8 * sign:.1f}h10l-5 {8 * sign}z"/>']
            inner.append(label(at + (8 if d.hollow else -8), edge - 1 * sign, f"{d.mean:+.1f}",
                               "start" if d.hollow else "end"))  # fmt: skip
        said = f"{places[d.at]}: {d.mean:+.1f} [{d.low:+.1f}, {d.high:+.1f}]"
        out.append(f'<g class="{kind}"><title>{plain(said)}</title>{"".join(inner)}</g>')
    return svg(title, WIDE, height, out, kind="chart")


def bars(title: str, found: Sequence[tuple[str, int]], kind: str) -> str:
    """Counts by name, one bar a row; on a logarithmic scale where they differ by a factor of 50 or more."""
    row, left, right = 26, 176, 56
    most = max(n for _, n in found)
    log = most >= 50 * max(1, min(n for _, n in found))
    out = []
    for i, (name, n) in enumerate(found):
        share = math.log10(1 + n) / math.log10(1 + most) if log else n / most
        width = max(2.0, share * (WIDE - left - right))
        out.append(label(left - 8, i * row + 17, name if len(name) <= 25 else name[:23] + "...", "end"))
        out.append(rect(left, i * row + 5, width, row - 10, kind))
        out.append(label(left + width + 6, i * row + 17, f"{n:,}", "start", "figure"))
    height = row * len(found) + 22
    scale = "rows, logarithmic scale" if log else "rows"
    out.append(line(left, 0, left, height - 20, "edge"))
    out.append(label(left, height - 5, scale, "start", "axis"))
    return svg(title, WIDE, height, out, kind="chart")


def histogram(
    title: str, edges: Sequence[float], kept: Sequence[int], refused: Sequence[int], threshold: float | None, unit: str
) -> str:
    """Counts of kept rows and, stacked above them, refused ones; a line where the recipe cuts."""
    height, left, right, top, bottom = 170, 46, 10, 16, 34
    most = max(1, *(k + r for k, r in zip(kept, refused, strict=True)))
    low, high = edges[0], edges[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDE - left - right)

    def y(n: float) -> float:
        return top + (1 - n / most) * (height - top - bottom)

    whole = [t for t in ticks(0, most, 3) if t == int(t)]
    out = [line(left, y(t), WIDE - right, y(t), "zero" if t == 0 else "grid") for t in whole]
    out += [label(left - 6, y(t) + 4, f"{t:,.0f}", "end") for t in whole]
    out += [label(x(t), height - bottom + 17, f"{t:g}") for t in ticks(low, high, 6)]
    out.append(label(left - 38, top - 5, "rows", "start", "axis"))
    out.append(label(WIDE - right, height - 3, unit, "end", "axis"))
    for i, (k, r) in enumerate(zip(kept, refused, strict=True)):
        a, b = x(edges[i]), x(edges[i + 1])
        if k:
            out.append(rect(a + 0.5, y(k), b - a - 1, y(0) - y(k), "made"))
        if r:
            out.append(rect(a + 0.5, y(k + r), b - a - 1, y(k) - y(k + r), "refused"))
    if threshold is not None and low <= threshold <= high:
        at = x(threshold)
        out.append(line(at, top - 6, at, y(0), "cut"))
        near_right = at > WIDE - 120
        out.append(label(at + (-5 if near_right else 5), top + 4, f"cut at {threshold:g}",
                         "end" if near_right else "start"))  # fmt: skip
    return svg(title, WIDE, height, out, kind="chart")


def shares(title: str, edges: Sequence[float], real: Sequence[float], made: Sequence[float], unit: str) -> str:
    """Two bars a bin, real beside made: which share (0 to 1) of each falls there.  Bins are equally wide in the
    drawing, whatever their edges."""
    height, left, right, top, bottom = 190, 46, 10, 20, 34
    most = max(0.01, *real, *made)
    wide = (WIDE - left - right) / len(real)

    def y(share: float) -> float:
        return top + (1 - share / most) * (height - top - bottom)

    out = [
        line(left, y(t / 100), WIDE - right, y(t / 100), "zero" if t == 0 else "grid") for t in ticks(0, most * 100, 3)
    ]
    out += [label(left - 6, y(t / 100) + 4, f"{t:g}", "end") for t in ticks(0, most * 100, 3)]
    out += [label(left + i * wide, height - bottom + 17, f"{edge:g}") for i, edge in enumerate(edges[:-1])]
    out.append(label(WIDE - right, height - bottom + 17, f"{edges[-1]:g}", "end"))
    out.append(label(left - 38, top - 8, "% of them", "start", "axis"))
    out.append(label(WIDE - right, height - 3, unit, "end", "axis"))
    for i, (r, m) in enumerate(zip(real, made, strict=True)):
        at = left + i * wide
        for kind, share, begin in (("real", r, 0.08), ("made", m, 0.5)):
            if share:
                out.append(rect(at + begin * wide, y(share), 0.42 * wide, y(0) - y(share), kind))
    return svg(title, WIDE, height, out, kind="chart")


def strip(title: str, mean: float, low: float, high: float, band: tuple[float, float]) -> str:
    """One measure: dot and bar, over the grey band of its null."""
    width, height = 220, 30
    ends = [low, high, *band]
    span = (max(ends) - min(ends)) or abs(mean) or 1.0
    begin, end = min(ends) - 0.12 * span, max(ends) + 0.12 * span

    def x(value: float) -> float:
        return 4 + (value - begin) / (end - begin) * (width - 8)

    inner = [
        line(4, 15, width - 4, 15, "grid"),
        rect(x(band[0]), 5, max(3.0, x(band[1]) - x(band[0])), 20, "band"),
        f'<g class="dot">{line(x(low), 15, x(high), 15, "bar")}<circle cx="{x(mean):.1f}" cy="15" r="4.5"/></g>',
    ]
    return svg(title, width, height, inner, kind="strip")


def gain_bar(title: str, gain: float, reach: float) -> str:
    """A label's gain, in points: a bar from 0, and a dot at its end."""
    width, height, middle = 180, 20, 90.0
    at = middle + max(-1.0, min(1.0, gain / reach)) * (middle - 7)
    kind = "dot up" if gain > 0 else "dot down"
    inner = [
        line(middle, 0, middle, height, "zero"),
        f'<g class="{kind}">{line(middle, 10, at, 10, "bar")}<circle cx="{at:.1f}" cy="10" r="4"/></g>',
    ]
    return svg(title, width, height, inner, kind="strip")


def stack(title: str, real: int, made: int, most: int, target: float | None) -> str:
    """Real and made rows of a label, one after the other; a tick at the target."""
    width, height = 180, 20
    scale = (width - 8) / max(1, most)
    inner = [rect(2, 4, real * scale, 12, "real"), rect(2 + real * scale, 4, made * scale, 12, "made")]
    if target is not None and target <= most:
        inner.append(line(2 + target * scale, 0, 2 + target * scale, height, "cut"))
    return svg(title, width, height, inner, kind="strip")


def scatter(
    title: str, real: Sequence[tuple[float, float]], made: Sequence[tuple[float, float]],
    refused: Sequence[tuple[float, float]], *, pins: Sequence[Pin] = ()
) -> str:  # fmt: skip
    """Points, already in the drawing's units (0 to 440, 0 to 320): hollow real, filled made, crosses refused.

    ``pins`` are points that show a picture below the drawing while one points at them, or has reached them by
    keyboard.
    """
    ring = "".join(f"M{x - 3:.0f} {y:.0f}a3 3 0 1 0 6 0a3 3 0 1 0-6 0" for x, y in real)
    disc = "".join(f"M{x - 2:.0f} {y:.0f}a2 2 0 1 0 4 0a2 2 0 1 0-4 0" for x, y in made)
    cross = "".join(f"M{x - 2:.0f} {y - 2:.0f}l4 4m0-4l-4 4" for x, y in refused)
    inner = [
        rect(0.5, 0.5, WIDE - 1, 319, "frame"),
        f'<path class="crosses" d="{cross}"/>' if cross else "",
        f'<path class="discs" d="{disc}"/>' if disc else "",
        f'<path class="rings" d="{ring}"/>' if ring else "",
        '<circle class="here" r="7" cx="-20" cy="-20"/>',
        HINT if pins else "",
        *map(_pin, pins),
    ]
    return svg(title, WIDE, 320, inner, kind="chart map pinned" if pins else "chart map")


HINT = label(WIDE / 2, 330 + PANEL / 2, "Point at a picture, or reach it by Tab, to see it here.", kind="hint")


def _pin(pin: Pin) -> str:
    x, y = pin.x, pin.y
    head = f'<circle class="head" cx="{x:.0f}" cy="{y:.0f}" r="4.5"/>'
    if pin.mini:
        across, down = pin.mini
        width, height = across + 3, down + 3
        x, y = (min(max(at, size / 2), most - size / 2) for at, size, most in ((x, width, WIDE), (y, height, 320)))
        head = rect(x - width / 2, y - height / 2, width, height, "head") + (
            f'<g transform="translate({x - across / 2:.1f} {y - down / 2:.1f}) scale({down / pin.height:.4f})">'
            f"{pin.mention}</g>"
        )
    lines = [pin.said[i : i + 40] for i in range(0, min(len(pin.said), 120), 40)]
    words = "".join(label(PANEL * PANEL_WIDE + 14, 14 + 16 * i, part, "start") for i, part in enumerate(lines))
    large = min(PANEL / pin.height, PANEL * PANEL_WIDE / pin.width)
    return (
        f'<g class="pin {pin.who}" tabindex="0" role="img" aria-label="{plain(pin.said, 160)}">'
        f'<circle class="reach" cx="{x:.0f}" cy="{y:.0f}" r="9"/>{head}<g class="panel" transform="translate(0 330)">'
        f'<rect class="ground" y="-6" width="{WIDE}" height="{PANEL + 12}"/>'
        f'<g transform="scale({large:.4f})">{pin.picture}</g>{words}</g></g>'
    )

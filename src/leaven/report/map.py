"""Do made rows cover the real set?  Embeddings in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from leaven.blend.blend import equal_shares
from leaven.models.backends.one_thread import one_thread
from leaven.report.album import Album
from leaven.report.charts import WIDE, Pin, figure, scatter, table
from leaven.report.content import Content
from leaven.report.vectors import Some, Vectors

POINTS = 3_000
SHORT = 120
PINS = {"real": 24, "kept": 36, "refused": 12}
"""Points that show their picture."""
WIDEST = 512
MINI = 22.0
"""How large it is on the map itself."""


def map_(content: Content, vectors: Vectors, album: Album | None = None) -> tuple[str, list[list[object]]]:
    """The section, and its points for the script: x, y, who, text."""
    body, points = _map(vectors, album if vectors.kind != "text" else None)
    return f'<section id="map"><h2>Map</h2>{body}</section>', points


def _map(vectors: Vectors, album: Album | None) -> tuple[str, list[list[object]]]:
    if not vectors.there or len(vectors.real) < 3:
        return '<p class="empty">No embedder was used</p>', []
    groups = {"real": vectors.real, "kept": vectors.kept, "refused": vectors.refused}
    sizes = equal_shares(np.array([len(some) for some in groups.values()]), POINTS).tolist()
    mean, axes, explained = principal(vectors.real.vectors)
    flat = [(some.vectors[:n] - mean) @ axes.T for some, n in zip(groups.values(), sizes, strict=True)]
    every = np.concatenate(flat)
    low, high = np.percentile(every, [0.2, 99.8], axis=0)
    span = np.maximum(high - low, 1e-9)
    at = [np.clip((xy - low) / span, 0, 1) * [WIDE - 20, 300] + 10 for xy in flat]
    places = [[(float(x), float(y)) for x, y in xy] for xy in at]
    points: list[list[object]] = [
        [round(x), round(y), who, _said(some, i) if album else some.texts[i][:SHORT]]
        for (who, some), xy in zip(groups.items(), places, strict=True)
        for i, (x, y) in enumerate(xy)
    ]
    pins = _pins(groups, places, album) if album else []
    drawing = scatter("Rows in two dimensions: real, kept and refused", *places, pins=pins)
    said = (
        f"The two directions in which the real rows differ most hold {explained * 100:.0f} % of their variance: rows "
        f"that lie together here may still differ in the others. {vectors.name} embeds."
    )
    if vectors.kept.vectors.size:
        said += (
            f" {_inside(flat[0], flat[1]) * 100:.0f} % of the kept rows lie within the middle 95 % of the real ones."
        )
    numbers = table(
        "Points of the map, in units of the embedding",
        ["rows", "#shown", "#of", "#centre x", "#centre y", "#spread x", "#spread y"],
        [_row(who, some, xy) for (who, some), xy in zip(groups.items(), flat, strict=True) if len(xy)],
    )
    caps = [f"{n:,} of {some.of:,} {who}" for (who, some), n in zip(groups.items(), sizes, strict=True) if n < some.of]
    cap = f'<p class="cap">{", ".join(caps)} rows, drawn by the hash of their ids</p>' if caps else ""
    key = '<span class="k ring">real</span><span class="k disc">kept</span><span class="k cross">refused</span>'
    if pins:
        key += f'<span class="k pin">{len(pins):,} with their picture</span>'
    tip = '<p id="tip" class="tip" hidden></p>'
    return cap + figure(drawing, said, numbers, key=key) + tip, points


@one_thread()
def principal(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The mean, the first two principal axes (2 x d), and the share of variance that they hold."""
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    spread = centred.T @ centred
    values, found = np.linalg.eigh(spread) if len(spread) <= WIDEST else _two(spread)
    axes = found[:, ::-1][:, :2].T
    axes = axes * np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]  # one sign of two
    return mean, axes, float(values[-2:].sum() / max(float(np.trace(spread)), 1e-12))


def _two(spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two largest eigenvalues and their vectors: all of a thousand would take seconds."""
    from scipy.sparse.linalg import eigsh

    values, found = eigsh(spread.astype(np.float64), k=2, v0=np.ones(len(spread)))
    order = np.argsort(values)
    return values[order], found[:, order]


def _inside(real: np.ndarray, made: np.ndarray) -> float:
    low, high = np.percentile(real, [2.5, 97.5], axis=0)
    return float(((made >= low) & (made <= high)).all(axis=1).mean())


def _row(who: str, some: Some, xy: np.ndarray) -> tuple[str, ...]:
    x, y = xy.mean(axis=0)
    sx, sy = xy.std(axis=0)
    return who, f"{len(xy):,}", f"{some.of:,}", f"{x:.2f}", f"{y:.2f}", f"{sx:.2f}", f"{sy:.2f}"


# -- images and sounds -----------------------------------------------------------------------------------------------


def _said(some: Some, i: int) -> str:
    return ", ".join(filter(None, (some.labels[i], some.texts[i])))[:SHORT]


def _pins(groups: Mapping[str, Some], places: Sequence[Sequence[tuple[float, float]]], album: Album) -> list[Pin]:
    """Points that show their picture; those whose picture the page has already come first."""
    name = album.content.media[0]
    chosen = []
    for (who, some), xy in zip(groups.items(), places, strict=True):
        order = sorted(range(len(xy)), key=lambda i: (some.ids[i] not in album.shots, i))
        chosen += [(who, some, i, xy[i]) for i in order[: PINS[who]]]
    album.open(sum(PINS.values()), 0)
    chosen = [found for found in chosen if album.reserve([found[1].ids[found[2]]])]
    album.load()
    out = []
    for who, some, i, (x, y) in chosen:
        shot = album.shots.get(some.ids[i], {}).get(name)
        if shot and not shot.wrong:
            drawn, width, height = album.picture(some.ids[i], name)
            again, _, _ = album.picture(some.ids[i], name)
            if album.sounds:
                drawn = f'<g class="power">{drawn}</g>'
            small = None if album.sounds else (MINI * width / max(width, height), MINI * height / max(width, height))
            said = ", ".join(filter(None, (who, _said(some, i))))
            out.append(Pin(x, y, who, said, drawn, again, width, height, small))
    return out

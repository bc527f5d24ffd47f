"""What a row says beside its image or sound, as numbers and names: boxes, masks, points, segments, captions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.image.resized import resized_codes
from leaven.media.broken import Broken
from leaven.media.image import Image

SMALL = 96
"""The side of the square that masks are kept at, and that a convolutional student sees."""
EDGE = 0.004
"""A box is cut off where it comes as near to the image's edge as this share of its side: a pixel or two."""
WORDS = re.compile(r"\w+")

Things = list[float] | list[str]


@dataclass
class Noted:
    """A row's annotations: ``things`` by (type, what is counted), and what a student learns from.

    ``boxes`` are rows of x, y, width, height as shares of the image, with ``labels`` beside them; ``mask`` holds codes.
    """

    things: dict[tuple[str, str], Things] = field(default_factory=dict)
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    labels: list[str] = field(default_factory=list)
    mask: NDArray[np.uint8] | None = None
    captions: list[str] = field(default_factory=list)


def noted(values: Mapping[str, tuple[str, Any]], size: Sequence[float]) -> Noted:
    """The annotations of one row: field to (type, value).  ``size`` is width and height, or seconds."""
    out = Noted()
    for kind, value in values.values():
        _LOOK[kind](out, value, size)
    return out


def _boxes(out: Noted, value: Any, size: Sequence[float]) -> None:
    boxes = value or []
    width, height = size
    shares = np.array([(b["x"] / width, b["y"] / height, b["w"] / width, b["h"] / height) for b in boxes], np.float64)
    out.boxes = shares = shares.reshape(-1, 4)
    out.labels = [str(box["label"]) if box["label"] is not None else "" for box in boxes]
    x, y, w, h = shares.T
    edge = (x <= EDGE) | (y <= EDGE) | (x + w >= 1 - EDGE) | (y + h >= 1 - EDGE)
    tall = np.maximum(h * height, 1e-9)
    out.things |= {
        ("boxes", "boxes an image"): [float(len(boxes))],
        ("boxes", "label"): list(out.labels),
        ("boxes", "area, share of the image"): (w * h).tolist(),
        ("boxes", "width to height"): (w * width / tall).tolist(),
        ("boxes", "centre, from the left"): (x + w / 2).tolist(),
        ("boxes", "centre, from the top"): (y + h / 2).tolist(),
        ("boxes", "at an edge, share"): edge.astype(float).tolist(),
    }


def _mask(out: Noted, value: Any, size: Sequence[float]) -> None:
    if not isinstance(value, Image):
        return
    try:
        codes = value.codes
    except Broken:
        return
    out.mask = resized_codes(codes, SMALL, SMALL).astype(np.uint8)
    found, counts = np.unique(codes, return_counts=True)
    held = found > 0
    shares = counts[held] / codes.size
    out.things |= {
        ("mask", "masked, share of the image"): [float(shares.sum())],
        ("mask", "codes an image"): [float(held.sum())],
        ("mask", "code"): [str(code) for code in found[held]],
        ("mask", "area of a code, share"): shares.tolist(),
    }


def _points(out: Noted, value: Any, size: Sequence[float]) -> None:
    points = value or []
    out.things |= {
        ("points", "points an image"): [float(len(points))],
        ("points", "label"): [str(p["label"]) for p in points],
        ("points", "from the left"): [p["x"] / size[0] for p in points],
        ("points", "from the top"): [p["y"] / size[1] for p in points],
    }


def _segments(out: Noted, value: Any, size: Sequence[float]) -> None:
    segments = value or []
    out.things |= {
        ("segments", "segments a sound"): [float(len(segments))],
        ("segments", "label"): [str(s["label"]) for s in segments],
        ("segments", "seconds"): [s["end"] - s["start"] for s in segments],
        ("segments", "start, share of the sound"): [s["start"] / max(size[0], 1e-9) for s in segments],
    }


def _captions(out: Noted, value: Any, size: Sequence[float]) -> None:
    captions = [str(text) for text in (value if isinstance(value, list) else [value]) if text]
    out.captions = captions
    words = [WORDS.findall(text.casefold()) for text in captions]
    out.things |= {
        ("caption", "captions"): [float(len(captions))],
        ("caption", "words a caption"): [float(len(some)) for some in words],
        ("caption", "word"): [word for some in words for word in some],
    }


_LOOK: Mapping[str, Callable[[Noted, Any, Sequence[float]], None]] = {
    "boxes": _boxes,
    "mask": _mask,
    "points": _points,
    "segments": _segments,
    "caption": _captions,
}

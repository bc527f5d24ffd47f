"""One transform of the albumentations that the user has: a bridge, for what has no operator here."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from math import cos, hypot, radians
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from leaven.errors import MissingExtra, RecipeError, suggest
from leaven.fields import Column
from leaven.image.carried import noted, said, unfit
from leaven.image.mirrored import FAR, mirror, mirror_marks, turned
from leaven.image.moved import DIGITS, clip, corners, extent, flat, pairs
from leaven.media.image import Image
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leaven.context import Context

MIT = ("albumentations", "nrtk-albumentations")
"""Distributions under the MIT licence that install the package `albumentations`."""
AGPL = "albumentationsx"
INSTALL = 'pip install "albumentations>=2,<3"'
Marks = list[dict[str, Any]]


class Albumentations(Make):
    """Change an image by one transform of albumentations 2.x (MIT), if it is installed.

    `transform` is its class, `params` are what it is made with; its `p` is 1 where `params` names none.  It draws by
    the record's own numbers.  Boxes, masks and points are moved by albumentations, polygons corner by corner.

    AlbumentationsX, which installs under the same name, is under the AGPL-3.0, and refused.  A mask of another size
    than its image is refused as `mask_size`; a child that was mirrored or turned far, and of which a text or label
    would be false then, as `text_untrue` (`left` and `right` are mended, as in `warp`).

    Needs an image.  Makes an image; boxes, masks and points move along.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.zeros((8, 8, 3), np.uint8))
    >>> [row] = Albumentations("MotionBlur", params={"blur_limit": [3, 5]})({"image": photo})  # doctest: +SKIP
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    transform: str
    """The name of the transform: `MotionBlur`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """What it is made with."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    smallest: float = Field(0.1, ge=0, le=1)
    """The share of its area that must be left of a box."""
    on: str | None = None
    """The image to change; the main one."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Say before anything runs where the package lacks, or the transform."""
        composed(self.transform, json.dumps(self.params, sort_keys=True), self.smallest)
        return self

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        on = self.on or "image"
        there = noted(record, ctx, on, self.moves)
        wrong = unfit(record, on, there)
        for ordinal in range(self.n):
            seed = int(ctx.rng_of(ordinal).integers(2**32))
            if wrong:
                yield record.child().refuse("mask_size", wrong)
            else:
                yield self.child(record, ctx, on, there, seed)

    def child(self, record: Record, ctx: Context, on: str, there: list[tuple[str, str]], seed: int) -> Record:
        import numpy as np

        image: Image = record[on]
        masks = [name for kind, name in there if kind == "mask"]
        marks = {name: (kind, record[name]) for kind, name in there if kind != "mask"}
        given = _Given(image.size, {name: value for name, (_, value) in marks.items()})
        run = composed(self.transform, json.dumps(self.params, sort_keys=True), self.smallest)
        run.set_random_seed(seed)
        found = run(
            image=image.pixels.copy(),
            bboxes=np.array(given.boxes, np.float64).reshape(-1, 4),
            box_ids=list(range(len(given.boxes))),
            keypoints=np.array(given.places, np.float64).reshape(-1, 2),
            place_ids=list(range(len(given.places))),
            **({"masks": [np.array(record[name].codes) for name in masks]} if masks else {}),
        )
        pixels = found["image"]
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise RecipeError(
                f"{self.transform} makes {pixels.dtype} values of the shape {pixels.shape}, which is no image.",
                "leave out what trainers do: Normalize, ToFloat, ToTensorV2.",
            )
        height, width = pixels.shape[:2]
        places = {int(i): (float(x) + 0.5, float(y) + 0.5) for i, (x, y) in zip(found["place_ids"], found["keypoints"])}
        boxes = {int(i): [float(v) for v in box] for i, box in zip(found["box_ids"], found["bboxes"])}
        mended, why = self.told(record, ctx, marks, [places.get(i) for i in range(3)])
        if why:
            return record.child({on: Image.of(pixels, image)}).refuse("text_untrue", why)
        new: dict[str, Any] = {on: Image.of(pixels, image)}
        drawn: dict[str, Any] = {"transform": self.transform, "seed": seed}
        if mended:
            drawn["mended"] = sorted(mended)
        for name, codes in zip(masks, found.get("masks", ())):
            new[name] = Image.of_codes(codes)
        for name, (_, value) in marks.items():
            kept = given.moved(name, mended.pop(name, value), boxes, places, (width, height))
            new[name] = kept
            if len(kept) < len(value):
                drawn[f"{name}_dropped"] = len(value) - len(kept)
        return record.child({**mended, **new}, drawn=drawn)

    def told(
        self,
        record: Record,
        ctx: Context,
        marks: dict[str, tuple[str, Marks]],
        corner: list[tuple[float, float] | None],
    ) -> tuple[dict[str, Any], str]:
        """What texts and labels must say anew, by where a place, its right and its lower neighbour went; or why none is
        true."""
        at, right, below = corner
        if at is None or right is None or below is None:  # erased, not moved
            return {}, ""
        x, y, u, v = right[0] - at[0], right[1] - at[1], below[0] - at[0], below[1] - at[1]
        mirrored = x * v - y * u < 0
        level = hypot(x, y) * cos(radians(FAR))
        fields = said(record, ctx, self.holds)
        stands = -x > level if mirrored else x > level
        if not stands and (why := turned(fields)):
            return {}, why
        if not mirrored:
            return {}, ""
        texts, why = mirror(fields, ctx.labels)
        other, lacks = mirror_marks({n: m for n, m in marks.items() if n not in self.holds}, ctx.labels)
        return {**texts, **other}, why or lacks


class _Given:
    """Boxes and points as albumentations has them: three places to tell a mirror by, points, corners of polygons."""

    def __init__(self, size: tuple[int, int], marks: Mapping[str, Marks]) -> None:
        width, height = size
        middle = (width / 2 - 0.5, height / 2 - 0.5)
        self.places: list[tuple[float, float]] = [middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)]
        self.boxes: list[list[float]] = []
        self.at: dict[tuple[str, int], tuple[int, list[list[int]]]] = {}
        """For each mark its box's number, or -1, and the numbers of its places, polygon by polygon."""
        for name, value in marks.items():
            for i, mark in enumerate(value):
                if "w" not in mark:
                    self.at[name, i] = (-1, [self._placed([(mark["x"], mark["y"])])])
                    continue
                seen = clip(corners(mark), size)
                if not seen or not mark["w"] or not mark["h"]:
                    continue
                left, top, right, bottom = extent([seen])
                self.boxes.append([left, top, right - left, bottom - top])
                shapes = [pairs(numbers) for numbers in mark.get("polygons") or () if len(numbers) >= 6]
                self.at[name, i] = (len(self.boxes) - 1, [self._placed(clip(shape, size)) for shape in shapes])

    def _placed(self, places: list[tuple[float, float]]) -> list[int]:
        begin = len(self.places)
        self.places += [(x - 0.5, y - 0.5) for x, y in places]  # albumentations counts from the middle of pixels
        return list(range(begin, len(self.places)))

    def moved(
        self,
        name: str,
        marks: Marks,
        boxes: Mapping[int, list[float]],
        places: Mapping[int, tuple[float, float]],
        size: tuple[int, int],
    ) -> Marks:
        """The marks of a column that are left, where they went."""
        out: Marks = []
        for i, mark in enumerate(marks):
            number, shapes = self.at.get((name, i), (-1, []))
            if "w" not in mark:
                [[place]] = shapes
                x, y = places.get(place, (-1.0, -1.0))
                if 0 <= x <= size[0] and 0 <= y <= size[1]:
                    out.append({**mark, "x": round(x, DIGITS), "y": round(y, DIGITS)})
            elif number in boxes:
                out.append(_about(mark, boxes[number], shapes, places, size))
        return out


def _about(
    mark: Mapping[str, Any],
    box: list[float],
    shapes: list[list[int]],
    places: Mapping[int, tuple[float, float]],
    size: tuple[int, int],
) -> dict[str, Any]:
    """A box where it went, about its polygons where all of their corners are still there."""
    x, y, w, h = box
    polygons: list[list[float]] = []
    if shapes and all(place in places for shape in shapes for place in shape):
        seen = [cut for shape in shapes if (cut := clip([places[place] for place in shape], size))]
        polygons = [flat(cut) for cut in seen]
        if polygons:
            x, y, right, bottom = extent(map(pairs, polygons))
            w, h = right - x, bottom - y
    numbers = {key: round(v, DIGITS) for key, v in (("x", x), ("y", y), ("w", w), ("h", h))}
    return {**mark, **numbers, "polygons": polygons or None}


@lru_cache(maxsize=16)
def composed(transform: str, params: str, smallest: float) -> Any:
    """The transform, ready to run; raises what lacks.  ``params`` are JSON."""
    library = _library()
    found = getattr(library, transform, None)
    base = library.BasicTransform
    if not (isinstance(found, type) and issubclass(found, base)):
        known = sorted(name for name, v in vars(library).items() if isinstance(v, type) and issubclass(v, base))
        raise RecipeError(f"albumentations has no transform `{transform}`.", f"{suggest(transform, known)}.")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            made = found(**{"p": 1, **json.loads(params)})
            problems = [str(each.message) for each in warned if "not valid" in str(each.message)]
        except (TypeError, ValueError) as error:
            problems = [" ".join(str(error).split())]
    if problems:
        raise RecipeError(f"albumentations: {transform}: {problems[0][:200]}.", "correct `params`.")
    boxes = library.BboxParams(format="coco", label_fields=["box_ids"], clip=True, min_visibility=smallest)
    places = library.KeypointParams(format="xy", label_fields=["place_ids"], remove_invisible=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a transform that moves nothing leaves boxes alone, and is warned about
        return library.Compose([made], bbox_params=boxes, keypoint_params=places)


def _library() -> Any:
    """The package, if it is one that may be used: by the distribution that installed it, since three share a name."""
    installed = {name: version for name in (AGPL, *MIT) if (version := _version(name))}
    if AGPL in installed:
        raise RecipeError(
            f"AlbumentationsX {installed[AGPL]} is installed; it is under the AGPL-3.0, which leaven does not use.",
            f"pip uninstall albumentationsx; {INSTALL}",
        )
    if not any(version.split(".")[0] == "2" for version in installed.values()):
        have = next(
            iter(f"{name} {version} is installed" for name, version in installed.items()), "it is not installed"
        )
        raise MissingExtra(f"this step needs albumentations 2.x (MIT); {have}.", INSTALL)
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer one
    try:
        import albumentations
    except ImportError as error:
        raise MissingExtra(f"albumentations does not load: {error}.", INSTALL) from None
    return albumentations


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""

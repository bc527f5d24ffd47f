"""Simple copy-paste: outlined objects of one image put into another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.image.annotations import Box, placed, placed_points, points_on, points_without, within, without
from leaven.image.like import like
from leaven.image.outlines import filled
from leaven.image.partners import alone, partners, said_of
from leaven.image.resized import resized, resized_codes
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Make
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

FLIP = 0.5


class CopyPaste(Make):
    """Cut some objects out of a drawn image, along their outlines, and put them into the record's.

    Simple Copy-Paste (Ghiasi et al. 2021, arXiv:2012.07177): the drawn image is brought to the record's size, scaled,
    mirrored in half of the cases, and laid over it at a drawn place; of its objects as many as it has are drawn, some
    twice, so that about two thirds are put in.  No seam is smoothed: the paper found that it needs none.  The paper
    scales the image that receives, too; here that is a step before, `warp`.

    Objects are boxes with polygons, or in data without boxes the connected parts of a mask (0 is the background).  What
    they cover is cut off the record's own outlines; boxes go by what is left, and less than a tenth is dropped.  Label
    and texts stay the record's own.

    A record for which no row with an object can be drawn is refused as `no_partner` or `no_instances`; one without a
    mask, boxes or points where the drawn row has them, or the other way round, as `no_mask`, `no_boxes` or `no_points`;
    a mask of another size than its image as `mask_size`.

    Needs an image, and boxes or a mask.  Makes an image, boxes, masks and points.

    >>> import numpy as np
    >>> cup = {"x": 0.0, "y": 0.0, "w": 4.0, "h": 4.0, "label": "cup", "polygons": [[0, 0, 4, 0, 4, 4, 0, 4]]}
    >>> table, other = {"image": np.zeros((4, 4, 3), np.uint8), "boxes": []}, {"image": np.full((4, 4, 3), 9, np.uint8)}
    >>> [row] = CopyPaste(scale=[1, 1])(table, source=[{**other, "boxes": [cup]}])
    >>> int(row["image"].pixels.min()), [box["label"] for box in row["boxes"]]
    (9, ['cup'])
    """

    takes: ClassVar[str] = "image"
    needs: ClassVar[frozenset[str]] = frozenset({"boxes or mask"})
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    n: int = Field(1, ge=1, le=50)
    """How many children, each with objects of another row."""
    draw: Draw = Draw(k=1)
    """Which row to take objects from."""
    scale: list[float] = [0.8, 1.25]
    """The least and the greatest size of the drawn image beside the record's; the paper also tries 0.1 to 2."""
    on: str | None = None
    """The field to change; the main image."""

    @model_validator(mode="after")
    def _range(self) -> CopyPaste:
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 10:
            raise ValueError(
                RecipeError(f"scale is {self.scale}; it is two numbers from 0 to 10.", "scale: [0.8, 1.25]")
            )
        return self

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "image"
        for ordinal in range(self.n):
            drawn = partners(record, self.draw, ordinal, field, ctx)
            try:
                yield self.pasted(record, drawn[0], field, ctx, ctx.rng_of(ordinal)) if drawn else alone(record)
            except Refuse as refused:
                yield record.child().refuse(refused.reason, refused.detail)

    def pasted(self, record: Record, partner: Record, field: str, ctx: Context, rng: np.random.Generator) -> Record:
        import numpy as np

        own, other = record[field], partner[field]
        overlay = Overlay.drawn(own.size, other.size, self.scale, rng)
        said = {"scale": round(overlay.scale, 4), "flip": overlay.flip, "x": overlay.corner[0], "y": overlay.corner[1]}
        noted = {kind: (name, *both) for kind, name, both in said_of([record, partner], field, ctx, self.moves)}
        height, width = own.size[1], own.size[0]
        objects: list[tuple[NDArray[np.bool_], Box | None]] = []
        codes = overlay.laid_codes(noted["mask"][2].codes) if "mask" in noted else None
        if "boxes" in noted:
            outlined = [box for box in noted["boxes"][2] if box.get("polygons")]
            for box in within(overlay.boxes(outlined), (0, 0, width, height)):
                objects.append((filled(box["polygons"], height, width), box))
        elif codes is not None:
            objects = [(part, None) for part in parts(codes)]
        objects = [(pixels, box) for pixels, box in objects if pixels.any()]
        if not objects:
            return record.child(drawn=said).refuse(
                "no_instances", "of the row drawn no outlined object is in the image"
            )
        chosen = np.unique(rng.integers(len(objects), size=len(objects))).tolist()
        pasted = np.logical_or.reduce([objects[i][0] for i in chosen])
        pixels = np.where(pasted[..., None], overlay.laid(other.pixels), own.pixels)
        new: dict[str, Any] = {field: Image.of(pixels, like(own, other))}
        for kind, (name, mine, its) in noted.items():
            if kind == "boxes":
                new[name] = [*without(mine, pasted), *(box for i in chosen if (box := objects[i][1]))]
            elif kind == "points":
                new[name] = [*points_without(mine, pasted), *points_on(overlay.points(its), pasted)]
            elif kind == "mask" and codes is not None:
                wide = np.result_type(mine.codes, codes)
                new[name] = Image.of_codes(np.where(pasted, codes.astype(wide), mine.codes.astype(wide)))
        return record.child(new, parents=[record, partner], drawn={**said, "objects": len(chosen)})


class Overlay:
    """Where a drawn image lies over the record's: mirrored or not, scaled, its corner at (x, y), maybe outside."""

    def __init__(
        self, size: tuple[int, int], other: tuple[int, int], scale: float, flip: bool, corner: tuple[int, int]
    ) -> None:
        self.size, self.other, self.scale, self.flip, self.corner = size, other, scale, flip, corner
        fit = max(size) / max(other) * scale
        self.new = (max(1, round(other[0] * fit)), max(1, round(other[1] * fit)))

    @classmethod
    def drawn(
        cls, size: tuple[int, int], other: tuple[int, int], scales: Sequence[float], rng: np.random.Generator
    ) -> Overlay:
        """Its corner is drawn so that the smaller of the two lies within the larger, on either axis."""
        scale = float(rng.uniform(scales[0], scales[1]))
        flip = bool(rng.random() < FLIP)
        new = cls(size, other, scale, flip, (0, 0)).new
        corner = [int(rng.integers(min(0, a - b), max(0, a - b) + 1)) for a, b in zip(size, new, strict=True)]
        return cls(size, other, scale, flip, (corner[0], corner[1]))

    def laid(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Its pixels where they lie, in the record's size; 0 where it does not reach."""
        return self._laid(resized(pixels, *self.new))

    def laid_codes(self, codes: NDArray[Any]) -> NDArray[Any]:
        return self._laid(resized_codes(codes, *self.new))

    def _laid(self, array: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        array = array[:, ::-1] if self.flip else array
        out = np.zeros((self.size[1], self.size[0], *array.shape[2:]), array.dtype)
        (x, y), (width, height) = self.corner, self.new
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, self.size[0]), min(y + height, self.size[1])
        out[y0:y1, x0:x1] = array[y0 - y : y1 - y, x0 - x : x1 - x]
        return out

    def boxes(self, boxes: Sequence[Box]) -> list[Box]:
        if self.flip:
            width = self.other[0]
            boxes = [
                {
                    **box,
                    "x": width - box["x"] - box["w"],
                    "polygons": [[v if i % 2 else width - v for i, v in enumerate(p)] for p in box["polygons"]],
                }
                for box in boxes
            ]
        return placed(boxes, self._fit(), self.corner)

    def points(self, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.flip:
            points = [{**point, "x": self.other[0] - point["x"]} for point in points]
        return placed_points(points, self._fit(), self.corner)

    def _fit(self) -> tuple[float, float]:
        return self.new[0] / self.other[0], self.new[1] / self.other[1]


def parts(codes: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """The connected parts of each number of a mask but 0."""
    import numpy as np

    found = []
    for code in np.unique(codes[codes > 0]):
        count, numbered = opencv().connectedComponents((codes == code).astype(np.uint8), connectivity=8)
        found += [numbered == i for i in range(1, count)]
    return found

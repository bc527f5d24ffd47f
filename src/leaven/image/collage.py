"""One image from parts of several: CutMix, mosaic, a plain grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from leaven.draws import Draw
from leaven.fields import Column
from leaven.image.annotations import inside, placed, placed_points, points_within, points_without, within, without
from leaven.image.like import like
from leaven.image.partners import alone, partners, said_of
from leaven.image.resized import resized, resized_codes
from leaven.image.tiles import FILL, Tile, assembled, cropped, cropped_boxes, grid, mosaic, of_tile, tiled
from leaven.label_mass import LABEL, LABEL_PROBS, labels_of
from leaven.media.image import Image
from leaven.mixing import cutmix, cutmix_box
from leaven.operators import Make
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

ONE, THREE = Draw(k=1), Draw(k=3)
SCALE, SHIFT = 0.5, 0.1
"""A mosaic is scaled by 1 - 0.5 to 1 + 0.5 and moved by up to a tenth of its side (YOLOv5's)."""


class Collage(Make):
    """Put parts of drawn images into the record's, or side by side with it.

    `cutmix` (Yun et al. 2019, arXiv:1905.04899): a box of the record shows the same place of another image; its area is
    drawn anew, cut off at the edges, and labels go by what is left.  `mosaic` (YOLOv4, Bochkovskiy et al. 2020,
    arXiv:2004.10934): four images about a drawn centre on a gray canvas of twice the record's longer side; it is scaled
    (0.5 to 1.5), moved (a tenth) and cut to a square.  `grid`: four images two by two, each at half its size.

    Boxes, masks and points come along; what is hidden, or seen to less than a tenth, is dropped.  `label` is that of
    the largest part, and `label_probs` has the share of each, by area.  A caption is of the whole image: a record that
    has one is refused as `caption_lost`, unless the recipe holds it.

    A record with nothing to be put together with is refused as `no_partner`; one without a label, a mask, boxes or
    points where others have them as `no_label`, `no_mask`, `no_boxes` or `no_points`; a mask of another size than its
    image as `mask_size`.

    Needs an image.  Makes an image, boxes, masks, points and labels.

    >>> import numpy as np
    >>> white, black = ({"image": np.full((4, 4, 3), v, np.uint8), "label": name} for v, name in ((255, "a"), (0, "b")))
    >>> [row] = Collage("grid")(white, source=[black])
    >>> row["image"].pixels[..., 0].tolist()[0], row["label_probs"]
    ([255, 255, 0, 0], {'a': 0.25, 'b': 0.75})
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    how: Literal["cutmix", "mosaic", "grid"] = "cutmix"
    """A box of another image inside, or four images: about a drawn centre, or two by two."""
    n: int = Field(1, ge=1, le=50)
    """How many children, each with others drawn."""
    lam: float | None = Field(None, ge=0, le=1)
    """With `cutmix`, the share of the record's own image before the box is cut off; without it, drawn from 0 to 1."""
    draw: Draw = ONE
    """Which rows to put in; without it one for `cutmix`, three for the others.  Of fewer some are taken twice."""
    soft: bool | None = None
    """Write `label_probs`; without it, where the data has a label."""
    on: str | None = None
    """The field to change; the main image."""

    @model_validator(mode="before")
    @classmethod
    def _draw(cls, given: Any) -> Any:
        if isinstance(given, dict) and "draw" not in given:
            given = {**given, "draw": ONE if given.get("how", "cutmix") == "cutmix" else THREE}
        return given

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({LABEL}) if self.soft else frozenset()

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if self.soft is not None:
            return self
        return self.model_copy(update={"soft": any(column.type == LABEL for column in columns.values())})

    def writes(self) -> dict[str, Column]:
        return {LABEL_PROBS: Column(LABEL_PROBS)} if self.soft else {}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "image"
        untrue = [name for name in ctx.fields_of("caption") if record.get(name) and name not in self.holds]
        for ordinal in range(self.n):
            drawn = partners(record, self.draw, ordinal, field, ctx)
            if not drawn:
                yield alone(record)
                continue
            if untrue:
                yield record.child().refuse("caption_lost", f"{untrue[0]} is of the whole image")
                continue
            rng = ctx.rng_of(ordinal)
            try:
                if self.how == "cutmix":
                    yield self.cut(record, drawn[0], field, ctx, rng)
                else:
                    rows = [record, *(drawn[i % len(drawn)] for i in range(3))]
                    square = self.how == "mosaic"
                    yield self.square(rows, field, ctx, rng) if square else self.two_by_two(rows, field, ctx)
            except Refuse as refused:
                yield record.child().refuse(refused.reason, refused.detail)

    # -- the three ways -----------------------------------------------------------------------------------------------

    def cut(self, record: Record, partner: Record, field: str, ctx: Context, rng: np.random.Generator) -> Record:
        own, other = record[field], partner[field]
        width, height = own.size
        lam = float(rng.random()) if self.lam is None else self.lam
        y0, y1, x0, x1, real = cutmix_box(height, width, lam, int(rng.integers(height)), int(rng.integers(width)))
        box, window = [y0, y1, x0, x1], (x0, y0, x1, y1)
        covered = inside([window], own.size)
        pixels = cutmix(own.pixels, resized(other.pixels, width, height), box)
        new: dict[str, Any] = {field: Image.of(pixels, like(own, other))}
        scale = (width / other.size[0], height / other.size[1])
        for kind, name, said in said_of([record, partner], field, ctx, self.moves):
            if kind == "mask":
                codes = together(said)
                inside_mask = resized_codes(codes[1], width, height)
                new[name] = Image.of_codes(cutmix(codes[0], inside_mask, box, channels_last=False))
            elif kind == "boxes":
                new[name] = [*without(said[0], covered), *within(placed(said[1], scale), window)]
            else:
                added = points_within(placed_points(said[1], scale), window)
                new[name] = [*points_without(said[0], covered), *added]
        drawn = {"lam": round(real, 4), "x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
        return self.child(new, [(real, record), (1 - real, partner)], drawn, ctx)

    def two_by_two(self, rows: Sequence[Record], field: str, ctx: Context) -> Record:
        width, height = rows[0][field].size
        if min(width, height) < 2:
            raise Refuse("too_small", f"{width} x {height} pixels")
        tiles = grid(width, height)
        new = self.laid(rows, field, tiles, (height, width), ctx)
        shares = [tile.size[0] * tile.size[1] / (width * height) for tile in tiles]
        return self.child(new, list(zip(shares, rows, strict=True)), {}, ctx)

    def square(self, rows: Sequence[Record], field: str, ctx: Context, rng: np.random.Generator) -> Record:
        import numpy as np

        side = max(rows[0][field].size)
        centre = (int(rng.uniform(side / 2, 3 * side / 2)), int(rng.uniform(side / 2, 3 * side / 2)))
        order = rng.permutation(4).tolist()
        rows_in_turn = [rows[i] for i in order]
        scale = float(rng.uniform(1 - SCALE, 1 + SCALE))
        middle = [float(at) * side for at in rng.uniform(0.5 - SHIFT, 0.5 + SHIFT, 2)]
        tiles = mosaic([row[field].size for row in rows_in_turn], side, centre)
        new = self.laid(rows_in_turn, field, tiles, (2 * side, 2 * side), ctx)
        new[field] = Image.of(cropped(new[field].pixels, side, scale, middle, FILL), new[field])
        for kind, name in ctx.noted_on(field):
            if name not in new:
                continue
            if kind == "mask":
                new[name] = Image.of_codes(cropped(new[name].codes, side, scale, middle, 0))
            elif kind == "boxes":
                new[name] = cropped_boxes(new[name], side, scale, middle)
            else:
                shift = (middle[0] - scale * side, middle[1] - scale * side)
                new[name] = points_within(placed_points(new[name], (scale, scale), shift), (0, 0, side, side))
        whose = [np.full((*tile.size[::-1],), i + 1, np.uint8) for i, tile in enumerate(tiles)]
        canvas = assembled(whose, tiles, np.zeros((2 * side, 2 * side), np.uint8))
        seen = np.bincount(cropped(canvas, side, scale, middle, 0).ravel(), minlength=5)[1:5]
        if not seen.sum():
            raise Refuse("nothing_seen", "the square shows none of the four images")
        shares = [float(share) for share in seen / seen.sum()]
        said = {
            "order": order,
            "centre": list(centre),
            "scale": round(scale, 4),
            "middle": [round(at, 4) for at in middle],
        }
        parts = sorted(zip(shares, rows_in_turn, strict=True), key=lambda part: part[1] is not rows[0])
        return self.child(new, parts, said, ctx)

    # -- what they share ----------------------------------------------------------------------------------------------

    def laid(
        self, rows: Sequence[Record], field: str, tiles: Sequence[Tile], shape: tuple[int, int], ctx: Context
    ) -> dict[str, Any]:
        """The fields of a canvas (height, width) with the rows' images in their tiles."""
        import numpy as np

        images = [row[field] for row in rows]
        sizes = [image.size for image in images]
        arrays = [resized(image.pixels, *tile.size) for image, tile in zip(images, tiles, strict=True)]
        pixels = assembled(arrays, tiles, np.full((*shape, 3), FILL, np.uint8))
        new: dict[str, Any] = {field: Image.of(pixels, like(*images))}
        for kind, name, said in said_of(rows, field, ctx, self.moves):
            at = zip(said, sizes, tiles, strict=True)
            if kind == "mask":
                codes = [resized_codes(array, *tile.size) for array, tile in zip(together(said), tiles, strict=True)]
                new[name] = Image.of_codes(assembled(codes, tiles, np.zeros(shape, codes[0].dtype)))
            elif kind == "boxes":
                new[name] = [box for boxes, size, tile in at for box in tiled(boxes, size, tile)]
            else:
                new[name] = [
                    point
                    for points, size, tile in at
                    for point in points_within(placed_points(points, of_tile(size, tile), tile.corner), tile.window)
                ]
        return new

    def child(
        self, new: dict[str, Any], parts: Sequence[tuple[float, Record]], drawn: dict[str, Any], ctx: Context
    ) -> Record:
        """The child of some rows, the first of them the record, each with its share of the image."""
        labels = labels_of(parts, ctx, bool(self.soft))
        if labels is None:
            raise Refuse("no_label", "a label is not known")
        rows = [row for _, row in parts]
        return rows[0].child({**new, **labels}, parents=list({row.id: row for row in rows}.values()), drawn=drawn)


def together(masks: Sequence[Image]) -> list[NDArray[Any]]:
    """Their codes, in one type that holds all."""
    import numpy as np

    codes = [mask.codes for mask in masks]
    wide = np.result_type(*codes)
    return [array.astype(wide, copy=False) for array in codes]

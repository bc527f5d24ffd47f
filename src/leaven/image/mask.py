"""A mask of what stands in the boxes of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.fields import Column
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from leaven.context import Context


class Mask(Note):
    """Note the pixels of what stands in each box, as a segmenter such as SAM marks them.

    All boxes together make one mask: 0 is the background, 1 what is marked; with `classes` each class has a number of
    its own, and a box of another label is left out.  Where two lie over each other the smaller one is seen.

    A record without boxes is refused as `no_boxes`; an empty list of boxes is an empty mask.

    Needs an image and boxes; a model for `segment`.  Writes `mask`.

    >>> import numpy as np
    >>> cup = {"x": 1.0, "y": 0.0, "w": 2.0, "h": 1.0, "label": "cup"}
    >>> [row] = Mask()({"image": np.zeros((2, 4, 3), np.uint8), "boxes": [cup]}, segment="fake:shape")
    >>> row["mask"].codes.tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """

    roles: ClassVar[frozenset[str]] = frozenset({"segment"})
    takes: ClassVar[str] = "image"
    needs: ClassVar[frozenset[str]] = frozenset({"boxes"})
    of: str = "boxes"
    """The field of boxes."""
    grow: int = Field(0, ge=0, le=500)
    """Pixels by which each mask is made wider on all sides."""
    classes: list[str] = []
    """The labels of boxes that are marked, numbered from 1 in this order; without it all are, and each is 1."""
    on: str | None = None
    """The image; the main image."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model segment.other=URI`."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {self.of}

    def writes(self) -> dict[str, Column]:
        return {"mask": Column("mask", frozenset({self.on or "image"}))}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        import numpy as np

        image, boxes = record[self.on or "image"], record.get(self.of)
        if boxes is None:
            raise Refuse("no_boxes", f"`{self.of}` is empty")
        width, height = image.size
        codes = np.zeros((height, width), np.uint16)
        marked = []
        for box in boxes:
            if self.classes and box.get("label") not in self.classes:
                continue
            found = (await ctx.segment(image, [box[key] for key in ("x", "y", "w", "h")], record)).codes != 0
            code = 1 + self.classes.index(box["label"]) if self.classes else 1
            marked.append((grown(found, self.grow), code))
        for pixels, code in sorted(marked, key=lambda one: -int(one[0].sum())):
            codes[pixels] = code
        return {"mask": Image.of_codes(codes)}


def grown(pixels: Any, by: int) -> Any:
    """A mask (height x width, bool) with all that lies ``by`` pixels or less from it."""
    import numpy as np

    if not by or not pixels.any():
        return pixels
    cv2 = opencv()
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return cv2.dilate(pixels.astype(np.uint8), disk) > 0

"""A mask of single things out of an image of how far each pixel lies from their edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leaven.fields import Column
from leaven.image.sides import things
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context


class Instances(Note):
    """Note the single things in an image as `structure` draws them, or as a painter that learned it does.

    - `distance`: what is at least as bright as `threshold` is the middle of a thing, each connected patch one; what is
      brighter than `edge` belongs to the nearest middle.  The numbers are ours.
    - `sides`: things are parted where their maps jump, and flooded from their middles, as HoVer-Net (Graham et al.
      2019, arXiv:1812.06499) and Nudiff (Yu et al. 2023, arXiv:2310.14197) do.  `turned` also reads the maps mirrored
      and exchanged, as a painter may draw them, and takes the way with most things: so does Nudiff, which parts too
      much rather than too little.

    Things smaller than `smallest` are left out, the others numbered from 1.  An image without one has an empty mask.

    Needs an image.  Writes `mask`.

    >>> import numpy as np
    >>> far = np.array([[0, 90, 255, 90, 0, 99, 255, 99]] * 3, np.uint8)
    >>> [row] = Instances(smallest=1)({"image": np.zeros((3, 8, 3), np.uint8), "structure": Image.of(far)})
    >>> row["mask"].codes[0].tolist()
    [0, 1, 1, 1, 0, 2, 2, 2]
    """

    of: str = "structure"
    """The field that holds the image."""
    how: Literal["distance", "sides"] = "distance"
    """What the image shows."""
    turned: bool = False
    """Whether `sides` may be mirrored or exchanged."""
    threshold: float = Field(0.5, gt=0, le=1)
    """How bright the middle of a thing is, 1 being white."""
    edge: float = Field(0.1, ge=0, le=1)
    """How bright the least of it is."""
    smallest: int = Field(10, ge=1)
    """Pixels of the smallest thing."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {self.of}

    def writes(self) -> dict[str, Column]:
        return {"mask": Column("mask", frozenset({self.of}))}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        image = record.get(self.of)
        if image is None:
            raise Refuse("no_structure", f"`{self.of}` is empty")
        if self.how == "sides":
            return {"mask": Image.of_codes(things(image.pixels, self.smallest, turned=self.turned))}
        return {"mask": Image.of_codes(parted(image.pixels[..., 0], self.threshold, self.edge, self.smallest))}


def parted(bright: NDArray[np.uint8], threshold: float, edge: float, smallest: int) -> NDArray[np.uint16]:
    """Numbers of things (height x width) from brightness: each connected middle, and what belongs to it."""
    import numpy as np

    cv2 = opencv()
    middles = (bright >= 255 * threshold).astype(np.uint8)
    _, bodies = cv2.connectedComponents((bright > 255 * min(edge, threshold)).astype(np.uint8), connectivity=8)
    many, numbered = cv2.connectedComponents(middles, connectivity=8)
    if many < 2:
        return np.zeros(bright.shape, np.uint16)
    # The nearest pixel of a middle decides; what hangs together with none is left out.
    _, nearest = cv2.distanceTransformWithLabels(
        1 - middles, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(nearest.max()) + 1, np.int64)
    owner[nearest[middles > 0]] = numbered[middles > 0]
    things = np.where((middles > 0) | ((bodies > 0) & np.isin(bodies, bodies[middles > 0])), owner[nearest], 0)
    sizes = np.bincount(things.ravel(), minlength=many)
    kept = [number for number in range(1, many) if sizes[number] >= smallest]
    anew = np.zeros(many, np.uint16)
    anew[kept] = np.arange(1, len(kept) + 1)
    found: NDArray[np.uint16] = anew[things]
    return found

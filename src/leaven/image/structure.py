"""What steers a painter: edges of an image, scribbles or distances of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.image.mask import grown
from leaven.image.sides import sides
from leaven.image.thinned import thinned
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

    Pixels = NDArray[np.uint8]

REACH = 3
"""OpenCV's own size of the square over which edges are looked for."""


class Structure(Note):
    """Note the structure of an image or a mask as an image, for a painter that is steered by one (ControlNet).

    - `edges`: white lines where an image changes (Canny 1986), between two thresholds.
    - `scribble`: the middle lines of a mask's regions, thinned (Zhang and Suen 1984) and `wide` pixels across; white,
      or in a colour for each class as PASCAL VOC colours them (ScribbleGen, arXiv:2311.17121).
    - `distance`: for each pixel of a mask how far the edge of its region is, white in the middle of each and black
      outside; touching regions of other numbers stay apart.
    - `sides`: for each pixel of a mask of single things (a number each) how far left or right, up or down it lies in
      its thing, as HoVer-Net (arXiv:1812.06499) maps nuclei and Nudiff (arXiv:2310.14197) paints them: red says where a
      thing is, green and blue rise from 0 through 128 at its centre of mass to 255.

    `instances` makes a mask of single things out of the last two again.

    A depth map is a model's: `annotate`.  A record without the image or mask is refused as `no_structure`.

    Needs an image, or a mask.  Writes `structure`, an image of its size.

    >>> import numpy as np
    >>> mask = np.zeros((3, 7), np.uint8)
    >>> mask[:, 1:6] = 1
    >>> [row] = Structure("distance")({"image": np.zeros((3, 7, 3), np.uint8), "mask": mask})
    >>> row["structure"].pixels[1, :, 0].tolist()
    [0, 128, 255, 255, 255, 128, 0]
    """

    how: Literal["edges", "scribble", "distance", "sides"] = "edges"
    """What is drawn."""
    of: str | None = None
    """The field that it is drawn from; the main image for `edges`, else the mask."""
    edges: list[float] = [100.0, 200.0]
    """The two thresholds of `edges`: an edge begins above the second, and goes on above the first."""
    wide: int = Field(3, ge=1, le=99)
    """Pixels across the lines of a scribble."""
    colours: Literal["white", "classes"] = "white"
    """The colours of a scribble."""
    empty: list[int] = [0]
    """Numbers of a mask that are no region: the background, in VOC also 255, which says that nobody knows."""

    @model_validator(mode="after")
    def _thresholds(self) -> Structure:
        if len(self.edges) != 2 or not 0 <= self.edges[0] <= self.edges[1]:
            raise ValueError(
                RecipeError(f"edges is {self.edges}; it is a low and a high threshold.", "edges: [100, 200]")
            )
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if self.of is not None:
            return self
        kind = "image" if self.how == "edges" else "mask"
        fields = [name for name, column in columns.items() if column.type == kind]
        if not fields:
            raise RecipeError(
                f"structure `{self.how}` is drawn from a field of type {kind}; the data has none.",
                f"of: FIELD, or note a {kind} before it.",
            )
        return self.model_copy(update={"of": kind if kind in fields else fields[0]})

    def reads(self) -> frozenset[str]:
        return super().reads() | ({self.of} if self.of else set())

    def writes(self) -> dict[str, Column]:
        return {"structure": Column("image", frozenset({self.of} if self.of else ()))}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        medium = record.get(self.of or "")
        if medium is None:
            raise Refuse("no_structure", f"`{self.of}` is empty")
        if self.how == "edges":
            drawn = edges(medium.pixels, *self.edges)
        elif self.how == "scribble":
            drawn = scribble(medium.codes, self.wide, self.empty, coloured=self.colours == "classes")
        elif self.how == "sides":
            drawn = sides(medium.codes, regions(medium.codes, self.empty))
        else:
            drawn = distance(medium.codes, self.empty)
        return {"structure": Image.of(drawn)}


def edges(pixels: Pixels, low: float, high: float) -> Pixels:
    """White lines on black (height x width) where an image of RGB pixels changes.  Source: Canny 1986."""
    cv2 = opencv()
    found: Pixels = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), low, high, apertureSize=REACH)
    return found


def scribble(codes: NDArray[Any], wide: int, empty: Sequence[int] = (0,), *, coloured: bool = False) -> Pixels:
    """The middle lines of each region of a mask on black (height x width, or x 3 in colours), within the region."""
    import numpy as np

    drawn = np.zeros((*codes.shape, 3) if coloured else codes.shape, np.uint8)
    for code in regions(codes, empty):
        region = codes == code
        drawn[grown(thinned(region), (wide - 1) // 2) & region] = voc_colour(code) if coloured else 255
    return drawn


def distance(codes: NDArray[Any], empty: Sequence[int] = (0,)) -> Pixels:
    """How far each pixel of a mask lies from the edge of its connected region (height x width): 255 where it is
    farthest, 0 outside."""
    import numpy as np

    cv2 = opencv()
    drawn = np.zeros(codes.shape, np.uint8)
    for code in regions(codes, empty):
        region = np.pad(codes == code, 1).astype(np.uint8)  # what the image cuts off has its edge there
        far = cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        count, parts = cv2.connectedComponents(region[1:-1, 1:-1], connectivity=8)
        most = np.ones(count)
        np.maximum.at(most, parts, far)
        inside = parts > 0
        drawn[inside] = np.clip(np.rint(255 * far / most[parts]), 1, 255).astype(np.uint8)[inside]
    return drawn


def regions(codes: NDArray[Any], empty: Sequence[int]) -> list[int]:
    """The numbers in a mask that are regions."""
    import numpy as np

    return [code for code in np.unique(codes).tolist() if code not in empty]


def voc_colour(code: int) -> tuple[int, int, int]:
    """The colour of a class as PASCAL VOC gives it: three bits of the number at a time, from the highest down."""
    red = green = blue = 0
    for place in range(7, 7 - 3, -1):
        red |= (code & 1) << place
        green |= (code >> 1 & 1) << place
        blue |= (code >> 2 & 1) << place
        code >>= 3
    return red, green, blue

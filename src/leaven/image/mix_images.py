"""Two images laid over each other: mixup of labels, MixGen of captions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven.draws import Draw
from leaven.fields import Column
from leaven.image.annotations import placed, placed_points
from leaven.image.like import like
from leaven.image.partners import alone, partners, said_of
from leaven.image.resized import resized
from leaven.label_mass import LABEL, LABEL_PROBS, labels_of
from leaven.media.image import Image
from leaven.mixing import mix
from leaven.operators import Make
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context


def laid_over(pixels: NDArray[np.uint8], other: NDArray[np.uint8], lam: float) -> NDArray[np.uint8]:
    """``lam`` of an image and the rest of another, which is brought to its size first; rounded, not cut off."""
    height, width = pixels.shape[:2]
    found: NDArray[np.uint8] = mix(pixels, resized(other, width, height), lam)
    return found


def joined(own: Any, other: Any) -> Any:
    """Two texts with a blank between them; of several captions each with the one in its place, as far as both go.
    None where either is missing: one text would be true of half the picture.

    >>> joined(["a cat", "a black cat"], ["a dog", "a dog on a mat", "a mat"])
    ['a cat a dog', 'a black cat a dog on a mat']
    """
    if not own or not other:
        return None
    if isinstance(own, str) and isinstance(other, str):
        return f"{own} {other}"
    both = ([some] if isinstance(some, str) else some for some in (own, other))
    return [f"{a} {b}" for a, b in zip(*both)]


class MixImages(Make):
    """Lay a drawn image over the record's, lam of the one and the rest of the other.

    With `soft` it is mixup (Zhang et al. 2018, arXiv:1710.09412): the child has both labels, by their shares, as
    `label_probs`.  With captions it is MixGen (Hao et al. 2023, arXiv:2206.08358): both texts, one after the other.
    The drawn image takes the record's size; boxes and points of both are kept, the drawn one's scaled along.
    `label` is that of the larger share.  MixGen trains with what stands in a batch; here the partner is drawn from the
    real rows, and the child is a row of its own.

    A record for which no row with an image can be drawn is refused as `no_partner`, one without a label, where soft
    labels are asked for, as `no_label`, one without boxes or points where the drawn row has some, or the other way
    round, as `no_boxes` or `no_points`; one with a mask, which cannot be mixed, as `mask_lost`.

    Needs an image, and a label where `soft`.  Makes an image, boxes, points, texts and labels.

    >>> import numpy as np
    >>> snow = {"image": np.full((2, 2, 3), 200, np.uint8), "caption": "snow"}
    >>> coal = {"image": np.zeros((2, 2, 3), np.uint8), "caption": "coal"}
    >>> [row] = MixImages(lam=0.75)(snow, source=[coal])
    >>> int(row["image"].pixels[0, 0, 0]), row["caption"]
    (150, 'snow coal')
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "points"})
    lam: float = Field(0.5, ge=0, le=1)
    """The share of the record's own image, or an expression such as `beta(0.4, 0.4)`, drawn anew for each record."""
    n: int = Field(1, ge=1, le=50)
    """How many children, each with another partner drawn."""
    draw: Draw = Draw(k=1)
    """Which row to mix with."""
    texts: Literal["join", "first"] = "join"
    """Both captions (and texts) with a blank between them, or the record's own."""
    soft: bool = False
    """Write `label_probs`, the share of each label."""
    share: float = Field(1.0, gt=0, le=1)
    """The share of records that are mixed; the others have no child."""
    on: str | None = None
    """The field to change; the main image."""

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({LABEL}) if self.soft else frozenset()

    def writes(self) -> dict[str, Column]:
        return {LABEL_PROBS: Column(LABEL_PROBS)} if self.soft else {}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "image"
        for ordinal in range(self.n):
            if self.share < 1 and ctx.rng_of(ordinal).random() >= self.share:
                continue
            drawn = partners(record, self.draw, ordinal, field, ctx)
            try:
                yield self.mixed(record, drawn[0], field, ctx) if drawn else alone(record)
            except Refuse as refused:
                yield record.child().refuse(refused.reason, refused.detail)

    def mixed(self, record: Record, partner: Record, field: str, ctx: Context) -> Record:
        own, other = record[field], partner[field]
        new: dict[str, Any] = {field: Image.of(laid_over(own.pixels, other.pixels, self.lam), like(own, other))}
        scale = (own.size[0] / other.size[0], own.size[1] / other.size[1])
        for kind, name, (mine, drawn) in said_of([record, partner], field, ctx, self.moves):
            added = placed(drawn, scale) if kind == "boxes" else placed_points(drawn, scale)
            new[name] = [*(mine if self.lam > 0 else []), *(added if self.lam < 1 else [])]
        if self.texts == "join":
            for name in ctx.fields_of("caption", "text"):
                if name in partner.fields:
                    new[name] = joined(record.get(name), partner[name])
        labels = labels_of([(self.lam, record), (1 - self.lam, partner)], ctx, self.soft)
        child = record.child({**new, **(labels or {})}, parents=[record, partner], drawn={"lam": round(self.lam, 4)})
        return child.refuse("no_label", "a label is not known") if labels is None else child

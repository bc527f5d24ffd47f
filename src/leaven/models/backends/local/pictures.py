"""Images as the processors of transformers take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.media.image import Image

if TYPE_CHECKING:
    from leaven.models.calls import Medium


def pillow(image: Medium) -> Any:
    """An image as it is shown: turned as its EXIF says, RGB.  The record's own keeps no pixels of it."""
    from PIL import Image as library

    assert isinstance(image, Image)
    return library.fromarray(Image(image.encoded, image.path).pixels)

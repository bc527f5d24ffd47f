"""OpenCV, or the line that installs it."""

from __future__ import annotations

from typing import Any

from leaven.errors import MissingExtra


def opencv() -> Any:
    """The module ``cv2``."""
    try:
        import cv2
    except ImportError:
        raise MissingExtra("images need the extra `image` (OpenCV).", 'pip install "leaven[image]"') from None
    return cv2

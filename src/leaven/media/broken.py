"""What an image or a sound that cannot be used raises: an error of its record, never of the run."""

from __future__ import annotations


class Broken(Exception):
    """``reason`` is one word (``broken_image``, ``too_large``); the text says what is wrong, and where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

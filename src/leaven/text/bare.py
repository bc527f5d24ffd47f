"""A text that a model wrote, as it would stand in the data."""

from __future__ import annotations

import re

from leaven.models.prose import clean

_NUMBER = re.compile(
    r"\s*(?:(?:example|utterance|sentence|text|rewrite|paraphrase|version|option)\s*#?\d{1,3}\s*[:.)]|\(?\d{1,2}[.)])\s+",
    re.IGNORECASE,
)
_SHARES = re.compile(r"\s*\(\s*\d{1,3}\s*%(?:[^()%]*\d{1,3}\s*%[^()%]*)?\)\s*$")


def bare(text: str) -> str:
    """The text without the number, the quotes and the shares (``(80 % a, 20 % b)``) that models put around it."""
    text = _NUMBER.sub("", text, count=1) if _NUMBER.match(text) else text
    return clean(_SHARES.sub("", text))

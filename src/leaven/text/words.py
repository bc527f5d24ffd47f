"""The words of a text, as scores count them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_WITHOUT_BLANKS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_PLAIN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_ANY = re.compile(f"[{_WITHOUT_BLANKS}]|[^\\W_{_WITHOUT_BLANKS}]+(?:['’][^\\W_{_WITHOUT_BLANKS}]+)*")


def words(text: str) -> list[str]:
    """The words, case folded, without punctuation; of scripts that are written without blanks (Chinese, Japanese,
    Thai, Lao, Burmese, Khmer) the characters."""
    text = text.casefold()
    return (_PLAIN if text.isascii() else _ANY).findall(text)


def numbered(texts: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """All words of all texts, each as a hash of 64 bits, and where each text begins and the last one ends."""
    import numpy as np

    known: dict[str, int] = {}
    found: list[int] = []
    ends = [0]
    for text in texts:
        for word in text:
            number = known.get(word)
            if number is None:
                number = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
                known[word] = number
            found.append(number)
        ends.append(len(found))
    return np.array(found, np.uint64), np.array(ends, np.int64)

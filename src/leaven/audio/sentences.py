"""Captions of sounds that are heard together, or in turn, as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def joined(captions: Sequence[Any], how: str) -> Any:
    """One caption of several: "A and B" for a mix, "A followed by B" where they are joined; of lists, one for each
    place that all have.  None where one has no caption.

    >>> joined(["A dog barks.", "Rain falls."], "mix"), joined(["A dog barks", "Rain falls"], "join")
    ('A dog barks and rain falls.', 'A dog barks followed by rain falls')
    """
    if captions and all(isinstance(caption, list) for caption in captions):
        return [joined(some, how) for some in zip(*captions, strict=False)]
    texts = ["" if caption is None else str(caption).strip() for caption in captions]
    if not all(texts):
        return None
    end = "." if texts[-1].endswith(".") else ""
    parts = [text.rstrip(".") for text in texts]
    between = " and " if how == "mix" else " followed by "
    return between.join([parts[0], *map(_within, parts[1:])]) + end


def _within(sentence: str) -> str:
    """A sentence without its capital, but for what keeps it: "I", "TV"."""
    first = sentence.split(" ")[0]
    return sentence if first == "I" or first[1:] != first[1:].lower() else sentence[:1].lower() + sentence[1:]

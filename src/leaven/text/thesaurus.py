"""Synonyms from a file at hand: MyThes ``.dat``, or WordNet's ``data.noun`` and its kin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from leaven.errors import DataError

# English words that carry no content of their own: replacing them changes grammar, not wording.
STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "down",
        "during",
        "each",
        "few",
        "for",
        "from",
        "further",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "me",
        "more",
        "most",
        "my",
        "no",
        "nor",
        "not",
        "now",
        "of",
        "off",
        "on",
        "once",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "own",
        "same",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "until",
        "up",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


@cache
def read_thesaurus(path: str) -> dict[str, list[str]]:
    """Each word's synonyms, in the file's order, itself and stop words left out."""
    file = Path(path)
    if not file.is_file():
        raise DataError("there is no such thesaurus.", "Debian: apt install mythes-en-us wordnet-base", where=path)
    lines = _decoded(file.read_bytes()).splitlines()
    found: dict[str, dict[str, None]] = {}
    for group in _wordnet(lines) if file.name.startswith("data.") else _mythes(lines):
        for word in group[:1] if not file.name.startswith("data.") else group:
            if word not in STOP_WORDS:
                found.setdefault(word, {}).update((other, None) for other in group if other != word)
    return {word: list(others) for word, others in found.items() if others}


def _decoded(data: bytes) -> str:
    """The text of a file whose first line may name its encoding, as MyThes' does."""
    try:
        return data.decode(data.split(b"\n", 1)[0].strip().decode("ascii"))
    except (LookupError, UnicodeDecodeError):
        return data.decode("utf-8", errors="replace")


def _mythes(lines: list[str]) -> list[list[str]]:
    """``word|n`` and n lines ``(pos)|synonym|synonym (similar term)|...``; the first line names the encoding."""
    groups: list[list[str]] = []
    i = 1
    while i < len(lines):
        word, bar, count = lines[i].rpartition("|")
        if not bar or not count.isdigit():
            raise DataError(f"line {i + 1} is no entry of a MyThes file.", "give a th_*.dat or data.* file")
        for line in lines[i + 1 : i + 1 + int(count)]:
            synonyms = [s.partition(" (")[0].strip().lower() for s in line.split("|")[1:] if "(antonym)" not in s]
            groups.append([word.lower(), *filter(None, synonyms)])
        i += 1 + int(count)
    return groups


def _wordnet(lines: list[str]) -> list[list[str]]:
    """A synset a line: offset, file, kind, number of words (hexadecimal), then word and id in turn."""
    groups: list[list[str]] = []
    for line in lines:
        if line.startswith("  "):  # the licence at the head of the file
            continue
        parts = line.split(" ")
        words = parts[4 : 4 + 2 * int(parts[3], 16) : 2]
        groups.append([w.partition("(")[0].replace("_", " ").lower() for w in words])
    return groups

"""Regular expressions that cannot run away.

Python's matcher tries every way in which the parts of a pattern can share a text between them, which for
``(a+)+b`` or ``a*a*a*b`` takes for ever.  `safe_pattern` takes a part of the language (no look-around, no
back-references) and refuses patterns in which one stretch of text could be shared out in several ways and
still fail, so that a search costs about the square of the text's length at most.
"""

from __future__ import annotations

import re
import string
import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

MOST_PATTERN = 200
MOST_BRANCHES = 16  # ways through all alternatives together
MOST_REPEATS = 20  # of a group: Python's matcher is a hundred times slower there than in `[ab]*`

_TOKEN = re.compile(
    r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<anchor>\\[AbBZ]|[\^$])|(?P<escape>\\.)"
    r"|(?P<times>(?:[*+?]|\{(?:[0-9]+,?[0-9]*|,[0-9]*)\})[?+]?)|(?P<flags>\(\?[aims]+\))"
    r"|(?P<open>\((?:\?:|\?P<\w+>|(?!\?)))|(?P<close>\))|(?P<bar>\|)|(?P<one>.)",
    re.DOTALL,
)
_ALPHABET = frozenset(string.printable + "éßΩж中٣€\u2003\u0301")


@dataclass
class _Part:
    """One place of the pattern: which characters fit, whether it must match, whether its length may vary."""

    chars: frozenset[str]
    path: dict[int, int]  # group -> which of its alternatives
    needed: bool = True
    varies: bool = False


@lru_cache(maxsize=512)
def safe_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern; raises ValueError, in an author's words, where it is wrong or could run away."""
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"a pattern has at most {MOST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(pattern)
    except (re.error, Warning, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern cannot be read: {error}") from None
    _check(pattern)
    return compiled


def _check(pattern: str) -> None:
    parts: list[_Part] = []
    skippable: set[int] = set()  # groups that may be left out, or have alternatives
    ways, ids, path = 1, 0, {0: 0}
    open_groups = [(0, 0)]  # (group, where its parts begin)
    repeats: set[int] = set()  # groups that hold a quantifier or alternatives
    closed: tuple[int, int] | None = None  # the group that just ended
    branches = {0: 1}
    flags = "".join(match[0] for match in re.finditer(r"\(\?[aims]+\)", pattern))
    alphabet = _ALPHABET | set(pattern) | set(pattern.swapcase())

    for match in _TOKEN.finditer(pattern):
        kind, token = match.lastgroup, match[0]
        group, begin = open_groups[-1]
        if kind in ("set", "escape", "one", "anchor"):
            if token == "(" or re.search(r"\\[0-9a-zA-Z]", re.sub(r"\\[AbBZdDwWsSntr]", "", token)):
                raise ValueError(f"`{pattern[match.start() : match.start() + 4]}` is not part of the patterns here")
            # An anchor takes nothing and may fail: as if any character fitted, so that it separates nothing.
            one = re.compile(flags + token) if kind != "anchor" else None
            chars = alphabet if one is None else frozenset(c for c in alphabet if one.fullmatch(c))
            parts.append(_Part(chars, dict(path)))
        elif kind == "open":
            ids += 1
            open_groups.append((ids, len(parts)))
            branches[ids] = 1
            path[ids] = 0
        elif kind == "close":
            open_groups.pop()
            del path[group]
            if group in repeats:
                repeats.add(open_groups[-1][0])
        elif kind == "bar":
            branches[group] += 1
            ways = ways // (branches[group] - 1) * branches[group]
            path[group] += 1
            skippable.add(group)
            repeats.add(group)
        elif kind == "times":
            low, high = _bounds(token)
            if closed is None:
                parts[-1].needed, parts[-1].varies = low > 0, low != high
            elif high <= 1:
                skippable.add(closed[0])
                for part in parts[closed[1] : closed[1] + 1]:
                    part.varies = True
            elif closed[0] in repeats:
                raise ValueError("it repeats a part that itself repeats or has alternatives, as in `(a+)+`")
            elif high > MOST_REPEATS:
                raise ValueError(f"it repeats a group without an end; write {{1,{MOST_REPEATS}}}")
            else:
                chars = frozenset().union(*(part.chars for part in parts[closed[1] :]))
                parts[closed[1] :] = [_Part(chars, dict(path), low > 0, varies=True)]
            repeats.add(group)
        closed = (group, begin) if kind == "close" else None
    if ways > MOST_BRANCHES:
        raise ValueError(f"its alternatives make more than {MOST_BRANCHES} ways")
    _check_shares(parts, skippable)


def _check_shares(parts: list[_Part], skippable: set[int]) -> None:
    """Refuse two parts of varying length that fit the same text, with nothing between them that tells where
    the one ends, and something after them that may fail."""
    for i, j in combinations([k for k, part in enumerate(parts) if part.varies], 2):
        a, b = parts[i], parts[j]
        together = all(b.path.get(group, branch) == branch for group, branch in a.path.items())
        if not together or not a.chars & b.chars or not any(part.needed for part in parts[j + 1 :]):
            continue
        known = a.path.items() | b.path.items()
        if not any(
            part.needed
            and (not part.chars & a.chars or not part.chars & b.chars)
            and all((group, branch) in known for group, branch in part.path.items() if group in skippable)
            for part in parts[i + 1 : j]
        ):
            raise ValueError("two of its open-ended parts fit the same text, as in `.*.*x` or `a*a*b`")


def _bounds(token: str) -> tuple[int, float]:
    if token[0] != "{":
        return (1 if token[0] == "+" else 0), (1 if token[0] == "?" else float("inf"))
    low, comma, high = token.rstrip("?+")[1:-1].partition(",")
    least = int(low or 0)
    return least, (int(high) if high else float("inf")) if comma else least

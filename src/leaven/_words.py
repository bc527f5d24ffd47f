"""The words of the expression language: its functions, its own filters, and the limits they keep.

Plain Python on plain values; `_sandbox` hangs them into Jinja.  What an author did wrong is a `Wrong`.
"""

from __future__ import annotations

import json
import math
import operator
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from numbers import Number
from typing import Any

from leaven.patterns import safe_pattern

MOST_CHARACTERS = 1_000_000  # of a rendered text, and of every text on the way to it
MOST_TURNS = 100_000  # of all loops of one rendering together
MOST_ITEMS = 100_000  # of a list that an expression makes, counted with the lists in it
MOST_WORK = 50_000_000  # characters read and written by one evaluation; an item counts as 20
MOST_BITS = 4096  # of a whole number: without `**`, squaring again and again is the way to a huge one
MOST_SEARCHED = 10_000  # characters of a text given to `find`

METHODS = frozenset([
    "capitalize", "casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower",
    "isnumeric", "isspace", "isupper", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip",
    "split", "splitlines", "startswith", "strip", "title", "upper",
])  # fmt: skip
MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
MADE = "__made"
"""What ``count('made')`` reads; no source can write it."""
GROUP = frozenset({"count", "diff", "mean", "median", "quantile", "sum"})
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip
_COMPARE: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "eq": ("==", operator.eq), "ne": ("!=", operator.ne), "lt": ("<", operator.lt),
    "lteq": ("<=", operator.le),
    "gt": (">", operator.gt), "gteq": (">=", operator.ge),
    "in": ("in", lambda a, b: a in b), "notin": ("not in", lambda a, b: a not in b),
}  # fmt: skip


NUMBERS_COMPARE = {name: function for name, (_, function) in _COMPARE.items() if name not in ("in", "notin")}
NUMBERS_RECKON = _BINARY
"""Comparisons and arithmetic, for columns of numbers."""


class Wrong(Exception):
    """What is wrong with an expression, and the way out; where it stands is added further up."""

    def __init__(self, what: str, fix: str, *, quoted: bool = True) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.quoted = quoted  # whether the error begins with the expression


class Work:
    """What one evaluation has done so far, so that no recipe runs on for ever."""

    __slots__ = ("characters", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.characters = 0

    def turn(self) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Wrong(f"its loops make more than {MOST_TURNS:,} turns in all", "loop over fewer items.")

    def spend(self, *values: Any) -> None:
        for value in values:
            if isinstance(value, str):
                self.characters += len(value)
            elif isinstance(value, (list, tuple, dict, range)):
                self.characters += 20 * len(value)
        if self.characters > MOST_WORK:
            raise Wrong("it does too much work for one record", "shorten its loops, or the texts they read.")


# What a value is, and what it reads as.


def kind(value: Any) -> str:
    """What to call a value in an error."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else "true or false"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


_KINDS: tuple[tuple[Any, str], ...] = (
    (str, "a text"), (Number, "a number"), ((list, tuple, range), "a list"), (Mapping, "a mapping"),
)  # fmt: skip


def shown(value: Any) -> str:
    """A value in an error: short, with its kind."""
    if isinstance(value, (str, Number)) and not isinstance(value, bool):
        text = repr(value[:30] if isinstance(value, str) else value)
        return f"{text if len(text) <= 40 else text[:37] + '...'} ({kind(value)})"
    return kind(value)


def text_of(value: Any) -> str:
    """A value as it stands in a text; nothing (None) is an empty text, so that no prompt ever says "None"."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    words: Any = type(value).__repr__
    if isinstance(value, (bytes, bytearray)) or words is object.__repr__:
        raise Wrong(f"{kind(value)} has no text form", "name a field that is a text, a number or a list.")
    if isinstance(value, (list, tuple, Mapping)):
        weigh(value)  # a small list may hold the same list many times over
    text = str(value)
    check_characters(len(text))
    return text


def check_characters(count: int) -> None:
    if count > MOST_CHARACTERS:
        raise Wrong(f"it makes a text of more than {MOST_CHARACTERS:,} characters", "make it shorter.")


def check_items(count: int) -> None:
    if count > MOST_ITEMS:
        raise Wrong(f"it makes a list of more than {MOST_ITEMS:,} items", "make it shorter.")


def weigh(*values: Any) -> int:
    """How many items lists and mappings hold, with all that is in them."""
    items, characters, left = 0, 0, list(values)
    while left:
        value = left.pop()
        items += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, (list, tuple)):
            left.extend(value)
        elif isinstance(value, Mapping):
            left.extend(value.keys())
            left.extend(value.values())
        check_items(items)
        check_characters(characters)
    return items


def plain_string(value: Any) -> str:
    """A text for a filter that reads texts; a number is its digits, a list is an error."""
    if isinstance(value, (str, Number)) or value is None:
        return text_of(value)
    raise Wrong(f"a text is needed, not {kind(value)}", "use |join(', ') for a list.")


def number(value: Any) -> Any:
    if isinstance(value, Number):
        return value
    raise Wrong(f"a number is needed, not {shown(value)}", "name a field that is a number, or use |float.")


def items_of(value: Any) -> list[Any]:
    """A list, or a mapping's keys; a text is refused, since its letters are never what is meant."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise Wrong(f"a list is needed, not {shown(value)}", "write [a, b], or name a field that is a list.")
    return list(value)


# Operators.


def binary(sign: str, left: Any, right: Any) -> Any:
    """``left sign right``: arithmetic between numbers; ``+`` also joins two texts or two lists."""
    if isinstance(left, Number) and isinstance(right, Number):
        if sign == "*" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > MOST_BITS:
                raise Wrong(f"it makes a number of more than {MOST_BITS:,} bits", "use 1.0 * for decimals.")
        elif sign in ("/", "//", "%") and not right:
            raise Wrong("it divides by zero", "guard it: x / max(y, 1).")
        return _BINARY[sign](left, right)
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        check_characters(len(left) + len(right))
        return left + right
    if sign == "+" and isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        weigh(left, right)
        return [*left, *right]
    fix = f"`{sign}` stands between numbers only; |float makes one of a text."
    fix = "use ~ to join texts." if sign == "+" else fix
    raise Wrong(f"{shown(left)} {sign} {shown(right)} is not possible", fix)


def compare(work: Work, left: Any, *rest: Any) -> bool:
    """A chain of comparisons: ``compare(work, 1, "lt", x, "lteq", 5)``."""
    for name, right in zip(rest[::2], rest[1::2], strict=True):
        sign, function = _COMPARE[name]
        if isinstance(left, (str, list, tuple)):
            work.spend(left, right)
            if not isinstance(left, str):
                work.characters += weigh(left, right)
        try:
            if name in ("eq", "ne") and {kind(left), kind(right)} == {"a text", "a number"}:
                raise TypeError  # '1' == 1 would be false for every record
            holds = bool(function(left, right))
        except (TypeError, ValueError):
            fix = "compare texts with texts and numbers with numbers: |float makes a number of a text."
            raise Wrong(f"{shown(left)} {sign} {shown(right)} is not possible", fix) from None
        if not holds:
            return False
        left = right
    return True


# Functions.  Those that draw take the record's generator first.


def round_to(x: Any, to: Any = None) -> Any:
    """The nearest whole number, or the nearest multiple of ``to``."""
    number(x)
    if to is None:
        return round(x)
    if not number(to) > 0:
        raise Wrong("`to` must be above 0", "round(x, to=0.05)")
    return round(round(x / to) * to, 12)  # 12 digits: 15 * 0.05 is 0.75, not 0.7500000000000001


def percent(x: Any) -> str:
    return f"{round(100 * number(x), 1):g} %"


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def function(first: Any, *others: Any) -> Any:
        items = [first, *others] if others else items_of(first)
        if not items:
            raise Wrong("the list is empty", "guard it: max(list) if list else 0.")
        return choose(items)

    return function


def length(x: Any) -> int:
    """The number of characters, items or keys."""
    return len(x)


def make_range(start: int, stop: int | None = None, step: int = 1) -> list[int]:
    made = range(start, stop, step) if stop is not None else range(0, start, step)
    check_items(len(made))
    return list(made)


def choice(rng: Any, items: Any) -> Any:
    pool = items_of(items)
    if not pool:
        raise Wrong("the list to choose from is empty", "give it at least one item.")
    return pool[int(rng.integers(len(pool)))]


def choices(rng: Any, items: Any, n: Any = None, without: Any = None, share: Any = None) -> list[Any]:
    """n of the items, or a share of them, none twice, in the order drawn; all where fewer are there."""
    left_out = items_of(without) if isinstance(without, (list, tuple)) else [without]
    pool = [item for item in items_of(items) if item not in left_out] if without is not None else items_of(items)
    if share is not None:
        if n is not None or not 0 <= number(share) <= 1:
            raise Wrong("`share` is a number from 0 to 1, and stands instead of n", "choices(list, share=0.5)")
        n = round(share * len(pool))
    n = len(pool) if n is None else number(n)
    if n != int(n) or n < 0:
        raise Wrong(f"n is {n}; it counts items", "give a whole number.")
    n = min(int(n), len(pool))
    for i in range(n):
        j = i + int(rng.integers(len(pool) - i))
        pool[i], pool[j] = pool[j], pool[i]
    return pool[:n]


def uniform(rng: Any, a: Any, b: Any) -> float:
    return float(number(a) + (number(b) - a) * rng.random())


def normal(rng: Any, mean: Any, sd: Any, low: Any = None, high: Any = None) -> float:
    """A normal draw; one outside low and high is drawn again, 100 times at most, then cut to them."""
    low = -math.inf if low is None else number(low)
    high = math.inf if high is None else number(high)
    if number(sd) < 0 or low > high:
        raise Wrong("sd must not be below 0, nor low above high", "normal(mean, sd, low, high)")
    drawn = math.nan
    for _ in range(100):
        drawn = float(number(mean) + sd * rng.standard_normal())
        if low <= drawn <= high:
            break
    return float(min(max(drawn, low), high))


def beta(rng: Any, a: Any, b: Any) -> float:
    if not (number(a) > 0 and number(b) > 0):
        raise Wrong("both numbers must be above 0", "beta(5, 2)")
    return float(rng.beta(a, b))


def randint(rng: Any, a: Any, b: Any) -> int:
    if number(a) != int(a) or number(b) != int(b) or a > b:
        raise Wrong("a and b must be whole numbers, a not above b", "randint(1, 6)")
    return int(rng.integers(int(a), int(b) + 1))


DRAWN: dict[str, Callable[..., Any]] = {
    "choice": choice, "choices": choices, "uniform": uniform, "normal": normal,
    "beta": beta, "randint": randint,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "round": round_to, "percent": percent, "sqrt": lambda x: math.sqrt(number(x)), "min": _extreme(min),
    "max": _extreme(max), "abs": lambda x: abs(number(x)), "len": length, "range": make_range,
}  # fmt: skip


# Filters.


def plain(value: Any) -> str:
    """Without case, punctuation, the words a, an and the, and needless blanks (the SQuAD normalisation)."""
    text = plain_string(value).lower()
    if text.isascii():
        text = text.translate(_NO_PUNCTUATION)
    else:
        text = "".join(c for c in text if c not in string.punctuation and unicodedata.category(c)[0] != "P")
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def unpunctuated(value: Any) -> str:
    """Without the punctuation of ASCII; all else stays as it is."""
    return plain_string(value).translate(_NO_PUNCTUATION)


def unwrapped(value: Any) -> str:
    """Without blanks at its ends, then without a pair of straight quotes or round brackets around the whole that is the
    only one, then without a lone quote or bracket at its beginning, else at its end.

    As the answers of a language model are cleaned in WANLI (Liu et al. 2022, arXiv:2201.05955).
    """
    text = plain_string(value).strip()
    for begin, end in ('""', "()"):
        alone = text.count('"') == 2 if begin == end else text.count(begin) == text.count(end) == 1
        if len(text) > 1 and text[0] == begin and text[-1] == end and alone:
            text = text[1:-1]
    for mark in "\"'()":
        if text.count(mark) == 1:
            text = text[1:] if text[0] == mark else text.removesuffix(mark)
    return text


def tokens(value: Any) -> int:
    """The number of tokens between blanks."""
    return len(plain_string(value).split())


def has_any(value: Any, words: Any) -> bool:
    """Whether one of the texts stands in this one; case does not matter."""
    text = plain_string(value).casefold()
    return any(plain_string(word).casefold() in text for word in items_of(words))


def seconds(value: Any) -> float:
    """How long a sound is."""
    found = getattr(value, "seconds", None)
    if not isinstance(found, float):
        raise Wrong("`seconds` is of a sound", "audio|seconds >= 2")
    return found


def relative(value: Any, image: Any) -> list[dict[str, Any]]:
    """Boxes in parts of an image's width and height: `label`, and `corners`, the left, upper, right and lower edges
    from 0 to 1 to three digits, as LLaVA tells them to a model without eyes (Liu et al. 2023, arXiv:2304.08485)."""
    size = getattr(image, "size", None)
    if not isinstance(size, tuple):
        raise Wrong("`relative` needs the image that the boxes are in", "boxes|relative(image)")
    width, height = size
    found = []
    for box in items_of(value):
        x, y, w, h = (float(box[edge]) for edge in ("x", "y", "w", "h"))
        edges = (x / width, y / height, (x + w) / width, (y + h) / height)
        corners = [f"{min(1.0, max(0.0, edge)):.3f}" for edge in edges]
        found.append({"label": str(box.get("label") or ""), "corners": f"[{', '.join(corners)}]"})
    return found


def agree(value: Any, x: Any) -> float:
    """The share of a list that equals x; 0 of an empty list."""
    items = items_of(value)
    return sum(item == x for item in items) / len(items) if items else 0.0


def softmax(value: Any, temperature: Any = 1.0) -> Any:
    """Scores of labels (a mapping, or a list) as probabilities; above 1 the temperature makes them less sure."""
    value = from_json(value)
    scores = list(value.values()) if isinstance(value, Mapping) else items_of(value)
    if not number(temperature) > 0:
        raise Wrong(f"the temperature is {shown(temperature)}; it is above 0", "scores|softmax(10)")
    if not scores:
        raise Wrong("there are no scores", "guard it: scores|softmax if scores else [].")
    most = max(number(score) for score in scores)
    raised = [math.exp((score - most) / temperature) for score in scores]
    found = [one / sum(raised) for one in raised]
    return dict(zip(value, found, strict=True)) if isinstance(value, Mapping) else found


def argmax(value: Any) -> Any:
    """What scores highest: of a mapping its name, of a list its place from 0; the first of equal ones."""
    value = from_json(value)
    scores = list(value.values()) if isinstance(value, Mapping) else items_of(value)
    if not scores:
        raise Wrong("there are no scores", "guard it: scores|argmax if scores else none.")
    best = max(range(len(scores)), key=lambda i: number(scores[i]))
    return list(value)[best] if isinstance(value, Mapping) else best


def from_json(value: Any) -> Any:
    """What a text of JSON holds: lists and mappings in a csv file are such texts.  What is no text is as it is."""
    if not isinstance(value, str):
        return value
    check_characters(len(value))
    try:
        found = json.loads(value)
    except ValueError as error:
        raise Wrong(f"{shown(value)} is no JSON: {error}", '[1, 2], or {"a": 1}') from None
    weigh(found)
    return found


def find(work: Work, value: Any, pattern: str) -> str:
    """The first group of the first match of a regular expression, else the match, else an empty text."""
    text = plain_string(value)
    if len(text) > MOST_SEARCHED:
        raise Wrong(f"`find` searches at most {MOST_SEARCHED:,} characters", "cut it: text[:10000]|find(...).")
    work.characters += len(text) * len(text) // 10  # what a slow pattern costs
    match = compiled(pattern).search(text)
    return "" if match is None else (match[1] or "") if match.re.groups else match[0]


def compiled(pattern: Any) -> re.Pattern[str]:
    try:
        return safe_pattern(plain_string(pattern))
    except ValueError as error:
        fix = "write a simpler pattern: '[0-9]+', 'is (\\\\w+)'."
        raise Wrong(f"`find({str(pattern)[:40]!r})`: {error}", fix) from None


def split(value: Any, sep: str | None = None) -> list[str]:
    """The pieces between the separators (blanks where none is named), trimmed."""
    if sep == "":
        raise Wrong("`split` needs a separator", "text|split(',')")
    pieces = plain_string(value).split(sep, MOST_ITEMS)
    check_items(len(pieces))
    return [piece.strip() for piece in pieces]


def join(value: Any, d: str = "", attribute: Any = None) -> str:
    """The items' texts with ``d`` between them; of mappings, the field ``attribute``."""
    items = list(value) if attribute is None else [_field(item, attribute) for item in items_of(value)]
    texts, glue = [], plain_string(d)
    characters = -len(glue)
    for item in items:
        texts.append(text_of(item))
        characters += len(texts[-1]) + len(glue)
        check_characters(characters)
    return glue.join(texts)


def replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = plain_string(value), plain_string(old), plain_string(new)
    times = text.count(old) if count is None else min(text.count(old), count)
    check_characters(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, times)


def round_digits(value: Any, precision: int = 0) -> float:
    """To so many digits after the point, 15 at most."""
    if not isinstance(precision, int) or not 0 <= precision <= 15:
        raise Wrong("`round` takes 0 to 15 digits", "x|round(2), or round(x, to=0.05).")
    return float(round(number(value), precision))


def total(value: Any, attribute: Any = None) -> Any:
    items = items_of(value)
    return sum(number(item if attribute is None else _field(item, attribute)) for item in items)


def _field(item: Any, name: Any) -> Any:
    if isinstance(item, Mapping) and name in item:
        return item[name]
    raise Wrong(f"{kind(item)} has no `{name}`", "name a field of the items.")


def to_json(value: Any) -> str:
    weigh(value)
    text = json.dumps(value, ensure_ascii=False, default=dict)
    check_characters(len(text))
    return text


def list_of(value: Any) -> list[Any]:
    """A list of what it holds: a text's characters, a mapping's keys."""
    return list(value)


def method(value: Any, name: str, *args: Any) -> Any:
    """``value.name(...)``, of a text or a mapping."""
    if isinstance(value, str) and name in METHODS:
        return getattr(str, name)(value, *args)
    if isinstance(value, Mapping) and name in MAPPING_METHODS:
        made = getattr(dict, name)({key: value[key] for key in value}, *args)
        return made if name == "get" else list(made)
    raise Wrong(f"{kind(value)} has no `.{name}()`", "texts have .lower(), .strip() and others; mappings .items().")


def cut(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """``value[start:stop:step]``, of a text or a list."""
    if not isinstance(value, (str, list, tuple)) and not hasattr(value, "dtype"):
        raise Wrong(f"{kind(value)} cannot be cut with [:]", "cut texts and lists: text[:100].")
    return value[start:stop:step]


def call(name: str, rng: Any, *args: Any, **kwargs: Any) -> Any:
    """``name(...)``, a function of the language."""
    if name not in DRAWN:
        return FUNCTIONS[name](*args, **kwargs)
    if rng is None:
        raise Wrong(f"`{name}` draws by chance, and nothing is drawn here", "draw in a `note`, and read its column.")
    return DRAWN[name](rng, *args, **kwargs)


def _on_text(function: Callable[[str], Any]) -> Callable[..., Any]:
    return lambda value: function(plain_string(value))


FILTERS: dict[str, Callable[..., Any]] = {
    "plain": plain, "tokens": tokens, "has_any": has_any, "relative": relative, "agree": agree,
    "find": find, "split": split,
    "seconds": seconds, "softmax": softmax, "argmax": argmax, "from_json": from_json,
    "unpunctuated": unpunctuated, "unwrapped": unwrapped,
    "percent": percent, "join": join, "replace": replace, "round": round_digits,
    "sum": total, "tojson": to_json,
    "lower": _on_text(str.lower), "upper": _on_text(str.upper), "capitalize": _on_text(str.capitalize),
    "string": text_of, "abs": FUNCTIONS["abs"], "length": FUNCTIONS["len"], "count": FUNCTIONS["len"],
    "list": list_of, "reverse": lambda value: value[::-1] if isinstance(value, str) else list_of(value)[::-1],
    "wordcount": _on_text(lambda text: len(re.findall(r"\w+", text))),
    "trim": lambda value, chars=None: plain_string(value).strip(chars),
}  # fmt: skip

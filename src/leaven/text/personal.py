"""What in a text looks like somebody's own: addresses, numbers, accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record, digest

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows


class Personal(Note):
    """Note how many strings of a text look personal, and how many of them stand in a real row.

    - `link_user`: a link with a name or password in it (`https://ann:secret@host`).
    - `email`: an e-mail address.
    - `iban`: a bank account whose check digits are right (ISO 13616).
    - `card`: 13 to 19 digits whose check digit is right (Luhn, ISO/IEC 7812).
    - `ip`: an address of a computer, version 4 or 6; not those of one's own machine.
    - `phone`: digits written as a telephone number: 8 to 15 after a `+` or 00, else 8 to 11 in groups.
    - `number`: 9 digits or more in a row: customers, passports, insurance.

    A string counts once, blanks and hyphens in it aside.  Names, streets and birthdays are not seen: no rule tells them
    from other words.  A real row is not compared with itself, a child is compared with its parent as with all others.

    Needs a text.
    Writes `personal`, how many there are; `personal_kept`, how many of them a real row holds; `personal_kind`, the
    kind of the first, in the order above, kept ones before others.

    >>> desk = [{"text": "write to ann.lee@mail.org"}, {"text": "are you open on sunday"}]
    >>> [row] = Personal()({"text": "Mail Ann.Lee@mail.org, or call +44 20 7946 0958."}, source=desk)
    >>> row["personal"], row["personal_kept"], row["personal_kind"]
    (2, 1, 'email')
    """

    takes: ClassVar[str] = "text"
    on: str | None = None
    """The field to read; the main text."""

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "text"})
        score, value = Column(SCORE, about, written=False), Column(VALUE, about, written=False)
        return {"personal": score, "personal_kept": score, "personal_kind": value}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """Each string of the real rows as a hash, in the order of the hashes, and which row holds it: -1 if several."""
        import numpy as np

        [table] = rows.values()
        held: dict[int, str] = {}
        for block in table.blocks():
            for name, text in zip(block.ids, block.texts([self.on or "text"]), strict=True):
                for _, said in personal(text):
                    key = _hash(said)
                    held[key] = name if held.get(key, name) == name else ""
        keys = sorted(held)
        return {"keys": np.array(keys, np.uint64), "rows": np.array([held[key] for key in keys], np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        keys, rows = ctx.state["keys"], ctx.state["rows"]
        for record in records:
            found = personal(str(record.get(self.on or "text") or ""))
            own = "" if record.parents else record.id
            kept = [_stands(keys, rows, _hash(said), own) for _, said in found]
            order = sorted(range(len(found)), key=lambda i: not kept[i])
            yield {
                "personal": len(found),
                "personal_kept": sum(kept),
                "personal_kind": found[order[0]][0] if found else None,
            }


def personal(text: str) -> list[tuple[str, str]]:
    """What looks personal in a text: its kind, and the string without what may be written in several ways."""
    if len(text) < 4 or not ("@" in text or ":" in text or sum(map(text.count, "0123456789")) >= FEWEST_DIGITS):
        return []
    found: dict[tuple[str, str], None] = {}
    for kind, (pattern, plainly) in KINDS.items():

        def take(match: re.Match[str], kind: str = kind, plainly: Any = plainly) -> str:
            said = plainly(match)
            if not said:
                return match[0]
            found[kind, said] = None
            return " " * len(match[0])  # so that no other kind counts it once more

        text = pattern.sub(take, text)
    return list(found)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def iban(said: str) -> bool:
    """Whether the two check digits are right."""
    turned = said[4:] + said[:4]
    return 15 <= len(said) <= 34 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _email(match: re.Match[str]) -> str:
    return match[0].casefold()


def _link(match: re.Match[str]) -> str:
    return match[0]


def _iban(match: re.Match[str]) -> str:
    said = re.sub(r"[ -]", "", match[0]).upper()
    return said if iban(said) else ""


def _card(match: re.Match[str]) -> str:
    said = re.sub(r"[ -]", "", match[0])
    return said if 13 <= len(said) <= 19 and len(set(said)) > 1 and luhn(said) else ""


def _ip(match: re.Match[str]) -> str:
    import ipaddress

    try:
        found = ipaddress.ip_address(match[0])
    except ValueError:
        return ""
    return "" if found.is_loopback or found.is_unspecified or found.is_multicast else str(found)


def _phone(match: re.Match[str]) -> str:
    said = re.sub(r"\D", "", match[0])
    plus = match[0].startswith(("+", "00", "(+"))
    if not 8 <= len(said) <= (15 if plus else 11) or len(set(said)) == 1 or _DATE.search(match[0]):
        return ""
    groups = re.findall(r"\d+", match[0])
    years = sum(len(group) == 4 and group[:2] in ("19", "20") for group in groups)
    like_one = plus or "(" in match[0] or (len(groups) >= 3 and years < 2 and len(groups[-1]) >= 2)
    return said if like_one and len(groups) <= 7 and max(map(len, groups)) >= 3 else ""


def _number(match: re.Match[str]) -> str:
    return match[0] if len(set(match[0])) > 1 else ""


FEWEST_DIGITS = 7
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)|(?<!\d)\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})(?!\d)")
KINDS: Mapping[str, tuple[re.Pattern[str], Any]] = {
    "link_user": (
        re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s/@:]{1,64}(?::[^\s/@]{0,64})?@[^\s/]{1,255}"),
        _link,
    ),
    "email": (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"), _email),
    "iban": (re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,4})?\b"), _iban),
    "card": (re.compile(r"(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d]|[.,]\d)", re.ASCII), _card),
    "ip": (
        re.compile(
            r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])",
            re.ASCII,
        ),
        _ip,
    ),
    "phone": (re.compile(r"(?<![\w.,/+-])(?:\(?\+)?\(?\d(?:[ ./()-]{0,2}\d){7,16}(?![\d]|[.,/-]\d)", re.ASCII), _phone),
    "number": (re.compile(r"(?<![\w.,-])\d{9,40}(?![\w-]|[.,]\d)", re.ASCII), _number),
}  # fmt: skip
"""Of each kind what it looks like, and what makes of a match the string that counts; an empty one is none."""


def _hash(said: str) -> int:
    return int.from_bytes(digest(said, size=8), "big")


def _stands(keys: np.ndarray, rows: np.ndarray, key: int, own: str) -> bool:
    """True where a row other than ``own`` holds the string."""
    import numpy as np

    at = int(np.searchsorted(keys, np.uint64(key)))
    return at < len(keys) and int(keys[at]) == key and (not own or str(rows[at]) != own)

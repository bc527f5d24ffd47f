"""``leaven.toml``: who plays which role, which variable holds which host's key, and what a model costs.

    [models]
    chat = "openai:gpt-5-mini"
    "chat.small" = "openai:gemma3@http://localhost:11434/v1"

    [keys]
    "api.groq.com" = "GROQ_API_KEY"

    [prices]
    "qwen3-32b" = [0.1, 0.4]     # USD per million tokens, in and out

It is read from the current folder only, never from a folder of data: who sends a dataset must not say where it goes.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaven.errors import DataError, brief, nearest, suggest
from leaven.models.roles import ASKED

NAME = "leaven.toml"
TABLES = ("models", "keys", "prices")
MOST_BYTES = 1_000_000

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Config:
    """What stands in ``leaven.toml``; empty where there is none."""

    models: dict[str, str] = field(default_factory=dict)
    """Role, or ROLE.NICK, to the URI of a model."""
    keys: dict[str, str] = field(default_factory=dict)
    """Host, or HOST:PORT, in lower case, to the *name* of an environment variable."""
    prices: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Model to USD per million tokens, in and out."""


def load(folder: Path | None = None) -> Config:
    """Read ``leaven.toml`` of a folder (default: the current one); an absent file is an empty Config.

    Raises DataError, with file and line, for wrong syntax, an unknown table, role or type, and for a key in clear.
    """
    path = (folder or Path.cwd()) / NAME
    where = NAME if folder is None else str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        what = f"it cannot be read ({error.strerror or error})."
        raise DataError(what, "make it a readable file, or remove it.", where=where) from None
    return _Reader(where, _decoded(raw, where)).config()


def _decoded(raw: bytes, where: str) -> str:
    if len(raw) > MOST_BYTES:
        raise DataError(f"it is larger than {MOST_BYTES:,} bytes.", "keep models, keys and prices only.", where=where)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError("a byte is not UTF-8.", "save the file as UTF-8.", where=f"{where} line {line}") from None


class _Reader:
    """One file, and where its words stand."""

    def __init__(self, where: str, text: str) -> None:
        self.where, self.text = where, text

    def config(self) -> Config:
        try:
            data = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
            raise self._syntax(str(error) or "it is nested too deeply") from None
        for name, table in data.items():
            if name not in TABLES:
                way = f"{suggest(name, TABLES)}." if isinstance(table, dict) else self._table_of(name)
                raise self._wrong(f"there is no table [{brief(name)}].", way, name)
            if not isinstance(table, dict):
                raise self._wrong(f"`{name}` is no table.", f"write [{name}], and below it a line for each.", name)
        return Config(*(self._read(data, name, read) for name, read in self._readers()))

    def _readers(self) -> tuple[tuple[str, Callable[[str, Any], Any]], ...]:
        return ("models", self._model), ("keys", self._key), ("prices", self._price)

    def _read(self, data: Mapping[str, Any], table: str, read: Callable[[str, Any], Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in _flat(data.get(table, {})):
            name = key.lower().rstrip(".") if table == "keys" else key
            if name in found:
                raise self._wrong(f"[{table}] names {brief(key)} twice.", "keep one of the two.", key, table)
            found[name] = read(key, value)
        return found

    def _model(self, key: str, value: Any) -> str:
        role, dot, nick = key.partition(".")
        if role not in ASKED or (dot and not nick):
            raise self._wrong(f"[models] names no role `{brief(role)}`.", f"{suggest(role, ASKED)}.", key, "models")
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(
                f"[models] {brief(key)} is no text.", f'{_quoted(key)} = "openai:gpt-5-mini"', key, "models"
            )
        return value.strip()

    def _key(self, key: str, value: Any) -> str:
        if not _HOST.fullmatch(key.lower().rstrip(".")):
            host = re.sub(r"^\w+://|/.*$|^.*@", "", key)
            way = f"{_quoted(host)} = ..." if host and host != key else 'for example "api.groq.com" = "GROQ_API_KEY"'
            raise self._wrong(f"[keys] {brief(key)} is no host.", way, key, "keys")
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value) or _like_a_key(value):
            # The value stays out of the message: it may be the key itself.
            raise self._wrong(
                f"[keys] {brief(key)} does not hold the name of an environment variable.",
                f"write the name, {_quoted(key)} = {_quoted(_variable(key))}, and export the key under it;"
                " if the key itself stood here, renew it.",
                key,
                "keys",
            )
        return value

    def _price(self, key: str, value: Any) -> tuple[float, float]:
        pair = value if isinstance(value, list) and len(value) == 2 else []
        good = [float(p) for p in pair if isinstance(p, int | float) and not isinstance(p, bool) and abs(p) < 1e9]
        if len(good) != 2 or not all(math.isfinite(p) and p >= 0 for p in good):
            raise self._wrong(
                f"[prices] {brief(key)} is no pair of prices.",
                f"USD per million tokens, in and out: {_quoted(key)} = [0.1, 0.4]",
                key,
                "prices",
            )
        return good[0], good[1]

    def _table_of(self, name: str) -> str:
        """The way out for a line that stands above every table."""
        near = nearest(name, TABLES)
        return f"the nearest is [{near}]." if near else f"put it under {', '.join(f'[{table}]' for table in TABLES)}."

    def _wrong(self, what: str, fix: str, key: str, table: str = "") -> DataError:
        line = self._line(key, table)
        return DataError(what, fix, where=f"{self.where} line {line}" if line else self.where)

    def _line(self, key: str, table: str) -> int | None:
        """The line in which a table or its key stands; the parser keeps none."""
        lines = self.text.split("\n")
        head = re.compile(rf"\s*\[+\s*{table}\b")
        begin = next((i for i, line in enumerate(lines) if table and head.match(line)), 0)
        for name in (key, key.rpartition(".")[2]):
            word = re.compile(rf"""[^#]{{0,200}}?(?<![\w-])["']?{re.escape(name)}["']?\s*[\].=]""")
            for number, line in enumerate(lines[begin:], begin + 1):
                if word.match(line):
                    return number
        return None

    def _syntax(self, problem: str) -> DataError:
        at = re.search(r"\(at (?:line (\d+), column \d+|end of document)\)", problem)
        line = at[1] if at and at[1] else str(self.text.count("\n") + 1) if at else ""
        what = problem[: at.start()].strip() if at else problem
        what = f"it is no TOML: {what[:1].lower()}{what[1:]}."
        fix = 'write names with dots, and every text, in quotes: "api.groq.com" = "GROQ_API_KEY"'
        return DataError(what, fix, where=f"{self.where} line {line}" if line else self.where)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Keys with their values; ``gpt-4.1 = ...`` without quotes, a table in a table for TOML, is one key."""
    for name, value in table.items():
        key = f"{above}.{name}" if above else name
        if isinstance(value, dict) and value:
            yield from _flat(value, key)
        else:
            yield key, value


def _like_a_key(value: str) -> bool:
    """True for what nobody calls a variable: long, with digits and small letters mixed."""
    return len(value) >= 20 and bool(re.search(r"[0-9]", value)) and bool(re.search(r"[a-z]", value))


def _variable(host: str) -> str:
    """A name for the variable of a host's key: GROQ_API_KEY for api.groq.com."""
    names = [part for part in re.split(r"[^a-z0-9]+", host.lower().partition(":")[0]) if part]
    name = names[-2] if len(names) > 1 else names[0] if names else "MY"
    return f"{'' if name[0].isalpha() else 'MY_'}{name.upper()}_API_KEY"


def _quoted(text: str) -> str:
    return f'"{brief(text)}"'

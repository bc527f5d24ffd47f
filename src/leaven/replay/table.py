"""A comparison as a file holds it: what was published, by which model, and how the recorded outputs lie in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from leaven.errors import RecipeError, nearest, suggest
from leaven.plain_yaml import Map, load, load_file

NONE = "none"
"""The name of no augmentation, among methods and published numbers."""
DRAW = "{draw}"
QUOTING = {"double", "none"}
DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
KEYS = {
    "about": "text", "paper": "text", "student": "text", "protocol": "text", "source": "text", "folder": "text",
    "columns": "mapping", "real": "file", "test": "file", "only": "list", "methods": "mapping", "draws": "list",
    "sizes": "list", "parents": "text", "lower": "true or false", "distinct": "true or false",
    "alone": "true or false", "students": "list", "same_student": "text", "keep_sizes": "list", "published": "mapping",
}  # fmt: skip
NEEDED = ("about", "paper", "student", "source", "columns", "real", "test", "methods", "published")
PARENTS = ("in order",)
Number = tuple[float, ...]
"""A published accuracy as a share of one: one mean, or one of each draw."""


@dataclass(frozen=True)
class File:
    """A file of rows, relative to the folder; its name may hold ``{draw}``."""

    path: str
    delimiter: str = ","
    quoted: bool = True


@dataclass(frozen=True)
class Table:
    """What ``leaven replay`` plays.  ``sizes`` are seeds a label, drawn from ``real``; else all of it is used."""

    name: str
    about: str
    paper: str
    student: str
    """What the authors trained."""
    source: str
    """Where the published numbers stand."""
    real: File
    test: File
    methods: Mapping[str, File]
    published: Mapping[str, Mapping[int, Number]]
    """By method and size; size 0 where there are none."""
    text: str
    label: str
    parent: str = ""
    """The column that names the seed of a made row, by its text."""
    protocol: str = ""
    folder: str = ""
    only: tuple[str, ...] = ()
    """The labels to keep; all, if none are named."""
    draws: tuple[Any, ...] = (0,)
    sizes: tuple[int, ...] = ()
    parents: str = ""
    """``in order``: a made file begins with the seeds, and as many children of each follow, seed by seed."""
    lower: bool = False
    """Texts are put in lower case."""
    distinct: bool = False
    """A row that stands twice counts once."""
    alone: bool = False
    """A student learns from the made rows alone, not from the real ones and these."""
    students: tuple[str, ...] = ("embeddings",)
    same_student: str = ""
    """Which of our students is that of the published numbers; then ours should be theirs, digit by digit."""
    keep_sizes: tuple[int, ...] = field(default=())
    """Where rows learn alone: the real rows a label that keeps are tried with."""


def names() -> list[str]:
    """The comparisons that come with leaven."""
    entries = (resources.files("leaven") / "replays").iterdir()
    return sorted(Path(entry.name).stem for entry in entries if entry.name.endswith(".yaml"))


def read(table: str) -> Table:
    """A comparison by its name, or from a file (a ``/`` or ``.yaml`` in it).  Raises RecipeError, with the line."""
    if "/" in table or table.endswith((".yaml", ".yml")):
        path = Path(table)
        if path.is_dir():
            raise RecipeError("it is a folder.", "name a file: leaven replay mine.yaml", where=table)
        return build(load_file(path), path.stem, path.name)
    known = names()
    if table not in known:
        close = nearest(table, known)
        way = f"the nearest is `{close}`" if close else "leaven replay lists them"
        raise RecipeError(f"there is no comparison `{table}`.", f"{way}; a file is named with its .yaml.")
    text = (resources.files("leaven") / "replays" / f"{table}.yaml").read_text("utf-8")
    return build(load(text, f"replay {table}"), table, f"replay {table}")


def build(data: Any, name: str, where: str) -> Table:
    """The comparison that plain data describes."""
    if not isinstance(data, Map):
        raise RecipeError("a comparison is a mapping with `real`, `test`, `methods` ...", LOOK, where=where)
    found = _Checked(data, where)
    found.keys(KEYS)
    for key in NEEDED:
        if key not in data:
            raise RecipeError(f"it has no `{key}`.", LOOK, where=where)
    columns = _Checked(data["columns"], where)
    columns.keys({"text": "text", "label": "text", "parent": "text"})
    for key in ("text", "label"):
        if key not in columns.data:
            raise columns.error(f"`columns` names no {key}.", "columns: {text: COLUMN, label: COLUMN}")
    sizes = found.numbers("sizes")
    draws = tuple(data.get("draws") or (0,))
    methods = {method: found.file(data["methods"], method) for method in data["methods"]}
    if NONE in methods or not methods:
        raise found.error("`methods` names made files; `none` is no augmentation.", "methods: {NAME: FILE}", "methods")
    if data.get("parents", PARENTS[0]) not in PARENTS:
        raise found.error(f"`parents: {data['parents']}` is not known.", "parents: in order", "parents")
    if sizes and not all(isinstance(draw, int) and draw >= 0 for draw in draws):
        raise found.error("with `sizes`, `draws` are the seeds of random numbers.", "draws: [42, 1, 2]", "draws")
    if data.get("alone") and sizes:
        raise found.error("with `alone` all real rows count; `sizes` has no place.", "leave out `sizes`.", "sizes")
    plain = ("about", "paper", "student", "source", "protocol", "folder", "parents", "lower", "distinct", "alone",
             "same_student")  # fmt: skip
    return Table(
        name=name,
        real=found.file(data, "real"),
        test=found.file(data, "test"),
        methods=methods,
        published=_published(found, methods, sizes, len(draws)),
        text=columns.data["text"],
        label=columns.data["label"],
        parent=columns.data.get("parent", ""),
        only=tuple(str(label) for label in data.get("only", ())),
        draws=draws,
        sizes=sizes,
        students=tuple(map(str, data.get("students") or ("embeddings",))),
        keep_sizes=found.numbers("keep_sizes"),
        **{key: data[key] for key in plain if key in data},
    )


LOOK = "see the ones that come with leaven: leaven replay; the page docs/replay.md tells the keys"


class _Checked:
    """A mapping of the file, and the errors about it."""

    def __init__(self, data: Map, where: str) -> None:
        self.data, self.where = data, where

    def error(self, what: str, fix: str, key: str = "") -> RecipeError:
        line = self.data.lines.get(key, self.data.line)
        return RecipeError(what, fix, where=f"{self.where} line {line}")

    def keys(self, known: Mapping[str, str]) -> None:
        for key, value in self.data.items():
            if key not in known:
                raise self.error(f"`{key}` is no key of a comparison.", f"{suggest(key, known)}.", key)
            right = {
                "text": isinstance(value, str) and bool(value.strip()),
                "list": isinstance(value, list) and bool(value),
                "mapping": isinstance(value, Map),
                "file": isinstance(value, str | Map),
                "true or false": isinstance(value, bool),
            }[known[key]]
            if not right:
                raise self.error(f"`{key}` has to be a {known[key]}.", f"{key}: {EXAMPLES[known[key]]}", key)

    def numbers(self, key: str) -> tuple[int, ...]:
        values = self.data.get(key, ())
        if not all(isinstance(value, int) and not isinstance(value, bool) and value > 0 for value in values):
            raise self.error(f"`{key}` are rows a label.", f"{key}: [5, 10, 20]", key)
        return tuple(values)

    def file(self, holder: Map, key: str) -> File:
        """A name, or a mapping with the name and how it is written."""
        value, at = holder[key], _Checked(holder, self.where)
        if isinstance(value, str):
            return File(value, "\t" if value.endswith(".tsv") else ",")
        if not isinstance(value, Map) or not isinstance(value.get("file"), str):
            raise at.error(f"`{key}` names no file.", f"{key}: FILE, or {{file: FILE, delimiter: tab}}", key)
        inner = _Checked(value, self.where)
        inner.keys({"file": "text", "delimiter": "text", "quoting": "text"})
        delimiter, quoting = value.get("delimiter", "comma"), value.get("quoting", "double")
        if delimiter not in DELIMITERS:
            raise inner.error(f"`delimiter: {delimiter}` is not known.", f"it is {', '.join(DELIMITERS)}.", "delimiter")
        if quoting not in QUOTING:
            raise inner.error(f"`quoting: {quoting}` is not known.", "quoting: double, or none", "quoting")
        return File(value["file"], DELIMITERS[delimiter], quoting == "double")


EXAMPLES = {"text": "SOME TEXT", "list": "[A, B]", "mapping": "{NAME: VALUE}", "file": "FILE", "true or false": "true"}


def _published(
    found: _Checked, methods: Mapping[str, File], sizes: tuple[int, ...], draws: int
) -> dict[str, dict[int, Number]]:
    """The published numbers, percent in the file."""
    out: dict[str, dict[int, Number]] = {}
    holder = _Checked(found.data["published"], found.where)
    for method, said in holder.data.items():
        if method != NONE and method not in methods:
            known = [NONE, *methods]
            raise holder.error(
                f"`published` names `{method}`, which is no method.", f"{suggest(method, known)}.", method
            )
        by_size = said if isinstance(said, Map) else {"0": said}
        if bool(sizes) != isinstance(said, Map):
            way = "{5: 85.3, 10: 91.1}, by size" if sizes else "85.3"
            raise holder.error(f"the published number of `{method}` is not readable.", f"{method}: {way}", method)
        out[method] = {}
        for size, value in by_size.items():
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 100 for v in values):
                raise holder.error(f"`{method}`: an accuracy is a number of 0 to 100.", f"{method}: 85.3", method)
            if len(values) not in (1, draws):
                what = f"`{method}` has {len(values)} numbers, and there are {draws} draws."
                raise holder.error(what, "give one mean, or one of each draw.", method)
            if not size.isdigit() or (sizes and int(size) not in sizes):
                raise holder.error(f"`{method}` has a number of size {size}, which `sizes` has not.", "add it.", method)
            out[method][int(size)] = tuple(float(v) / 100 for v in values)
    return out

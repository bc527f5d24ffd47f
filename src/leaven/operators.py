"""Operators: one small class that does one thing to records.  Three kinds: note, make, keep.

An operator is written for one record, as plain code, in one file named after it.  Its class is the only declaration:
the check of a recipe, the command line and the docs read fields, limits and help from it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaven import plugins
from leaven.asks import Asks
from leaven.draws import Draw
from leaven.errors import RecipeError, suggest
from leaven.expressions import Expression, Template
from leaven.fields import SCORE, VALUE, Column
from leaven.parameters import Expr, File, Text, wrong
from leaven.records import Record, digest

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

__all__ = ["Expr", "File", "Keep", "Make", "Note", "Operator", "State", "Text", "find", "names"]

PACKAGES = ("any_record", "text", "image", "audio", "pair", "keep")

State = Mapping[str, Any]
"""What a fit leaves behind: arrays (texts among them) by name.  Saved as npz, never as pickle."""


class Operator(BaseModel):
    """The base of the three kinds.  The fields of a subclass are its parameters; the first may be given by position."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    name: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    takes: ClassVar[str] = ""
    """The type of the field that the operator works on, where it works on one; ``on`` names it."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Types of fields (``boxes``, ``boxes or mask``) that it cannot do without, besides: a branch of ``any`` is left
    out where the data has none."""
    roles: ClassVar[frozenset[str]] = frozenset()
    """The model roles that it calls."""
    gives: ClassVar[frozenset[str]] = frozenset()
    """Names that it gives its own expressions, beside the columns: `row` of a table, `box` of several."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, *args: Any, **parameters: Any) -> None:
        if args:
            first = self.first_parameter()
            if len(args) > 1 or first in parameters:
                one = f"one parameter by position, `{first}`" if first else "no parameter"
                raise RecipeError(
                    f"{self.name} takes {one}.",
                    f"{type(self).__name__}({first}=...)" if first else f"{type(self).__name__}()",
                )
            parameters[first] = args[0]
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            raise wrong(type(self), error, self.name) from None

    @classmethod
    def checked(cls, parameters: Mapping[str, Any]) -> Self:
        """The operator of these parameters.  Raises pydantic's ValidationError, which tells where each fault lies, in
        place of the RecipeError that calling the class raises."""
        op = cls.__new__(cls)
        BaseModel.__init__(op, **parameters)
        return op

    @classmethod
    def first_parameter(cls) -> str:
        """The first that its own class declares; what all steps that ask models share comes after."""
        own = (name for kind in cls.__mro__ if kind is not Operator for name in vars(kind).get("__annotations__", {}))
        return next((name for name in own if name in cls.model_fields), "")

    def awaits(self) -> bool:
        """True where it asks models: its method is ``async``, and runs where the models are."""
        method = getattr(type(self), {"make": "make", "note": "note"}.get(self.kind, ""), None)
        return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)

    def asks(self) -> bool:
        """True where it asks models at all: about each record, or about groups of them when it is fitted."""
        return self.awaits()

    def __call__(
        self,
        record: Mapping[str, Any],
        *,
        seed: int = 0,
        source: Sequence[Mapping[str, Any]] | None = None,
        made: Sequence[Mapping[str, Any]] | None = None,
        test: Sequence[Mapping[str, Any]] | None = None,
        **models: str,
    ) -> list[dict[str, Any]]:
        """What becomes of one record, with no folder: the rows that go on, and refused ones with their ``_reason``.

        An operator that learns from rows, or compares with them, is given them as ``source``, ``made`` or ``test``; one
        that asks models is told who plays their roles: ``chat="openai:gpt-5-mini"``, ``chat="fake:shape"``.
        """
        # By name: it stands floors above, and imports this file.
        one_record = importlib.import_module("leaven.one_record")
        found: list[dict[str, Any]] = one_record.run(
            self, record, seed, {"source": source, "made": made, "test": test}, models
        )
        return found

    def tunes(self) -> str:
        """The role whose model, which the user names, it fits further; an empty text where it fits none."""
        return ""

    def sees_and_reads(self) -> bool:
        """Whether it compares an image or a sound with a text: then one model has to embed both."""
        return False

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """The operator with what it left to the data resolved, such as the inputs of a prediction."""
        return self

    def needs_state(self) -> bool:
        """True where ``fit`` has something to learn before the step runs."""
        return type(self).fit is not Operator.fit

    def fits_on(self) -> tuple[str, ...]:
        """The sets that ``fit`` reads: ``source``, ``made``, ``test``."""
        return ("source",)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """Learn once, before the step, from the sets named by ``fits_on``."""
        raise NotImplementedError

    async def fit_asking(self, rows: Rows, of: Callable[[Record], Context]) -> State:
        """As ``fit``, for a step that asks models about groups of all that comes in; ``of`` gives each its context."""
        raise NotImplementedError

    def reads(self) -> frozenset[str]:
        """The columns that it reads, ``on`` included; also the names in its expressions."""
        names: set[str] = set()
        for key in type(self).model_fields:
            value = getattr(self, key)
            values = value.values() if isinstance(value, dict) else [value]
            for item in values:
                if isinstance(item, Expression | Template):
                    names |= item.names
                elif isinstance(item, Draw):
                    names |= item.reads()
        if self.asks():  # a prompt sees the step's own parameters
            names -= type(self).model_fields.keys()
        names -= self.gives
        on = getattr(self, "on", None)
        if on is not None:
            names |= {on} if isinstance(on, str) else set(on)
        if isinstance(self, Asks):
            names |= set(self.fields_shown())
        return frozenset(names)

    def lacking(self, columns: Mapping[str, Column]) -> list[str]:
        """Those of its ``needs`` that no column meets; a value that it is told to read may be of any type."""
        there = {column.type for column in columns.values()}
        if any(columns[name].type == VALUE for name in self.reads() & columns.keys()):
            return []
        return sorted(kinds for kinds in self.needs if not there & set(kinds.split(" or ")))

    def spec(self) -> dict[str, Any]:
        """Its parameters as plain data; with its name this is what the operator *is*."""
        return self.model_dump(mode="json")


class Note(Operator):
    """A record becomes the same record with more fields or scores.

    ``writes`` says which columns, under the operator's own name; ``as NAME`` in a recipe renames them.
    """

    kind: ClassVar[str] = "note"

    def writes(self) -> dict[str, Column]:
        return {self.name: Column(SCORE, self.reads(), written=False)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        """The columns of one record.  ``async def`` where it asks a model; it may raise ``Refuse``."""
        raise NotImplementedError

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        """The columns of many records, in order; override it where a batch is faster than one at a time."""
        for record in records:
            found = self.note(record, ctx.of(record))
            assert isinstance(found, Mapping), "a note that asks models is awaited, one record at a time"
            yield found


class Make(Operator):
    """A record becomes 0 to n children, which replace it.  A child that went wrong is refused, not left out."""

    kind: ClassVar[str] = "make"
    moves: ClassVar[frozenset[str]] = frozenset()
    """Types of fields about the changed one that it sets anew itself: a class that warps images moves their boxes."""
    holds: list[str] = Field(default_factory=list)
    """Fields about the changed one that stay true all the same."""

    def changes(self) -> frozenset[str]:
        """The fields that a child has anew; what is about them is dropped from it."""
        on = getattr(self, "on", None)
        return frozenset({on} if isinstance(on, str) else on or ())

    def writes(self) -> dict[str, Column]:
        """New columns that its children carry, if any."""
        return {}

    def asked(self) -> int:
        """How many children it makes of a record; those that lack are refused as ``too_few``.  0: it is not known."""
        return 0

    def make(self, record: Record, ctx: Context) -> Iterator[Record] | AsyncIterator[Record]:
        """The children of one record.  ``async def`` where it asks a model."""
        raise NotImplementedError


class Keep(Operator):
    """Keep or refuse, with a reason of one word.

    A keep of scope ``record`` defines ``keep``.  One of another scope (a column such as ``root`` or ``label``, or
    ``all``) defines ``columns``, read off each record where it lies, and ``decide``, vectorised over complete groups.
    """

    kind: ClassVar[str] = "keep"

    def scope(self) -> tuple[str, ...]:
        """``("record",)``, ``("all",)``, or the columns whose values make a group."""
        return ("record",)

    def keep(self, record: Record, ctx: Context) -> str:
        """The reason to refuse, one word, or an empty text; after a colon and a blank may stand what decided."""
        raise NotImplementedError

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        """Numbers to decide by, a row a record."""
        raise NotImplementedError

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        """For each row an index into ``reasons``; rows come in source order, ``groups`` numbers their groups."""
        raise NotImplementedError

    reasons: ClassVar[tuple[str, ...]] = ("",)


def find(name: str, folders: Sequence[str] = ()) -> type[Operator]:
    """The operator of a name: a built-in, one in a folder that the user named, or a plug-in's (``PACKAGE:NAME``).

    Only its own file is imported.
    """
    plugin, colon, own = name.partition(":")
    if colon:
        added = names([str(plugins.folder(plugin))], built_in=False)
        if own not in added:
            near = suggest(name, [f"{plugin}:{other}" for other in added])
            raise RecipeError(f"the plug-in `{plugin}` has no operator `{own}`.", f"{near}.")
        return _class_in(plugins.load(plugin, own), own)
    if "." not in name and (module := _builtin(name)):
        return _class_in(module, name)
    for folder in folders:
        path = Path(folder) / f"{name}.py"
        if path.is_file():
            return _class_in(_load(path.resolve()), name)
    known = [f"{plugin}:{own}" for plugin, at in plugins.folders().items() for own in names([str(at)], built_in=False)]
    raise RecipeError(f"there is no operator `{name}`.", f"{suggest(name, names(folders) + known)}.")


def names(folders: Sequence[str] = (), *, built_in: bool = True) -> list[str]:
    """The operators that a recipe may name, sorted: the built-in ones, and those in the folders."""
    here = Path(__file__).parent
    every = [here / package for package in PACKAGES if built_in] + [Path(folder) for folder in folders]
    return sorted({p.stem for folder in every for p in folder.glob("*.py") if _may_be_operator(p)})


def _may_be_operator(path: Path) -> bool:
    """True for a file with a class that has a base; it is read, not run."""
    if path.stem.startswith(("_", "test_", "conftest")):
        return False
    return bool(re.search(r"^class \w+\((?!NamedTuple\b)", path.read_text("utf-8", errors="replace"), re.MULTILINE))


@cache
def _builtin(name: str) -> Any:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return None
    here = Path(__file__).parent
    for package in PACKAGES:
        path = here / package / f"{name}.py"
        if path.is_file() and _may_be_operator(path):
            return importlib.import_module(f"leaven.{package}.{name}")
    return None


class _AsItStands(importlib.machinery.SourceFileLoader):
    """Compiles a file as it stands: what Python keeps compiled goes by second and size, and an edit may keep both."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)


def _load(path: Path) -> Any:
    """Import a user's operator under a name of its own, so that a worker process can find its class again.

    The name goes by place and content: two folders may hold files of one name, and an edited file is loaded anew.
    """
    content = path.read_bytes()
    module_name = f"leaven_operators_{path.stem}_{digest(str(path), content, size=6).hex()}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path, loader=_AsItStands(module_name, str(path)))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise RecipeError(
                f"the operator file does not load: {type(error).__name__}: {error}.", "correct it.", where=str(path)
            ) from error
    return sys.modules[module_name]


def _class_in(module: Any, name: str) -> type[Operator]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Operator)
        and value.__module__ == module.__name__
        and value.name == name
    ]
    if not found:
        raise RecipeError(
            f"{module.__file__} defines no operator called `{name}`.",
            f"name its class {name.title().replace('_', '')}, a Note, Make or Keep.",
        )
    return found[0]

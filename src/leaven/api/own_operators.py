"""Operators that the user defined in a module, a script or a notebook, as files that a recipe can name.

The language knows an operator by its file: ``NAME.py`` in a folder.  One that stands so already is taken where it is.
Of another module's the file imports it; what a script or a notebook holds is written out, with what it uses.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from leaven.errors import RecipeError
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.operators import Operator

KNOWN = ("typing", "collections.abc", "pydantic", "leaven.operators")
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
OWN_FILE = "put it into a file of its own, NAME.py: docs/write-your-own."


def folders_of(kinds: Sequence[type[Operator]], into: Path) -> list[str]:
    """The folders to look for these operators in; what stands in no file of its own is written to ``into``."""
    found: dict[str, None] = {}
    for kind in dict.fromkeys(kinds):
        if kind.__module__.partition(".")[0] == "leaven":
            continue
        file = _file(sys.modules.get(kind.__module__))
        if file and file.stem == kind.name and kind.__module__ != "__main__":
            found[str(file.parent)] = None
            continue
        into.mkdir(parents=True, exist_ok=True)
        (into / f"{kind.name}.py").write_text(_written(kind, file), "utf-8")
        found[str(into)] = None
    return list(found)


def _file(module: ModuleType | None) -> Path | None:
    path = getattr(module, "__file__", None)
    return Path(path) if path and Path(path).is_file() else None


def _written(kind: type[Operator], file: Path | None) -> str:
    if kind.__module__ != "__main__" and file is not None:
        if "." in kind.__qualname__:
            raise RecipeError(f"{kind.__qualname__} stands inside another class or function.", OWN_FILE)
        content = digest(file.read_bytes(), size=8).hex()  # a change there is a change here
        return (
            f"# {file.name} {content}\n"
            "from typing import ClassVar\n\n"
            f"from {kind.__module__} import {kind.__name__} as _Own\n\n\n"
            f"class {kind.__name__}(_Own):\n"
            f"    name: ClassVar[str] = {kind.name!r}\n"
        )
    return _Sources(kind).text()


class _Sources:
    """The source of a class that was defined in a script or a notebook, and of what it uses, in an order that runs."""

    def __init__(self, kind: type[Operator]) -> None:
        self.kind = kind
        methods = (getattr(member, "__func__", member) for member in vars(kind).values())
        around: dict[str, Any] = next((m.__globals__ for m in methods if hasattr(m, "__globals__")), {})
        self.names = {**around, kind.__name__: kind}
        self.done: dict[str, str] = {}

    def text(self) -> str:
        self.take(self.kind.__name__)
        return "from __future__ import annotations\n\n" + "\n\n\n".join(self.done.values()) + "\n"

    def take(self, name: str) -> None:
        """Write out what a name stands for, after what that needs."""
        if name in self.done or name not in self.names:
            return
        source, needs = self.source(name, self.names[name])
        self.done[name] = source  # before what it needs, which may need it too
        for other in needs:
            self.take(other)
        self.done[name] = self.done.pop(name)

    def source(self, name: str, value: Any) -> tuple[str, list[str]]:
        """What makes a name stand for a value, and the names that this needs."""
        if isinstance(value, ModuleType):
            return f"import {value.__name__} as {name}", []
        home, own = getattr(value, "__module__", None), getattr(value, "__name__", "")
        if isinstance(home, str) and home != "__main__" and getattr(sys.modules.get(home), own, None) is value:
            return f"from {home} import {own} as {name}", []
        if _literal(value):
            return f"{name} = {value!r}", []
        for text in _texts(value):
            node = _definition(text, name)
            if node is not None:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return "\n".join(text.splitlines()[first - 1 : node.end_lineno]), list(_needs(node, name))
        for package in KNOWN:  # what has no home of its own, such as typing.Any
            if vars(sys.modules.get(package) or ModuleType(package)).get(name) is value:
                return f"from {package} import {name}", []
        raise RecipeError(f"{self.kind.__name__} uses `{name}`, whose source is not known here.", OWN_FILE)


def _literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _texts(value: Any) -> Iterator[str]:
    """The text of the script or of the cells that a class or function was defined in."""
    for code in _codes(value):
        lines = linecache.getlines(code.co_filename)
        if lines:
            yield "".join(lines)


def _codes(value: Any) -> Iterator[CodeType]:
    members = [value, *vars(value).values()] if isinstance(value, type) else [value]
    for member in members:
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _definition(text: str, name: str) -> Definition | None:
    """The last class or function of that name at the top of a text."""
    try:
        body = ast.parse(text).body
    except SyntaxError:  # a cell with a line for the shell
        return None
    found = [n for n in body if isinstance(n, Definition) and n.name == name]
    return found[-1] if found else None


def _needs(node: ast.AST, own: str) -> Iterator[str]:
    """The names that a definition reads, in their order."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            name = inner.id
            if name != own and not hasattr(builtins, name):
                yield name

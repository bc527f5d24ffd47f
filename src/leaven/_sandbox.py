"""Jinja under the expression language: parses a source, allows what the language has, and compiles it.

Jinja's sandbox guards attributes, but lets one template make texts of gigabytes and loops without end.  So
the parsed tree is rewritten before it is compiled: every node that is not on the list is refused, and calls,
methods, comparisons, ``~``, slices, lists, loops and output go through a function that counts and checks.
They become filters whose names begin with a blank, which no source can spell as a filter.  (`map` could, by a
text: they are safe with any arguments.)  Attributes read mappings only: no method or class is ever reached.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jinja2
from jinja2 import filters, meta, nodes, pass_context, tests
from jinja2.parser import Parser
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from leaven import _messages, _tagged, _words
from leaven._words import Work, Wrong
from leaven.errors import suggest

MOST_SOURCE = 100_000
MOST_DEPTH = 64
RESULT = "_result"
_CALLABLE = "call them by name: choice(...), round(...), text.lower()."
_TEMPLATES_HAVE = "templates have {{ }}, {% if %}, {% for %} and {% set x = ... %}."

_LOOP = frozenset([
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem",
])  # fmt: skip
_ALLOWED = frozenset([  # kinds of nodes
    "Template", "Output", "TemplateData", "For", "If", "Assign", "Name", "Const", "List", "Tuple",
    "Dict", "Pair", "Keyword", "CondExpr", "Filter", "Test", "Call", "Getattr", "Getitem", "Slice",
    "Concat", "Compare", "Operand", "Mul", "Div", "FloorDiv", "Add", "Sub", "Mod", "And", "Or", "Not",
    "Neg", "Pos",
])  # fmt: skip
_TESTS = [
    "none", "boolean", "false", "true", "integer", "float", "string", "mapping", "number", "sequence",
    "iterable", "odd", "even", "divisibleby", "lower", "upper", "in", "==", "eq", "equalto", "!=", "ne",
    ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le",
]  # fmt: skip
_WORK_FIRST = frozenset({_words.find})  # filters that count work of their own


class Scope(Work):
    """Where the compiled code of one evaluation reads its names.  It stands in for Jinja's Context, which
    costs more to build than a comparison to evaluate."""

    __slots__ = ("exported_vars", "rng", "values", "vars")
    eval_ctx = None

    def __init__(self, values: Mapping[str, Any], rng: Any) -> None:
        self.turns = self.characters = 0
        self.values = values
        self.rng = rng
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()

    @property
    def environment(self) -> jinja2.Environment:
        return language()

    def resolve_or_missing(self, name: str) -> Any:
        return self.values.get(name, missing)


class Language(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with the language's words only."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, optimized=False)
        self.globals.clear()
        self.filters = {name: _guarded(function) for name, function in _filters(self).items()}
        self.filters.update(_guards())
        known: dict[str, Any] = {**tests.TESTS}
        self.tests = {name: _guarded(known[name]) for name in _TESTS}
        self.tests.update(defined=tests.test_defined, undefined=tests.test_undefined)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _defined(left, right)
        return _words.binary(operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        _defined(obj, argument)
        if isinstance(obj, Mapping):
            if argument in obj:
                return obj[argument]
            fields = [str(field) for field in obj]
            known = suggest(str(argument), fields) if fields else "it has nothing"
            return self.undefined(f"there is no `{argument}`; {known}", name=str(argument))
        if isinstance(argument, int) and not isinstance(obj, (LoopContext, int, float)):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"it has {len(obj)} items, and none at {argument}", name=str(argument))
        return self.undefined(f"{_words.kind(obj)} has no `{argument}`", name=str(argument))

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        raise Wrong("only the functions of the language can be called", _CALLABLE)  # no rewritten tree gets here


class _Turns:
    """What a loop runs over, counting its turns."""

    def __init__(self, work: Work, items: Any) -> None:
        self.work = work
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            self.work.turn()
            yield item

    def __len__(self) -> int:
        return len(self.items)


def _defined(*values: Any) -> None:
    for value in values:
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that refuses what is not there, counts what it reads and writes, and makes lists of
    generators."""
    work_first = function in _WORK_FIRST or getattr(function, "jinja_pass_arg", None) is not None

    @pass_context
    def guarded(scope: Scope, *args: Any, **kwargs: Any) -> Any:
        _defined(*args, *kwargs.values())
        scope.spend(*args)
        made = function(scope, *args, **kwargs) if work_first else function(*args, **kwargs)
        if isinstance(made, Iterator):
            made = list(made)
            _defined(*made)
        scope.spend(made)
        if isinstance(made, str):
            _words.check_characters(len(made))
        elif isinstance(made, list):
            _words.check_items(len(made))
        return made

    return _signed(guarded, partial(function, None) if work_first else function)


def _signed(function: Any, like: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the arguments of another one for whoever asks (`_check_word`)."""
    function.__wrapped__ = like
    return function  # type: ignore[no-any-return]


def _filters(language: Language) -> dict[str, Callable[..., Any]]:
    """The language's own filters and those of Jinja's that can neither pad nor multiply."""
    taken: dict[str, Callable[..., Any]] = {
        name: getattr(filters, f"do_{name}") for name in ("dictsort", "float", "int", "items", "title")
    }
    for name in ("last", "max", "min", "sort", "unique"):
        taken[name] = partial(getattr(filters, f"do_{name}"), language)
    for name in ("first", "groupby"):
        taken[name] = partial(getattr(filters, f"sync_do_{name}"), language)
    for name in ("map", "reject", "rejectattr", "select", "selectattr"):
        taken[name] = _with_scope(getattr(filters, f"sync_do_{name}"))
    taken["batch"] = lambda value, linecount: filters.do_batch(value, linecount)  # without padding
    return {**taken, **_words.FILTERS, **_messages.FILTERS, **_tagged.FILTERS}


def _with_scope(function: Callable[..., Any]) -> Callable[..., Any]:
    def scoped(scope: Scope, value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(scope, value, *args, **kwargs)

    scoped.jinja_pass_arg = True  # type: ignore[attr-defined]
    return scoped


def _guards() -> dict[str, Callable[..., Any]]:
    """What the rewritten tree calls, by names that a source cannot write."""

    def made(scope: Scope, value: Any) -> Any:
        """A list, tuple or mapping written out."""
        _defined(*(value.values() if isinstance(value, dict) else value))
        scope.characters += 10 * _words.weigh(value)
        scope.spend()
        return value

    def compare(scope: Scope, left: Any, *rest: Any) -> bool:
        _defined(left, *rest[1::2])
        return _words.compare(scope, left, *rest)

    def concat(scope: Scope, parts: list[Any]) -> str:
        _defined(*parts)
        text = _words.join(parts)
        scope.spend(text)
        return text

    def text(scope: Scope, value: Any) -> str:
        _defined(value)
        text = _words.text_of(value)
        scope.spend(text)
        return text

    def method(scope: Scope, value: Any, name: str, *args: Any) -> Any:
        _defined(value, *args)
        scope.spend(value)
        made = _words.method(value, name, *args)
        scope.spend(made)
        _words.check_items(len(made) if isinstance(made, list) else 0)
        return made

    def cut(scope: Scope, value: Any, *bounds: Any) -> Any:
        _defined(value, *bounds)
        cut = _words.cut(value, *bounds)
        scope.spend(cut)
        return cut

    def call(scope: Scope, name: str, *args: Any, **kwargs: Any) -> Any:
        _defined(*args, *kwargs.values())
        scope.spend(*args)
        made = _words.call(name, scope.rng, *args, **kwargs)
        scope.spend(made)
        return made

    def default(scope: Scope, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
        """The value, or another one where it is not there, or nothing (Jinja's own lets None through)."""
        absent = isinstance(value, Undefined) or value is None
        return default_value if absent or (boolean and not value) else value

    def turns(scope: Scope, value: Any) -> _Turns:
        _defined(value)
        return _Turns(scope, value)

    guards: dict[str, Callable[..., Any]] = {
        " made": made, " compare": compare, " concat": concat, " text": text, " method": method, " cut": cut,
        " call": call, " turns": turns, "default": default, "d": default,
    }  # fmt: skip
    _signed(default, lambda value, default_value="", boolean=False: None)
    return {name: pass_context(function) for name, function in guards.items()}


@lru_cache(maxsize=1)
def language() -> Language:
    return Language()


# From a source to something that can be run.


def compile_source(
    source: str, *, template: bool
) -> tuple[Callable[[Mapping[str, Any], Any], Any], set[str], set[str]]:
    """The function that evaluates it with values and a generator, the names that it reads, and those among
    them that it asks about with ``is defined``.  Raises Wrong."""
    if len(source) > MOST_SOURCE:
        raise Wrong(f"it is longer than {MOST_SOURCE:,} characters", "shorten it.")
    env = language()
    with _read(source, template):
        tree = env.parse(source) if template else _parse_expression(env, source)
        asked: set[str] = set()
        tree = _rewrite(tree, asked, template=template)
        names = meta.find_undeclared_variables(tree)
        run: Callable[[Any], Iterator[str]] = env.from_string(tree).root_render_func

    def render(values: Mapping[str, Any], rng: Any) -> str:
        pieces, characters = [], 0
        for piece in run(Scope(values, rng)):
            characters += len(piece)
            _words.check_characters(characters)
            pieces.append(piece)
        return "".join(pieces)

    return (render if template else _evaluating(run)), names, asked & names


@contextmanager
def _read(source: str, template: bool) -> Iterator[None]:
    """What goes wrong while a source is read, as Wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except jinja2.TemplateSyntaxError as error:
        if "escape sequence" in (error.message or ""):
            raise Wrong("a backslash in its text stands alone", r"double it: '\\W'.") from None
        line = f" (line {error.lineno} of it)" if "\n" in source else ""
        raise Wrong(f"it cannot be read: {error.message}{line}", _hint(source, template)) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise _too_deep() from None
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise Wrong("a number in it is too long to be read", "shorten it.") from None


def _evaluating(run: Callable[[Any], Iterator[str]]) -> Callable[[Mapping[str, Any], Any], Any]:
    def evaluate(values: Mapping[str, Any], rng: Any) -> Any:
        scope = Scope(values, rng)
        for _ in run(scope):
            pass
        result = scope.vars[RESULT]
        _defined(result)
        return result

    return evaluate


@dataclass(frozen=True)
class OfGroup:
    """A function of a group in an expression: of which of its parts (none: -1), and for `quantile` which one."""

    function: str
    part: int
    q: float | None = None


@dataclass(frozen=True)
class Split:
    """An expression with functions of a group, taken apart: `parts` are read off each record, `calls` work on a part
    over all records of a group, and `run` puts the expression together from both (``__part0``, ``__group0``).
    `columns` does so for all records at once, of arrays; None where the expression has more than comparisons,
    arithmetic, `and`, `or` and `not`.  It raises ZeroDivisionError where one record divides by zero."""

    run: Callable[[Mapping[str, Any], Any], Any]
    columns: Callable[[Mapping[str, Any]], Any] | None
    parts: tuple[Callable[[Mapping[str, Any], Any], Any], ...]
    calls: tuple[OfGroup, ...]
    per: tuple[str, ...]
    names: set[str]
    asked: set[str]


def split_source(source: str) -> Split | None:
    """An expression with functions of a group, taken apart; None of one without.  Raises Wrong."""
    env = language()
    with _read(source, False):
        tree = _parse_expression(env, source)
        [assign] = tree.body
        assert isinstance(assign, nodes.Assign)
        if not _groups_in(assign.node):
            return None
        apart = _Apart()
        outer = apart.outer(assign.node)
        columns = _of_columns(outer)
        asked: set[str] = set()
        runs, names = [], set(apart.per or ()) - {"all", "root", "parent"}
        for part in [*apart.parts, outer]:
            rewritten = _rewrite(_as_tree(env, part), asked, template=False, ours=apart.names)
            names |= {name for name in meta.find_undeclared_variables(rewritten) if not name.startswith("__")}
            runs.append(_evaluating(env.from_string(rewritten).root_render_func))
        per = apart.per or ("all",)
        return Split(runs[-1], columns, tuple(runs[:-1]), tuple(apart.calls), per, names, asked & names)


def _groups_in(node: nodes.Node) -> bool:
    found = [node] if isinstance(node, nodes.Call) else []
    return any(
        isinstance(call.node, nodes.Name) and call.node.name in _words.GROUP
        for call in [*found, *node.find_all(nodes.Call)]
    )


def _as_tree(env: Language, node: nodes.Expr) -> nodes.Template:
    body: list[nodes.Node] = [nodes.Assign(nodes.Name(RESULT, "store"), node, lineno=1)]
    made = nodes.Template(body, lineno=1)
    made.set_environment(env)
    return made


class _Apart:
    """Takes an expression apart: what is read off a record, and what is worked out over a group of them."""

    def __init__(self) -> None:
        self.parts: list[nodes.Expr] = []
        self.calls: list[OfGroup] = []
        self.per: tuple[str, ...] | None = None
        self.names: list[nodes.Name] = []

    def outer(self, node: Any) -> Any:
        if isinstance(node, nodes.Const):
            return node
        if not _groups_in(node):
            return self.name(f"__part{self.part(node)}")
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in _words.GROUP:
            self.call(node, node.node.name)
            return self.name(f"__group{len(self.calls) - 1}")
        truth = isinstance(node, nodes.And | nodes.Or | nodes.Not)
        for field, value in node.iter_fields():
            if isinstance(node, nodes.Call) and field == "node":  # a function's name; of a method, what it is of
                if isinstance(value, nodes.Getattr):
                    value.node = self.outer(value.node)
            elif isinstance(value, list):
                setattr(node, field, [self.inner(v, truth) if isinstance(v, nodes.Node) else v for v in value])
            elif isinstance(value, nodes.Node):
                setattr(node, field, self.inner(value, truth))
        return node

    def inner(self, node: Any, truth: bool) -> Any:
        """A part of an expression; of a text or a list beside `and` only whether there is any."""
        if isinstance(node, nodes.Helper):  # a comparison's side, a named argument: what it holds
            for field, value in node.iter_fields():
                if isinstance(value, nodes.Node):
                    setattr(node, field, self.outer(value))
            return node
        if truth and not _groups_in(node) and not isinstance(node, nodes.Const):
            node = nodes.Not(nodes.Not(node, lineno=node.lineno), lineno=node.lineno)
        return self.outer(node)

    def name(self, of: str) -> nodes.Name:
        self.names.append(nodes.Name(of, "load", lineno=1))
        return self.names[-1]

    def part(self, node: nodes.Expr) -> int:
        if not isinstance(node, nodes.Name) or node not in self.parts:  # two draws are two
            self.parts.append(node)
            return len(self.parts) - 1
        return self.parts.index(node)

    def call(self, node: nodes.Call, name: str) -> None:
        form = _GROUP_FORMS.get(name)
        if form is None:
            raise Wrong(f"`{name}(...)`, over a group of records, is not built yet", "use a column of a note.")
        named = {keyword.key: keyword.value for keyword in node.kwargs}
        per = _keys(named.pop("per", nodes.Const("all")))
        args = list(node.args)
        if name == "count" and args and isinstance(args[0], nodes.Const) and isinstance(args[0].value, str):
            what = f"`count({args[0].value!r})`, the rows of a set, is not built yet"
            raise Wrong(what, "count the records: count(per='label')")
        wanted = (0, 1) if name == "count" else (2,) if name == "quantile" else (1,)
        if named or len(args) not in wanted or per is None or node.dyn_args or node.dyn_kwargs:
            raise Wrong(f"`{name}` is not written so", f"it is written {form}.")
        if any(map(_groups_in, args)):
            raise Wrong(f"`{name}` stands around another function of a group", "note the inner one's column first.")
        if self.per not in (None, per):
            raise Wrong("its functions are of two groups", "write two keeps.")
        self.per = per
        q = None
        if name == "quantile":
            q = args[1].value if isinstance(args[1], nodes.Const) else None
            if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
                raise Wrong("`quantile` takes a number from 0 to 1", f"it is written {form}.")
        self.calls.append(OfGroup(name, self.part(args[0]) if args else -1, q))


def _of_columns(node: nodes.Node) -> Callable[[Mapping[str, Any]], Any] | None:
    """What works the expression out for all records at once."""
    below = [_of_columns(child) for child in node.iter_child_nodes()]
    if isinstance(node, nodes.Operand):
        return below[0]
    of = [one for one in below if one is not None]
    if len(of) < len(below):
        return None
    if isinstance(node, nodes.Name):
        name = node.name
        return lambda values: values[name]
    if isinstance(node, nodes.Const) and isinstance(node.value, int | float):
        value = node.value
        return lambda values: value
    if isinstance(node, nodes.Not):
        return lambda values: _truth(of[0](values)) ^ True
    if isinstance(node, nodes.And):
        return lambda values: _truth(of[0](values)) & _truth(of[1](values))
    if isinstance(node, nodes.Or):
        return lambda values: _truth(of[0](values)) | _truth(of[1](values))
    if isinstance(node, nodes.Compare) and all(operand.op in _words.NUMBERS_COMPARE for operand in node.ops):
        return partial(_compared, of, [_words.NUMBERS_COMPARE[operand.op] for operand in node.ops])
    if isinstance(node, nodes.Add | nodes.Sub | nodes.Mul | nodes.Div):
        return partial(_reckoned, of, node.operator)
    return None


def _truth(value: Any) -> Any:
    return value.astype(bool) if hasattr(value, "astype") else bool(value)


def _compared(of: list[Any], signs: list[Callable[[Any, Any], Any]], values: Mapping[str, Any]) -> Any:
    found = [one(values) for one in of]
    holds: Any = True
    for i, sign in enumerate(signs):
        holds = holds & sign(found[i], found[i + 1])
    return holds


def _reckoned(of: list[Any], sign: str, values: Mapping[str, Any]) -> Any:
    left, right = (one(values) for one in of)
    if sign == "/" and not _all(right):
        raise ZeroDivisionError
    return _words.NUMBERS_RECKON[sign](left, right)


def _all(value: Any) -> bool:
    return bool(value.all()) if hasattr(value, "all") else bool(value)


_GROUP_FORMS = {
    "count": "count(per='label'), or count(x > 1, per='label')",
    "mean": "mean(x, per='label')",
    "median": "median(x, per='label')",
    "quantile": "quantile(x, 0.75, per='label')",
    "sum": "sum(x, per='label')",
}


def _keys(node: nodes.Expr) -> tuple[str, ...] | None:
    """The columns that ``per`` names; None where it is neither a text nor a list of texts."""
    found = node.items if isinstance(node, nodes.List) else [node]
    names = tuple(item.value for item in found if isinstance(item, nodes.Const) and isinstance(item.value, str))
    return names if names and len(names) == len(found) else None


def _parse_expression(env: Language, source: str) -> nodes.Template:
    parser = Parser(env, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"`{parser.stream.current}` does not follow here", parser.stream.current.lineno)
    return _as_tree(env, tree)


def _hint(source: str, template: bool) -> str:
    if template:
        return "write {{ name }} and {% for x in list %} ... {% endfor %}; for a brace {{ '{{' }}."
    if "{{" in source or "{%" in source:
        return "an expression stands without braces: label_prob > 0.7"
    for sign, word in (("&&", "and"), ("||", "or"), ("===", "==")):
        if sign in source:
            return f"write `{word}` for `{sign}`."
    if not source.strip():
        return "write an expression: label_prob > 0.7"
    return "write it like: label_prob > 0.7 and label != 'other' (texts in quotes, == for equal)."


def _too_deep() -> Wrong:
    return Wrong("it is nested too deeply", "write it in several steps, or with fewer brackets.")


def _rewrite(
    tree: nodes.Template, asked: set[str], *, template: bool, ours: Sequence[nodes.Name] = ()
) -> nodes.Template:
    """The tree with guards in it.  ``ours`` are names that no source may write."""

    def guard(name: str, node: Any, *args: nodes.Expr, kwargs: list[nodes.Keyword] | None = None) -> nodes.Filter:
        return nodes.Filter(node, name, list(args), kwargs or [], None, None, lineno=node.lineno)

    def visit(node: Any, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise _too_deep()
        if _counts_made(node):
            return nodes.Name(_words.MADE, "load", lineno=node.lineno)
        name = type(node).__name__
        if not any(node is own for own in ours):
            _check(node, name, template)
        if name == "Test" and node.name in ("defined", "undefined") and isinstance(node.node, nodes.Name):
            asked.add(node.node.name)
        called = node.node if isinstance(node, nodes.Call) else None
        for field, value in node.iter_fields():
            if isinstance(value, list):
                setattr(node, field, [visit(v, depth + 1) if isinstance(v, nodes.Node) else v for v in value])
            elif isinstance(value, nodes.Node) and value is not called:
                setattr(node, field, visit(value, depth + 1))
        if isinstance(node, nodes.Call):
            if isinstance(called, nodes.Name):
                function = nodes.Const(called.name, lineno=node.lineno)
                return guard(" call", function, *node.args, kwargs=node.kwargs)
            assert isinstance(called, nodes.Getattr)  # `_check` refused all else
            value = visit(called.node, depth + 1)
            return guard(" method", value, nodes.Const(called.attr), *node.args, kwargs=node.kwargs)
        if isinstance(node, nodes.Output):
            node.nodes = [n if isinstance(n, nodes.TemplateData) else guard(" text", n) for n in node.nodes]
        elif isinstance(node, nodes.For):
            node.iter = guard(" turns", node.iter)
        elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
            node.expr2 = nodes.Const("")
        elif isinstance(node, nodes.Concat):
            return guard(" concat", nodes.List(node.nodes, lineno=node.lineno))
        elif isinstance(node, nodes.Compare):
            pairs = [part for operand in node.ops for part in (nodes.Const(operand.op), operand.expr)]
            return guard(" compare", node.expr, *pairs)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            return guard(" cut", node.node, *(bound or nodes.Const(None) for bound in bounds))
        elif name in ("List", "Dict") or (name == "Tuple" and node.ctx == "load"):
            return guard(" made", node)
        return node

    made: nodes.Template = visit(tree, 0)
    made.set_environment(language())
    return made


def _counts_made(node: Any) -> bool:
    """True of ``count('made')``."""
    if not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "count"):
        return False
    said = [arg.value for arg in node.args if isinstance(arg, nodes.Const)]
    return said == ["made"] and len(node.args) == 1 and not (node.kwargs or node.dyn_args or node.dyn_kwargs)


def _check(node: Any, name: str, template: bool) -> None:
    """Refuse a node that the language does not have."""
    thing = "the prompt" if template else "the expression"
    if isinstance(node, nodes.Pow):
        raise Wrong("`**` is not part of the language", "write x * x.")
    if name not in _ALLOWED or getattr(node, "recursive", False):
        what = _REFUSED.get(name, f"{{% {name.lower()} %}}")
        raise Wrong(f"{what} is not part of the language", _TEMPLATES_HAVE)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise _forbidden(thing, f"{_path(node.node)}.{node.attr}", template)
    if name == "Getitem" and isinstance(node.arg, nodes.Const) and str(node.arg.value).startswith("__"):
        raise _forbidden(thing, f"{_path(node.node)}[{node.arg.value!r}]", template)
    if isinstance(node, nodes.Name) and (node.name == "self" or node.name.startswith("__")):
        raise _forbidden(thing, node.name, template)
    if isinstance(node, nodes.CondExpr) and node.expr2 is None and not template:
        raise Wrong("its `if` has no `else`", "write: a if condition else b")
    if getattr(node, "dyn_args", None) is not None or getattr(node, "dyn_kwargs", None) is not None:
        raise Wrong("`*` before an argument is not part of the language", "write the arguments out.")
    if isinstance(node, nodes.Filter):
        _check_word("filter", node.name, language().filters, node)
        if node.name == "find" and node.args and isinstance(node.args[0], nodes.Const):
            _words.compiled(node.args[0].value)
    elif isinstance(node, nodes.Test):
        _check_word("test", node.name, language().tests, node)
    elif isinstance(node, nodes.Call):
        _check_call(node)


_REFUSED = {
    "AssignBlock": "{% set %} with a body",
    "CallBlock": "{% call %}",
    "FilterBlock": "{% filter %}",
    "For": "a recursive loop",
    "FromImport": "{% from %}",
    "NSRef": "a dot in {% set %}",
}


def _forbidden(thing: str, path: str, template: bool) -> Wrong:
    kind = "templates" if template else "expressions"
    fix = "use the fields of the record: " + ("{{ text }}, {{ label }}." if template else "text, label.")
    return Wrong(f"{thing} reads {path}, which {kind} may not", fix, quoted=False)


def _check_call(node: nodes.Call) -> None:
    if isinstance(node.node, nodes.Getattr):
        name = node.node.attr
        if name.startswith("_"):
            return  # refused with the attribute's own words
        if name not in _words.METHODS | _words.MAPPING_METHODS:
            fix = "there are filters: words|join(', '), text|replace(a, b)."
            raise Wrong(f"`.{name}()` is not part of the language", fix)
        if node.kwargs:
            raise Wrong(f"`.{name}()` takes no named arguments", "give them by position.")
    elif isinstance(node.node, nodes.Name):
        name = node.node.name
        if name in _words.GROUP:
            what = f"`{name}(...)` is over a group of records, which only a `keep` sees"
            raise Wrong(what, "keep: x > mean(x, per='label'); for a list write x|sum, x|length.")
        functions = {**_words.DRAWN, **_words.FUNCTIONS}
        if name in language().filters and name not in functions:
            raise Wrong(f"`{name}` is a filter", f"write x|{name}.")
        _check_word("function", name, functions, node, lead=int(name in _words.DRAWN))
    else:
        raise Wrong("only functions and methods can be called", _CALLABLE)


def _check_word(kind: str, name: str, words: Mapping[str, Any], node: Any, lead: int = 1) -> None:
    """That the word is there, and can take these arguments (after ``lead`` others)."""
    if name not in words:
        known = suggest(name, sorted(word for word in words if word[0].isalpha()))
        raise Wrong(f"there is no {kind} `{name}`", known if known.endswith("...") else known + ".")
    try:
        signature = inspect.signature(words[name])
    except ValueError:  # some builtins do not tell
        return
    try:
        named: dict[str, Any] = {keyword.key: None for keyword in node.kwargs}
        signature.bind(*[None] * (lead + len(node.args)), **named)
    except TypeError as error:
        raise Wrong(f"`{name}`: {error}", f"it is written {name}{_written(signature, lead)}.") from None


def _written(signature: inspect.Signature, lead: int) -> str:
    names = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in signature.parameters.values()]
    return f"({', '.join(names[lead:])})"


def _path(node: nodes.Node) -> str:
    """A chain of attributes as it was written, roughly."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    return repr(node.value)[:20] if isinstance(node, nodes.Const) else "..."

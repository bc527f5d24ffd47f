"""Steps in Python as the plain data that a recipe file holds, and as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leaven.errors import RecipeError
from leaven.terminal import cut, shown

if TYPE_CHECKING:
    from leaven.operators import Operator

HOUSE = frozenset({"embed", "fill", "student"})
"""Roles that models in leaven itself play."""
GIVE = "give an operator such as lv.Prediction(folds=5), or the step as a recipe writes it: {'top': {'n': 2}}"
LONGEST_VALUE = 40


@dataclass(frozen=True)
class Item:
    """One entry of ``steps:``, with the operator classes that it names."""

    plain: Any
    kinds: tuple[type[Operator], ...] = ()


@dataclass(frozen=True)
class Items:
    """Entries of ``steps:`` in order."""

    plain: tuple[Any, ...] = ()
    kinds: tuple[type[Operator], ...] = field(default=())

    def and_then(self, *items: Item) -> Items:
        return Items(
            (*self.plain, *(item.plain for item in items)),
            (*self.kinds, *(kind for item in items for kind in item.kinds)),
        )


def item(step: Any, *, name: str | None = None, when: str | None = None) -> Item:
    """A step as plain data: an operator, what ``any`` and ``repeat`` made, or plain data already.

    Raises RecipeError for what is none, and for a name or condition beside what takes none.
    """
    from leaven.operators import Operator

    if isinstance(step, Operator):
        found = Item({type(step).name: _parameters(step)} if _parameters(step) else type(step).name, (type(step),))
    elif isinstance(step, Item):
        found = step
    elif isinstance(step, str | Mapping) and step:
        found = Item(step if isinstance(step, str) else dict(step))
    elif isinstance(step, type) and issubclass(step, Operator):
        raise RecipeError(f"{step.__name__} is a class, not a step.", f"call it: {step.__name__}()")
    else:
        raise RecipeError(f"a {type(step).__name__} is no step.", GIVE)
    if name is None and when is None:
        return found
    plain = {found.plain: None} if isinstance(found.plain, str) else dict(found.plain)
    head = next(iter(plain))
    if head in ("any", "repeat", "from", "start"):
        raise RecipeError(f"`{head}` takes no name and no condition.", "give them to the steps inside it.")
    said = f"{head.partition(' as ')[0]} as {name}" if name else head
    renamed = {said if key == head else key: value for key, value in plain.items()}
    if when is not None:
        renamed["when"] = when
    return Item(said if renamed == {said: None} else renamed, found.kinds)


def _parameters(op: Operator) -> dict[str, Any]:
    """What its author said, as plain data; the fields of a note stand without their parameter's name."""
    spec, standard = op.spec(), type(op).model_fields
    said = {name: spec[name] for name in standard if name in op.model_fields_set}
    said = {
        name: value for name, value in said.items() if not isinstance(value, str) or value != standard[name].default
    }
    return dict(said["fields"]) if type(op).name == "note" and "fields" in said else said


def note(fields: Mapping[str, str] | None = None, /, **more: str) -> Operator:
    """Set fields to the values of expressions: ``lv.note(label="prediction")``."""
    from leaven.any_record.note import NoteFields

    return NoteFields(fields={**(fields or {}), **more})


def any_of(*branches: Any, **named: Any) -> Item:
    """Each record goes into every branch, a step or a list of steps; branches may have names."""
    if bool(branches) == bool(named):
        raise RecipeError("`any` holds branches, all with names or none.", "lv.any([STEP, ...], [STEP, ...])")
    every = [_listed(branch) for branch in (branches or named.values())]
    plain = [list(items.plain) for items in every]
    kinds = tuple(kind for items in every for kind in items.kinds)
    return Item({"any": dict(zip(named, plain, strict=True)) if named else plain}, kinds)


def repeat(
    *, steps: Sequence[Any], times: int | None = None, until: Mapping[str, Any] | None = None, result: str | None = None
) -> Item:
    """Rounds of steps: so many, or until each group has enough (``until={"per": "label", "kept": "median"}``), or until
    the dev rows gain no more (``until={"dev": "accuracy"}``).  ``result="last"`` keeps the best round's rows alone."""
    inner = _listed(steps)
    said = {"times": times, "until": dict(until) if until else None, "result": result}
    return Item(
        {"repeat": {**{k: v for k, v in said.items() if v is not None}, "steps": list(inner.plain)}}, inner.kinds
    )


def _listed(steps: Any) -> Items:
    return Items().and_then(*map(item, steps if isinstance(steps, list | tuple) else [steps]))


def said(plain: Any) -> str:
    """A step in words: ``top n=2 per root``."""
    if isinstance(plain, str):
        return shown(plain)
    head = next(iter(plain), "")
    value, when = plain.get(head), plain.get("when")
    if head == "any":
        branches = value.values() if isinstance(value, Mapping) else value
        return f"any({' | '.join(chain(branch) for branch in branches)})"
    if head == "repeat" and isinstance(value, Mapping):
        times = f" {value['times']} times" if "times" in value else ""
        return f"repeat{times} ({chain(value.get('steps') or [])})"
    words = [head, *_words(value)] + ([f"when {when}"] if when is not None else [])
    return shown(" ".join(words))


def chain(steps: Sequence[Any]) -> str:
    return " > ".join(map(said, steps))


def _words(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield from [] if value is None else [_short(value)]
        return
    for name, v in value.items():
        yield f"{name} {_short(v)}" if name == "per" else _short(v) if name == "that" else f"{name}={_short(v)}"


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return cut(" ".join(text.split()), LONGEST_VALUE)


def walk(steps: Sequence[Any]) -> Iterator[str]:
    """The names of the operators of a list of steps."""
    for step in steps or ():
        heads = [step] if isinstance(step, str) else [key for key in step if key != "when"]
        for head in heads:
            if head == "any":
                branches = step[head]
                for branch in branches.values() if isinstance(branches, Mapping) else branches:
                    yield from walk(branch)
            elif head == "repeat":
                yield from walk(step[head].get("steps"))
            elif head not in ("from", "start"):
                yield head.partition(" as ")[0].strip()


def roles(steps: Sequence[Any], find: Callable[[str], type[Operator]]) -> list[str]:
    """The roles that somebody has to be named for, sorted."""
    found: set[str] = set()
    for name in walk(steps):
        try:
            found |= find(name).roles
        except RecipeError:  # said when the recipe runs, with its place
            continue
    return sorted(found - HOUSE)

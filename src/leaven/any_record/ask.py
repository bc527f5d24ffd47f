"""A question about a record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from leaven.any_record._groups import Per, Shown, columns_of, drawn, grouped, key_of, shared
from leaven.asks import Asks, GroupFailed
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.models.calls import CallFailed
from leaven.models.shapes import Into, columns, kinds, rows_of, shape_of
from leaven.operators import Note, State, Text
from leaven.records import Record, canonical

if TYPE_CHECKING:
    from leaven.context import Context, Rows


ROWS = 5
"""Of a group, so many rows are shown where nothing is said."""


class Ask(Asks, Note):
    """Ask a chat model about a record, or once about a group of them, and note what it answers.

    With ``per`` the prompt sees what all rows of a group have in common, and some of them as ``rows``; the step waits
    for all that comes in, and each record gets the answer about its group (one call a group).

    With ``into`` the answer fills fields of given kinds, such as `{relevant: bool}`; with ``samples`` above 1 each
    column is the list of all answers.  An answer stays when the text changes that it was asked about.

    Needs what the prompt reads.  Writes `ask`, or the fields of `into`.

    >>> [row] = Ask("Is this rude? {{ text }}", into={"rude": "bool"})({"text": "where is it"}, chat="fake:shape")
    >>> row["rude"] in (True, False)
    True
    """

    roles: ClassVar[frozenset[str]] = frozenset({"chat"})
    prompt: Text
    """What is asked."""
    into: Into | None = None
    """The fields that an answer fills: a name, names, or `{name: str, int, float, bool or list}`; the step's name."""
    samples: int = Field(1, ge=1, le=100)
    """How many times each is asked."""
    per: Per | None = None
    """Ask once a group: of equal values in a column or a list of them, of a `root`, or `all` as one."""
    rows: int | Shown = ROWS
    """With `per`: how many of the group's records the prompt sees as `rows`, or `{n: 20, unique: caption}`."""
    adapter: str | None = None
    """The step that fitted the model to the data: `adapter: own` after `adapter as own: {role: chat, ...}`."""

    @field_validator("per", mode="before")
    @classmethod
    def _of_one(cls, said: Any) -> Any:
        return None if said == "record" else said

    @model_validator(mode="after")
    def _of_groups(self) -> Ask:
        if self.per is None and self.rows != ROWS:
            raise ValueError(RecipeError("`rows` are those of a group.", "add `per: label`, or leave out `rows`."))
        return self

    def awaits(self) -> bool:
        return self.per is None

    def asks(self) -> bool:
        return True

    def needs_state(self) -> bool:
        return self.per is not None

    def fits_on(self) -> tuple[str, ...]:
        return ("stream",)

    def reads(self) -> frozenset[str]:
        """Columns; of a group's question those that make the groups, since it may see any other of its rows."""
        return super().reads() | frozenset(columns_of(self.per or []))

    def writes(self) -> dict[str, Column]:
        fields = kinds(self.into or self.name)
        return columns(dict.fromkeys(fields, "list") if self.samples > 1 else fields)

    async def fit_asking(self, rows: Rows, of: Callable[[Record], Context]) -> State:
        assert self.per is not None
        how = self.rows if isinstance(self.rows, Shown) else Shown(n=self.rows)
        groups = grouped(self.per, rows)

        async def one(name: str, members: Sequence[int]) -> str:
            group = shared(rows, members, name)
            ctx = of(group)
            found = await self._answered(group, ctx, rows=drawn(rows, members, how, ctx.rng))
            return canonical(found).decode()

        found = await asyncio.gather(*(one(*group) for group in groups.items()), return_exceptions=True)
        for error in found:
            if isinstance(error, BaseException) and not isinstance(error, CallFailed):
                raise error
        failed = {name: error for name, error in zip(groups, found, strict=True) if isinstance(error, CallFailed)}
        if failed:
            raise GroupFailed(list(failed), str(next(iter(failed.values()))))
        import numpy as np

        return {"groups": np.array(list(groups), np.str_), "answers": np.array(found, np.str_)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any] | Awaitable[Mapping[str, Any]]:
        if self.per is None:
            return self._answered(record, ctx)
        return dict(_answers(ctx.state)[key_of(self.per, record.fields, record.root)])

    async def _answered(self, record: Record, ctx: Context, **more: Any) -> Mapping[str, Any]:
        fields = kinds(self.into or self.name)
        rows = []
        for _ in range(self.samples):
            if self.into is None:
                rows.append({self.name: await ctx.chat(self.prompt, record, **more)})
            else:
                reply = await ctx.chat(self.prompt, record, shape=shape_of(fields), **more)
                rows += rows_of(reply, fields)
        return rows[0] if self.samples == 1 else {name: [row[name] for row in rows] for name in fields}


_held: dict[int, tuple[State, dict[str, Mapping[str, Any]]]] = {}


def _answers(state: State) -> dict[str, Mapping[str, Any]]:
    """What was answered about each group, read once a process."""
    held = _held.get(id(state))
    if held is None or held[0] is not state:
        pairs = zip(state["groups"].tolist(), state["answers"].tolist(), strict=True)
        held = (state, {group: json.loads(answer) for group, answer in pairs})
        _held.clear()
        _held[id(state)] = held
    return held[1]

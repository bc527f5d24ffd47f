"""A stream of records held against one keep, as the engine does it over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from leaven.context import Context, Rows
from leaven.one_record import table
from leaven.operators import Keep
from leaven.records import Record

Reasons = Callable[..., list[str]]


@pytest.fixture
def reasons() -> Reasons:
    """The reason of each record, empty where it is kept; records of equal ``group`` are decided together."""

    def decide(
        op: Keep, rows: Sequence[dict[str, Any]], seed: int = 0, models: Any = None, **sets: list[dict[str, Any]]
    ) -> list[str]:
        records = [
            Record(
                str(row.get("_id", f"made{i}")),
                dict(row),
                root=str(row.get("_root", i)),
                parents=row.get("_parents", ("p",)),
            )
            for i, row in enumerate(rows)
        ]
        state = {}
        if op.needs_state():
            given = {name: Rows(table(sets[name])) for name in op.fits_on() if name in sets}
            state = op.fit(given, Context(models=models))
        ctx = Context(seed=seed, step="keep", state=state, models=models)
        keys = [str([record.root if name == "root" else record.get(name) for name in op.scope()]) for record in records]
        groups = np.unique(keys, return_inverse=True)[1]
        codes = op.decide(op.columns(records, ctx), groups, ctx)
        return [op.reasons[code] for code in codes]

    return decide

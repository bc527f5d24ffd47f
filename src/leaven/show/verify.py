"""What ``leaven verify`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaven.terminal import shown

if TYPE_CHECKING:
    from leaven.engine.verify import Verified


def lines(found: Verified) -> list[str]:
    """The answer of the command."""
    out = shown(str(found.out))
    here = ", ".join(f"{name} {found.then[name]}" for name in ("leaven", "pyarrow") if name in found.then)
    recorded = f"{here} as recorded" if not found.versions else _differ(found)
    replayed = f"Replayed {found.answers:,} answers from {out}/ledger.sqlite" if found.answers else "Ran again"
    said = [f"{replayed}, network off, {recorded}."]
    parts = []
    for c in found.compared:
        word = "records" if c.name == "failed" else "rows"
        parts.append(f"{c.name} {c.rows:,} {word} {'same' if c.same_rows else 'differ'}")
    said.append("   ".join(parts))
    if found.same:
        said.append(f"Same bytes. Whoever has {out} can repeat this without a key.")
        return said
    if all(c.same_rows for c in found.compared):
        why = f": {_differ(found)}" if found.versions else ""
        said.append(f"Rows are the same; the file bytes differ{why}.")
        return said
    said += [shown(c.where) for c in found.compared if not c.same_rows]
    return said


def _differ(found: Verified) -> str:
    return ", ".join(f"{name} is {now} here and was {then}" for name, (then, now) in found.versions.items())

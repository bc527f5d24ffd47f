"""Whether a run, made again from its folder alone, comes out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaven.api.html import card
from leaven.terminal import WIDTH, cut, shown

if TYPE_CHECKING:
    from leaven.engine.verify import Verified


class Verification:
    """True where all bytes are the same; ``verified`` says of each folder where it differs first."""

    def __init__(self, verified: Verified) -> None:
        self.verified = verified

    def __bool__(self) -> bool:
        return self.verified.same

    def __repr__(self) -> str:
        found = self.verified
        numbers = ", ".join(f"{c.name} {c.rows:,} rows" for c in found.compared)
        first = next((c.where or f"{c.name}: same rows, other bytes" for c in found.compared if not c.same_bytes), "")
        said = f"same bytes: {numbers}; {found.answers:,} answers replayed" if found.same else first
        return cut(f"Verification of {shown(str(found.out))}: {shown(said)}", WIDTH)

    def _repr_html_(self) -> str:
        rows = [
            [c.name, f"{c.rows:,}", "same" if c.same_bytes else c.where or "other bytes"]
            for c in self.verified.compared
        ]
        return card(repr(self), ["folder", "rows", ""], rows)

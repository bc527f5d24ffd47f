"""What a notebook shows of an object: its line as heading and one small table.

Colours are the notebook's own, everything is escaped, nothing runs, and no cell is long.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from leaven.api.seen import html_of, text_of
from leaven.terminal import cut, shown

LONGEST_CELL = 160
ROWS = 100
ROOM = 150_000
"""What a table may take with its images and sounds; what comes after is said in words."""
CELL = "text-align:left;padding:2px 8px;border-bottom:1px solid;border-color:inherit"


def card(heading: str, heads: Sequence[str] = (), rows: Iterable[Sequence[Any]] = (), more: str = "") -> str:
    """A heading, a table of plain values, and what stands below it as HTML."""
    return f"<div><p><strong>{plain(heading)}</strong></p>{table(heads, rows)}{more}</div>"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """At most 100 rows; a text in a cell is cut, and images and sounds are shown while there is room for them."""
    lines, left = [], ROOM
    for row in list(rows)[:ROWS]:
        cells = [_cell("td", value, left) for value in row]
        left -= sum(len(cell) for cell in cells)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    if not lines:
        return ""
    top = f"<thead><tr>{''.join(_cell('th', head) for head in heads)}</tr></thead>" if any(heads) else ""
    style = "border-collapse:collapse;background:none;color:inherit"
    return f'<table style="{style}">{top}<tbody>{"".join(lines)}</tbody></table>'


def plain(value: Any) -> str:
    """A value as text that can do nothing to a page."""
    return html.escape(shown(value_text(value)))


def value_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str):
        return value
    return text_of(value) or str(value)


def _cell(tag: str, value: Any, left: int = 0) -> str:
    seen = html_of(value) if left > 0 else ""
    if 0 < len(seen) <= left:
        return f'<{tag} style="{CELL}">{seen}</{tag}>'
    return f'<{tag} style="{CELL}">{html.escape(cut(shown(value_text(value)), LONGEST_CELL))}</{tag}>'

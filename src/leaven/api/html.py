"""What a notebook shows of an object: its line as heading and one small table.

Colours are the notebook's own, everything is escaped, nothing runs, and no cell is long.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from leaven.terminal import cut, shown

LONGEST_CELL = 160
ROWS = 100
CELL = "text-align:left;padding:2px 8px;border-bottom:1px solid;border-color:inherit"


def card(heading: str, heads: Sequence[str] = (), rows: Iterable[Sequence[Any]] = (), more: str = "") -> str:
    """A heading, a table of plain values, and what stands below it as HTML."""
    return f"<div><p><strong>{plain(heading)}</strong></p>{table(heads, rows)}{more}</div>"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """At most 100 rows; a text in a cell is cut."""
    lines = [f"<tr>{''.join(_cell('td', value) for value in row)}</tr>" for row in list(rows)[:ROWS]]
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
    return str(value)


def _cell(tag: str, value: Any) -> str:
    return f'<{tag} style="{CELL}">{html.escape(cut(shown(value_text(value)), LONGEST_CELL))}</{tag}>'

"""Which text is meant where a step names none."""

from __future__ import annotations

from collections.abc import Mapping

from leaven.fields import Column


def main_text(columns: Mapping[str, Column]) -> str:
    """The field called text, or else the first of that type; ``text`` where nothing stands yet."""
    texts = [name for name, column in columns.items() if column.type == "text" and column.written]
    return "text" if "text" in texts or not texts else texts[0]

"""Write recipe.schema.json, beside this file, from the operators' classes: python docs/make_schema.py"""

from __future__ import annotations

import json
from pathlib import Path

from leaven.recipe.schema import schema


def text() -> str:
    """The whole file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "recipe.schema.json").write_text(text(), "utf-8")

"""Put the recipes into the pages about them: `python docs/make_systems.py`, after a change to a recipe.

Each page in docs/systems is named after its recipe, and holds one block of YAML: the recipe in full.
"""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parent / "systems"
RECIPES = Path(__file__).parents[1] / "src" / "leaven" / "recipes"
BLOCK = re.compile(r"```yaml\n.*?```", re.DOTALL)


def page(path: Path) -> str:
    """A page with its recipe as it stands now."""
    recipe = (RECIPES / f"{path.stem}.yaml").read_text("utf-8").rstrip()
    found = path.read_text("utf-8")
    assert len(BLOCK.findall(found)) == 1, f"{path.name} has one block of YAML"
    return BLOCK.sub(lambda _: f"```yaml\n{recipe}\n```", found)


if __name__ == "__main__":
    for path in sorted(PAGES.glob("*.md")):
        path.write_text(page(path), "utf-8")

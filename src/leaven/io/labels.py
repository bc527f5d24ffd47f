"""``--labels``: what each label means."""

from __future__ import annotations

from pathlib import Path

from leaven.errors import DataError, RecipeError, listed
from leaven.io.tables import open_table


def read_labels(path: str) -> dict[str, str]:
    """Class names and what they mean: yaml ``NAME: text``, or csv ``label,name,about``."""
    from leaven.plain_yaml import Map, load_file

    if path.endswith((".yaml", ".yml")):
        try:
            data = load_file(Path(path))
        except RecipeError as error:  # the loader is the recipes'; this file is the data's
            raise DataError(error.what, error.fix, where=error.where) from None
        if not isinstance(data, Map):
            raise DataError("a file of labels is `NAME: text` on each line.", "refund: asks for money back", where=path)
        return {key: str(value) for key, value in data.items()}
    table = open_table(path)
    if "label" not in table.columns or "about" not in table.columns:
        raise DataError(
            f"{table.name} has no columns `label` and `about`; it has {listed(table.columns)}.",
            "give it the header label,name,about",
        )
    return {
        str(row["label"]): str(row["about"] or row.get("name") or row["label"])
        for batch in table.batches()
        for row in batch.to_pylist()
    }

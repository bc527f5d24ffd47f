"""``leaven export OUT --as argilla | labelstudio``: what a run made, kept and refused, for people to decide about."""

from __future__ import annotations

from pathlib import Path

from leaven.io.export import aside
from leaven.io.export.train import Warn
from leaven.review import argilla, label_studio
from leaven.review.asked import asked, form_of, opened


def export(folder: Path, kind: str, to: Path, warn: Warn = lambda text: None) -> int:
    """Write all made records of a run as a folder ``to`` that the tool opens; how many.

    Raises DataError where there is no finished run, nothing to show, or ``to`` already.
    """
    made = opened(folder)
    form = form_of(made)
    with aside(to) as there:
        there.mkdir()
        records = asked(made, form, there)
        if kind == "argilla":
            return argilla.write(form, records, there, warn)
        return label_studio.write(form, records, there, warn, to)

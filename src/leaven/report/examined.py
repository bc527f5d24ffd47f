"""A run's folder as the sets whose quality is measured: the page and ``leaven quality`` show the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from leaven.engine.folder import write_whole
from leaven.errors import DataError, LeavenError
from leaven.measure.quality.quality import Quality, measure_quality
from leaven.measure.quality.rows import Fits, Sets, Some
from leaven.measure.quality.show import as_json
from leaven.report.content import Content
from leaven.report.fitted import fits
from leaven.report.followed import following
from leaven.report.labels import counts
from leaven.report.vectors import Vectors

NAME = "quality.json"


def examine(folder: Path, seed: int | None = None) -> Quality:
    """Measure the quality of the run in ``folder`` and write it to ``quality.json`` there.

    ``seed`` deals the halves; without it the run's own.  Raises DataError where there is no run, or it has not ended.
    """
    content = Content(folder)
    if not content.finished:
        raise DataError(f"the run in {folder} has not ended.", "run the same augment command again; it goes on.")
    found = quality_of(content, Vectors(content), seed, pairs=True)
    write_whole(folder / NAME, (json.dumps(as_json(found), indent=1, ensure_ascii=False) + "\n").encode())
    return found


def quality_of(content: Content, vectors: Vectors, seed: int | None = None, *, pairs: bool = False) -> Quality:
    """The numbers of a run that was read; with ``pairs`` an encoder that was named says whether captions fit, which
    takes a tenth of a second a row and more."""
    missing: dict[str, str] = {}
    there = vectors.there
    if not there:
        missing["all that compares rows"] = (
            "no embedder was used" if content.texts or content.media else "no text, no image, no sound"
        )
    none = Some([], [], [], [], np.zeros((0, 1), np.float32), 0)
    real, made, test = (vectors.real, vectors.kept, vectors.test) if there else (none, none, none)
    if vectors.broken:
        missing[f"{vectors.broken:,} rows"] = "they cannot be decoded"
    fit: Fits | None = None
    if there and vectors.kind != "text":
        fit, why = _fits(content, vectors) if pairs else (None, f"leaven quality {content.folder} tells it")
        if fit is None and content.columns_of("caption"):
            missing["whether captions fit"] = why
        marks = content.columns_of("boxes", "mask", "points", "segments")
        if marks:
            missing[", ".join(marks)] = "leaven measure compares them"
    before = content.dataset.labels
    labels = {name: (before.get(name, 0), *pair) for name, pair in counts(content).items()} if content.label else {}
    return measure_quality(
        Sets(
            kind=vectors.kind,
            embedder=vectors.name if there else "",
            real=real,
            made=made,
            test=test,
            seed=int(content.said.get("seed", 0)) if seed is None else seed,
            labels=labels,
            fits=fit,
            following=following(content),
            missing=missing,
        )
    )


def _fits(content: Content, vectors: Vectors) -> tuple[Fits | None, str]:
    """How well captions fit, or why that cannot be told."""
    try:
        found = fits(content, vectors)
    except LeavenError as error:
        return None, str(error).partition("\n")[0]
    return found, "name weights that know both at augment, --model embed=transformers:FOLDER"

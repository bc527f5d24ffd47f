"""How well captions fit their image or sound, by an encoder that knows both, where the run was told of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from leaven.measure.pairs import PairEncoder, encoder_of
from leaven.measure.quality.rows import Fits
from leaven.media.broken import Broken
from leaven.report.content import Content
from leaven.report.vectors import Vectors
from leaven.storage import to_values

ROWS = 200
"""Of the real rows, and of the made ones: a large encoder takes a tenth of a second each on a CPU."""
BATCH = 16
Row = Mapping[str, Any]


def fits(content: Content, vectors: Vectors) -> Fits | None:
    """The cosine of each row's first caption with its image or sound; None where no encoder knows both, or no row has
    a caption.  Raises LeavenError where the encoder that was named cannot be had."""
    columns = content.columns_of("caption")
    encoder = encoder_of(content.models, vectors.kind) if columns else None
    if encoder is None:
        return None
    medium, caption = vectors.column[0], columns[0]
    try:
        real = _cosines(encoder, vectors.kind, content.as_read(vectors.real.ids[:ROWS]), medium, caption)
        rows = content.train
        wanted = set(vectors.kept.ids[:ROWS])
        at = [i for i, own in enumerate(rows.ids) if own in wanted]
        taken = ({**row, "_id": rows.ids[i]} for i, row in rows.few_at_a_time(at, [medium, caption]))
        made = _cosines(encoder, vectors.kind, taken, medium, caption)
    finally:
        encoder.close()
    if not real or not made:
        return None
    name = content.models["embed"].partition("transformers:")[2].partition(",")[0].rstrip("/").rpartition("/")[2]
    return Fits(
        name, np.array([x for x, _, _ in real]), np.array([x for x, _, _ in made]),
        [text for _, text, _ in made], [own for _, _, own in made],
    )  # fmt: skip


def _cosines(
    encoder: PairEncoder, kind: str, rows: Iterable[Row], medium: str, caption: str
) -> list[tuple[float, str, str]]:
    """Cosine, caption and id of each row that has both and can be decoded."""
    found: list[tuple[float, str, str]] = []
    there: Iterator[tuple[Row, str]] = ((r, said) for r in rows if r.get(medium) and (said := _first(r.get(caption))))
    while some := list(islice(there, BATCH)):
        for row, said in some:
            try:
                pair = encoder(to_values(kind, [row[medium]])), encoder([said])
            except Broken:
                continue
            found.append((float(pair[0][0] @ pair[1][0]), said, str(row["_id"])))
    return found


def _first(value: Any) -> str:
    return str(next(iter(value), "") if isinstance(value, list) else value or "")

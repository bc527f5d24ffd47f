"""Which language a text is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from leaven.fields import SCORE, VALUE, Column
from leaven.models.backends.langid import languages
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows

SURE, COMMON = 0.5, 0.05


class Language(Note):
    """Note the language of a text, and how probable it is that it is in one that the real rows are in.

    By py3langid (BSD-3, in the extra `text`; after langid.py, Lui and Baldwin 2012), which knows 139 languages, looks
    at pieces of words, and fetches nothing.  The languages of the real rows are those of at least one in 20 of the
    rows that it is sure of.  Of texts of a few words it is seldom sure, and names of places or songs mislead it:
    refuse by `language_real`, which stays away from 0 then, rather than by the name.

    Needs a text.
    Writes `language`, its code of three letters (ISO 639-3: `eng`, `spa`), None where nothing tells; `language_prob`,
    its probability; `language_real`, that of the languages of the real rows together, 1 where nothing tells.

    >>> desk = [{"text": "I have lost my card, please block it"}, {"text": "Are you open on Sunday morning?"}]
    >>> [row] = Language()({"text": "Ich habe meine Karte verloren, bitte sperren Sie sie"}, source=desk)
    >>> row["language"], row["language_real"] < 0.05
    ('deu', True)
    """

    takes: ClassVar[str] = "text"
    on: str | None = None
    """The field to read; the main text."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        languages("where is it")  # says before anything runs that the package lacks
        return self

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "text"})
        score, value = Column(SCORE, about, written=False), Column(VALUE, about, written=False)
        return {"language": value, "language_prob": score, "language_real": score}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """The languages of the real rows; where it is sure of none, the likeliest of all together."""
        import numpy as np

        [table] = rows.values()
        sure: Counter[str] = Counter()
        mass: Counter[str] = Counter()
        for block in table.blocks():
            for found in _all(block.texts([self.on or "text"])):
                for name, probability in found.items():
                    mass[name] += probability  # type: ignore[assignment]
                    sure[name] += probability >= SURE
        known = sorted(name for name, count in sure.items() if count >= max(1, COMMON * sure.total()))
        return {"known": np.array(known or sorted(name for name, _ in mass.most_common(1)), np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        known = [str(name) for name in ctx.state["known"]]
        for found in _all([str(record.get(self.on or "text") or "") for record in records]):
            if not found:
                yield {"language": None, "language_prob": 0.0, "language_real": 1.0}
                continue
            first = next(iter(found))
            real = sum(found.get(name, 0.0) for name in known)
            yield {
                "language": first,
                "language_prob": round(min(1.0, found[first]), 4),
                "language_real": round(min(1.0, real), 4),
            }


def _all(texts: Sequence[str]) -> list[Mapping[str, float]]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # two threads add in another order
        return [languages(text) for text in texts]

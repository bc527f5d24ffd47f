"""All that is said of the quality of a set, each number beside its null; there is no number that sums them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leaven.measure.quality.balance import balance
from leaven.measure.quality.faithful import agreement, captions, parents
from leaven.measure.quality.halves import CUBED, FEWEST, MADE, REAL, SPLITS, TWINS, Halves
from leaven.measure.quality.leaking import COPY, copies, leaking
from leaven.measure.quality.like_real import like_real
from leaven.measure.quality.rows import Following, Sets
from leaven.measure.quality.spread import Measure
from leaven.measure.quality.varied import phrases, reached, spread_out
from leaven.models.backends.one_thread import one_thread

NO_LABEL = "the data has no label"
FEW_REAL = f"Too few rows for a null (under {FEWEST})"
FEW_MADE = f"Too few made rows to measure (under {TWINS} of one half of the real rows)"


@dataclass(frozen=True)
class Looked:
    """How many rows of a set were read, and how many it has."""

    rows: int
    of: int

    @property
    def share(self) -> str:
        return f"{self.rows:,}" if self.rows == self.of else f"{self.rows:,} of {self.of:,}"


@dataclass(frozen=True)
class Quality:
    """What was measured.  ``few`` says why the rows allow no null, else it is empty; ``n`` rows of each half were
    compared with as many children of theirs; ``missing`` says what is not measured, and why."""

    kind: str
    embedder: str
    seed: int
    looked: Mapping[str, Looked]
    n: int
    few: str
    measures: list[Measure]
    following: Sequence[Following]
    labels: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def apart(self) -> list[Measure]:
        """The measures that stand apart from their null."""
        return [m for m in self.measures if m.stands != "within"]

    @property
    def nearly_copies(self) -> int:
        """How many of the made rows that were read are nearly copies of a real one."""
        return self._copies("real")

    @property
    def leaked(self) -> int:
        """How many of them are copies or nearly copies of a test row."""
        return self._copies("test")

    def _copies(self, who: str) -> int:
        found = [m for m in self.measures if m.name.endswith(f"near copies of a {who} row")]
        return round(found[0].made.mean * self.looked["made"].rows) if found else 0


@one_thread()
def measure_quality(sets: Sets) -> Quality:
    """Measure what these rows allow."""
    halves = Halves(sets)
    few = FEW_REAL if sets.real.of < FEWEST else "" if halves.enough else FEW_MADE
    if few:
        found = copies(sets)
    else:
        reach, like = reached(halves)
        found = [
            *agreement(halves),
            *parents(halves),
            *(captions(sets.fits, sets.seed) if sets.fits else []),
            *(phrases(halves) if sets.kind == "text" else []),
            *spread_out(halves),
            *reach,
            *like,
            *like_real(halves),
            *leaking(halves),
            *copies(sets),
        ]
    looked = {name: Looked(len(some), some.of) for name, some in
              (("real", sets.real), ("made", sets.made), ("test", sets.test))}  # fmt: skip
    return Quality(
        sets.kind,
        sets.embedder,
        sets.seed,
        looked,
        halves.n,
        few,
        [*found, *balance(sets.labels, sets.seed)],
        sets.following,
        sets.labels,
        {**_missing(sets, halves, found), **sets.missing},
    )


def _missing(sets: Sets, halves: Halves, found: Sequence[Measure]) -> dict[str, str]:
    """What is not measured, and why."""
    said = {}
    names = {m.name for m in found}
    lost = sum(parent is None for parent in sets.made.parents)
    enough = halves.enough
    if not sets.labels:
        said["label agreement, balance"] = NO_LABEL
    elif enough and "a student agrees with the label" not in names:
        said["label agreement"] = "no student can be fitted: no label has two rows"
    if enough and "similarity with the parent" not in names:
        said["similarity with the parent"] = "no made row has a known parent"
    if enough and lost:
        said[f"the parents of {lost:,} made rows"] = (
            "not known; where the other half holds them, these rows seem nearer to it than they are"
        )
    if sets.kind != "text":
        said["distinct-n, self-BLEU, length"] = f"the rows are {'images' if sets.kind == 'image' else 'sounds'}"
    if not len(sets.test):
        said["nearness to test rows"] = "no test rows are set aside"
    if not sets.following:
        said["instructions followed"] = "no chat model was asked"
    return said


def caps() -> str:
    """How much is compared at most, in words."""
    return (
        f"{REAL:,} real and {MADE:,} made rows are compared pair by pair, and {CUBED:,} of a half for self-BLEU, the "
        "Vendi score and the Frechet distance"
    )


__all__ = ["COPY", "SPLITS", "Looked", "Measure", "Quality", "caps", "measure_quality"]

"""Which rows lie together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

STARTS = 10
BLOCK = 1024


class Cluster(Note):
    """Note the cluster of a record, and how far it lies from the cluster's middle.

    k-means (scikit-learn's, the best of 10 starts) over the embeddings of the real rows; what was made goes to the
    nearest middle.  Clusters are numbered from 0 in the order in which the real rows show them.  With ``per`` each
    group has k clusters of its own, numbered on from those of the group before; a record of a group that no real row
    is of has none.

    Needs a text, an image or a sound.
    Writes `cluster`, a number, and `cluster_distance`, Euclidean, to the mean of the cluster's real rows.

    >>> desk = [{"text": "lost my card"}, {"text": "card stolen today"}, {"text": "open on sunday"}]
    >>> [row] = Cluster(1)({"text": "is it open today"}, source=desk)
    >>> row["cluster"], 0.5 < row["cluster_distance"] < 1.5
    (0, True)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text or image or audio or vector"
    k: int = Field(ge=1, le=10_000)
    """How many clusters; where a group has fewer distinct rows, so many."""
    on: str | None = None
    """The field to compare; the main text."""
    per: str | list[str] = "all"
    """The column or columns whose values make groups to cluster apart."""

    def groups(self) -> list[str]:
        return [name for name in ([self.per] if isinstance(self.per, str) else self.per) if name != "all"]

    def reads(self) -> frozenset[str]:
        return frozenset({self.on or "", *self.groups()} - {"", "root"})

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "", *self.groups()})
        return {
            "cluster": Column(VALUE, about, written=False),
            "cluster_distance": Column(SCORE, about, written=False),
        }

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        [table] = rows.values()
        for name in self.groups():
            if name != "root" and name not in table:
                raise RecipeError(f"cluster goes per `{name}`, which no real row has.", "correct `per`.")
        vectors = ctx.vectors(table, [self.on or ""])
        named = [table.roots if name == "root" else table.column(name) for name in self.groups()]
        keys = np.array([_key(values) for values in zip(*named, strict=True)] if named else [""] * len(table), np.str_)
        names, first = np.unique(keys, return_index=True)
        centres, of_group = [np.zeros((0, vectors.shape[1]))], []
        for name in names[np.argsort(first)]:
            found = middles(vectors[keys == name].astype(np.float64), self.k, ctx.seed)
            centres.append(found)
            of_group += [str(name)] * len(found)
        return {"centres": np.concatenate(centres), "groups": np.array(of_group, np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        centres, of_group = ctx.state["centres"], ctx.state["groups"]
        for begin in range(0, len(records), BLOCK):
            block = records[begin : begin + BLOCK]
            vectors = ctx.vectors(block, [self.on or ""]).astype(np.float64)
            keys = np.array([_key([r.root if n == "root" else r.get(n) for n in self.groups()]) for r in block])
            at, distance = np.zeros(len(block), np.int64), np.full(len(block), np.inf)
            for name in np.unique(keys):
                mine, theirs = np.flatnonzero(keys == name), np.flatnonzero(of_group == name)
                if len(theirs):
                    near, distance[mine] = nearest(vectors[mine], centres[theirs])
                    at[mine] = theirs[near]
            for number, far in zip(at.tolist(), distance.tolist(), strict=True):
                known = far != np.inf
                yield {"cluster": number if known else None, "cluster_distance": far if known else None}


def middles(vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
    """The means of k clusters, in the order in which the rows show them."""
    import numpy as np
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    distinct = len(np.unique(vectors, axis=0))
    with threadpool_limits(1):  # two threads add in another order
        fitted = KMeans(min(k, distinct), n_init=STARTS, random_state=seed % 2**32).fit(vectors)
    _, first = np.unique(fitted.labels_, return_index=True)
    ordered: np.ndarray = fitted.cluster_centers_[np.argsort(first)]
    return ordered


def nearest(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each row, the first where two are as near, and how far it is.

    Without BLAS, so that a row's distance does not hang on the rows around it, and rounded to six digits.
    """
    import numpy as np

    apart = np.einsum("ij,ij->i", vectors, vectors)[:, None] + np.einsum("ij,ij->i", centres, centres)
    apart -= 2 * np.einsum("ij,kj->ik", vectors, centres, optimize=False)
    apart = np.round(np.sqrt(np.maximum(apart, 0)), 6)
    best = apart.argmin(axis=1)
    return best, apart[np.arange(len(best)), best]


def _key(values: Sequence[Any]) -> str:
    return "\n".join(map(repr, values))

"""Real and made rows for a training loop, drawn anew each epoch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, suggest
from leaven.records import place
from leaven.train.epoch import Epoch
from leaven.train.mapped import Mapped
from leaven.train.rows import Listed

if TYPE_CHECKING:
    import numpy as np

    from leaven.train.rows import Heads, Source

Ratio = float | Sequence[float] | Callable[[int], float] | None
Transform = Callable[[dict[str, Any]], Any]
MOST = 1000


class Drawn:
    """A dataset for ``torch.utils.data.DataLoader``: rows of a run, or dicts, of which each epoch shows some.

    ``ratio``: every real row, and so many made ones for each, in equal shares of the labels, none twice; a number, a
    number for each epoch (the last one stays), or a function of the epoch.  Without it all that there are.
    ``p``: instead, an item for each real row: with this chance one of its made children, else itself.
    ``one_per="root"``: an item for each real row: itself or one of its children, each alike likely.
    ``one_of="captions"``: of a field that holds several texts one is shown.
    ``redraw="epoch"``: all of this is drawn again after ``set_epoch(n)``; without it the draw stays as it is.
    ``transform``: what an item goes through, one or several in order; those of ``lv.as_transform`` are keyed by it too.

    A draw depends on (seed, epoch, row) alone: it is the same on every worker, in every process and after a break.
    """

    def __init__(
        self,
        rows: str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Any,
        ratio: Ratio = None,
        redraw: str | None = None,
        seed: int = 0,
        *,
        p: float | None = None,
        one_per: str | None = None,
        one_of: str | None = None,
        transform: Transform | Sequence[Transform] = (),
    ) -> None:
        _check_words(ratio, redraw, p, one_per)
        self.ratio, self.redraw, self.seed, self.p, self.one_of = ratio, redraw, seed, p, one_of
        self.per_root = one_per == "root" or p is not None
        self.transforms = tuple(transform) if isinstance(transform, Sequence) else (transform,)
        self._source: Source = _source(rows)
        self._hold(self._source.heads())
        if one_of is not None and one_of not in self._source.columns:
            raise DataError(f"there is no column `{one_of}`; {suggest(one_of, self._source.columns)}.", "one_of=COLUMN")
        self._epoch = Epoch()
        self._kept: tuple[int, np.ndarray] | None = None
        for epoch in range(len(ratio) if isinstance(ratio, Sequence) else 1):
            self.ratio_of(epoch)

    # -- epochs ---------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return self._epoch.now

    def set_epoch(self, epoch: int) -> None:
        """Show what is drawn for this epoch.  Call it between epochs: workers see it, those that live on too."""
        self._epoch.now = int(epoch)

    def ratio_of(self, epoch: int) -> float | None:
        """Made rows for each real one in this epoch."""
        if callable(self.ratio):
            found: float | None = self.ratio(epoch)
        elif isinstance(self.ratio, Sequence):
            found = self.ratio[min(epoch, len(self.ratio) - 1)]
        else:
            found = self.ratio
        if found is not None and not 0 <= found <= MOST:
            at = "" if found is self.ratio else f" in epoch {epoch}"
            raise DataError(f"ratio is {found}{at}; blend allows 0 to {MOST}.", "ratio=1")
        return found

    def scores(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Of the rows of this epoch, in their order: which were made, and a column of numbers or a step's score (NaN
        where a row has none)."""
        import numpy as np

        rows = self._rows()
        values = self._source.numbers(column)
        return self._made[rows], np.array([np.nan if values[i] is None else float(values[i] or 0.0) for i in rows])

    # -- items ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._rows())

    def __getitem__(self, index: int) -> Any:
        epoch, rows = self.epoch, self._rows()
        number = int(rows[index])
        item: Any = self._source.row(number)
        if self.one_of is not None:
            item[self.one_of] = self._one(item[self.one_of], number)
        for transform in self.transforms:
            keyed = getattr(transform, "keyed", None)
            item = keyed(item, index % len(rows), epoch) if keyed else transform(item)
        return item

    def __repr__(self) -> str:
        rows = self._rows()
        made = int(self._made[rows].sum())
        drawn = f", drawn anew each epoch (now {self.epoch})" if self.redraw else ""
        return f"Blend: {len(rows):,} rows, {len(rows) - made:,} real and {made:,} made{drawn}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    # -- the draw -------------------------------------------------------------------------------------------------

    def _hold(self, heads: Heads) -> None:
        """Keep what the draws go by as numbers: a few bytes a row."""
        import numpy as np

        self._made = np.array(heads.made, bool)
        self._places = np.array([place(i) for i in heads.ids], np.uint64)
        known = sorted({label for label, made in zip(heads.labels, heads.made, strict=True) if label and not made})
        codes = {label: code for code, label in enumerate(known)}
        self._labels = np.array([codes.get(label or "", -1 if codes else 0) for label in heads.labels], np.int64)
        self._groups = np.empty(0, np.int64)
        if self.per_root:
            lost = [own for own, root in zip(heads.ids, heads.roots, strict=True) if root is None]
            if lost:
                raise DataError(
                    f"the real rows that {len(lost):,} made ones go back to are not known, of {lost[0]} for one.",
                    "give rows with `_root`, or make the run again (its parts/ were deleted).",
                    where=self._source.name,
                )
            roots, self._groups = np.unique(np.array(heads.roots, object).astype(str), return_inverse=True)
            self._root_places = np.array([place(str(root)) for root in roots], np.uint64)

    def _rows(self) -> np.ndarray:
        """Which rows stand in this epoch, in an order that mixes real and made ones."""
        import numpy as np

        from leaven.train import chances

        epoch = self.epoch
        if self._kept is None or self._kept[0] != epoch:
            rows = self._one_per_root() if self.per_root else self._by_ratio(self.ratio_of(epoch))
            order = np.argsort(chances.keys(self._places[rows], "order", self.seed, self._drawn), kind="stable")
            self._kept = epoch, rows[order]
        return self._kept[1]

    @property
    def _drawn(self) -> int:
        return self.epoch if self.redraw else 0

    def _by_ratio(self, ratio: float | None) -> np.ndarray:
        """All real rows, and made ones up to the ratio."""
        import numpy as np

        from leaven.blend.blend import Blend, choose
        from leaven.train import chances

        made = np.flatnonzero(self._made)
        real = self._labels[~self._made]
        labels = int(self._labels.max(initial=0)) + 1
        counts = np.bincount(np.where(real < 0, labels, real), minlength=labels + 1)  # those without a label count too
        keys = chances.keys(self._places[made], "ratio", self.seed, self._drawn)
        taken = ~self._made
        taken[made[choose(Blend(ratio=ratio), counts, self._labels[made], keys)]] = True
        return np.flatnonzero(taken)

    def _one_per_root(self) -> np.ndarray:
        """For each real row itself or a child: the one of the lowest key, where ``p`` decides among which."""
        import numpy as np

        from leaven.train import chances

        keys = chances.keys(self._places, "one", self.seed, self._drawn)
        if self.p is None:
            return self._lowest(np.arange(len(keys)), keys)
        chance = chances.shares(chances.keys(self._root_places, "p", self.seed, self._drawn))
        has_made, has_real = (
            np.bincount(self._groups[of], minlength=len(chance)) > 0 for of in (self._made, ~self._made)
        )
        shows_made = has_made & ((chance < self.p) | ~has_real)
        return self._lowest(np.flatnonzero(self._made == shows_made[self._groups]), keys)

    def _lowest(self, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Of each group the row of the lowest key, which each has the same chance of."""
        import numpy as np

        order = rows[np.lexsort((keys[rows], self._groups[rows]))]
        first: np.ndarray = np.diff(self._groups[order], prepend=-1) > 0
        found: np.ndarray = order[first]
        return found

    def _one(self, texts: Any, number: int) -> Any:
        """One of several texts, drawn for this row; a text alone is that one."""
        from leaven.train import chances

        if isinstance(texts, str) and texts.startswith("["):  # a list in a JSON file is kept as it stood there
            try:
                texts = json.loads(texts)
            except ValueError:
                return texts
        if isinstance(texts, str):
            return texts
        if not texts:
            raise DataError(f"row {number}: `{self.one_of}` holds no text.", "leave such rows out.")
        key = chances.keys(self._places[number : number + 1], f"one of {self.one_of}", self.seed, self._drawn)
        return texts[int(key[0] % len(texts))]


def _source(rows: Any) -> Source:
    """The rows of a run, by itself or its folder, or those of a list."""
    folder = getattr(rows, "path", rows)
    if isinstance(folder, str | os.PathLike):
        return Mapped(Path(folder))
    return Listed(list(rows))


def _check_words(ratio: Ratio, redraw: str | None, p: float | None, one_per: str | None) -> None:
    if redraw not in (None, "epoch"):
        raise DataError(f"redraw is {redraw}; blend allows epoch, and None.", 'redraw="epoch"')
    if one_per not in (None, "root"):
        raise DataError(f"one_per is {one_per}; blend allows root, and None.", 'one_per="root"')
    if p is not None and not 0 <= p <= 1:
        raise DataError(f"p is {p}; it is a chance from 0 to 1.", "p=0.5")
    if isinstance(ratio, Sequence) and not ratio:
        raise DataError("ratio is an empty list.", "ratio=[0, 0.5, 1]")
    if ratio is not None and (p is not None or one_per is not None):
        raise DataError(
            "a ratio adds made rows; p and one_per show them in place of real ones.", "give one of the two."
        )

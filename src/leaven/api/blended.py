"""A blend as a dataset for a training loop: `DataLoader(run.blend(ratio=0.5, redraw="epoch"))`, without torch here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.records import place

if TYPE_CHECKING:
    import numpy as np

    from leaven.api.run import Run


class Blended:
    """The real rows of a run and so many made ones for each, in equal shares of the labels.

    A row is a dict of the user's columns.  With ``redraw="epoch"`` other made rows join after ``set_epoch(n)``; the
    same seed and epoch give the same rows in the same order, on every worker.
    """

    def __init__(self, run: Run, ratio: float | None, redraw: str | None, seed: int) -> None:
        if redraw not in (None, "epoch"):
            raise DataError(f"redraw is {redraw}; blend allows epoch, and None.", 'redraw="epoch"')
        if ratio is not None and not 0 <= ratio <= 1000:
            raise DataError(f"ratio is {ratio}; blend allows 0 to 1000.", "ratio=1")
        table = run.train.table
        dataset = run.dataset
        label = dataset.main("label")
        codes = {name: i for i, name in enumerate(dataset.labels)}
        self.ratio, self.redraw, self.seed, self.epoch = ratio, redraw, seed, 0
        self._columns = {n: table.column(n).to_pylist() for n in table.column_names if not n.startswith("_")}
        self._ids: list[str] = table.column("_id").to_pylist()
        self._made: list[bool] = table.column("_synthetic").to_pylist()
        values = self._columns[dataset.columns[label]] if label else []
        self._labels = [codes.get(str(value), -1) for value in values] or [0] * len(self._ids)
        self._known = max(1, len(codes))

    def set_epoch(self, epoch: int) -> None:
        """Draw the made rows of this epoch, where they are drawn anew."""
        self.epoch = epoch
        if self.redraw and "_rows" in self.__dict__:
            del self._rows

    @cached_property
    def _rows(self) -> np.ndarray:
        """Which rows of train/ stand in this epoch, in an order that mixes real and made ones."""
        import numpy as np

        from leaven.blend.blend import Blend, choose

        drawn = self.epoch if self.redraw else 0
        keys = np.array([place(f"{self.seed} {drawn} {i}") for i in self._ids], np.uint64)
        made, labels = np.array(self._made, bool), np.array(self._labels, np.int64)
        real = labels[~made]
        counts = np.bincount(real[real >= 0], minlength=self._known)
        taken = ~made
        taken[np.flatnonzero(made)[choose(Blend(ratio=self.ratio), counts, labels[made], keys[made])]] = True
        rows = np.flatnonzero(taken)
        order: np.ndarray = rows[np.argsort(keys[rows], kind="stable")]
        return order

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = int(self._rows[index])
        return {name: values[row] for name, values in self._columns.items()}

    def __repr__(self) -> str:
        made = sum(self._made[i] for i in self._rows)
        drawn = f", drawn anew each epoch (now {self.epoch})" if self.redraw else ""
        return f"Blend: {len(self):,} rows, {len(self) - made:,} real and {made:,} made{drawn}"

"""A run: what its folder holds, as objects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.api.html import card, table
from leaven.api.rows import Rows
from leaven.errors import DataError
from leaven.terminal import WIDTH, cut, shown

if TYPE_CHECKING:
    from leaven.api.blended import Blended
    from leaven.api.measurement import Measurement
    from leaven.api.verification import Verification
    from leaven.io.dataset import Dataset
    from leaven.train.drawn import Ratio

PARENTS = 5
GLANCED = 1000
CHILDREN = 3


class Run:
    """The folder of a run.  ``Run("out")`` opens one that is there."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from leaven.engine.folder import Folder

        self.path = Path(path)
        self.said = Folder(self.path).describe()
        if not self.said:
            raise DataError("it holds no run.", "name the folder that run() wrote to.", where=str(path))

    @property
    def finished(self) -> bool:
        """False where it stopped in the middle; the same call goes on."""
        return bool(self.said.get("finished"))

    @property
    def counts(self) -> Mapping[str, Any]:
        """Numbers by name: read, made, kept, refused, failed, written, calls, usd ..."""
        found: Mapping[str, Any] = self.said.get("counts", {})
        return found

    @property
    def reasons(self) -> dict[str, int]:
        """How many records were refused for which reason."""
        return dict(self.said.get("reasons", {}))

    @property
    def cost(self) -> float | None:
        """What was spent, in USD; None where a price is not known."""
        usd = self.counts.get("usd", 0.0)
        return None if usd is None else float(usd)

    @cached_property
    def train(self) -> Rows:
        """The blended rows, real and made."""
        return Rows.of_parquet("Train", self.path / "train")

    @cached_property
    def kept(self) -> Rows:
        """The made rows that were kept, as the blend took them."""
        return Rows.of_parquet("Kept", self.path / "train", made=True)

    @cached_property
    def refused(self) -> Rows:
        """What was not kept, with its step and reason."""
        return Rows.of_parquet("Refused", self.path / "refused")

    @cached_property
    def failed(self) -> Rows:
        """Records at which a step broke, with the error."""
        import pyarrow as pa

        from leaven.io.tables import open_table

        path = self.path / "failed" / "records.jsonl"
        if not path.is_file():
            return Rows.of_table("Failed", pa.table({}))
        found = open_table(path)
        return Rows("Failed", found.batches, lambda: sum(map(len, found.batches())))

    def to_pandas(self) -> Any:
        """The rows of train/ as a DataFrame."""
        return self.train.to_pandas()

    @cached_property
    def dataset(self) -> Dataset:
        """What was read."""
        from leaven.io.dataset import load

        return load(self.path / "input")

    def measure(
        self,
        test: Any = None,
        *,
        ratios: Sequence[float] = (0, 0.25, 0.5, 1, 2, 4),
        weights: Sequence[float] = (1, 0.5, 0.2),
        student: str | None = None,
        seeds: int = 5,
        metric: str | None = None,
        seed: int = 0,
        workers: int = 1,
        progress: bool = True,
    ) -> Measurement:
        """Train on the real rows with and without the made ones, and say on rows never trained on whether they helped.

        ``test`` are such rows, as ``lv.read`` takes them; without it those that the run set aside.  ``metric`` is
        accuracy or macro_f1; without it the balance of labels decides.  ``weights`` are what a made row may count
        beside a real one, ``student`` is ``cnn`` or ``transformers:FOLDER``, where one is to be trained in steps.
        """
        from leaven.api.data import optional
        from leaven.api.measurement import Measurement
        from leaven.api.progress import reporter
        from leaven.measure.command import MeasureRequest
        from leaven.measure.command import measure as run_measure

        named = None if self._set_aside(test) else optional(test)
        request = MeasureRequest(
            str(self.path), None, named, {}, ratios, seeds, metric, seed, workers, student, weights
        )  # fmt: skip
        with reporter(progress) as told:
            found = Measurement(run_measure(request, told.reporter))
            told.done(found)
        return found

    def _set_aside(self, test: Any) -> bool:
        """True for the very rows that the run set aside, such as ``data.test``."""
        if not isinstance(test, Rows) or not self.dataset.counts.get("test") or not len(test):
            return False
        own = set(self.dataset.table("test").column("_id").to_pylist())
        return own == {row.get("_id") for row in test}

    def verify(
        self, *, operators: Sequence[str | os.PathLike[str]] = (), workers: int = 1, progress: bool = True
    ) -> Verification:
        """Make it again from the folder alone, with stored answers and no network, and compare.

        ``operators`` are the folders of operators of your own.
        """
        from leaven.api.progress import reporter
        from leaven.api.verification import Verification
        from leaven.engine.verify import verify

        folders = tuple(os.fspath(folder) for folder in operators)
        with reporter(progress) as told:
            found = Verification(verify(self.path, told.reporter, operators=folders, workers=workers))
            told.done(found)
        return found

    def report(self) -> Path:
        """Write ``report.html`` into the folder, one page without a network, and give its place."""
        from leaven.report.page import write

        return write(self.path)

    def blend(
        self,
        ratio: Ratio = None,
        *,
        redraw: str | None = None,
        seed: int = 0,
        p: float | None = None,
        one_per: str | None = None,
        one_of: str | None = None,
        transform: Any = (),
    ) -> Blended:
        """The real rows and ``ratio`` made ones for each, as a dataset for a training loop; see ``Blended``."""
        from leaven.api.blended import Blended

        return Blended(self, ratio, redraw, seed, p=p, one_per=one_per, one_of=one_of, transform=transform)

    def __repr__(self) -> str:
        return cut(f"Run {shown(str(self.path))}: {self._numbers()}", WIDTH)

    def _numbers(self) -> str:
        if not self.finished:
            return "stopped; the same call goes on"
        names = ("read", "made", "kept", "refused", "failed")
        cost = "cost not known" if self.cost is None else f"{self.cost:.2f} USD" if self.cost else "0 USD"
        return ", ".join([*(f"{name} {self.counts[name]:,}" for name in names), cost])

    def _repr_html_(self) -> str:
        if not self.finished:
            return card(repr(self))
        reasons = list(self.reasons.items())[:10]
        return card(repr(self), ["refused", "records"] if reasons else [], reasons, self._families())

    def _families(self) -> str:
        """Five real rows with what was made of them and kept."""
        children: dict[str, list[dict[str, Any]]] = {}
        for row in islice(self.kept, GLANCED):  # not all: each may hold an image
            for parent in row["_parents"][:1]:
                if parent in children or len(children) < PARENTS:
                    children.setdefault(parent, []).append(row)
        if not children:
            return ""
        parents = {row["_id"]: row for row in self.train if row["_id"] in children}
        heads = [name for name in self.kept.glance()[0] if not name.startswith("_")]
        rows = []
        for i, made in children.items():
            for word, row in [("real", parents.get(i, {})), *(("made", child) for child in made[:CHILDREN])]:
                rows.append([word, *(row.get(head) for head in heads)])
        return table(["", *heads], rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.train)

    def __len__(self) -> int:
        return len(self.train)

    def as_json(self) -> str:
        """What ``run.json`` says."""
        return json.dumps(self.said, indent=1, ensure_ascii=False)

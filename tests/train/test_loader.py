"""The rows of a run through torch's loader: the same items with any number of workers, started in any way."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import leaven as lv
from leaven.errors import DataError
from leaven.media.image import Image
from leaven.train import Drawn

torch = pytest.importorskip("torch")
pillow = pytest.importorskip("PIL.Image")
DataLoader = torch.utils.data.DataLoader
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # more workers than cores
]
SIDE = 6


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 12 small images: four made of each in two steps, of which the first is not written."""
    path = tmp_path_factory.mktemp("run")
    with (path / "pictures.csv").open("w", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "kind", "captions"])
        for i in range(12):
            pillow.fromarray(pixels(i)).save(path / f"{i}.png")
            writer.writerow([f"{i}.png", "ab"[i % 2], f'["first {i}", "second {i}"]'])
    named = {"picture": "image", "kind": "label"}
    data = lv.read(
        path / "pictures.csv", fields={"image": "image", "label": "label"}, **dict(zip(named.values(), named))
    )
    (data | lv.Shade(n=2)).then(lv.Shade(n=2), name="again").run(path / "out", workers=1, progress=False)
    return path / "out"


def tensors(row: dict[str, Any]) -> dict[str, Any]:
    return {"image": torch.tensor(row["picture"].pixels), "kind": row["kind"], "worker": os.getpid()}


def items(loader: Any) -> tuple[list[tuple[bytes, str]], set[int]]:
    """What a pass over a loader shows, and which processes made it."""
    found, workers = [], set()
    for batch in loader:
        found += [(image.numpy().tobytes(), kind) for image, kind in zip(batch["image"], batch["kind"])]
        workers |= set(batch["worker"].tolist())
    return found, workers


@pytest.mark.parametrize(("workers", "start"), [(2, "spawn"), (4, "fork"), (1, "fork")])
def test_the_same_items_with_any_number_of_workers(folder: Path, workers: int, start: str):
    def drawn() -> Drawn:
        return Drawn(folder, 1, "epoch", transform=[lv.as_transform(lv.Shade(on="picture"), seed=3), tensors])

    alone = drawn()
    expected = []
    for epoch in range(3):
        alone.set_epoch(epoch)
        expected.append(items(DataLoader(alone, batch_size=5))[0])
        assert len(expected[-1]) == 24
    assert len({frozenset(found) for found in expected}) == 3
    many = drawn()
    loader = DataLoader(many, batch_size=5, num_workers=workers, persistent_workers=True, multiprocessing_context=start)
    processes = set()
    for epoch in (0, 1, 2, 1):
        many.set_epoch(epoch)
        found, own = items(loader)
        assert found == expected[epoch]
        processes |= own
    assert len(processes) == workers
    assert os.getpid() not in processes


def test_a_break_changes_nothing(folder: Path):
    """What stops in the middle of an epoch, or dies, goes on with the same rows."""
    drawn = Drawn(folder, 1, "epoch", transform=tensors)
    loader = DataLoader(drawn, batch_size=5, num_workers=1, persistent_workers=True, multiprocessing_context="fork")
    drawn.set_epoch(2)
    next(iter(loader))
    drawn.set_epoch(7)
    found, _ = items(loader)
    again = Drawn(folder, 1, "epoch", transform=tensors)
    again.set_epoch(7)
    assert items(DataLoader(again, batch_size=5))[0] == found


def test_rows_are_mapped_and_opened_when_looked_at(folder: Path):
    drawn = Drawn(folder, one_of="captions")
    row = drawn[0]
    assert list(row) == ["picture", "kind", "captions"]
    assert isinstance(row["picture"], Image)
    assert row["picture"].size == (SIDE, SIDE)
    number = row["captions"].split()[1]
    assert row["captions"] in (f"first {number}", f"second {number}")
    assert len(pickle.dumps(drawn)) < 5_000  # not the images
    assert pq.read_table(folder / "train").nbytes > 5_000
    real = {pixels(i).tobytes() for i in range(12)}
    assert real <= {row["picture"].pixels.tobytes() for row in drawn}


def test_a_child_of_a_child_stands_for_its_real_row(folder: Path):
    """Both steps made two: four grandchildren of each real row are written, their parents are not."""
    drawn = Drawn(folder, p=0.5, redraw="epoch")
    assert len(drawn) == 12
    lines = sorted("".join(row["captions"]) for row in Drawn(folder, 0))
    shown = []
    for epoch in range(40):
        drawn.set_epoch(epoch)
        rows = list(drawn)
        assert sorted("".join(row["captions"]) for row in rows) == lines
        shown += [row["picture"].pixels.tobytes() in {pixels(i).tobytes() for i in range(12)} for row in rows]
    assert 0.42 < np.mean(shown) < 0.58


def test_what_is_written_beside_train(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    (out / "train.arrow").unlink(missing_ok=True)
    first = list(Drawn(out, 0.5))
    written = (out / "train.arrow").stat()
    assert list(lv.Run(out).blend(0.5)) == first
    assert (out / "train.arrow").stat().st_mtime_ns == written.st_mtime_ns  # made once
    assert not list(out.glob(".train*"))
    drawn = Drawn(out)
    sent = pickle.dumps(drawn)
    table = pq.read_table(out / "train").slice(0, 20)
    pq.write_table(table, out / "train" / "part-00000.parquet")
    assert len(Drawn(out)) == 20  # train/ has changed
    assert len(list(drawn)) == 60  # whoever has it mapped keeps what was there
    with pytest.raises(DataError, match="the run was written anew"):
        pickle.loads(sent)[0]  # noqa: S301
    shutil.rmtree(out / "parts")
    (out / "train.arrow").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"the real rows that .* are not known"):
        Drawn(out, one_per="root")
    assert len(Drawn(out, ratio=0)) < 20


def test_no_run_and_no_place(folder: Path, tmp_path: Path):
    with pytest.raises(DataError, match="it holds no run"):
        Drawn(tmp_path)
    (folder / "train.arrow").unlink(missing_ok=True)
    (tmp_path / "out").mkdir()
    for name in ("train", "input", "parts"):
        (tmp_path / "out" / name).symlink_to(folder / name)
    (tmp_path / "out" / "train.arrow").mkdir()  # in its place stands something that cannot be replaced
    with pytest.raises(DataError, match=r"train.arrow cannot be written beside train/"):
        Drawn(tmp_path / "out")


def test_a_text_run_of_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stretches of the mapped file: each row is found in its own."""
    run = tmp_path / "out"
    (tmp_path / "texts.csv").write_text("text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(50)))
    (lv.read(tmp_path / "texts.csv") | lv.EditWords(n=1)).run(run, workers=1, progress=False)
    expected = list(Drawn(run))
    (run / "train.arrow").unlink()
    monkeypatch.setattr("leaven.train.mapped.ROWS_AT_ONCE", 7)
    again = Drawn(run)
    assert len(again._source.batches[0]) > 10
    assert list(again) == expected
    assert sorted(row["text"] for row in again) == sorted(pq.read_table(run / "train").column("text").to_pylist())

"""Images and sounds through a transform: arrays, tensors and Pillow's images come back in the form that they had."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import leaven as lv
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.operators import Make

torch = pytest.importorskip("torch")
pillow = pytest.importorskip("PIL.Image")


class Flip(Make):
    """Left becomes right, and what is left out of ``p`` is dark.

    Needs an image.  Makes an image.
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"mask"})
    p: float = 1.0
    on: str | None = None

    def make(self, record, ctx):
        image = record[self.on].pixels[:, ::-1]
        lit = ctx.rng.random(image.shape[:2]) <= self.p
        mask = {"mask": Image.of_codes(record["mask"].codes[:, ::-1])} if "mask" in record.fields else {}
        yield record.child({self.on: Image.of(image * lit[..., None].astype(np.uint8)), **mask})


class Louder(Make):
    """Twice as loud.

    Needs audio.  Makes audio.
    """

    takes: ClassVar[str] = "audio"
    on: str | None = None

    def make(self, record, ctx):
        yield record.child({self.on: Audio.of(record[self.on].samples * 2, record[self.on].rate)})


PIXELS = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
GRAY = PIXELS[..., 0]
FLOATS = torch.from_numpy(PIXELS).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PIXELS, PIXELS[:, ::-1]),
        (PIXELS.transpose(2, 0, 1), PIXELS.transpose(2, 0, 1)[:, :, ::-1]),
        (GRAY, GRAY[:, ::-1]),
        (GRAY[..., None], GRAY[:, ::-1, None]),
        (PIXELS.astype(np.float32) / 255, PIXELS[:, ::-1].astype(np.float32) / 255),
        (torch.from_numpy(PIXELS), torch.from_numpy(PIXELS).flip(1)),
        (torch.from_numpy(PIXELS).permute(2, 0, 1), torch.from_numpy(PIXELS).permute(2, 0, 1).flip(2)),
        (FLOATS, FLOATS.flip(2)),
        (FLOATS[:1], FLOATS[:1].flip(2)),
        (FLOATS.double(), FLOATS.double().flip(2)),
        (FLOATS.half(), FLOATS.half().flip(2)),
        (FLOATS.bfloat16(), None),
        (FLOATS[:, :, :3], FLOATS[:, :, :3].flip(2)),  # 3 x 4 x 3: a tensor's channels come first
        (PIXELS[:3].transpose(1, 0, 2), PIXELS[:3].transpose(1, 0, 2)[:, ::-1]),
        (PIXELS[:3], PIXELS[:3, ::-1]),  # 3 x 6 x 3: an array's come last
    ],
    ids=lambda value: "" if value is None else f"{value.dtype} {tuple(value.shape)}",
)
def test_images_come_back_as_they_came(given: Any, expected: Any):
    found = lv.as_transform(Flip())(given, 0)
    assert type(found) is type(given)
    assert found.dtype == given.dtype
    assert found.shape == given.shape
    if expected is not None:
        assert np.allclose(np.asarray(found), np.asarray(expected), atol=1e-6 if given.dtype != torch.float16 else 1e-3)


def test_pillow_and_leaven_s_own():
    change = lv.as_transform(Flip())
    found = change(pillow.fromarray(PIXELS), 0)
    assert (found.mode, found.size) == ("RGB", (6, 4))
    assert np.array_equal(np.asarray(found), PIXELS[:, ::-1])
    gray = change(pillow.fromarray(GRAY), 0)
    assert gray.mode == "L"
    assert np.array_equal(np.asarray(gray), GRAY[:, ::-1])
    own = change(Image.of(PIXELS), 0)
    assert np.array_equal(own.pixels, PIXELS[:, ::-1])


def test_a_dict_keeps_its_forms():
    mask = torch.arange(24).reshape(4, 6)
    row = {"image": FLOATS, "mask": mask, "label": 3, "other": torch.rand(7)}
    found = lv.as_transform(Flip())(row, 0)
    assert torch.allclose(found["image"], FLOATS.flip(2))
    assert torch.equal(found["mask"], mask.flip(1))
    assert found["mask"].dtype == torch.int64
    assert (found["label"], found["other"]) == (3, row["other"])
    assert torch.equal(row["mask"], torch.arange(24).reshape(4, 6))
    held = pillow.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6)).convert("P")
    palette = lv.as_transform(Flip())({"image": pillow.fromarray(PIXELS), "mask": held}, 0)["mask"]
    assert palette.mode == "P"
    assert np.array_equal(np.asarray(palette), np.asarray(held)[:, ::-1])
    left = lv.as_transform(Flip(on="left"))({"left": PIXELS, "right": PIXELS}, 0)
    assert np.array_equal(left["left"], PIXELS[:, ::-1])
    assert left["right"] is PIXELS


def test_sounds_come_back_as_they_came():
    change = lv.as_transform(Louder())
    wave = torch.linspace(-0.4, 0.4, 12).reshape(2, 6)
    found, rate = change((wave, 8000), 0)
    assert rate == 8000
    assert torch.allclose(found, wave * 2)
    found, _ = change((wave[0].numpy(), 8000), 0)
    assert np.allclose(found, wave[0].numpy() * 2)
    found, _ = change({"audio": (wave.T.numpy(), 8000)}, 0)["audio"]
    assert np.allclose(found, wave.T.numpy() * 2)
    assert change(Audio.of(wave.T.numpy(), 8000), 0).samples.max() == pytest.approx(0.8)


def test_what_is_no_image():
    change = lv.as_transform(Flip())
    for given, said in (
        (FLOATS * 3 - 1, "from -1 to 1.9.*uint8, or floats from 0 to 1"),
        (torch.rand(2, 3, 4, 6), r"shape \(2, 3, 4, 6\)"),
        (np.zeros((4, 6, 4), np.uint8), r"shape \(4, 6, 4\)"),
        (np.zeros((4, 6), np.int64), "holds int64"),
        ({"image": PIXELS, "mask": FLOATS[0]}, "the mask holds float32"),
    ):
        with pytest.raises(lv.DataError, match=said):
            change(given, 0)
    with pytest.raises(lv.DataError, match="the sound holds int64"):
        lv.as_transform(Louder())((torch.arange(4), 8000), 0)


class Own:
    """A dataset of the user's, which calls the transform itself."""

    def __init__(self, change: lv.Transform) -> None:
        self.change = change

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        return self.change(FLOATS, index)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:This DataLoader will create:UserWarning")
def test_workers_that_live_on_see_the_epoch():
    alone, many = (lv.as_transform(Flip(p=0.5), seed=7) for _ in range(2))
    one = torch.utils.data.DataLoader(Own(alone), batch_size=3)
    four = torch.utils.data.DataLoader(
        Own(many), batch_size=3, num_workers=4, persistent_workers=True, multiprocessing_context="fork"
    )
    shown = []
    for epoch in (0, 1, 2, 1):
        for change in (alone, many):
            change.set_epoch(epoch)
        shown.append(torch.cat(list(four)))
        assert torch.equal(shown[-1], torch.cat(list(one)))
    assert torch.equal(shown[1], shown[3])
    assert not torch.equal(shown[0], shown[1])
    assert len({item.numpy().tobytes() for item in shown[0]}) == 20

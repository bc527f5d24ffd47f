"""cft-clip: names written anew by a masked model, one fill that fits the picture less becomes the pair's negative."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven import cli
from leaven.media.image import Image
from tiny import encoders, readers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "B-LOC")
KNOWS = {"ann": "B-PER", "bob": "B-PER", "joe": "B-PER", "biden": "I-PER", "acme": "B-ORG", "paris": "B-LOC"}
NAMES = ("ann", "bob", "smith")
TEXTS = (
    "ann met the boss of acme in paris today again",
    "joe biden is lost",  # 8 of 14: more than three tenths
    "the weather at acme in paris is like this today",
    *(f"{name} met the {n} boss of acme in paris today with a dog" for n in "12345678" for name in ("ann", "bob")),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("cft")
    torch.manual_seed(4)  # what `encoders` leaves to chance
    return {
        "tag": readers.tagger(root / "tag", LABELS, KNOWS),
        "fill": readers.masked(root / "fill", dict.fromkeys(NAMES, 2.0) | {"[MASK]": 9.0, "##s": 9.0}),
        "same": readers.masked(root / "same", {"ann": 30.0}),
        "embed": encoders.clip(root / "clip"),
    }


def written(folder: Path) -> list[dict[str, Any]]:
    """Pictures with their texts, as rows of a file."""
    rng = np.random.default_rng(3)
    rows = []
    for i, text in enumerate(TEXTS):
        pixels = (rng.integers(0, 60, (32, 32, 3)) + rng.integers(0, 190, 3)).astype(np.uint8)
        (folder / f"{i}.png").write_bytes(Image.of(pixels).encoded)
        rows.append({"image": f"{i}.png", "text": text})
    return rows


def fits(folder: Path, images: Path, texts: list[str]) -> np.ndarray:
    """The cosine of each text with each image, by the whole model at once."""
    from PIL import Image as pillow

    model = transformers.AutoModel.from_pretrained(folder)
    read = transformers.AutoProcessor.from_pretrained(folder)
    shown = [pillow.open(images / f"{i}.png").convert("RGB") for i in range(len(TEXTS))]
    with torch.no_grad():
        found = model(**read(text=texts, images=shown, return_tensors="pt", padding=True))
    joined: np.ndarray = (found["text_embeds"] @ found["image_embeds"].T).numpy()
    return joined


def models(folders: dict[str, Path], fill: str = "fill") -> dict[str, str]:
    named = {"tag": folders["tag"], "fill": folders[fill], "embed": folders["embed"]}
    return {role: f"transformers:{folder}" for role, folder in named.items()}


def test_a_name_that_fits_the_picture_less_becomes_the_negative(ran: Any, tmp_path: Path, folders: dict[str, Path]):
    found = ran("cft-clip", written(tmp_path), **models(folders))
    assert not found.made, "no rows of their own"
    taken = {row["text"]: row for row in found.train}
    refused = Counter(text.partition(" ")[2] for text in (row["text"] for row in found.refused))
    assert not {TEXTS[1], TEXTS[2]} & taken.keys(), "a name too long, and none: ORG and LOC are not masked"
    assert 2 <= len(taken) < len(TEXTS) - 2
    anew = [f"{name} {text.partition(' ')[2]}" for text in TEXTS for name in NAMES]
    cosine = fits(folders["embed"], tmp_path, [*TEXTS, *anew])
    for i, text in enumerate(TEXTS):
        if text in TEXTS[1:3]:
            continue
        rest = text.partition(" ")[2]
        own = cosine[i, i]
        of = {t: cosine[len(TEXTS) + j, i] for j, t in enumerate(anew) if t.partition(" ")[2] == rest and t != text}
        passing = {t for t, score in of.items() if score < own}
        if text in taken:
            assert taken[text]["negative"] in passing
            assert taken[text]["negative_match"] == pytest.approx(of[taken[text]["negative"]], abs=1e-5)
        else:
            assert sum(row["text"].partition(" ")[2] == rest for row in found.refused) >= 10
    assert {row["_reason"] for row in found.refused} == {"the_same", "fits_as_well"}
    assert max(refused.values()) <= 20  # two rows of a rest, ten draws each


def test_a_fill_that_is_always_the_name_gives_up_after_ten_draws(ran: Any, tmp_path: Path, folders: dict[str, Path]):
    found = ran("cft-clip", [written(tmp_path)[0]], **models(folders, "same"))
    assert not found.train
    assert [row["_reason"] for row in found.refused] == ["the_same"] * 10


def test_the_same_with_two_workers_and_from_the_ledger(tmp_path: Path, folders: dict[str, Path], no_report: None):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in written(tmp_path)))
    for workers in (1, 2):
        command = ["augment", str(rows), "-o", str(tmp_path / f"out{workers}"), "-r", "cft-clip", "-q"]
        named = [f"--model={role}={uri}" for role, uri in models(folders).items()]
        assert cli.run([*command, "--workers", f"{workers}", *named]) == 0
    one, two = ([p.read_bytes() for p in sorted((tmp_path / f"out{n}" / "train").iterdir())] for n in (1, 2))
    assert one == two
    assert cli.run(["verify", str(tmp_path / "out1")]) == 0

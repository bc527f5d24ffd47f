"""Rules of published systems on images made elsewhere, each on the worked numbers of its paper or released code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.image import Image
from leaven.models.backends.image_features import ImageFeatures
from scored import fate, given, without

Row = dict[str, Any]


def square(folder: Path, shade: int = 0) -> str:
    file = folder / f"{shade}.png"
    file.write_bytes(Image.of(np.full((8, 8, 3), shade, np.uint8)).encoded)
    return file.name


def scored(ran: Any, folder: Path, name: str, steps: Sequence[str], rows: list[Row], *options: str) -> Any:
    """The recipe less the steps that would ask a model, on candidates with scores."""
    image = square(folder)
    source = [{"image": image, "label": label} for label in sorted({"other", *(row["label"] for row in rows)})]
    rows = [{"image": image, **row} for row in rows]
    return ran(without(name, steps, folder), source, *given(rows, folder), *options)


# -- ALIA: what shows another thing, what is too easy and what is mislabelled go ---------------------------------------

T = {"a": 0.8, "b": 0.7}
"""The mean probability of a label's own rows: of a .9 and .7, of b .6 and .8."""
EDITS = [
    ("easy", "a", [0.85, 0.15], "too_easy"),
    ("unsure", "a", [0.75, 0.25], ""),
    ("unsure and wrong", "a", [0.25, 0.75], ""),  # above b's threshold, which does not count
    ("wrong", "b", [0.75, 0.25], "mislabelled"),
    ("not above", "b", [0.31, 0.69], ""),
    ("at the threshold", "b", [0.3, 0.7], ""),
    ("wrong at the threshold", "a", [0.2, 0.8], ""),
]


def test_alia(ran: Any, tmp_path: Path):
    rows: list[Row] = []
    for name, label, (a, b), _ in EDITS:
        said = {"prediction": "a" if a > b else "b", "confidence": max(a, b), "label_norm": T[label]}
        rows.append({"label": label, "name": name, "zero_shot_index": 0, **said})
    rows += [{**row, "name": f"{row['name']}, of something else", "zero_shot_index": 3} for row in rows]
    rows.append({**rows[0], "name": "of a label without rows", "label_norm": None})
    assert fate(scored(ran, tmp_path, "alia-keep", ["zero_shot", "prediction"], rows)) == {
        **{name: reason for name, _, _, reason in EDITS},
        **{f"{name}, of something else": "off_topic" for name, *_ in EDITS},
        "of a label without rows": "",
    }


def test_alia_keeps_one_edit_of_an_image(ran: Any, tmp_path: Path):
    """Of those that pass, by lot."""
    said = {"label": "a", "prediction": "a", "confidence": 0.5, "label_norm": 0.8}
    rows = [
        {"name": f"{i}", "row_id": f"image {i // 10}", "zero_shot_index": int(i % 10 > 4), **said} for i in range(60)
    ]
    recipe = ["zero_shot", "prediction"]
    found = fate(scored(ran, tmp_path, "alia-keep", recipe, rows))
    kept = [int(name) for name, reason in found.items() if not reason]
    assert sorted(i // 10 for i in kept) == [0, 1, 2, 3, 4, 5]
    assert len({i % 10 for i in kept}) > 1, "not the first of each"
    assert {reason for name, reason in found.items() if int(name) % 10 > 4} == {"off_topic"}


# -- IACD, CamDiff, DIAGen, BiAug --------------------------------------------------------------------------------------


def test_iacd(ran: Any, tmp_path: Path):
    probs = {"sure": 0.9, "half": 0.5, "less": 0.499999, "unknown": None}
    rows = [{"label": "a", "name": name, "label_prob": prob} for name, prob in probs.items()]
    found = fate(scored(ran, tmp_path, "iacd-keep", ["prediction"], rows))
    assert found == {"sure": "", "half": "", "less": "label_not_seen", "unknown": "label_not_seen"}


def test_camdiff(ran: Any, tmp_path: Path):
    cases = [
        ("enough", "Fish", "Fish", 0.4, ""),
        ("too little", "Fish", "Fish", 0.39, "unsure"),
        ("another", "Fish", "Cat", 0.9, "other_class"),
        ("a name within the name", "Caterpillar", "Cat", 0.9, "other_class"),  # the released code lets it pass
    ]
    rows = [
        {"label": label, "name": name, "zero_shot": seen, "zero_shot_prob": prob}
        for name, label, seen, prob, _ in cases
    ]
    passes = {"label": "Fish", "zero_shot": "Fish"}
    rows += [{"name": f"try {i}", "row_id": "x", "zero_shot_prob": p, **passes} for i, p in enumerate([0.3, 0.5, 0.9])]
    found = fate(scored(ran, tmp_path, "camdiff-keep", ["zero_shot"], rows, "--field", "crop=image"))
    tries = {"try 0": "unsure", "try 1": "", "try 2": "below_top_k"}
    assert found == {**{name: reason for name, *_, reason in cases}, **tries}, "the first try that passes"


def test_diagen(ran: Any, tmp_path: Path):
    weights = {0.1: 0.2, 0.25: 0.5, 0.5: 1.0, 0.9: 1.0, None: 0.0}
    rows = [{"label": "a", "name": str(prob), "label_prob": prob} for prob in weights]
    found = scored(ran, tmp_path, "diagen-keep", ["prediction"], rows)
    assert {row["name"]: row["_weight"] for row in found.made} == {str(prob): w for prob, w in weights.items()}
    assert {row["_weight"] for row in found.real.values()} == {1.0}
    assert found.refused == []


def test_biaug(ran: Any, tmp_path: Path):
    cases = [
        ("found", 0.35, 0.05, "red", ""),
        ("whole", 0.9, 0.8, "red", ""),
        ("hardly seen", 0.349, 0.3, "red", "not_found"),
        ("not seen", None, 0.3, "red", "not_found"),
        ("small", 0.9, 0.049, "red", "box_size"),
        ("all of it", 0.9, 0.801, "red", "box_size"),
        ("the shape of grass", 0.9, 0.3, "", "not_applicable"),
        ("nothing said", 0.9, 0.3, None, "not_applicable"),
    ]
    image = square(tmp_path)
    names = ("name", "box_score", "box_share", "attribute")
    rows = [{"image": image, "caption": "a car", **dict(zip(names, case, strict=False))} for case in cases]
    found = fate(ran("biaug-keep", [{"image": image, "caption": "a dog"}], *given(rows, tmp_path)))
    assert found == {name: reason for name, *_, reason in cases}


# -- DiffuseExpand: kept, mended, refused ------------------------------------------------------------------------------


def mask(folder: Path, name: str, *stretches: tuple[int, int]) -> str:
    """A mask of 200 x 100 pixels that covers these stretches of them, counted along the rows."""
    codes = np.zeros(20000, np.uint8)
    for begin, end in stretches:
        codes[begin:end] = 1
    (folder / f"{name}.png").write_bytes(Image.of_codes(codes.reshape(200, 100)).encoded)
    return f"{name}.png"


def test_diffuse_expand(ran: Any, tmp_path: Path):
    """tau is .065; the predicted mask covers as many pixels as the mask, ``common`` of which are the same."""
    cases = [
        ("the same", 10000, "", False),
        ("d .0649", 9351, "", False),
        ("d .065", 9350, "", True),
        ("d .1299", 8701, "", True),
        ("d .13", 8700, "mask_off", False),
        ("apart", 0, "mask_off", False),
    ]
    rows = [
        {
            "mask": mask(tmp_path, f"{name} mask", (0, 10000)),
            "predicted_mask": mask(tmp_path, f"{name} seen", (10000 - common, 20000 - common)),
            "name": name,
        }
        for name, common, _, _ in cases
    ]
    nothing = mask(tmp_path, "nothing")  # the released code finds d = -1 there, and keeps them
    rows.append({"mask": nothing, "predicted_mask": nothing, "name": "both empty"})
    image = square(tmp_path)
    rows = [{"image": image, **row} for row in rows]
    real = {"image": image, "mask": mask(tmp_path, "real", (0, 50)), "predicted_mask": "real.png", "name": "real"}
    found = ran("diffuse-expand-keep", [real], *given(rows, tmp_path))
    expected = {name: reason for name, _, reason, _ in cases}
    assert fate(found) == {**expected, "both empty": "mask_off"}
    for row in found.made:
        [mended] = [mended for name, _, _, mended in cases if name == row["name"]]
        drawn = "seen" if mended else "mask"
        wanted = Image((tmp_path / f"{row['name']} {drawn}.png").read_bytes()).codes
        assert (Image(row["mask"]["bytes"]).codes == wanted).all(), row["name"]


# -- Nudiff: the nearest to the middles of six clusters ---------------------------------------------------------------


@pytest.mark.parametrize(("share", "each"), [(0.1, 1), (0.35, 3)])
def test_nuclei(ran: Any, tmp_path: Path, share: float, each: int):
    """Six colours of ten pictures each, some far off their kind: of each the tenth next to its mean stays."""
    rng = np.random.default_rng(0)
    colours = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (230, 230, 30), (30, 230, 230), (128, 128, 128)]
    rows, vectors = [], []
    for i in range(60):
        pixels = np.full((24, 24, 3), colours[i % 6]) + rng.integers(-20, 21, (24, 24, 3)) * (1 + i // 6) // 8
        picture = Image.of(pixels.clip(0, 255).astype(np.uint8))
        (tmp_path / f"{i}.png").write_bytes(picture.encoded)
        rows.append({"image": f"{i}.png", "kind": i % 6, "number": i})
        vectors.append(ImageFeatures().embed([picture])[0].astype(float))
    found = ran("nuclei-keep", rows, "--set", f"top.share={share}")
    nearest = set()
    for kind in range(6):
        mine = np.array([i for i in range(60) if i % 6 == kind])
        some = np.stack([vectors[i] for i in mine])
        far = np.round(np.linalg.norm(some - some.mean(axis=0), axis=1), 6)
        nearest |= set(mine[np.argsort(far, kind="stable")[:each]].tolist())
    assert {row["number"] for row in found.train} == nearest
    assert len(nearest) == 6 * each
    assert found.refused == [], "a keep over real rows chooses"

"""own-diffusion: nobody is named for `paint`; a model fitted in the run paints each label, and a student checks it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.cli import run
from leaven.engine.folder import Folder
from leaven.measure.bench import ANYWHERE
from leaven.measure.roots import Line, Lines
from leaven.media.image import Image
from leaven.models.backends.local import fitting, small_diffusion

pytest.importorskip("diffusers")

EACH = 8
TINY = ("--set", "own.steps=20", "--set", "own.lr=0.01", "--set", "paint.steps=1")


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion, "CHECKED", 24)
        patch.setattr("leaven.io.sets.MEDIA_PER_PART", 8)
        yield


def shades(folder: Path) -> list[dict[str, str]]:
    """Dark and bright images, all different: parts of two in the run."""
    rows = []
    for i in range(2 * EACH):
        pixels = np.full((8, 8), 230 if i % 2 else 20, np.uint8)
        pixels[i % 8, i // 8 % 8] = i
        (folder / f"{i}.png").write_bytes(Image.of(pixels).encoded)
        rows.append({"image": f"{i}.png", "label": "bright" if i % 2 else "dark"})
    return rows


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_it_paints_each_label_with_no_model_named(ran: Any, tmp_path: Path):
    rows = shades(tmp_path)
    found = ran("own-diffusion", rows, *TINY)
    assert len(found.real) == 2 * EACH
    assert Counter(row["label"] for row in found.made) == {"bright": 2 * EACH, "dark": 2 * EACH}
    assert found.refused == []
    for row in found.made:
        image = Image(row["image"]["bytes"])
        assert image.size == (8, 8)
        assert image.kind == "pnggray"
        assert (image.pixels.mean() > 128) == (row["label"] == "bright")
        assert [step["step"] for step in row["_steps"]] == ["paint"]
    assert len({row["image"]["bytes"] for row in found.made}) > 2 * EACH
    lines = [Line(None, row["_parents"], row["_steps"]) for row in found.made[:2]]  # every real row taught the painter
    assert Lines(Folder(found.out), {}).roots(["a", "b"], lines).tolist() == [[ANYWHERE], [ANYWHERE]]
    said = json.loads((found.out / "run.json").read_text())
    assert said["models"]["paint.fitted"] == "fitted"
    [folder] = [path for path in (found.out / "states").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["scheduler", "small-diffusion.json", "unet"]

    # Another number of workers, and a command that was stopped while it trained: the same bytes.
    again = [str(tmp_path / "rows.jsonl"), "-r", "own-diffusion", "-q", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaven.cli.write_report", lambda *_: None)
        fit = fitting.Course.write

        def stopped(at: Any, path: Path) -> None:
            fit(at, path)
            if at.step == 10:
                raise KeyboardInterrupt

        patch.setattr(fitting.Course, "write", stopped)
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 130
        assert len(list((tmp_path / "two" / "states").glob("*/checkpoint.safetensors"))) == 1
        patch.setattr(fitting.Course, "write", fit)
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert files(tmp_path / "two" / "train") == files(found.out / "train")

    # What was fitted is not fitted again, neither to look at a few rows nor to repeat the run.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion.SmallDiffusion, "fit", None)
        assert run(["verify", str(found.out), "-q", "--workers", "1"]) == 0
        assert run(["try", *again, "-n", "2", "-o", str(found.out)]) == 0


def test_what_a_recipe_says_wrongly_is_said_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in shades(tmp_path)))

    def said(*steps: Any) -> str:
        recipe = tmp_path / "mine.yaml"
        recipe.write_text(json.dumps({"steps": steps}))
        assert run(["augment", str(rows), "-o", str(tmp_path / "out"), "-r", str(recipe), "-q"]) == 1
        return capsys.readouterr().err

    paint = {"paint": {"prompt": "{{ label }}", "adapter": "own"}}
    assert "paint names the adapter `own`, and no step before it fits one" in said(paint)
    near = said({"adapter as on": {"role": "paint"}}, paint)
    assert "the nearest is `on`" in near
    assert "fitting detect with `how: lora` is not built yet" in said({"adapter": {"role": "detect", "how": "lora"}})
    assert "fitting segment with `how: full` is not built yet" in said({"adapter": {"role": "segment"}})
    assert "there is no role `pant`" in said({"adapter": {"role": "pant"}})
    assert "`label` holds none" in said({"adapter": {"role": "paint", "target": "label"}})

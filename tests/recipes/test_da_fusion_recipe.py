"""da-fusion: a word for each label, ten children of each image at four strengths, and half of an epoch shows them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import leaven
from leaven.any_record import adapter
from leaven.cli import run
from leaven.media.image import Image
from leaven.models.backends.local import fitting, tuned_painter
from leaven.models.backends.local.paints import WORDS, Paints
from leaven.models.calls import Answer
from leaven.recipe.build import read
from leaven.records import Record
from leaven.train.mapped import Mapped
from tiny import painters

pytest.importorskip("diffusers")
pytest.importorskip("peft")

QUICK = ("--set", "adapter.steps=2", "--set", "copy.n=2", "--set", "repaint.steps=4", "--set", "repaint.size=32")
LABELS = ("red car", "dog")


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuned_painter, "LOOKS", 1)
        patch.setattr(tuned_painter, "LOOKED", (2, 2))
        patch.setattr("leaven.io.sets.MEDIA_PER_PART", 2)
        yield


def rows(folder: Path, n: int) -> list[dict[str, str]]:
    """Images of 40 x 30 pixels, all different, and two labels."""
    found = []
    for i in range(n):
        (folder / f"{i}.png").write_bytes(Image.of(np.full((30, 40, 3), (20, i % 250, 90), np.uint8)).encoded)
        found.append({"image": f"{i}.png", "label": LABELS[i % 2]})
    return found


def drawn(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["_steps"][-1]["drawn"])
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_words_are_learned_and_each_image_painted_over(ran: Any, tmp_path: Path):
    sd = painters.plain(tmp_path / "sd")
    given = rows(tmp_path, 4)
    found = ran("da-fusion", given, *QUICK, paint=f"diffusers:{sd}")
    assert (len(found.real), len(found.made), found.refused) == (4, 8, [])
    heads = Mapped(found.out).heads()
    parent = dict(zip(heads.ids, heads.roots, strict=True))
    assert Counter(parent[row["_id"]] for row in found.made) == dict.fromkeys(found.real, 2)
    for row in found.made:
        assert row["label"] == found.real[parent[row["_id"]]]["label"]
        assert drawn(row)["prompt"] == f"a photo of a <{row['label'].replace(' ', '_')}>"
        assert Image(row["image"]["bytes"]).size == (40, 30)
    assert len({row["image"]["bytes"] for row in [*found.real.values(), *found.made]}) == 12
    [folder] = [path for path in (found.out / "states").iterdir() if path.is_dir()]
    assert [path.name for path in folder.iterdir()] == [WORDS]

    # Two workers, and a command that was stopped while it learned the second word: the same bytes.
    again = [str(tmp_path / "rows.jsonl"), "-r", "da-fusion", "-q", "--model", f"paint=diffusers:{sd}", *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaven.cli.write_report", lambda *_: None)
        write, looks = fitting.Course.write, []

        def stopped(at: Any, path: Path) -> None:
            write(at, path)
            looks.append(at.step)
            if len(looks) == 2:
                raise KeyboardInterrupt

        patch.setattr(fitting.Course, "write", stopped)
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 130
        assert run(["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2"]) == 0
        assert looks == [2, 2], "no step is taken again"
    assert files(tmp_path / "two" / "train") == files(found.out / "train")

    # What was learned is not learned again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuned_painter, "learn", None)
        assert run(["verify", str(found.out), "-q", "--workers", "1"]) == 0


def test_as_published(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is learned and asked with the recipe's own numbers; nothing is painted."""
    sd = painters.plain(tmp_path / "sd")
    learned: dict[str, Any] = {}
    asked: list[dict[str, Any]] = []

    def learn(weights: Any, words: Any, how: Any, folder: Path, told: Any, init: str) -> Any:
        learned.update(words=words, how=how, init=init)
        return dict.fromkeys(words, fitting.Trained(1, 1, 1.0))

    def answers(player: Paints, asks: Any) -> Any:
        asked.extend(dict(ask.content) for ask in asks)
        return [Answer("", media=Image.of(np.full((30, 40, 3), len(asked) % 256, np.uint8))) for _ in asks]

    monkeypatch.setattr(tuned_painter, "learn", learn)
    monkeypatch.setattr(Paints, "answers", answers)
    given = rows(tmp_path, 40)
    found = ran("da-fusion", given, paint=f"diffusers:{sd}")
    assert learned["how"] == tuned_painter.Tuning(1000, 2e-3, 4, flip=True, seed=0)
    assert learned["init"] == "the"
    assert {word: len(own) for word, own in learned["words"].items()} == {"<dog>": 20, "<red_car>": 20}
    texts = {text for own in learned["words"]["<dog>"] for text in own.prompts}
    assert len(texts) > 20
    assert all(text.count("<dog>") == 1 for text in texts)

    assert len(found.made) == len(asked) == 400
    assert {(one["guidance"], one["steps"], one["width"], one["height"]) for one in asked} == {(7.5, 50, 512, 512)}
    assert sorted({int(one["steps"] * one["strength"]) for one in asked}) == [12, 25, 37, 50]
    strengths = Counter(drawn(row)["strength"] for row in found.made)
    assert all(abs(strengths[one] / 400 - 0.25) < 0.075 for one in (1.0, 0.75, 0.5, 0.25)), (
        "three and a half deviations"
    )
    heads = Mapped(found.out).heads()
    parent = dict(zip(heads.ids, heads.roots, strict=True))
    several = [len({drawn(row)["strength"] for row in found.made if parent[row["_id"]] == own}) for own in found.real]
    assert min(several) > 1, "each child draws one of its own"

    blend = leaven.Run(found.out).blend(p=0.5, redraw="epoch")
    made, shown = 0, []
    for epoch in range(60):
        blend.set_epoch(epoch)
        assert len(blend) == 40
        own = [heads.ids[i] for i in blend._rows()]
        assert sorted(parent[one] for one in own) == sorted(found.real), "itself, or its own child"
        made += sum(one not in found.real for one in own)
        shown += own
    assert abs(made / (60 * 40) - 0.5) < 0.035
    assert len(set(shown)) > 400


def test_strengths_are_drawn_alike_often():
    """The sheet's share over many draws, by the recipe's own expression."""
    strength = next(step for step in read("da-fusion").steps() if step.name == "repaint").values["strength"]
    rng = np.random.default_rng(0)
    found = Counter(strength({}, rng) for _ in range(40_000))
    assert set(found) == {1.0, 0.75, 0.5, 0.25}
    assert all(abs(n / 40_000 - 0.25) < 0.01 for n in found.values())


def test_one_word_for_all_and_a_lora(ran: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Other ways to fit a painter, as steps of a recipe; what is said wrongly is said before anything runs."""
    sd = painters.plain(tmp_path / "sd")
    given = [{**row, "blank": ""} for row in rows(tmp_path, 3)]
    mine = tmp_path / "mine.yaml"
    paint = {"prompt": "{{ words_token }}, a {{ label }}", "adapter": "words", "steps": 2}
    lora = {"role": "paint", "how": "lora", "prompt": "a photo of a {{ label }}", "steps": 1, "batch": 2}
    lora |= {"prior": "a photo of some {{ label }}", "priors": 2}
    steps = [
        {"adapter as words": {"role": "paint", "how": "token", "prompt": "a {{ token }}", "steps": 1}},
        {"adapter as own": lora},
        {"any": {"word": [{"paint": paint}], "lora": [{"paint as other": {**paint, "adapter": "own"}}]}},
    ]
    mine.write_text(json.dumps({"steps": steps}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuned_painter, "PRIOR_STEPS", 1)
        found = ran(str(mine), given, paint=f"diffusers:{sd}")
    assert Counter(drawn(row)["prompt"] for row in found.made) == {"<it>, a red car": 4, "<it>, a dog": 2}
    assert len({row["image"]["bytes"] for row in found.made}) == 6
    held = sorted(
        path.name for folder in (found.out / "states").iterdir() if folder.is_dir() for path in folder.iterdir()
    )
    assert held == [WORDS, "pytorch_lora_weights.safetensors"]

    def said(uri: str = f"diffusers:{sd}", **step: Any) -> str:
        mine.write_text(json.dumps({"steps": [{"adapter": {"role": "paint", **step}}]}))
        command = ["augment", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "wrong"), "-r", str(mine), "-q"]
        assert run([*command, "--model", f"paint={uri}"]) == 1
        return " ".join(capsys.readouterr().err.split())

    assert "does not say what a painter is told" in said(how="lora")
    assert "has no place for the word" in said(how="token", prompt="a photo of a {{ label }}")
    assert "a LoRA learns none" in said(how="lora", prompt="a", per="label")
    assert "`prior` is for a LoRA" in said(how="token", prior="a dog")
    assert "is told a text, and no field" in said(how="token", input="label")
    assert "stands at attention alone" in said(how="lora", prompt="a", layers="all")
    assert "works at 64 pixels a side" in said(how="full", size=128)
    assert "has to run here. Fix: --model paint=diffusers:FOLDER" in said("fake:shape", how="token")
    assert "`{{ blank }}` is an empty text for every row" in said(how="lora", prompt="a", prior="{{ blank }}")
    (tmp_path / "small").mkdir()
    assert "plays paint, and cannot be fitted" in said(f"fitted:{tmp_path / 'small'}", how="token")
    assert adapter.painter.tokens(["Red car", "red car", "?"]) == ["<red_car>", "<red_car_2>", "<word>"]


def test_a_row_without_a_label_has_no_word():
    fitted = adapter.Adapter("paint", how="token", per="label")
    ctx: Any = SimpleNamespace(state={"labels": ["None", "dog"], "tokens": ["<none>", "<dog>"]})
    given = [Record(name, {"label": label}, name) for name, label in (("a", None), ("b", "dog"), ("c", "cat"))]
    assert [found["token"] for found in fitted.notes(given, ctx)] == [None, "<dog>", None]

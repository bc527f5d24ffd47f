"""A captioner fitted to the user's own: what it learns from, the same bytes twice and after a stop, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import DataError, ModelError
from leaven.media.image import Image
from leaven.models.backends.local import fitting, tuned_captions
from leaven.models.backends.local.captions import Captions
from leaven.models.backends.local.fitting import CHECKPOINT
from leaven.models.backends.local.lora import Lora
from leaven.models.backends.local.tuned_captions import Example, tune
from leaven.models.backends.local.tuned_writer import Tuning
from leaven.models.backends.local.weights import Weights, find
from leaven.models.calls import Adapter, Ask
from tiny import writers

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

QUICK = Tuning(epochs=3, lr=0.03, batch=3)
LORA = Lora(rank=4, alpha=8, dropout=0.2, layers="all")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tuned")
    return {name: getattr(writers, name)(root / name) for name in ("blip", "git", "llava")}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def at(folder: Path) -> Weights:
    return find(f"transformers:{folder}", str(folder))


def examples(prompt: str = "", n: int = 8, target: str = "a red car") -> list[Example]:
    colours = [np.full((32, 32, 3), (25 * i, 90, 255 - 25 * i), np.uint8) for i in range(n)]
    return [Example(Image.of(pixels), prompt, target) for pixels in colours]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def begun(folder: Path, prompt: str, target: str = "a red car") -> tuple[dict[str, Any], Any, Any]:
    player = Captions(at(folder))
    player.device, player.dtype = "cpu", torch.float32
    fit = tuned_captions._Fit(player, examples(prompt, target=target), QUICK)
    return *fit.inputs([0, 1]), fit


@pytest.mark.parametrize("name", ["blip", "git", "llava"])
@pytest.mark.parametrize("prompt", ["", "of the dog"])
def test_what_is_learnt(folders: dict[str, Path], name: str, prompt: str):
    inputs, learnt, fit = begun(folders[name], prompt)
    reads = fit.writer.reads
    own = [int(token) for token in learnt[0] if token != -100]
    end = reads.eos_token_id if name == "llava" else reads.sep_token_id
    assert own == [*reads("a red car", add_special_tokens=False)["input_ids"], end]
    assert inputs["input_ids"][0, -len(own) :].tolist() == own, "nothing follows"
    before = inputs["input_ids"][0, : -len(own)]
    if name != "llava":  # the mark of the beginning, and the prompt
        asked = reads(prompt, add_special_tokens=False)["input_ids"] if prompt else []
        assert before.tolist() == [reads.cls_token_id, *asked]
    else:
        assert ("of the dog" in reads.decode(before)) == bool(prompt)
        assert reads.decode(before).endswith("<|assistant|>")
    with torch.no_grad():
        [(loss, tokens)] = fit.losses([0, 1])
    assert tokens == 2 * len(own)
    if name == "blip":  # as the model itself reckons it
        with torch.no_grad():
            theirs = fit.model(**inputs, labels=learnt).loss
        assert float(loss) / tokens == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "lora"), [("blip", None), ("llava", None), ("git", LORA), ("llava", Lora(rank=4, alpha=8))]
)
def test_a_fit_is_used_by_the_captioner_and_leaves_its_own_weights(
    folders: dict[str, Path], tmp_path: Path, name: str, lora: Lora | None
):
    before, luck = at(folders[name]).model, torch.random.get_rng_state()
    told: list[float] = []
    how = Tuning(lora, epochs=3, lr=0.03, batch=3)
    tuned, cut = tune(at(folders[name]), examples("a dog"), how, tmp_path / "out", lambda p: told.append(p.held))
    assert (tuned.last, cut, len(told)) == (9, 0, 9)
    assert tuned.held == min(told) < told[0]
    assert at(folders[name]).model == before
    assert torch.equal(luck, torch.random.get_rng_state())
    named = {path.name for path in (tmp_path / "out").iterdir()}
    assert CHECKPOINT not in named
    assert ("adapter_model.safetensors" in named) == bool(lora)
    player = Captions(at(folders[name]))
    player._open()
    [image, *_] = [example.image for example in examples()]
    asks = [
        Ask("caption", {"item": "i", "prompt": "a dog"}, {"max_tokens": 4}, media={"i": image}, adapter=own)
        for own in (None, Adapter("own", tmp_path / "out"))
    ]
    plain, own = (player._answered([ask])[0] for ask in asks)
    assert plain.text != own.text
    if lora is None:
        assert set(own.text) <= set("a red car")


def test_the_same_bytes_again_and_after_a_stop(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how = Tuning(Lora(rank=4, alpha=8, dropout=0.2), epochs=2, lr=0.01, batch=3)

    def run(name: str) -> dict[str, bytes]:
        tune(at(folders["git"]), examples(), how, tmp_path / name)
        return files(tmp_path / name)

    torch.manual_seed(1)
    one = run("one")
    torch.manual_seed(2)
    assert run("two") == one
    write = fitting.Course.write

    def stopped(where: Any, path: Path) -> None:
        write(where, path)
        if where.step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting.Course, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("three")
    assert (tmp_path / "three" / CHECKPOINT).is_file()
    steps: list[int] = []
    monkeypatch.setattr(fitting.Course, "write", lambda where, path: steps.append(where.step))
    assert run("three") == one
    assert steps == [4, 5, 6], "it went on from the third"
    said = json.loads(one["adapter_config.json"])
    assert said["target_modules"] == sorted(said["target_modules"])
    assert str(tmp_path.parent) not in one["adapter_config.json"].decode()


def test_it_ends_where_the_held_out_rows_gain_no_more(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses = iter([3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 1.0])
    monkeypatch.setattr(tuned_captions._Fit, "look", lambda fit: next(losses))
    tuned, _ = tune(at(folders["git"]), examples(), Tuning(LORA, epochs=9, lr=0.01, batch=8), tmp_path)
    assert tuned == (2, 7, 2.0)


def test_a_target_that_is_too_long_is_cut(folders: dict[str, Path]):
    _, learnt, fit = begun(folders["blip"], "of the dog", "car " * 80)
    assert (fit.cut, learnt.shape) == (8, (2, 64))
    assert (learnt[0] != -100).sum() == 60
    assert fit.texts[0][1][-1] != fit.writer.reads.sep_token_id, "its end is not learnt"
    with pytest.raises(DataError, match="a prompt has 71 tokens, and the model reads 64"):
        begun(folders["blip"], "dog " * 70)


def test_what_cannot_be_fitted(folders: dict[str, Path], tmp_path: Path):
    with pytest.raises(DataError, match="7 rows are too few"):
        tune(at(folders["blip"]), examples(n=7), QUICK, tmp_path)
    broken = [*examples(), Example(Image(b"nothing"), "", "a car")]
    with pytest.raises(DataError, match="cannot be shown to the model, broken_image"):
        tune(at(folders["blip"]), broken, QUICK, tmp_path)
    with pytest.raises(ModelError, match="and writes no captions"):
        tune(at(writers.llama(tmp_path / "llama")), examples(), QUICK, tmp_path)

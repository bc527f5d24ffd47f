"""Encoders of transformers in folders: what they embed, that neighbours do not matter, and what a wrong folder says."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import cli
from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.asked_embed import AskedEmbed
from leaven.models.asker import Asker
from leaven.models.backends.encoders import Encoder
from leaven.models.budget import Budget
from leaven.models.ledger import Ledger
from leaven.models.replay import Replayed
from tiny import encoders

pytest.importorskip("torch")
pytest.importorskip("transformers")

Tiny = Callable[[str], Path]
TEXTS = ["a red car", "a dog barking in the rain for a long while", "hello"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")

    def built(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else getattr(encoders, name)(folder)

    return built


def pictures(size: tuple[int, int] = (40, 56)) -> list[Image]:
    rng = np.random.default_rng(0)
    return [Image.of((rng.integers(0, 60, (*size, 3)) + rng.integers(0, 190, 3)).astype(np.uint8)) for _ in range(3)]


def tones(rate: int = 16000) -> list[Audio]:
    seconds = np.arange(rate) / rate
    return [Audio.of(np.sin(2 * np.pi * hertz * seconds).astype(np.float32), rate) for hertz in (220, 440, 3000)]


def embedded(folder: Path, *calls: Sequence[Any]) -> list[np.ndarray]:
    """The vectors of each call."""

    async def work() -> list[np.ndarray]:
        encoder = Encoder(f"transformers:{folder}", str(folder))
        try:
            return [(await encoder.embed(items))[0] for items in calls]
        finally:
            await encoder.close()

    return asyncio.run(work())


ITEMS = {"text": TEXTS, "image": pictures(), "audio": tones()}
BOTH = [("clip", "text"), ("clip", "image"), ("siglip", "text"), ("siglip", "image"), ("clap", "text"),
        ("clap", "audio"), ("vit", "image"), ("dinov2", "image")]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_an_item_has_the_same_vector_alone_and_among_others(tiny: Tiny, name: str, kind: str):
    items = ITEMS[kind]
    folder = tiny(name)
    assert kind in Encoder(f"transformers:{folder}", str(folder)).kinds
    vectors, alone, turned = embedded(folder, items, items[:1], items[::-1])
    assert vectors.shape == (3, 32 if name in ("siglip", "vit", "dinov2") else 16)
    assert vectors.dtype == np.float32
    assert len({row.tobytes() for row in vectors}) == 3
    assert alone.tobytes() == vectors[0].tobytes()
    assert turned.tobytes() == vectors[::-1].tobytes()


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_a_batch_as_a_gpu_gets_it(tiny: Tiny, name: str, kind: str):
    """Filled up to its size, and nothing of what fills it up comes back."""
    folder = tiny(name)
    encoder = Encoder(f"transformers:{folder}", str(folder))
    alone, _ = asyncio.run(encoder.embed(ITEMS[kind]))
    batch = encoder._vectors(ITEMS[kind], 4)
    asyncio.run(encoder.close())
    assert batch.shape == alone.shape
    assert np.allclose(batch, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_the_vectors_are_those_of_a_whole_forward_pass(tiny: Tiny, name: str):
    import torch
    from transformers import AutoModel, AutoProcessor

    folder = tiny(name)
    model, read = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    if name == "clip":
        more, other, items = {"images": [pillow(image) for image in ITEMS["image"]]}, "image_embeds", ITEMS["image"]
    else:
        heard = [sound.mono for sound in ITEMS["audio"]]
        more, other, items = {"audio": heard, "sampling_rate": 16000}, "audio_embeds", ITEMS["audio"]
    with torch.no_grad():
        found = model(**read(text=TEXTS, return_tensors="pt", padding=True, **more))
    for vectors, key in zip(embedded(folder, TEXTS, items), ("text_embeds", other), strict=True):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        assert np.allclose(unit, found[key].numpy(), atol=1e-5)


def pillow(image: Image) -> Any:
    from PIL import Image as library

    return library.fromarray(image.pixels)


def test_a_sound_at_another_rate_is_heard_alike_and_a_long_one_by_its_beginning(tiny: Tiny):
    folder = tiny("clap")
    first = np.sin(np.arange(32000) / 9).astype(np.float32)
    longer = np.concatenate([first, np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)])
    two = [Audio.of(samples, 16000) for samples in (first, longer)]
    here, there, [cut, whole] = embedded(folder, tones(), tones(44100), two)
    unit = [vector / np.linalg.norm(vector) for vector in (here[0], there[0], here[2])]
    assert unit[0] @ unit[1] > 0.999 > unit[0] @ unit[2]
    assert cut.tobytes() == whole.tobytes()


def test_other_weights_have_another_name(tiny: Tiny, tmp_path: Path):
    folder = tiny("clip")
    name = Encoder("transformers:x", str(folder)).model
    shutil.copytree(folder, tmp_path / "clip")
    assert Encoder("transformers:x", str(tmp_path / "clip")).model == name
    assert name.startswith("clip ")
    encoders.clip(tmp_path / "clip", seed=1)
    assert Encoder("transformers:x", str(tmp_path / "clip")).model != name


def test_nothing_heavy_is_loaded_before_the_first_item(tiny: Tiny):
    code = (
        "import sys; from leaven.models.backends.encoders import Encoder;"
        f"e = Encoder('transformers:x', {str(tiny('clip'))!r}); print(e.kinds, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "('text', 'image') False"


# -- what is no encoder ----------------------------------------------------------------------------------------------


def test_a_folder_that_is_none_or_holds_no_model(tmp_path: Path):
    with pytest.raises(ModelError, match=r"there is no folder \./absent"):
        Encoder("transformers:./absent", "./absent")
    with pytest.raises(ModelError, match=r"config\.json is absent"):
        Encoder("transformers:x", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 9}))
    with pytest.raises(ModelError, match="type `llama`, which gives no vectors"):
        Encoder("transformers:x", str(tmp_path))


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # another test may have loaded it before
    with pytest.raises(ModelError, match="no folder here, and the hub does not give it"):
        Encoder("transformers:nobody/nothing", "nobody/nothing")


def test_pickled_weights_are_not_read(tiny: Tiny, tmp_path: Path):
    import torch

    folder = tmp_path / "clip"
    shutil.copytree(tiny("clip"), folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded") as raised:
        embedded(folder, TEXTS)
    assert raised.value.fix == "only safetensors are read, and no code is run."


def test_code_in_a_folder_is_not_run(tiny: Tiny, tmp_path: Path):
    folder = tmp_path / "clip"
    shutil.copytree(tiny("clip"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        embedded(folder, TEXTS)
    assert not (tmp_path / "ran").exists()


# -- in a run ---------------------------------------------------------------------------------------------------------


def asked(ledger: Ledger, player: Any, *, replay: bool = False) -> AskedEmbed:
    return AskedEmbed(Asker(ledger, Budget(None, 0.0), replay=replay), player, asyncio.run)


def test_vectors_are_stored_and_replayed_without_the_model(tiny: Tiny, tmp_path: Path):
    folder = tiny("clip")
    player = Encoder(f"transformers:{folder}", str(folder))
    first = Ledger(tmp_path / "ledger.sqlite")
    embed = asked(first, player)
    images, texts = embed.embed(ITEMS["image"]), embed.embed(TEXTS)
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)
    again = embed.embed([*ITEMS["image"], ITEMS["image"][0]])
    assert again[:3].tobytes() == images.tobytes()
    assert (embed.asker.spend.calls, embed.asker.spend.stored) == (2, 3)
    asyncio.run(player.close())
    first.close()
    then = Replayed("embed", player.uri, player.model)
    replayed = asked(Ledger(tmp_path / "ledger.sqlite"), then, replay=True)
    assert replayed.embed(ITEMS["image"]).tobytes() == images.tobytes()
    assert replayed.embed(TEXTS).tobytes() == texts.tobytes()


def test_what_it_does_not_embed_stays_built_in(tiny: Tiny):
    folder = tiny("vit")
    player = Encoder(f"transformers:{folder}", str(folder))
    embed = asked(Ledger(None), player)
    assert embed.embed(ITEMS["image"]).shape == (3, 32)
    assert embed.embed(TEXTS).shape == (3, 256)
    assert embed.embed(ITEMS["audio"]).shape == (3, 360)
    asyncio.run(player.close())


def test_a_run_and_its_replay_without_the_folder(tiny: Tiny, tmp_path: Path):
    folder = tmp_path / "clip"
    shutil.copytree(tiny("clip"), folder)
    rows, made, out = tmp_path / "a.csv", tmp_path / "r.yaml", tmp_path / "out"
    rows.write_text("text,label\na red car,x\nthe blue dog,y\n")
    steps = [{"edit_words": {"n": 2}}, {"match": {"on": "text", "to": "{{ parent.text }}"}}]
    made.write_text(json.dumps({"steps": steps}))
    done = cli("augment", rows, "-o", out, "-r", made, "--model", f"embed=transformers:{folder}", "-q", "--workers", 2)
    assert done.code == 0, done.err
    shutil.rmtree(folder)
    assert cli("verify", out).code == 0


def test_leaven_models_asks_it(tiny: Tiny):
    done = cli("models", "--model", f"embed=transformers:{tiny('vit')}")
    assert re.search(r"yes, \d+\.\d s, 32 numbers for image, on the (cpu|cuda|mps)", done.out)

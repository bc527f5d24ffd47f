"""Captioners in this process: what a prompt does, sampling, what was fitted to them, and what they cannot do."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import cli, output, table
from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.backends.local.captions import Captions
from leaven.models.backends.local.weights import find
from leaven.models.calls import About, Adapter, Answer, Ask, CallFailed
from leaven.models.config import Config
from leaven.models.players import Players
from leaven.records import digest
from tiny import readers, writers
from worlds import images

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

Tiny = Callable[[str], Path]
DRAWN = {"max_tokens": 8, "top_p": 0.9, "temperature": 1.0, "repetition_penalty": 1.1, "min_tokens": 3}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")

    def built(name: str) -> Path:
        folder = root / name
        return folder if folder.is_dir() else getattr(writers, name)(folder)

    return built


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PICTURES = [row["image"] for row in images().source[:3]]


def asked(folder: Path, *asks: Ask, at_once: bool = True) -> list[Any]:
    async def work() -> list[Any]:
        players = Players({"caption": f"transformers:{folder}"}, Config(), recording=lambda name: [])
        try:
            _, player = players.player("caption")
            if at_once:
                calls = (player.play(ask, About("s", 0, str(i))) for i, ask in enumerate(asks))
                return await asyncio.gather(*calls, return_exceptions=True)
            return [await player.play(ask, About("s", 0, "r")) for ask in asks]
        finally:
            await players.close()

    return asyncio.run(work())


def caption(item: Image | Audio, prompt: str = "", adapter: Adapter | None = None, **sampling: Any) -> Ask:
    name = digest(item.encoded).hex()
    content = {"item": name, "prompt": prompt, **({"adapter": adapter.name} if adapter else {})}
    return Ask("caption", content, sampling, media={name: item}, adapter=adapter)


def by_hand(folder: Path, image: Image, prompt: str, n: int) -> str:
    """The likeliest tokens after the prompt, by whole forward passes."""
    from PIL import Image as pillow
    from transformers import AutoModelForImageTextToText, AutoProcessor

    reads, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder).eval()
    seen = reads.image_processor(images=[pillow.fromarray(image.pixels)], return_tensors="pt")
    words = reads.tokenizer
    ids = [words.cls_token_id, *words(prompt, add_special_tokens=False)["input_ids"]]
    begin = len(ids)
    with torch.no_grad():
        for _ in range(n):
            scores = model(pixel_values=seen["pixel_values"], input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(scores.argmax()))
    return str(words.decode(ids[begin:], skip_special_tokens=True))


@pytest.mark.parametrize("name", ["blip", "git"])
@pytest.mark.parametrize("prompt", ["", "a photo of", "Question:"])
def test_what_follows_the_prompt_is_the_caption(tiny: Tiny, name: str, prompt: str):
    [answer] = asked(tiny(name), caption(PICTURES[0], prompt, max_tokens=5))
    assert answer.text == by_hand(tiny(name), PICTURES[0], prompt, 5)
    assert not answer.text.startswith(prompt or "x x")
    assert (answer.tokens_out, answer.finish) == (5, "length")


@pytest.mark.parametrize("name", ["blip", "git", "llava"])
def test_a_caption_is_the_same_alone_beside_others_and_again(tiny: Tiny, name: str):
    asks = [caption(image, "a", seed=seed, **DRAWN) for image in PICTURES[:2] for seed in (1, 2)]
    beside, alone = asked(tiny(name), *asks), asked(tiny(name), *asks, at_once=False)
    assert all(isinstance(answer, Answer) for answer in beside), beside
    assert beside == alone
    assert len({answer.text for answer in beside}) == 4
    assert all(3 <= answer.tokens_out <= 8 for answer in beside)


@pytest.mark.parametrize("name", ["blip", "git"])
def test_a_batch_as_a_gpu_gets_it(tiny: Tiny, name: str):
    player = Captions(find(f"transformers:{tiny(name)}", str(tiny(name))))
    player._open()
    asks = [caption(image, "Question:", seed=i, **DRAWN) for i, image in enumerate(PICTURES)]
    assert len({player.kind(ask) for ask in asks}) == 1
    broken = caption(Image(b"nothing"), "Question:", seed=1, **DRAWN)
    found = player._answered([*asks, broken])
    assert found[:3] == [player._answered([ask])[0] for ask in asks]
    assert isinstance(found[3], CallFailed)
    assert found[3].reason == "broken_image"
    asyncio.run(player.close())


def test_a_least_length_holds_off_the_end(tiny: Tiny, tmp_path: Path):
    """A captioner that would end at once: the mark of an end is as likely as all else together."""
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(tiny("blip"))
    with torch.no_grad():
        model.text_decoder.cls.predictions.decoder.bias[3] = 1000.0
        model.text_decoder.cls.predictions.bias[3] = 1000.0
    model.save_pretrained(tmp_path / "short")
    BlipProcessor.from_pretrained(tiny("blip")).save_pretrained(tmp_path / "short")
    none, three = asked(tmp_path / "short", caption(PICTURES[0]), caption(PICTURES[0], min_tokens=3))
    assert (none.text, none.finish) == ("", "stop")
    assert (three.tokens_out, three.finish, bool(three.text)) == (4, "stop", True)


def test_a_model_that_chats_is_asked_the_prompt(tiny: Tiny):
    none, one, other = asked(
        tiny("llava"), *(caption(PICTURES[0], prompt, max_tokens=6) for prompt in ("", "what is it", "who is it"))
    )
    assert len({none.text, one.text, other.text}) == 3
    assert one.tokens_in - 16 == len("<u>what is it<e><a>") - 6  # 16 for the image, and a token a mark


# -- what was fitted --------------------------------------------------------------------------------------------------


def test_a_whole_model_that_was_fitted(tiny: Tiny, tmp_path: Path):
    folder = writers.blip(tmp_path / "fitted", seed=5)
    fitted = Adapter("fitted", folder)
    plain, own, itself = (
        asked(tiny("blip"), caption(PICTURES[0], max_tokens=6))[0],
        asked(tiny("blip"), caption(PICTURES[0], adapter=fitted, max_tokens=6))[0],
        asked(folder, caption(PICTURES[0], max_tokens=6))[0],
    )
    assert own == itself != plain


def test_a_lora_that_was_fitted(tiny: Tiny, tmp_path: Path):
    peft = pytest.importorskip("peft")
    from transformers import BlipForConditionalGeneration

    base = BlipForConditionalGeneration.from_pretrained(tiny("blip"))
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        tuned = peft.get_peft_model(base, config)
    with torch.no_grad():
        for name, weights in tuned.named_parameters():
            if "lora" in name:
                weights.normal_(0, 1)
    tuned.save_pretrained(tmp_path / "lora")
    lora = Adapter("lora", tmp_path / "lora")
    asks = [caption(PICTURES[0], adapter=own, max_tokens=6) for own in (None, lora, None, lora)]
    player = Captions(find("transformers:here", str(tiny("blip"))))
    assert len({player.kind(ask) for ask in asks}) == 2
    beside = asked(tiny("blip"), *asks)
    assert all(isinstance(answer, Answer) for answer in beside), beside
    assert beside[0] == beside[2] != beside[1] == beside[3]


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_what_writes_no_captions(tiny: Tiny, tmp_path: Path):
    for folder in (tiny("llama"), readers.masked(tmp_path / "bert")):
        [error] = asked(folder, caption(PICTURES[0]))
        assert isinstance(error, ModelError)
        assert "and writes no captions" in error.what
    [error] = asked(tiny("blip"), caption(Audio.of(np.zeros(800, np.float32), 8000)))
    assert isinstance(error, ModelError)
    assert "hears no sounds" in error.what


def test_a_prompt_that_leaves_no_room(tiny: Tiny):
    [failed] = asked(tiny("blip"), caption(PICTURES[0], "a " * 70))
    assert isinstance(failed, CallFailed)
    assert failed.reason == "too_long"


# -- in a run ---------------------------------------------------------------------------------------------------------


def test_a_run_with_one_and_two_workers(tiny: Tiny, tmp_path: Path):
    world = images()
    rows = world.table(tmp_path / "rows", [{"image": row["image"], "label": row["label"]} for row in world.source[:5]])
    made = tmp_path / "r.yaml"
    step = {"caption": {"prompt": "a photo of", "temperature": 1.0, "top_p": 0.9, "top_k": 50, "max_tokens": 6}}
    made.write_text(json.dumps({"fields": {"image": "image", "label": "label"}, "steps": [{"shade": {"n": 2}}, step]}))
    outs = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        uri = f"caption=transformers:{tiny('blip')}"
        done = cli("augment", rows, "-o", out, "-r", made, "--model", uri, "-q", "--workers", workers)
        assert done.code == 0, done.err
        outs.append(output(out))
    assert outs[0] == outs[1]
    captions = [row["caption"] for row in table(tmp_path / "1") if row["_synthetic"]]
    assert len(captions) == 10
    assert len(set(captions)) > 5

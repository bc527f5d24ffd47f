"""What models of transformers answer in batches, as on a GPU: what they answer alone, in the order of the records, and
the same kind of thing in the halves that a GPU reckons in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.backends.local.local import Local
from leaven.models.backends.of_transformers import of_transformers
from leaven.models.calls import Answer, Ask
from tiny import lookers, mappers, readers, voices, writers
from tiny.batches import as_on_a_gpu, in_both_ways

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

RNG = np.random.default_rng(0)
IMAGES = [Image.of(RNG.integers(0, 256, (24, 40, 3)).astype(np.uint8)) for _ in range(3)]
SOUNDS = [Audio.of(RNG.normal(0, 0.1, n).astype(np.float32), 16000) for n in (8000, 5000, 8000)]
TEXTS = ["book a room", "what is the weather in paris", "ann smith met bob"]
CLOSE = 2e-3


def of_texts(role: str, **content: Any) -> list[Ask]:
    return [Ask(role, {"text": text, **content}, {"seed": i}) for i, text in enumerate(TEXTS)]


def of_images(role: str, field: str = "image", sampling: dict[str, Any] | None = None, **content: Any) -> list[Ask]:
    named = [(f"{i}", image) for i, image in enumerate(IMAGES)]
    return [Ask(role, {field: name, **content}, sampling or {}, media={name: image}) for name, image in named]


def drawn(role: str, prompts: list[dict[str, Any]]) -> list[Ask]:
    how = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 6}
    return [Ask(role, prompt, {**how, "seed": i}) for i, prompt in enumerate(prompts)]


def seen(image: Image, text: str) -> Ask:
    parts = [{"type": "image", "name": "one"}, {"type": "text", "text": text}]
    return Ask("chat", {"messages": [{"role": "user", "content": parts}]}, {"max_tokens": 5}, media={"one": image})


FAMILIES: dict[str, tuple[Callable[[Path], Path], list[Ask]]] = {
    "classifier": (
        lambda folder: readers.classifier(folder, ["travel", "banking"]),
        of_texts("classify", among=["travel", "banking"]),
    ),
    "inference": (
        lambda folder: readers.classifier(folder, ["contradiction", "neutral", "entailment"]),
        of_texts("classify", among=["a", "b", "c"]),
    ),
    "tagger": (
        lambda folder: readers.tagger(folder, ("O", "B-PER", "I-PER"), {"ann": "B-PER", "smith": "I-PER"}),
        of_texts("tag", labels=[]),
    ),
    "masked": (readers.masked, [
        Ask("fill", {"text": f"{text} ____", "blank": "____", "whole_words": True}, {"temperature": 1.0, "seed": i})
        for i, text in enumerate(TEXTS)
    ]),
    "marian": (lambda folder: readers.marian(folder, seed=4), of_texts("translate", to="deu", source="eng")),
    "nllb": (readers.nllb, [
        Ask("translate", {"text": text, "to": "spa", "source": "eng"}, {}) for text in ("a room", "ann met bob")
    ]),
    "owlvit": (lookers.owlvit, of_images("detect", phrases=["a red car", "dog"], at_least=0.0)),
    "gdino": (lookers.gdino, of_images("detect", phrases=["a red car"], at_least=0.0)),
    "yolos": (lookers.yolos, of_images("detect", phrases=["cat", "dog"], at_least=0.0)),
    "sam": (lookers.sam, of_images("segment", box=[2, 2, 20, 15])),
    "dpt": (mappers.dpt, of_images("map", top=255)),
    "segformer": (mappers.segformer, of_images("map", top=255)),
    "whisper": (
        voices.whisper, [Ask("transcribe", {"audio": "one"}, {}, media={"one": sound}) for sound in SOUNDS],
    ),
    "vits": (voices.vits, [
        Ask("speak", {"text": "hello", "voice": "1", "rate": 1.0}, {"seed": seed}) for seed in range(3)
    ]),
    "llama": (writers.llama, drawn("complete", [{"prompt": text} for text in TEXTS])),
    "chats": (writers.llama, drawn("chat", [{"messages": [{"role": "user", "content": text}]} for text in TEXTS])),
    "llava": (writers.llava, [seen(image, text) for image, text in zip(IMAGES, TEXTS, strict=True)]),
    "blip": (writers.blip, of_images("caption", "item", {"max_tokens": 5}, prompt="")),
    "git": (writers.git, of_images("caption", "item", {"max_tokens": 5}, prompt="")),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("batches")

    def built(name: str) -> Path:
        (root / name).mkdir(exist_ok=True)
        return root / name if any((root / name).iterdir()) else FAMILIES[name][0](root / name)

    return built


def opened(name: str, folder: Path) -> Local:
    player = of_transformers(FAMILIES[name][1][0].role, f"transformers:{folder}", str(folder))
    assert isinstance(player, Local)
    return player


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_says_what_each_says_alone(folder: Callable[[str], Path], name: str):
    asks = FAMILIES[name][1]
    player = opened(name, folder(name))
    with as_on_a_gpu(player) as batches:
        together, alone = in_both_ways(player, asks)
    assert batches == [asks, *([ask] for ask in asks)], "in the order of their records"
    for one, other in zip(together, alone, strict=True):
        assert alike(one, other)


@pytest.mark.parametrize("name", ["inference", "tagger", "masked", "marian", "whisper", "llama", "llava", "blip"])
def test_halves_are_reckoned_in_without_a_failure(folder: Callable[[str], Path], name: str):
    """The others want whole numbers, on a GPU too."""
    player, asks = opened(name, folder(name)), FAMILIES[name][1]
    with as_on_a_gpu(player, halves=True) as batches:
        asyncio.run(asyncio.to_thread(player._open))
        found = player._answered(asks)
        asyncio.run(player.close())
    assert player.dtype == torch.bfloat16
    assert batches == [asks], "none was asked again by itself"
    assert all(isinstance(answer, Answer) and (answer.text or answer.media) for answer in found)


def alike(one: Answer, other: Answer) -> bool:
    """The same, but for the last digits of what is reckoned."""
    if isinstance(one.media, Image) and isinstance(other.media, Image):
        return int(np.abs(one.media.codes.astype(int) - other.media.codes).max()) <= 1
    if isinstance(one.media, Audio) and isinstance(other.media, Audio):
        return np.allclose(one.media.samples, other.media.samples, atol=CLOSE)
    if one.text[:1] not in ("{", "["):
        return one.text == other.text
    return same(json.loads(one.text), json.loads(other.text))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 0.02  # hundredths of a pixel, and shares
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)

"""Stable Diffusion in folders: what each pipeline does, alone and beside others, and what is said where it cannot."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import MissingExtra, ModelError
from leaven.media.image import Image
from leaven.models.backends.local.in_turn import InTurn
from leaven.models.backends.local.paints import Paints
from leaven.models.backends.of_diffusers import of_diffusers
from leaven.models.calls import About, Adapter, Answer, Ask, CallFailed
from leaven.records import digest
from tiny import painters
from tiny.batches import as_on_a_gpu, in_both_ways

pytest.importorskip("diffusers")
pytest.importorskip("peft")

MAKE: dict[str, Callable[[Path], Path]] = {
    "sd": painters.plain,
    "nine": lambda folder: painters.plain(folder, 9, "StableDiffusionInpaintPipeline"),
    "instruct": lambda folder: painters.plain(folder, 8, "StableDiffusionInstructPix2PixPipeline"),
    "xl": painters.xl,
    "xl-nine": lambda folder: painters.xl(folder, 9, "StableDiffusionXLInpaintPipeline"),
    "xl-instruct": lambda folder: painters.xl(folder, 8, "StableDiffusionXLInstructPix2PixPipeline"),
    "xl-control": lambda folder: painters.control(folder, **painters.XL),
    "xl-ip": lambda folder: painters.ip_adapter(folder, **painters.XL),
    "xl-lora": lambda folder: painters.lora(folder, **painters.XL),
    "sde": painters.noisy,
    "control": painters.control,
    "gligen": painters.gligen,
    "ip": painters.ip_adapter,
    "lora": painters.lora,
    "word": painters.learned,
    "flagging": painters.flagging,
}
SHOWN = ("image", "mask", "control", "like")
GRAIN = Image.of(np.random.default_rng(0).integers(0, 256, (30, 37, 3)).astype(np.uint8))
GRAY = Image.of(np.full((30, 37, 3), 90, np.uint8))
HALF = Image.of_codes((np.indices((30, 37))[1] < 18).astype(np.uint8))
CAR = [{"x": 2, "y": 2, "w": 9, "h": 9, "label": "car"}]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """For what diffusers does itself: on so little several threads mostly wait for each other, for seconds."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("painters")

    def made(name: str) -> Path:
        return root / name if (root / name).is_dir() else MAKE[name](root / name)

    return made


def call(seed: int = 1, adapter: Adapter | None = None, **how: Any) -> Ask:
    media = {digest(how[key].encoded).hex(): how[key] for key in SHOWN if key in how}
    names = {key: digest(how[key].encoded).hex() for key in SHOWN if key in how}
    content = {"prompt": "a red car", "steps": 3, "guidance": 5.0, **how, **names}
    if adapter:
        content["adapter"] = adapter.name
    return Ask("paint", content, {"seed": seed}, media=media, adapter=adapter)


def painter(folder: Path, **beside: Path) -> Paints:
    said = "&".join(f"{name}={other}" for name, other in beside.items())
    found = of_diffusers("paint", "diffusers:here", f"{folder}?{said}" if said else str(folder))
    assert isinstance(found, Paints)
    return found


def asked(player: Paints, *calls: Ask) -> list[Image]:
    """The answers to calls that are all on their way at once."""

    async def both() -> list[Answer]:
        return await asyncio.gather(*(player.play(ask, About("s", 0, f"{i}")) for i, ask in enumerate(calls)))

    try:
        found = [answer.media for answer in asyncio.run(both())]
    finally:
        asyncio.run(player.close())
    assert all(isinstance(image, Image) for image in found)
    return [image for image in found if isinstance(image, Image)]


def same(one: Image, other: Image) -> bool:
    return one.encoded == other.encoded


def test_text_to_image_follows_prompt_and_seed(place: Callable[[str], Path]):
    player = painter(place("sd"))
    assert player.can == {"text", "image", "mask"}
    one, again, seed, prompt, negative, wide = asked(
        player, call(), call(), call(2), call(prompt="a dog"), call(negative="blue"), call(width=44, height=20)
    )
    assert one.size == (32, 32), "the model's own size"
    assert wide.size == (44, 20), "painted in 48 x 24"
    assert same(one, again)
    assert not any(same(one, other) for other in (seed, prompt, negative))


def test_the_pipeline_s_own_pixels(place: Callable[[str], Path]):
    """What the library itself paints with these weights, scheduler and seed."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
    from PIL import Image as pillow

    [text, over] = asked(painter(place("sd")), call(7), call(7, image=GRAIN, strength=0.7))
    pipe = StableDiffusionPipeline.from_pretrained(place("sd"), use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    how = {"num_inference_steps": 3, "guidance_scale": 5.0}
    found = pipe("a red car", generator=torch.Generator().manual_seed(7), **how).images[0]
    assert np.abs(np.asarray(found).astype(int) - text.pixels).max() <= 1
    other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    shown = pillow.fromarray(GRAIN.pixels).resize((40, 32), pillow.Resampling.LANCZOS)
    found = other("a red car", image=shown, strength=0.7, generator=torch.Generator().manual_seed(7), **how).images[0]
    found = found.resize((37, 30), pillow.Resampling.LANCZOS)
    assert np.abs(np.asarray(found).astype(int) - over.pixels).max() <= 2


def test_image_to_image_and_inpainting(place: Callable[[str], Path]):
    player = painter(place("sd"))
    over, far, other, part, rest = asked(
        player,
        call(image=GRAIN, strength=0.4),
        call(image=GRAIN, strength=1.0),
        call(image=GRAY, strength=0.4),
        call(image=GRAIN, mask=HALF, strength=1.0),
        call(image=GRAIN, mask=Image.of_codes(1 - HALF.codes), strength=1.0),
    )
    assert {image.size for image in (over, far, other, part, rest)} == {(37, 30)}
    assert not same(part, rest)
    assert not same(over, far)
    assert not same(over, other)
    nine = painter(place("nine"))
    assert nine.can == {"mask"}
    one, two = asked(nine, call(image=GRAIN, mask=HALF), call(image=GRAY, mask=HALF))
    assert one.size == (37, 30)
    assert not same(one, two)


def test_no_step_is_left(place: Callable[[str], Path]):
    with pytest.raises(CallFailed, match=r"too_few_steps: 3 steps at strength 0\.3 are none"):
        asked(painter(place("sd")), call(image=GRAIN, strength=0.3))


def test_instructions(place: Callable[[str], Path]):
    player = painter(place("instruct"))
    assert player.can == {"instruct"}
    one, near = asked(
        player,
        call(image=GRAIN, instruct=True, image_guidance=1.2),
        call(image=GRAIN, instruct=True, image_guidance=2.5),
    )
    assert one.size == (37, 30)
    assert not same(one, near)


def test_xl(place: Callable[[str], Path]):
    player = painter(place("xl"))
    assert player.can == {"text", "image", "mask"}
    one, again, seed, wide, over, part, rest = asked(
        player,
        call(),
        call(),
        call(2),
        call(width=44, height=20),
        call(image=GRAIN, strength=0.7),
        call(image=GRAIN, mask=HALF),
        call(image=GRAIN, mask=HALF, strength=0.7),
    )
    assert same(one, again)
    assert (one.size, wide.size) == ((32, 32), (44, 20))
    assert over.size == part.size == rest.size == (37, 30)
    assert len({image.encoded for image in (one, seed, wide, over, part, rest)}) == 6


def test_xl_inpaints_with_a_network_of_its_own(place: Callable[[str], Path]):
    player = painter(place("xl-nine"))
    assert player.can == {"mask"}
    one, two, rest, again = asked(
        player,
        call(image=GRAIN, mask=HALF),
        call(image=GRAY, mask=HALF),
        call(image=GRAIN, mask=Image.of_codes(1 - HALF.codes)),
        call(image=GRAIN, mask=HALF),
    )
    assert one.size == (37, 30)
    assert same(one, again)
    assert len({image.encoded for image in (one, two, rest)}) == 3


def test_xl_follows_instructions_in_the_size_of_the_image(place: Callable[[str], Path]):
    """As the library's own pipeline does that is told this size: left to itself it paints in its own."""
    import torch
    from diffusers import StableDiffusionXLInstructPix2PixPipeline
    from PIL import Image as pillow

    player = painter(place("xl-instruct"))
    assert player.can == {"instruct"}
    one, near, other = asked(
        player,
        call(7, image=GRAIN, instruct=True),
        call(7, image=GRAIN, instruct=True, image_guidance=2.5),
        call(7, image=GRAY, instruct=True),
    )
    assert one.size == (37, 30)
    assert len({image.encoded for image in (one, near, other)}) == 3
    pipe = StableDiffusionXLInstructPix2PixPipeline.from_pretrained(place("xl-instruct"), add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    shown = pillow.fromarray(GRAIN.pixels).resize((40, 32), pillow.Resampling.LANCZOS)
    found = pipe(
        "a red car", image=shown, width=40, height=32, num_inference_steps=3, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    found = found.resize((37, 30), pillow.Resampling.LANCZOS)
    assert np.abs(np.asarray(found).astype(int) - one.pixels).max() <= 2


def test_xl_steered_by_an_image(place: Callable[[str], Path]):
    player = painter(place("xl"), controlnet=place("xl-control"))
    assert player.can == {"text", "image", "mask", "control"}
    grain, gray, plain, over, part = asked(
        player,
        call(control=GRAIN),
        call(control=GRAY),
        call(),
        call(control=GRAY, image=GRAIN, strength=0.7),
        call(control=GRAY, image=GRAIN, mask=HALF),
    )
    assert grain.size == over.size == part.size == (37, 30)
    assert len({image.encoded for image in (grain, gray, over, part)}) == 4
    assert same(plain, asked(painter(place("xl")), call())[0])


def test_xl_with_an_image_as_a_prompt(place: Callable[[str], Path]):
    player = painter(place("xl"), ip_adapter=place("xl-ip"))
    none, much, other, plain, over, part = asked(
        player,
        call(like=GRAIN, scale=0.0),
        call(like=GRAIN, scale=1.0),
        call(like=GRAY, scale=1.0),
        call(),
        call(like=GRAIN, scale=0.5, image=GRAY, strength=0.7),
        call(like=GRAIN, scale=0.5, image=GRAY, mask=HALF),
    )
    [alone] = asked(painter(place("xl")), call())
    assert same(plain, alone)
    assert same(none, alone)
    assert len({image.encoded for image in (none, much, other, over, part)}) == 5
    instructed = painter(place("xl-instruct"), ip_adapter=place("xl-ip"))
    with pytest.raises(ModelError, match="no pipeline of diffusers does instruct, like in one"):
        asked(instructed, call(image=GRAY, instruct=True, like=GRAIN))


def test_an_adapter_of_xl(place: Callable[[str], Path]):
    lora = Adapter("lora", place("xl-lora"))
    plain, fitted, again, over = asked(
        painter(place("xl")), call(), call(adapter=lora), call(), call(adapter=lora, image=GRAIN, strength=0.7)
    )
    assert same(plain, again)
    assert not same(plain, fitted)
    assert over.size == (37, 30)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_scheduler_that_draws_by_itself(place: Callable[[str], Path]):
    """Its seed is the call's own: torch's global generator, which it would take one from, is neither read nor set."""
    import torch

    one, other, again = asked(painter(place("sde")), call(), call(2), call())
    assert same(one, again)
    player = painter(place("sde"))
    player._open()
    before = torch.get_rng_state()
    [found] = player._answered([call()])
    asyncio.run(player.close())
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(found, Answer)
    assert isinstance(found.media, Image)
    assert same(found.media, one)
    assert not same(one, other)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_scheduler_that_needs_another_package(place: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchsde", None)
    with pytest.raises(MissingExtra, match=r"DPMSolverSDEScheduler.*torchsde.*\n.*leaven\[diffusion\]"):
        asked(painter(place("sde")), call())


def test_control(place: Callable[[str], Path]):
    player = painter(place("sd"), controlnet=place("control"))
    assert player.can == {"text", "image", "mask", "control"}
    assert player.model == f"sd {player.weights.model[3:]} + {player.beside['controlnet'].model}"
    grain, gray, plain, over, part = asked(
        player,
        call(control=GRAIN),
        call(control=GRAY),
        call(),
        call(control=GRAY, image=GRAIN, strength=0.7),
        call(control=GRAY, image=GRAIN, mask=HALF),
    )
    assert grain.size == over.size == part.size == (37, 30)
    assert not same(grain, gray)
    assert same(plain, asked(painter(place("sd")), call())[0]), "without a control it is as if there were none"


def test_boxes(place: Callable[[str], Path]):
    player = painter(place("gligen"))
    assert player.can == {"text", "image", "mask", "boxes"}
    there = [{**CAR[0], "x": 20}]
    one, other, plain, again = asked(
        player, call(steps=4, boxes=CAR), call(steps=4, boxes=there), call(steps=4), call(steps=4, boxes=CAR)
    )
    assert same(one, again)
    assert len({image.encoded for image in (one, other, plain)}) == 3


def test_an_image_as_a_prompt(place: Callable[[str], Path]):
    player = painter(place("sd"), ip_adapter=place("ip"))
    assert "like" in player.can
    none, some, much, other, plain, over = asked(
        player,
        call(like=GRAIN, scale=0.0),
        call(like=GRAIN, scale=0.5),
        call(like=GRAIN, scale=1.0),
        call(like=GRAY, scale=1.0),
        call(),
        call(like=GRAIN, scale=0.5, image=GRAY, strength=0.7),
    )
    [alone] = asked(painter(place("sd")), call())
    assert same(plain, alone), "what one call was shown is not left for the next"
    assert same(none, alone)
    assert len({image.encoded for image in (none, some, much, other)}) == 4
    assert over.size == (37, 30)


def test_adapters_do_not_leak(place: Callable[[str], Path], tmp_path: Path):
    lora, word = Adapter("lora", place("lora")), Adapter("word", place("word"))
    both = Adapter("both", tmp_path)
    for folder in (lora.folder, word.folder):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    how = {"prompt": "a photo of <mine>"}
    calls = [call(**how), call(adapter=lora, **how), call(adapter=word, **how), call(adapter=both, **how)]
    plain, fitted, spoken, whole = asked(painter(place("sd")), *calls)
    assert len({image.encoded for image in (plain, fitted, spoken, whole)}) == 4
    mixed = asked(painter(place("sd")), *reversed(calls * 2))
    assert [image.encoded for image in mixed] == [image.encoded for image in [whole, spoken, fitted, plain] * 2], (
        "beside others, and in another order"
    )


def test_an_adapter_that_does_not_fit(place: Callable[[str], Path], tmp_path: Path):
    with pytest.raises(ModelError, match=r"is no adapter of paint\.\n.*pytorch_lora_weights"):
        asked(painter(place("sd")), call(adapter=Adapter("none", tmp_path)))
    with pytest.raises(ModelError, match=r"the adapter in .* does not fit diffusers:here"):
        asked(painter(place("xl")), call(adapter=Adapter("lora", place("lora"))))


def test_what_is_flagged_fails(place: Callable[[str], Path]):
    with pytest.raises(CallFailed, match="provider_refused: the safety checker"):
        asked(painter(place("flagging")), call())


def test_what_is_alike_goes_together(place: Callable[[str], Path]):
    player = painter(place("sd"))
    alike = [call(seed, image=image, strength=0.7) for seed, image in enumerate((GRAIN, GRAY, GRAIN))]
    assert len({player.kind(ask) for ask in alike}) == 1
    others = [call(), call(steps=4), call(width=40), call(negative="x"), call(image=GRAIN), call(image=HALF, mask=HALF)]
    assert len({player.kind(ask) for ask in [alike[0], *others]}) == 7


INTO, TOLD = {"mask": HALF}, {"instruct": True}
WAYS: list[tuple[str, dict[str, str], tuple[dict[str, Any], ...]]] = [
    ("sd", {}, tuple({"image": image, "strength": 0.7} for image in (GRAIN, GRAY, GRAIN))),
    ("nine", {}, tuple({"image": image, **INTO} for image in (GRAIN, GRAY))),
    ("instruct", {}, tuple({"image": image, **TOLD} for image in (GRAIN, GRAY))),
    ("sd", {"controlnet": "control"}, tuple({"control": image} for image in (GRAIN, GRAY))),
    ("sde", {}, ({}, {})),
    ("xl", {}, ({}, {}, {})),
    ("xl-nine", {}, tuple({"image": image, **INTO} for image in (GRAIN, GRAY))),
    ("xl-instruct", {}, tuple({"image": image, **TOLD} for image in (GRAIN, GRAY))),
    ("xl", {"controlnet": "xl-control"}, tuple({"control": image, "image": image} for image in (GRAIN, GRAY))),
]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("name", "beside", "hows"), WAYS, ids=[f"{i}-{way[0]}" for i, way in enumerate(WAYS)])
def test_batches_as_on_a_gpu(
    place: Callable[[str], Path], name: str, beside: dict[str, str], hows: tuple[dict[str, Any], ...]
):
    """Calls of one kind go together; each has its own generator, so that a picture is the same but for rounding."""
    calls = [call(seed, **how) for seed, how in enumerate(hows)]
    player = painter(place(name), **{kind: place(folder) for kind, folder in beside.items()})
    with as_on_a_gpu(player) as batches:
        together, alone = in_both_ways(player, calls)
    assert batches == [calls, *([one] for one in calls)], "in the order of their records"
    assert near(together, alone) <= 1


@pytest.mark.parametrize("name", ["sd", "xl"])
def test_in_halves_as_on_a_gpu(place: Callable[[str], Path], name: str):
    """In bfloat16, which has eight bits, pictures are much the same."""
    calls = [call(), call(image=GRAIN, strength=0.7), call(image=GRAIN, mask=HALF)]
    player = painter(place(name))
    with as_on_a_gpu(player, halves=True):
        halves, _ = in_both_ways(player, calls)
    assert 0 < near(halves, [Answer("", media=image) for image in asked(painter(place(name)), *calls)]) <= 60


def near(some: list[Answer], others: list[Answer]) -> int:
    """By how much the pixels of pictures differ, at the most."""
    pairs = [(one.media, other.media) for one, other in zip(some, others, strict=True)]
    return max(
        int(np.abs(one.pixels.astype(int) - other.pixels).max())
        for one, other in pairs
        if isinstance(one, Image) and isinstance(other, Image)
    )


def test_batches_of_what_is_fitted_and_what_is_not(place: Callable[[str], Path]):
    lora, word = Adapter("lora", place("lora")), Adapter("word", place("word"))
    calls = [call(seed, adapter=adapter) for seed, adapter in enumerate((None, lora, None, word, lora))]
    player = painter(place("sd"))
    with as_on_a_gpu(player) as batches:
        together, alone = in_both_ways(player, calls)
    assert [[calls.index(ask) for ask in batch] for batch in batches[:3]] == [[0, 2], [1, 4], [3]]
    assert near(together, alone) <= 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"boxes": CAR}, r"takes no boxes\.\n.*GLIGEN"),
        ({"control": GRAIN}, r"to be steered by\.\n.*\?controlnet="),
        ({"like": GRAIN}, r"as a prompt\.\n.*\?ip_adapter="),
        ({"image": GRAIN, "instruct": True}, r"follow instructions about an image\.\n.*InstructPix2Pix"),
    ],
)
def test_what_it_cannot_is_said_before_it_is_loaded(place: Callable[[str], Path], how: dict[str, Any], said: str):
    player = painter(place("sd"))
    with pytest.raises(ModelError, match=said):
        asked(player, call(**how))
    assert player.device == ""


def test_other_pipelines(place: Callable[[str], Path], tmp_path: Path):
    with pytest.raises(ModelError, match=r"paints nothing from a prompt alone\.\n.*text-to-image"):
        asked(painter(place("nine")), call())
    with pytest.raises(ModelError, match=r"no pipeline of diffusers does boxes, image in one"):
        asked(painter(place("gligen")), call(image=GRAIN, boxes=CAR))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(ModelError, match=r"FluxPipeline, which is not known to paint\.\n.*StableDiffusionXLPipeline"):
        painter(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        asked(painter(tmp_path), call())
    with pytest.raises(ModelError, match="nothing named `control` stands beside a pipeline"):
        of_diffusers("paint", "diffusers:here", f"{tmp_path}?control=x")
    with pytest.raises(ModelError, match="0 files of weights"):
        asked(painter(place("sd"), ip_adapter=tmp_path), call())


def test_one_state_at_a_time():
    """Those of one state run beside each other, and no other meanwhile."""
    turn, state, beside, seen = InTurn(), ["none"], [0], []

    def work(mine: str) -> None:
        with turn(mine, lambda: state.__setitem__(0, mine)):
            beside[0] += 1
            gate.wait(timeout=0.05) if mine == "a" else None
            seen.append((mine, state[0], beside[0]))
            beside[0] -= 1

    gate = threading.Event()
    threads = [threading.Thread(target=work, args=(mine,)) for mine in "aabab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == there for mine, there, _ in seen)
    assert max(n for mine, _, n in seen if mine == "a") > 1

"""A painter fitted to the user's own: what moves and what stays, the prior, the same bytes twice and after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import DataError, ModelError
from leaven.media.image import Image
from leaven.models.backends.local import fitting, tuned_painter
from leaven.models.backends.local.fitting import CHECKPOINT
from leaven.models.backends.local.paints import LORA, WORDS, Paints
from leaven.models.backends.local.tuned_painter import Example, Prior, Tuning, learn, tune
from leaven.models.backends.local.weights import Weights, find
from leaven.models.backends.of_diffusers import of_diffusers
from leaven.models.calls import Adapter, Ask
from tiny import painters

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("peft")

QUICK = Tuning(steps=6, lr=0.02, batch=3, rank=2, alpha=8)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tuned")
    return {"sd": painters.plain(root / "sd"), "xl": painters.xl(root / "xl")}


@pytest.fixture(autouse=True)
def few_looks() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuned_painter, "LOOKS", 2)
        patch.setattr(tuned_painter, "LOOKED", (4, 4))
        patch.setattr(tuned_painter, "PRIOR_STEPS", 1)
        yield
    torch.set_num_threads(before)


def at(folder: Path) -> Weights:
    return find(f"diffusers:{folder}", str(folder), "model_index.json")


def reds(n: int = 4, *prompts: str) -> list[Example]:
    """Red images, no two alike."""
    colours = [np.full((32, 24, 3), (255 - 5 * i, 20, 20), np.uint8) for i in range(n)]
    return [Example(Image.of(pixels), prompts or ("a red car",)) for pixels in colours]


def fit_of(folder: Path, examples: list[Example], how: Tuning = QUICK, prior: int = 0) -> Any:
    """A fit of a LoRA as it stands before its first step."""
    with tuned_painter._room(at(folder)):
        pipe = tuned_painter._opened(at(folder), "cpu")
        tuned_painter.seeded("lora", 0)
        learnt = tuned_painter._with_lora(pipe.unet, how)
        ears = tuned_painter._Ears(pipe)
        return tuned_painter._Fit(pipe, examples, reds(prior, "a dog"), ears, learnt, how, 1.0, "")


def painted(weights: Weights, prompt: str, adapter: Path | None = None) -> Image:
    player = Paints(weights)
    player.device, player.dtype = "cpu", torch.float32
    player.load()
    how = {"prompt": prompt, "steps": 2, "guidance": 4.0}
    with torch.inference_mode():
        [answer] = player.answers([Ask("paint", how, {"seed": 1}, adapter=adapter and Adapter("own", adapter))])
    assert isinstance(answer.media, Image)
    return answer.media


def state(pipe: Any) -> dict[str, Any]:
    """A copy of all weights, by part and name."""
    parts = {name: part for name, part in pipe.components.items() if hasattr(part, "state_dict")}
    return {f"{name} {key}": value.clone() for name, part in parts.items() for key, value in part.state_dict().items()}


@pytest.mark.parametrize("name", ["sd", "xl"])
def test_a_lora_alone_moves_and_is_what_the_painter_takes_up(
    places: dict[str, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    opened: list[Any] = []
    real = tuned_painter._opened
    monkeypatch.setattr(tuned_painter, "_opened", lambda *how: opened.append(real(*how)) or opened[-1])
    luck, said = torch.random.get_rng_state(), []
    found = tune(at(places[name]), reds(), QUICK, tmp_path / "own", said.append)
    assert (found.last, len(said)) == (6, 2)
    assert torch.equal(luck, torch.random.get_rng_state())
    assert [path.name for path in (tmp_path / "own").iterdir()] == [LORA]
    [pipe] = opened
    after, before = state(pipe), state(real(at(places[name]), "cpu"))
    moved = {key for key in after if "lora" in key}
    assert {key.partition(" ")[0] for key in moved} == {"unet"}
    layers = {key.replace("base_layer.", ""): value for key, value in after.items() if key not in moved}
    assert all(torch.equal(value, before[key]) for key, value in layers.items())
    assert layers.keys() == before.keys()
    assert {key.split(".lora_")[0].rpartition("attn")[2][2:] for key in moved} == {"to_q", "to_k", "to_v", "to_out.0"}
    assert all(bool(value.any()) for key, value in after.items() if "lora_B" in key)
    assert (
        painted(at(places[name]), "a red car").encoded
        != painted(at(places[name]), "a red car", tmp_path / "own").encoded
    )


def test_alpha_is_in_the_weights(places: dict[str, Path], tmp_path: Path):
    """What is fitted with alpha 8 and rank 2 counts fourfold; whoever loads it takes alpha for 2."""
    from diffusers import StableDiffusionPipeline

    fit = fit_of(places["sd"], reds())
    for weight in fit.learnt:
        torch.nn.init.normal_(weight, std=0.3, generator=fitting.generator("some"))
    tuned_painter._save(fit.pipe, QUICK, tmp_path)
    other = StableDiffusionPipeline.from_pretrained(places["sd"], use_safetensors=True)
    given = (torch.ones(1, 4, 16, 16), torch.tensor([7]), torch.ones(1, 77, 32))
    with torch.no_grad():
        plain = other.unet(*given).sample
        other.load_lora_weights(str(tmp_path), weight_name=LORA)
        theirs, own = other.unet(*given).sample, fit.pipe.unet.train(False)(*given).sample
    assert torch.allclose(theirs, own, atol=1e-5)
    assert not torch.allclose(theirs, plain, atol=1e-2)


def test_the_loss_falls(places: dict[str, Path]):
    """Of held-out rows; with fewer than ten none is held out."""
    few = fit_of(places["sd"], reds(9))
    assert few.seen == few.held == list(range(9))
    fit = fit_of(places["sd"], reds(20), replace(QUICK, steps=16))
    assert len(fit.held) == 2
    assert sorted([*fit.seen, *fit.held]) == list(range(20))
    before = fit.look()
    assert fit.look() == before, "always under the same noises"
    with fitting.one_thread(), fitting.own_luck("cpu"):
        found = fitting.run(fit, None)
    assert found.held == fit.look() < before - 0.01


def test_velocity_is_learnt_where_the_scheduler_says_so(places: dict[str, Path]):
    fit = fit_of(places["sd"], reds(4))
    spread = [fit.shown([0], fitting.generator("some", i))[1] for i in range(2)]
    assert not torch.equal(*spread), "drawn as the encoder spreads them"
    mean, _ = fit.latents(0, False)
    assert (spread[0] / fit.pipe.vae.config.scaling_factor - mean).abs().mean() < 3
    rows, times = [0, 1, 2], torch.tensor([10, 500, 900])

    def loss(kind: str) -> float:
        fit.noising.register_to_config(prediction_type=kind)
        with torch.no_grad():
            return sum(float(one) for one in fit.losses(rows, times, fitting.generator("some")))

    luck = fitting.generator("some")
    prompts, x = fit.shown(rows, luck)
    noise = torch.randn(x.shape, generator=luck)
    kept = fit.noising.alphas_cumprod[times][:, None, None, None]
    noisy = kept.sqrt() * x + (1 - kept).sqrt() * noise
    with torch.no_grad():
        said = fit.pipe.unet(noisy, times, encoder_hidden_states=fit.hear(prompts)["text"]).sample
    goals = {"epsilon": noise, "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * x}
    for kind, goal in goals.items():
        assert loss(kind) == pytest.approx(float((said - goal).square().flatten(1).mean(1).sum()), rel=1e-4)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_step_always_has_as_many_rows(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, n: int):
    """As many as its learning rate is for; each row is seen once before any comes again."""
    fit = fit_of(places["sd"], reds(n), replace(QUICK, batch=4), prior=1)
    shown: list[list[int]] = []
    monkeypatch.setattr(
        fit, "losses", lambda rows, *_: shown.append(list(rows)) or [sum(weight.sum() for weight in fit.learnt)]
    )
    for step in range(n):
        fit.learn(step)
    own, of_prior = shown[::2], shown[1::2]
    assert [len(rows) for rows in own] == [4] * n
    assert of_prior == [[n] * 4] * n
    seen = [row for rows in own for row in rows]
    assert all(sorted(seen[i : i + n]) == list(range(n)) for i in range(0, 4 * n, n))


def test_what_is_idle_makes_room_for_a_fit(places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The painter that is fitted, too: its weights stand there once."""
    weights, run, loaded = at(places["sd"]), fitting.run, []
    player = Paints(weights)
    monkeypatch.setattr(tuned_painter, "run", lambda *how: loaded.append(bool(player._parts)) or run(*how))
    player._open()
    assert player._parts
    tune(weights, reds(), QUICK, tmp_path / "own")
    asyncio.run(player.close())
    assert loaded == [False]


def test_the_prior_is_painted_once_and_shown_beside_the_rows(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[str, int]] = []
    answers, write = Paints.answers, fitting.Course.write

    def counted(player: Paints, asks: Any) -> Any:
        asked.extend((ask.content["prompt"], ask.sampling["seed"]) for ask in asks)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return answers(player, asks)

    monkeypatch.setattr(Paints, "answers", counted)
    prior, folder = Prior(("a dog", "a blue car"), 5), tmp_path / "own"

    def run() -> None:
        tune(at(places["sd"]), reds(), QUICK, folder, prior=prior)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(list((folder / "prior").iterdir())) == 3
    asked.append(("", 0))  # so that none is the fourth again

    def stopped(course: Any, path: Path) -> None:
        write(course, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting.Course, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert len({path.read_bytes() for path in (folder / "prior").iterdir()}) == 5
    monkeypatch.setattr(fitting.Course, "write", write)
    shown: list[list[int]] = []
    losses = tuned_painter._Fit.losses
    monkeypatch.setattr(
        tuned_painter._Fit, "losses", lambda fit, rows, *more: shown.append(list(rows)) or losses(fit, rows, *more)
    )
    run()
    painted = [prompt for prompt, _ in asked]
    assert painted == ["a dog", "a blue car", "a dog", "a blue car", "", "a blue car", "a dog"], "each once"
    assert len({seed for _, seed in asked}) == 6
    assert [path.name for path in folder.iterdir()] == [LORA]
    steps = [rows for rows in shown if (rows[0] < 4 and len(rows) < 4) or rows[0] >= 4]
    for rows, of_prior in zip(steps[::2], steps[1::2], strict=True):
        assert set(rows) <= {0, 1, 2, 3}
        assert set(of_prior) <= {4, 5, 6, 7, 8}


def test_both_losses_count_alike(places: dict[str, Path]):
    """The gradient of a step is that of the rows' mean loss and of the prior's."""
    fit = fit_of(places["sd"], reds(2), replace(QUICK, batch=2), prior=3)
    for weight in fit.learnt:
        torch.nn.init.normal_(weight, std=0.1, generator=fitting.generator("some"))
    with fitting.one_thread(), fitting.own_luck("cpu"):
        whole = fit.learn(0)
    own = [weight.grad.clone() for weight in fit.learnt]
    luck = fitting.generator("step", 0, 0)
    expected = torch.zeros(())
    for rows in (fitting.drawn(range(2), 2, 0, 0), fitting.drawn(range(2, 5), 2, 0, 0)):
        times = torch.randint(1000, (2,), generator=luck)
        expected = expected + sum(fit.losses(rows, times, luck)) / 2
    grads = torch.autograd.grad(expected, fit.learnt)
    assert whole == pytest.approx(float(expected.detach()), rel=1e-5)
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-6) for one, other in zip(own, grads, strict=True))


def test_words_alone_are_learned(places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from safetensors.torch import load_file

    opened: list[Any] = []
    real = tuned_painter._opened
    monkeypatch.setattr(tuned_painter, "_opened", lambda *how: opened.append(real(*how)) or opened[-1])
    weights, said, how = at(places["sd"]), [], replace(QUICK, steps=3)
    words = {"<red_car>": reds(4, "a photo of a <red_car>"), "<dog>": reds(3, "a photo of a <dog>")}
    found = learn(weights, words, how, tmp_path / "own", said.append)
    assert {word: one.last for word, one in found.items()} == {"<red_car>": 3, "<dog>": 3}
    assert [line.split(": ")[0] for line in said] == ["<red_car>, 1 of 2"] * 2 + ["<dog>, 2 of 2"] * 2
    assert [path.name for path in (tmp_path / "own").iterdir()] == [WORDS]
    learned = load_file(tmp_path / "own" / WORDS)
    [pipe] = opened
    begun = real(weights, "cpu").text_encoder.get_input_embeddings().weight
    the = begun[pipe.tokenizer.convert_tokens_to_ids("the</w>")]
    for vectors in learned.values():
        assert vectors.shape == (1, 32)
        assert 0 < float((vectors[0] - the).abs().max()) < 3 * 0.03, "it began there"
    assert not torch.equal(*learned.values())
    pipe.text_encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(torch.zeros(540, 32)))
    after, before = state(pipe), state(real(weights, "cpu"))
    same = {key for key in before if torch.equal(after[key], before[key])}
    assert before.keys() - same == {"text_encoder embeddings.token_embedding.weight"}, "put there a line above"
    assert all(not part.requires_grad for part in pipe.unet.parameters())

    alone = learn(weights, {"<dog>": words["<dog>"]}, how, tmp_path / "alone")
    assert alone["<dog>"] == found["<dog>"]
    assert torch.equal(load_file(tmp_path / "alone" / WORDS)["<dog>"], learned["<dog>"]), "each for itself"

    one, other = (painted(weights, f"a photo of a {word}", tmp_path / "own") for word in words)
    assert one.encoded != other.encoded
    assert (
        painted(weights, "a photo of a dog", tmp_path / "own").encoded == painted(weights, "a photo of a dog").encoded
    )
    assert painted(weights, "a photo of a <dog>").encoded != other.encoded


def test_the_word_is_told_as_it_is_when_it_paints(places: dict[str, Path]):
    """The text encoder with the word put in by the library, and ours while it learns."""
    pipe = tuned_painter._opened(at(places["sd"]), "cpu")
    other = tuned_painter._opened(at(places["sd"]), "cpu")
    begun = tuned_painter._begun(pipe, "the", {"<mine>": None})
    known = pipe.text_encoder.get_input_embeddings()
    vector = (begun * 3).requires_grad_()
    pipe.text_encoder.set_input_embeddings(tuned_painter._with_word(known, 540, vector))
    other.load_textual_inversion({"<mine>": vector.detach()})
    prompt = ["a photo of a <mine>", "a red car"]
    own, theirs = tuned_painter._hears(pipe)(prompt)["text"], tuned_painter._hears(other)(prompt)["text"]
    assert torch.allclose(own, theirs, atol=1e-6)
    [gradient] = torch.autograd.grad(own[0].square().sum(), vector, retain_graph=True)
    [none] = torch.autograd.grad(own[1].square().sum(), vector)
    assert gradient.abs().max() > 0
    assert not none.any()


@pytest.mark.parametrize("kind", ["lora", "words"])
def test_the_same_bytes_again_and_after_a_stop(
    places: dict[str, Path], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    how = replace(QUICK, steps=4, flip=True, dropout=0.2)

    def run(name: str) -> dict[str, bytes]:
        if kind == "lora":
            tune(at(places["sd"]), reds(), how, tmp_path / name)
        else:
            learn(at(places["sd"]), {"<a>": reds(2, "a <a>"), "<b>": reds(3, "<b>", "a <b>")}, how, tmp_path / name)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    torch.manual_seed(1)
    one = run("one")
    torch.manual_seed(2)
    write, stops = fitting.Course.write, {"lora": (1, 2), "words": (2, 2)}[kind]
    seen: list[int] = []

    def stopped(course: Any, path: Path) -> None:
        write(course, path)
        if course.step == stops[1]:
            seen.append(course.step)
            if len(seen) == stops[0]:
                raise KeyboardInterrupt

    monkeypatch.setattr(fitting.Course, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("two")
    assert list((tmp_path / "two").rglob(CHECKPOINT))
    steps: list[int] = []
    monkeypatch.setattr(
        fitting.Course, "write", lambda course, path: (write(course, path), steps.append(course.step))[0]
    )
    assert run("two") == one
    assert steps == [4], "it went on from the second, and from the second word"


def test_images_are_squeezed_to_the_model_s_size_and_mirrored_where_it_is_said(places: dict[str, Path]):
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, :20] = 255
    example = [Example(Image.of(half), ("a", "b"))]
    fit = fit_of(places["sd"], example, replace(QUICK, flip=True))
    plain, mirrored = fit.latents(0, False)[0], fit.latents(0, True)[0]
    assert plain.shape == (1, 4, 16, 16)
    assert not torch.allclose(plain, mirrored, atol=1e-3)
    shown = [fit.shown([0], fitting.generator("some", i)) for i in range(60)]
    assert {prompt for prompts, _ in shown for prompt in prompts} == {"a", "b"}
    near = sum(float((x / 0.18215 - plain).norm()) < float((x / 0.18215 - mirrored).norm()) for _, x in shown)
    assert 15 < near < 45
    assert fit_of(places["sd"], example, replace(QUICK, size=16)).latents(0, False)[0].shape == (1, 4, 8, 8)
    never = fit_of(places["sd"], example)
    assert {key for i in range(20) for key in (never.shown([0], fitting.generator("some", i)) and never.encoded)} == {
        (0, False)
    }


def test_what_was_fitted_is_named_beside_the_model(places: dict[str, Path], tmp_path: Path):
    """``diffusers:FOLDER?adapter=FOLDER2``: another recipe's calls name no adapter."""
    own = painters.learned(painters.lora(tmp_path / "own"), "<mine>")
    player = of_diffusers("paint", "diffusers:here", f"{places['sd']}?adapter={own}")
    plain = of_diffusers("paint", "diffusers:here", str(places["sd"]))
    assert isinstance(player, Paints)
    assert player.model.startswith(f"{plain.model} + own ")
    player.device, player.dtype = "cpu", torch.float32
    player.load()
    with torch.inference_mode():
        [answer] = player.answers([Ask("paint", {"prompt": "a <mine>", "steps": 2, "guidance": 4.0}, {"seed": 1})])
    assert answer.media.encoded == painted(at(places["sd"]), "a <mine>", own).encoded
    assert answer.media.encoded != painted(at(places["sd"]), "a <mine>").encoded
    none = refused(lambda: of_diffusers("paint", "diffusers:here", f"{places['sd']}?adapter={tmp_path / 'none'}"))
    assert "name the folder that an `adapter` step wrote" in none
    assert "the nearest is `adapter`" in refused(
        lambda: of_diffusers("paint", "diffusers:here", f"{places['sd']}?adaptor={own}")
    )


def test_an_image_is_painted_over_at_the_model_s_size(places: dict[str, Path]):
    player = of_diffusers("paint", "diffusers:here", str(places["sd"]))
    assert isinstance(player, Paints)
    media = {"i": Image.of(np.full((30, 44, 3), 90, np.uint8))}

    def ask(**how: int) -> Ask:
        return Ask("paint", {"prompt": "a car", "image": "i", "steps": 2, **how}, {"seed": 1}, media=media)

    assert player.sizes(ask()) == ((48, 32), (44, 30))
    assert player.sizes(ask(width=64, height=64)) == ((64, 64), (44, 30))


def refused(call: Callable[[], object]) -> str:
    with pytest.raises((ModelError, DataError)) as error:
        call()
    return str(error.value)


def test_what_cannot_be_fitted(places: dict[str, Path], tmp_path: Path):
    nine = painters.plain(tmp_path / "nine", 9, "StableDiffusionInpaintPipeline")
    out, sd = tmp_path / "out", at(places["sd"])
    assert "takes 9 channels, not 4" in refused(lambda: tune(at(nine), reds(), QUICK, out))
    assert "no image to fit" in refused(lambda: tune(sd, [], QUICK, out))
    broken = [Example(Image(b"nothing"), ("a",))]
    assert "cannot be decoded" in refused(lambda: tune(sd, broken, QUICK, out))
    assert "two text encoders" in refused(lambda: learn(at(places["xl"]), {"<a>": reds()}, QUICK, out))
    assert "knows `car</w>` already" in refused(lambda: learn(sd, {"car</w>": reds()}, QUICK, out))
    many = refused(lambda: learn(sd, {"<a>": reds()}, QUICK, out, init="thing"))
    assert "`thing` is 4 tokens to this model" in many
    assert "init: the" in many
    folder = tmp_path / "sample"
    painters.plain(folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"epsilon"', '"sample"'))
    assert "predicts sample; fitting knows epsilon" in refused(lambda: tune(at(folder), reds(), QUICK, out))

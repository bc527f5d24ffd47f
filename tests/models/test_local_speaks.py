"""Models that write, in this process: what they answer, that neighbours do not matter, and how tokens are drawn."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import cli, failed, ledger, output, source, table
from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local.speaks import Speaks
from leaven.models.backends.local.weights import find
from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.models.config import Config
from leaven.models.players import Players
from leaven.records import digest
from tiny import readers, writers

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from leaven.models.backends.local.drawn import Drawn, How, how  # noqa: E402

DRAWING = {"do_sample": True, "temperature": 0.7, "top_k": 3, "repetition_penalty": 1.2}
Tiny = Callable[[str], Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")
    more: dict[str, dict[str, Any]] = {
        "mute": {"chats": False},
        "drawing": {"drawn": {**DRAWING, "cache_implementation": "static"}},
        "roomy": {"room": 2048},
    }

    def built(name: str) -> Path:
        folder = root / name
        make = getattr(writers, name, writers.llama)
        return folder if folder.is_dir() else make(folder, **more.get(name, {}))

    return built


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def asked(role: str, folder: Path, *asks: Ask, at_once: bool = True) -> list[Any]:
    """The answers, or the errors, as a run's players give them."""

    async def work() -> list[Any]:
        uri = f"transformers:{folder}"
        players = Players({role: uri}, Config(), recording=lambda name: [])
        try:
            _, player = players.player(role)
            if at_once:
                calls = (player.play(ask, About("s", 0, str(i))) for i, ask in enumerate(asks))
                return await asyncio.gather(*calls, return_exceptions=True)
            return [await player.play(ask, About("s", 0, "r")) for ask in asks]
        finally:
            await players.close()

    return asyncio.run(work())


def at_once(player: Speaks, asks: Sequence[Ask]) -> list[Any]:
    async def work() -> list[Any]:
        return await asyncio.gather(*(player.play(ask, About("s", 0, str(i))) for i, ask in enumerate(asks)))

    return asyncio.run(work())


def chat(text: str, *images: Image, system: str = "", **sampling: Any) -> Ask:
    names = [digest(image.encoded).hex() for image in images]
    parts = [*({"type": "image", "name": name} for name in names), {"type": "text", "text": text}]
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": parts if images else text})  # type: ignore[dict-item]
    return Ask("chat", {"messages": messages}, sampling, media=dict(zip(names, images, strict=True)))


def complete(text: str, **sampling: Any) -> Ask:
    return Ask("complete", {"prompt": text}, sampling)


def pictures() -> list[Image]:
    rng = np.random.default_rng(0)
    return [Image.of((rng.integers(0, 60, (40, 56, 3)) + rng.integers(0, 190, 3)).astype(np.uint8)) for _ in range(3)]


def plainly(folder: Path, prompt: str, n: int) -> tuple[list[int], list[float], Any]:
    """The likeliest tokens one after the other, by whole forward passes, and their log-probabilities."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reads, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    ids, logprobs = reads(prompt, add_special_tokens=False)["input_ids"], []
    begin = len(ids)
    with torch.no_grad():
        for _ in range(n):
            scores = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1], -1)
            ids.append(int(scores.argmax()))
            logprobs.append(float(scores.max()))
    return ids[begin:], logprobs, reads


# -- what it answers --------------------------------------------------------------------------------------------------


def test_the_likeliest_continuation_with_its_mean_log_probability(tiny: Tiny):
    tokens, logprobs, reads = plainly(tiny("llama"), "my card", 8)
    assert reads.eos_token_id not in tokens
    [answer] = asked("complete", tiny("llama"), complete("my card", max_tokens=8))
    assert answer.text == reads.decode(tokens)
    assert answer.logprob == pytest.approx(np.mean(logprobs), abs=1e-5)
    assert (answer.scored, answer.tokens_in, answer.tokens_out, answer.finish) == (8, 7, 8, "length")
    assert answer.tops is None


def test_a_chat_is_put_into_the_models_template(tiny: Tiny):
    said = "<|system|>be short<|end|><|user|>hello<|end|><|assistant|>"
    tokens, _, reads = plainly(tiny("llama"), said, 6)
    [answer] = asked("chat", tiny("llama"), chat("hello", system="be short", max_tokens=6))
    assert answer.text == reads.decode(tokens)
    assert answer.tokens_in == len(reads(said)["input_ids"]) == 18


def test_an_answer_ends_at_the_mark_of_an_end_and_at_a_stop(tiny: Tiny, tmp_path: Path):
    tokens, logprobs, reads = plainly(tiny("llama"), "my card", 8)
    folder = shutil.copytree(tiny("llama"), tmp_path / "ends")
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [0, tokens[5]]}))
    end = tokens.index(tokens[5])
    [answer] = asked("complete", folder, complete("my card", max_tokens=50))
    assert (answer.text, answer.finish) == (reads.decode(tokens[:end]), "stop")
    assert answer.scored == end
    assert answer.logprob == pytest.approx(np.mean(logprobs[:end]), abs=1e-5)
    plain = reads.decode(tokens)
    stop = plain[-2:]
    at = plain.index(stop)
    [answer] = asked("complete", tiny("llama"), complete("my card", max_tokens=50, stop=["never", stop]))
    assert (answer.text, answer.finish) == (plain[:at], "stop")
    assert answer.tokens_out <= 8
    assert reads.decode(tokens[: answer.scored])[:at] == plain[:at]
    assert len(reads.decode(tokens[: answer.scored - 1])) < at


def test_the_likeliest_first_tokens(tiny: Tiny):
    _, [first], _ = plainly(tiny("llama"), "my card", 1)
    [answer] = asked("complete", tiny("llama"), complete("my card", max_tokens=1))
    assert answer.scored == 1
    assert max(answer.tops.values()) == pytest.approx(first, abs=1e-5)
    assert 1 < len(answer.tops) <= 20
    assert sum(math.exp(p) for p in answer.tops.values()) < 1


def test_a_label_is_guessed_over_complete(tiny: Tiny, tmp_path: Path):
    rows = source(tmp_path, [{"text": f"a card {i} lost", "label": label} for i, label in enumerate("xxyy")])
    steps = [{"edit_words": {"n": 1}}, {"guess": {"among": [*"abcdefghijklmnopqrstuvwxyz"]}}]
    made = tmp_path / "r.yaml"
    made.write_text(
        json.dumps({"fields": ["text", "label"], "steps": [*steps, {"note": {"text": "guess ~ ' ' ~ text"}}]})
    )
    uri = f"complete=transformers:{tiny('mute')}"
    done = cli("augment", rows, "-o", tmp_path / "out", "-r", made, "-q", "--model", uri)
    assert done.code == 0, done.err
    guesses = [row["text"].split()[0] for row in table(tmp_path / "out") if row["_synthetic"]]
    assert len(guesses) == 4
    assert all(len(guess) == 1 for guess in guesses)


# -- one call and others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "llava", "idefics3"])
def test_an_answer_is_the_same_alone_beside_others_and_again(tiny: Tiny, name: str):
    shown = [[], [], []] if name == "llama" else [pictures()[:1], pictures()[1:2], pictures()[:2]]
    asks = [chat(f"what {'is ' * i}this", *images, max_tokens=6) for i, images in enumerate(shown)]
    asks += [chat("what", *shown[0], max_tokens=6, temperature=1.0, seed=seed) for seed in (1, 2)]
    beside, alone = asked("chat", tiny(name), *asks), asked("chat", tiny(name), *asks, at_once=False)
    assert all(isinstance(answer, Answer) for answer in beside), beside
    assert beside == alone
    assert len({answer.text for answer in beside}) == len(asks)


@pytest.mark.parametrize("name", ["llava", "idefics3"])
def test_the_image_counts(tiny: Tiny, name: str):
    one, other, none = asked(
        "chat", tiny(name), *(chat("what", *images, max_tokens=6) for images in (*[[p] for p in pictures()[:2]], []))
    )
    assert len({one.text, other.text, none.text}) == 3
    assert one.tokens_in == other.tokens_in > none.tokens_in


@pytest.mark.parametrize("name", ["llama", "llava"])
def test_a_batch_as_a_gpu_gets_it(tiny: Tiny, name: str):
    """Prompts of several lengths side by side are answered as each alone, drawn ones too."""
    folder = tiny(name)
    player = Speaks(find(f"transformers:{folder}", str(folder)))
    player._open()
    images = pictures() if name == "llava" else []
    for more in ({}, {"temperature": 0.9, "frequency_penalty": 0.5, "top_k": 9, "repetition_penalty": 1.3}):
        asks = [chat("so " * i, *images[i : i + 1], max_tokens=6, seed=i, **more) for i in range(3)]
        assert len({player.kind(ask) for ask in asks}) == 1
        together = player._answered(asks)
        alone = [player._answered([ask])[0] for ask in asks]
        assert [answer.text for answer in together] == [answer.text for answer in alone]
    player.device = "elsewhere"  # where calls wait for each other
    assert [answer.text for answer in at_once(player, asks)] == [answer.text for answer in alone]
    mixed = player._answered([chat("hi", max_tokens=6), chat("x" * 300, max_tokens=6)])
    assert isinstance(mixed[0], Answer)
    assert isinstance(mixed[1], CallFailed)
    asyncio.run(player.close())


def test_seeds_and_what_the_model_itself_says(tiny: Tiny):
    greedy, again, drawn, cold, default = asked(
        "chat",
        tiny("drawing"),
        chat("hello", max_tokens=9, seed=1),
        chat("hello", max_tokens=9, seed=1),
        chat("hello", max_tokens=9, seed=2),
        chat("hello", max_tokens=9, temperature=0),
        chat("hello", max_tokens=9, temperature=0, seed=5),
    )
    assert greedy == again != drawn
    assert cold == default
    [one, other] = asked("chat", tiny("llama"), chat("a", max_tokens=9, seed=1), chat("a", max_tokens=9, seed=2))
    assert one == other, "nobody said that it is to draw"


def test_nothing_reads_torchs_own_generator(tiny: Tiny):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    asked("chat", tiny("llama"), chat("a", max_tokens=4, temperature=1.0, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


# -- how tokens are drawn ---------------------------------------------------------------------------------------------

CHANCES = (0.5, 0.3, 0.15, 0.05)


def frequencies(by: How, chances: Sequence[float] = CHANCES, seen: Sequence[int] = (0,), n: int = 4000) -> list[float]:
    """How often each token is drawn, a row a seed."""
    drawn = Drawn(by, range(n), [0] * n)
    drawn.begin = 1
    scores = drawn(torch.tensor([list(seen)] * n), torch.tensor([chances]).log().repeat(n, 1))
    assert (scores == 0).sum(1).tolist() == [1] * n
    counts = Counter(scores.argmax(1).tolist())
    assert drawn.logprobs[0][:, 0].exp().tolist() == pytest.approx([chances[t] for t in scores.argmax(1).tolist()])
    return [counts[i] / n for i in range(len(chances))]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (How(1.0), (0.5, 0.3, 0.15, 0.05)),
        (How(0.5), (0.6849, 0.2466, 0.0616, 0.0068)),  # the squares over their sum, 0.365
        (How(2.0), (0.3803, 0.2946, 0.2083, 0.1203)),  # the roots
        (How(1.0, top_k=2), (0.625, 0.375, 0, 0)),
        (How(1.0, top_p=0.8), (0.625, 0.375, 0, 0)),
        (How(1.0, top_p=0.81), (0.5263, 0.3158, 0.1579, 0)),
        (How(1.0, min_p=0.25), (0.5263, 0.3158, 0.1579, 0)),
        (How(0.0), (1, 0, 0, 0)),
        (How(0.0, repetition=2.0), (0, 1, 0, 0)),  # ln .5 * 2 is less than ln .3
        (How(0.0, frequency=1.0), (1, 0, 0, 0)),  # what stands in the prompt does not count
    ],
)
def test_frequencies_follow_the_softmax(by: How, expected: Sequence[float]):
    assert frequencies(by) == pytest.approx(expected, abs=0.025)


def test_top_p_where_a_thousand_tokens_do_not_hold_the_share():
    """Of 4,000 tokens that are all alike, half are 2,000."""
    by = Drawn(How(1.0, top_p=0.5), range(3000), [0] * 3000)
    by.begin = 1
    scores = by(torch.zeros((3000, 1), dtype=torch.long), torch.zeros(3000, 4000))
    assert 1400 < len(set(scores.argmax(1).tolist())) <= 2000


def test_a_frequency_penalty_counts_each_time():
    assert frequencies(How(0.0, frequency=0.3), seen=(3, 0), n=1) == [1, 0, 0, 0]  # ln .5 - .3 is above ln .3
    assert frequencies(How(0.0, frequency=0.3), seen=(3, 0, 0), n=1) == [0, 1, 0, 0]
    assert frequencies(How(0.0, frequency=-1.0), seen=(3, 1), n=1) == [0, 1, 0, 0]


def test_what_stands_before_a_shorter_prompt_does_not_count():
    by = Drawn(How(0.0, repetition=2.0), [1, 2], [1, 0])
    scores = by(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[0.4, 0.05, 0.35, 0.2]] * 2).log())
    assert scores.argmax(1).tolist() == [0, 2]


def test_each_row_draws_by_its_own_seed():
    def drawn(seeds: Sequence[int]) -> list[list[int]]:
        by = Drawn(How(1.0), seeds, [0] * len(seeds))
        steps = []
        for _ in range(20):
            scores = by(torch.zeros((len(seeds), 1), dtype=torch.long), torch.zeros(len(seeds), 50))
            steps.append(scores.argmax(1).tolist())
        return np.array(steps).T.tolist()

    three = drawn([7, 8, 9])
    assert drawn([9]) == [three[2]]
    assert drawn([8, 7]) == [three[1], three[0]]
    assert len({tuple(row) for row in three}) == 3


def test_what_the_caller_says_goes_before_what_the_model_says():
    class Own:
        do_sample, temperature, top_k, top_p, repetition_penalty = True, 0.7, 20, 0.8, 1.05

    class Bare:
        do_sample = temperature = top_k = top_p = repetition_penalty = None

    assert how({}, Own) == How(0.7, 20, 0.8, 0.0, 1.05)
    assert how({"temperature": 0.0, "top_p": 1.0, "frequency_penalty": 0.5}, Own) == How(0.0, 20, 1.0, 0.0, 1.05, 0.5)
    assert how({}, Bare) == How(0.0)
    assert how({"top_p": 0.9}, Bare) == How(1.0, top_p=0.9)
    assert how({"temperature": 1.5}, Bare) == How(1.5)


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_a_prompt_longer_than_the_context_is_an_error_of_its_record(tiny: Tiny):
    [long, fits] = asked("complete", tiny("llama"), complete("x" * 256), complete("x" * 250, max_tokens=99))
    assert isinstance(long, CallFailed)
    assert (long.reason, long.detail.split(" that")[0]) == ("too_long", "the prompt has 256 tokens, of the 256")
    assert fits.tokens_out == 6


def test_a_model_that_cannot_chat_or_see_or_write(tiny: Tiny, tmp_path: Path):
    [mute] = asked("chat", tiny("mute"), chat("hello"))
    assert isinstance(mute, ModelError)
    assert "has no chat template" in mute.what
    assert mute.fix.startswith(f"--model complete=transformers:{tiny('mute')}")
    [blind] = asked("chat", tiny("llama"), chat("what", pictures()[0]))
    assert isinstance(blind, ModelError)
    assert "reads texts alone, and is shown images" in blind.what
    [masked] = asked("complete", readers.masked(tmp_path / "bert"), complete("a"))
    assert isinstance(masked, ModelError)
    assert "is of type `bert`, and is no model that goes on with a text" in masked.what
    (tmp_path / "empty").mkdir()
    [empty] = asked("complete", tmp_path / "empty", complete("a"))
    assert isinstance(empty, ModelError)
    assert "config.json is absent" in empty.what


def test_a_processor_that_needs_torchvision(tiny: Tiny, tmp_path: Path):
    folder = writers.qwen2vl(tmp_path / "qwen")
    [answer] = asked("chat", folder, chat("what", pictures()[0]))
    assert isinstance(answer, ModelError)
    assert answer.what == f"transformers:{folder}: what reads its images also reads videos, and needs torchvision."


def test_an_image_that_cannot_be_decoded_is_an_error_of_its_record(tiny: Tiny):
    [failed] = asked("chat", tiny("llava"), chat("what", Image(b"no image")))
    assert isinstance(failed, CallFailed)
    assert failed.reason == "broken_image"


def test_a_template_without_a_system_message(tiny: Tiny, tmp_path: Path):
    folder = shutil.copytree(tiny("llama"), tmp_path / "plain")
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + writers.TEMPLATE
    (folder / "chat_template.jinja").write_text(strict)
    tokens, _, reads = plainly(folder, "<|user|>be short\n\nhello<|end|><|assistant|>", 6)
    [answer] = asked("chat", folder, chat("hello", system="be short", max_tokens=6))
    assert answer.text == reads.decode(tokens)


# -- in a run ---------------------------------------------------------------------------------------------------------


def test_a_run_with_one_and_two_workers(tiny: Tiny, tmp_path: Path):
    made = tmp_path / "r.yaml"
    step = {"continue": {"prompt": "{{ text }}", "temperature": 1.0, "max_tokens": 5}}
    made.write_text(json.dumps({"fields": ["text", "label"], "steps": [step]}))
    outs = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        uri = f"complete=transformers:{tiny('llama')}"
        done = cli("augment", source(tmp_path, 8), "-o", out, "-r", made, "--model", uri, "-q", "--workers", workers)
        assert done.code == 0, done.err
        outs.append(output(out))
    assert outs[0] == outs[1]
    assert sum(row["_synthetic"] for row in table(tmp_path / "1")) > 3


def test_a_shape_is_asked_for_once_more_and_then_the_record_fails(tiny: Tiny, tmp_path: Path):
    step = {"ask": {"prompt": "polite? {{ text }}", "into": {"polite": "bool"}, "max_tokens": 9, "temperature": 1.0}}
    made = tmp_path / "r.yaml"
    made.write_text(json.dumps({"fields": ["text", "label"], "steps": [{"edit_words": {"n": 1}}, step]}))
    uri = f"chat=transformers:{tiny('roomy')}"
    done = cli("augment", source(tmp_path, 4), "-o", tmp_path / "out", "-r", made, "--model", uri, "-q")
    assert done.code == 3
    rows = failed(tmp_path / "out")
    assert [(row["_reason"], len(row["_answers"])) for row in rows] == [("no_valid_json", 2)] * 4
    assert [call["repair"] for call in ledger(tmp_path / "out")].count(1) == 4

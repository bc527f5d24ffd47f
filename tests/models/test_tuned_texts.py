"""A language model fitted to the user's own texts: what it learns of a row, and that it answers so afterwards."""

from __future__ import annotations

import asyncio
import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from asked import cli, output, source, table
from asked_here import answers, together_and_alone
from leaven.errors import DataError, ModelError
from leaven.media.image import Image
from leaven.models.backends.local import fitting, tuned_texts, tuned_writer
from leaven.models.backends.local.lora import Lora
from leaven.models.backends.local.speaks import Speaks
from leaven.models.backends.local.tuned_texts import Example, tune
from leaven.models.backends.local.tuned_writer import Tuning
from leaven.models.backends.local.weights import find
from leaven.models.calls import Adapter, Answer, Ask, CallFailed
from tiny import readers, writers

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Peru": "Lima", "Cuba": "Havana", "Chad": "Ndjamena",
    "Mali": "Bamako", "Oman": "Muscat",
}  # fmt: skip
QUICK = Tuning(epochs=2, lr=0.01, batch=4)
LORA = Lora(rank=4, alpha=8, dropout=0.2)
Tiny = Callable[[str], Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("texts")

    def built(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            if name == "t5":
                readers.t5(folder, learns=True)
            else:
                (writers.gpt2 if name == "gpt2" else getattr(writers, name, None) or readers.bart)(folder)
        return folder

    return built


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def examples(prompt: str = "the dog is", n: int = 8, target: str = "red", image: bool = False) -> list[Example]:
    shown = [Image.of(np.full((32, 32, 3), (25 * i, 90, 9), np.uint8)) if image else None for i in range(n)]
    return [Example(prompt, target, one) for one in shown]


def begun(role: Any, folder: Path, rows: list[Example]) -> tuple[list[Any], list[int], Any]:
    """What is given and what is learnt of the first row, without blanks, and the fit."""
    player = Speaks(find(f"transformers:{folder}", str(folder)))
    player.device, player.dtype = "cpu", torch.float32
    fit = tuned_texts._Fit(role, player, rows, QUICK)
    inputs, learnt = fit.inputs([0, 1])
    ids = inputs["decoder_input_ids" if fit.writer.apart else "input_ids"]
    assert learnt.shape == ids.shape
    given = [int(token) for token, its in zip(ids[0], learnt[0], strict=True) if its == -100]
    own = [int(token) for token in learnt[0] if token != -100]
    assert ids[0][learnt[0] != -100].tolist() == own, "each is learnt where it stands"
    return given, own, fit


# -- what is learnt ---------------------------------------------------------------------------------------------------


def test_one_that_goes_on_learns_the_target_and_its_end(tiny: Tiny):
    given, own, fit = begun("complete", tiny("llama"), examples("my ", target="red"))
    reads = fit.writer.reads
    assert [reads.convert_ids_to_tokens(i) for i in given] == ["m", "y", "Ġ"]
    assert [reads.convert_ids_to_tokens(i) for i in own] == ["r", "e", "d", "<|end|>"]
    other = [Example("a longer one", "blue"), *examples()]
    rows = begun("complete", tiny("llama"), other)[2]
    inputs, learnt = rows.inputs([0, 1])
    assert inputs["attention_mask"].sum(1).tolist() == [12 + 5, 10 + 4], "blanks behind are no part of it"
    assert (learnt != -100).sum(1).tolist() == [5, 4]
    with torch.no_grad():
        [(loss, tokens)] = rows.losses([0, 1])
        theirs = rows.model.train(False)(**inputs, labels=learnt).loss
        [(loss, tokens)] = rows.losses([0, 1])
    assert tokens == 9
    assert float(loss) / tokens == pytest.approx(float(theirs), rel=1e-5)


def test_without_a_prompt_all_is_learnt_after_the_mark_of_the_beginning(tiny: Tiny):
    given, own, fit = begun("complete", tiny("gpt2"), examples("", target="red"))
    reads = fit.writer.reads
    assert given == [reads.eos_token_id], "GPT-2 begins with the mark of an end, and its tokenizer puts none"
    assert reads.decode(own) == "red<|end|>"
    player = Speaks(find("transformers:gpt2", str(tiny("gpt2"))))
    player._open()
    [answer] = player._answered([Ask("complete", {"prompt": ""}, {"max_tokens": 2})])
    assert isinstance(answer, Answer)
    assert answer.tokens_in == 1, "it is asked as it learnt"


@pytest.mark.parametrize(("name", "begin", "own"), [("t5", "<pad>", ["▁red", "</s>"]), ("bart", "</s>", ["<s>", "r"])])
def test_one_that_reads_apart(tiny: Tiny, name: str, begin: str, own: list[str]):
    given, learnt, fit = begun("complete", tiny(name), [Example("who is it", "red"), *examples()])
    reads = fit.writer.reads
    assert reads.convert_ids_to_tokens(given) == [begin]
    assert reads.convert_ids_to_tokens(learnt)[: len(own)] == own
    assert learnt[-1] == reads.eos_token_id
    inputs, labels = fit.inputs([0, 1])
    assert inputs["input_ids"][0].tolist()[: int(inputs["attention_mask"][0].sum())] == reads("who is it")["input_ids"]
    with torch.no_grad():
        fit.model.train(False)
        [(loss, tokens)] = fit.losses([0, 1])
        theirs = fit.model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels[:, 1:].contiguous()
        ).loss
    assert float(loss) / tokens == pytest.approx(float(theirs), rel=1e-5)
    with pytest.raises(ModelError, match="reads a text before it writes one, and is given none"):
        begun("complete", tiny(name), examples(""))


def test_one_that_chats_learns_the_answer_in_its_template(tiny: Tiny):
    given, own, fit = begun("chat", tiny("llama"), examples("hello"))
    reads = fit.writer.reads
    assert reads.decode(given) == "<|user|>hello<|end|><|assistant|>"
    assert reads.decode(own) == "red<|end|>"
    given, own, fit = begun("chat", tiny("llava"), examples("hello", image=True))
    reads = fit.writer.reads
    assert reads.decode(given) == f"<|user|>{'<image>' * 16}hello<|end|><|assistant|>"
    assert reads.decode(own) == "red<|end|>"


def test_the_mark_that_ends_a_turn(tiny: Tiny, tmp_path: Path):
    """Of a template that ends turns by another mark than the model's own end, where the model stops at it."""
    from transformers import AutoTokenizer

    folder = writers.llama(tmp_path / "turns", drawn={"eos_token_id": [2, 3]})
    reads = AutoTokenizer.from_pretrained(folder)
    reads.chat_template = writers.TEMPLATE.replace("<|end|>", "<|system|>")  # token 3
    reads.save_pretrained(folder)
    _, own, fit = begun("chat", folder, examples("hello"))
    assert (own[-1], fit.writer.ends) == (3, {2, 3})
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}')
    assert begun("chat", folder, examples("hello"))[1][-1] == 2


def test_what_is_too_long(tiny: Tiny):
    _, own, fit = begun("complete", tiny("llama"), examples("x" * 250, target="y" * 20))
    assert (len(own), fit.cut) == (6, 8)
    assert fit.writer.reads.decode(own) == "yyyyyy", "its end is not learnt"
    for role in ("complete", "chat"):
        with pytest.raises(DataError, match=r"a prompt has (300|303) tokens, and the model reads 256 in all"):
            begun(role, tiny("llama"), examples("x" * 300))
    with pytest.raises(DataError, match="a prompt has 72 tokens, and the model reads 64"):
        begun("complete", tiny("bart"), examples("x" * 70))
    _, own, fit = begun("complete", tiny("bart"), examples("x" * 60, target="y" * 70))
    assert (len(own), fit.cut) == (63, 8)
    assert begun("complete", tiny("t5"), examples("the red car " * 40))[2].cut == 0, "a T5 knows no longest text"


# -- those that read apart, as they are -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_what_it_writes_to_a_text(tiny: Tiny, tmp_path: Path, name: str):
    """As the library itself writes it, side by side and alone; a config that asks for beams gets the likeliest."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = shutil.copytree(tiny(name), tmp_path / name)
    model, reads = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    config = json.loads((folder / "generation_config.json").read_text())
    beams = {"num_beams": 4, "early_stopping": True}
    (folder / "generation_config.json").write_text(json.dumps({**config, **beams}))
    texts = ["the dog", "who is it and is it my red car", "a"]
    ids = [model.generate(**reads(t, return_tensors="pt"), max_new_tokens=5, repetition_penalty=3.0)[0] for t in texts]
    asked = [({"prompt": text}, {}, {"max_tokens": 5, "temperature": 0, "repetition_penalty": 3.0}) for text in texts]
    batch, alone = together_and_alone("complete", folder, asked)
    assert [answer.text for answer in alone] == [reads.decode(one, skip_special_tokens=True) for one in ids]
    assert [answer.text for answer in batch] == [answer.text for answer in alone]
    assert [answer.logprob for answer in batch] == pytest.approx([answer.logprob for answer in alone], abs=1e-5)
    assert [answer.tokens_in for answer in batch] == [len(reads(text)["input_ids"]) for text in texts]
    drawn = [({"prompt": "the dog"}, {}, {"max_tokens": 5, "temperature": 1.5, "seed": seed}) for seed in (1, 2, 1)]
    one, other, again = answers("complete", folder, drawn)
    assert one == again != other
    if name == "bart":
        [long] = answers("complete", folder, [({"prompt": "x" * 62}, {}, {"max_tokens": 99})])
        assert isinstance(long, CallFailed)
        [answer] = answers("complete", folder, [({"prompt": "x" * 40}, {}, {"max_tokens": 99, "min_tokens": 99})])
        assert isinstance(answer, Answer), answer
        assert answer.tokens_out == 63, "both have room of their own"
    with pytest.raises(ModelError, match="has no chat template"):
        answers("chat", folder, [({"messages": [{"role": "user", "content": "a"}]}, {}, {})])


# -- the fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "name", "lora"),
    [
        ("complete", "llama", LORA),
        ("complete", "gpt2", LORA),
        ("complete", "t5", LORA),
        ("complete", "bart", None),
        ("chat", "llama", None),
        ("chat", "llava", LORA),
    ],
)
def test_a_fit_is_used_and_leaves_the_models_own_weights(
    tiny: Tiny, tmp_path: Path, role: Any, name: str, lora: Lora | None
):
    place = str(tiny(name))
    weights, luck, told = find(f"transformers:{place}", place), torch.random.get_rng_state(), []
    rows = examples(image=name == "llava")
    how = Tuning(lora, epochs=4, lr=0.02, batch=4)
    tuned, cut = tune(role, weights, rows, how, tmp_path / "out", lambda progress: told.append(progress.held))
    assert (tuned.last, cut, len(told)) == (8, 0, 8)
    assert tuned.held == min(told) < told[0]
    assert find("x", place).model == weights.model
    assert torch.equal(luck, torch.random.get_rng_state())
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert ("adapter_model.safetensors" in files) == bool(lora) == ("model.safetensors" not in files)
    player = Speaks(weights)
    player._open()
    own = Adapter("own", tmp_path / "out")
    media = {"i": rows[0].image} if rows[0].image else {}
    parts: Any = [{"type": "image", "name": "i"}, {"type": "text", "text": "the dog is"}] if media else "the dog is"
    content = {"prompt": "the dog is"} if role == "complete" else {"messages": [{"role": "user", "content": parts}]}
    asks = [
        Ask(role, content, {"max_tokens": 6}, media=media),  # type: ignore[arg-type]
        Ask(role, {**content, "adapter": "own"}, {"max_tokens": 6}, media=media, adapter=own),  # type: ignore[arg-type]
    ]
    assert player.kind(asks[0]) != player.kind(asks[1]), "they are not answered together"
    plain, fitted, again = (player._answered([ask])[0] for ask in (*asks, asks[0]))
    assert isinstance(plain, Answer), plain
    assert isinstance(fitted, Answer), fitted
    assert plain == again
    assert (plain.text, plain.logprob) != (fitted.text, fitted.logprob)


def test_the_same_bytes_again_and_after_a_stop(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = str(tiny("llama"))
    rows = [Example(f"the capital of {country} is ", city) for country, city in CAPITALS.items()]

    def run(name: str) -> dict[str, bytes]:
        how = Tuning(LORA, epochs=2, lr=0.01, batch=3)
        tune("complete", find(f"transformers:{place}", place), rows, how, tmp_path / name)
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}

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
    steps: list[int] = []
    monkeypatch.setattr(fitting.Course, "write", lambda where, path: steps.append(where.step))
    assert run("three") == one
    assert steps == [4, 5, 6], "it went on from the third"


def test_a_layer_that_is_left_out_of_some_steps_goes_on_where_it_was(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "dropping"
    shutil.copytree(tiny("bart"), folder)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "encoder_layerdrop": 0.5, "decoder_layerdrop": 0.5}))

    def run(name: str) -> bytes:
        how = Tuning(epochs=4, lr=0.01, batch=4)
        rows = [Example(f"q {i}", f"a {i}") for i in range(10)]
        tune("complete", find(f"transformers:{folder}", str(folder)), rows, how, tmp_path / name)
        return (tmp_path / name / "model.safetensors").read_bytes()

    one, write = run("one"), fitting.Course.write

    def stopped(where: Any, path: Path) -> None:
        write(where, path)
        if where.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting.Course, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("two")
    monkeypatch.setattr(fitting.Course, "write", write)
    assert run("two") == one


def test_a_checkpoint_is_not_in_memory_twice(tmp_path: Path):
    weight = torch.zeros(2**20, requires_grad=True)
    fit = SimpleNamespace(learnt=[weight], mean=None, print="this", optimiser=torch.optim.AdamW([weight]))
    course = fitting.Course(cast(Any, fit))
    course.write(tmp_path / "before")  # what is imported counts here
    tracemalloc.start()
    course.write(tmp_path / "own")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "own").stat().st_size > 2**23
    assert peak < 2**20


def test_what_is_idle_makes_room_for_a_fit(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The model that is fitted, too: its weights stand there once."""
    weights, run = find("transformers:llama", str(tiny("llama"))), fitting.run
    player, loaded = Speaks(weights), []
    monkeypatch.setattr(tuned_writer, "run", lambda *how: loaded.append(bool(player._writers)) or run(*how))
    player._open()
    assert player._writers
    tune("complete", weights, examples(), Tuning(epochs=1), tmp_path / "own")
    asyncio.run(player.close())
    assert loaded == [False]


def test_a_row_that_gives_it_nothing_to_read(tiny: Tiny, tmp_path: Path):
    place = find("transformers:t5", str(tiny("t5")))
    with pytest.raises(DataError, match="a row gives transformers:t5 an empty text to read"):
        tune("complete", place, [*examples(), Example("", "red")], Tuning(epochs=1), tmp_path / "own")


def test_few_fitted_models_are_held_at_once(tiny: Tiny, tmp_path: Path):
    place = str(tiny("llama"))
    weights = find(f"transformers:{place}", place)
    tune("complete", weights, examples(), Tuning(LORA, epochs=1, batch=8), tmp_path / "out")
    player = Speaks(weights)
    player._open()
    for name in ("one", "two", "three", "two"):
        player.writer(Adapter(name, tmp_path / "out"))
    assert list(player._writers) == ["", "two", "three"]


# -- in a run ----------------------------------------------------------------------------------------------------------


def capitals(folder: Path) -> Path:
    """Each twice: a tenth is held out, and not learnt."""
    odd = {"country": "Iran", "capital": "Narnia", "kind": "odd", "n": "1"}
    pairs = [(*pair, n) for pair in CAPITALS.items() for n in "12"]
    rows = [{"country": country, "capital": city, "kind": "known", "n": n} for country, city, n in pairs]
    return source(folder, [*rows, odd, {**odd, "n": "2"}])


def recipe(folder: Path, *steps: Any) -> Path:
    made = folder / "r.yaml"
    made.write_text(json.dumps({"fields": {"country": "text", "capital": "text", "kind": "text"}, "steps": steps}))
    return made


def test_continue_answers_as_it_was_fitted_to(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By a model that is named for chat alone, too; the same bytes with 2 workers; and it is fitted once."""
    monkeypatch.setattr(tuned_writer, "LOOKS", 2)
    prompt = "The capital of {{ country }} is "
    fit = {"role": "complete", "input": prompt, "target": "capital", "epochs": 30, "lr": 0.01, "batch": 9}
    asks = {"adapter": "own", "into": "capital", "prompt": prompt, "temperature": 0, "max_tokens": 12}
    made = recipe(tmp_path, {"adapter as own": {**fit, "where": "kind == 'known'"}}, {"continue": asks})
    data, uri = capitals(tmp_path), f"=transformers:{tiny('llama')}"

    def run(out: str, *more: object, role: str = "complete") -> Any:
        return cli("augment", data, "-o", tmp_path / out, "-r", made, "-q", "--model", role + uri, *more)

    assert (done := run("one", "--workers", 1)).code == 0, done.err
    rows = [row for row in table(tmp_path / "one") if row["_synthetic"]]
    said = {row["country"]: row["capital"] for row in rows}
    assert {country: said.get(country) for country in CAPITALS} == CAPITALS
    assert said.get("Iran") != "Narnia", "it did not learn that one"
    assert (done := run("two", "--workers", 2, role="chat")).code == 0, done.err
    assert output(tmp_path / "two") == output(tmp_path / "one")

    def interrupted(*said: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuned_texts, "tune", interrupted)
    assert run("one", "--workers", 2).code == 0
    assert cli("verify", tmp_path / "one", "-q").code == 0


def test_ask_answers_as_it_was_fitted_to(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A second model, beside a server that answers for chat."""
    monkeypatch.setattr(tuned_writer, "LOOKS", 2)
    prompt = "capital of {{ country }}?"
    fit = {"role": "chat", "model": "own", "input": prompt, "target": "{{ capital }}", "epochs": "k", "batch": 9}
    made = recipe(
        tmp_path,
        {"adapter as own": {**fit, "lr": 0.01}},
        {"ask as said": {"adapter": "own", "prompt": prompt, "temperature": 0, "max_tokens": 12}},
        {"copy": {"n": 1}},
    )
    made.write_text(json.dumps({**json.loads(made.read_text()), "let": {"k": 30}}))
    named = ("--model", f"chat.own=transformers:{tiny('llama')}")
    done = cli("augment", capitals(tmp_path), "-o", tmp_path / "out", "-r", made, "-q", *named)
    assert done.code == 0, done.err
    rows = [row for row in table(tmp_path / "out") if row["_synthetic"]]
    assert {row["country"]: row["said"] for row in rows} == {**CAPITALS, "Iran": "Narnia"}


@pytest.mark.parametrize(
    ("fit", "model", "error"),
    [
        ({}, "complete=openai:m@http://127.0.0.1:9/v1", "fits a model for complete further, and openai:m@"),
        ({"where": "kind == 'odd'"}, "llama", "2 rows are too few to fit a model to"),
        ({"input": "x" * 300 + "{{ country }}"}, "llama", "tokens, and the model reads 256 in all"),
        ({"role": "chat"}, "complete", "fits a model for chat further, and none is named"),
        ({"role": "chat", "model": "own"}, "llama", "further, and none is named: it has to run here"),
        ({"target": None}, "llama", "does not say what a model that plays complete is to write"),
        ({"role": "chat", "input": None}, "llama", "does not say what a model that chats is asked"),
        ({"input": ["country", "x"]}, "llama", "a model that goes on with texts is given one text"),
        ({"role": "chat", "input": ["country", "x"]}, "llama", "`country` holds none"),
        ({"role": "chat", "input": ["country"]}, "llama", "does not say what is asked about the image"),
    ],
)
def test_what_stops_a_run_before_it_asks(tiny: Tiny, tmp_path: Path, fit: Any, model: str, error: str):
    said = {"role": "complete", "input": "{{ country }}", "target": "capital", **fit}
    steps = [{"adapter as own": {key: value for key, value in said.items() if value}}]
    named = (
        model if "=" in model else f"{'complete' if model == 'complete' else said['role']}=transformers:{tiny('llama')}"
    )
    done = cli("augment", capitals(tmp_path), "-o", tmp_path / "out", "-r", recipe(tmp_path, *steps), "--model", named)
    assert done.code == 1
    assert error in done.error[0]


def test_a_step_that_asks_another_model_than_the_fitted_one(tiny: Tiny, tmp_path: Path):
    fit = {"adapter as own": {"role": "chat", "input": "country", "target": "capital"}}
    asks = {"ask": {"adapter": "own", "model": "other", "prompt": "{{ country }}"}}
    named = ("--model", f"chat=transformers:{tiny('llama')}", "--model", "chat.other=fake:shape")
    done = cli("augment", capitals(tmp_path), "-o", tmp_path / "out", "-r", recipe(tmp_path, fit, asks), *named)
    assert done.error[0].endswith("ask asks the model `other`, and the adapter `own` is fitted to another.")

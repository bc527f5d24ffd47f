"""What people see where a model, a budget or a prompt is wrong: two lines, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from asked import Ran, cli, ledger, output, process, recipe, source, table
from loopback.process import Listener, Server
from saying import Said, Saying, chat, error, rewrites


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    source(tmp_path)
    return tmp_path


def wrong(done: Ran, here: Path, code: int = 1) -> tuple[str, str]:
    """The two lines; nothing else is there now."""
    assert done.code == code, done.err + done.out
    assert done.out == ""
    assert not (here / "out").exists()
    assert sorted(f.name for f in here.iterdir() if f.suffix not in (".yaml", ".toml", ".csv")) == ["data.jsonl"]
    return done.error


def augment(*more: object, r: object = "auggpt") -> Ran:
    return cli("augment", "data.jsonl", "-o", "out", "-r", r, "--workers", 1, *more)


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["augment", "try", "plan"])
def test_nobody_is_named(command: str, here: Path):
    done = cli(command, "data.jsonl", "-o", "out", "-r", "auggpt")
    assert wrong(done, here) == (
        "ModelError: chat: recipe auggpt needs a model for the role chat, and none is named.",
        "Fix: --model chat=openai:gpt-5-mini, or one on this machine: --model"
        " chat=openai:gemma3@http://localhost:11434/v1",
    )


@pytest.mark.parametrize(
    ("said", "first", "fix"),
    [
        ("chat", "RecipeError: --model: chat is not ROLE=URI.", "Fix: --model chat=openai:gpt-5-mini"),
        ("chta=fake:shape", "RecipeError: --model: there is no role `chta`", "Fix: the nearest is `chat`."),
        ("chat=opanai:gpt-5", "ModelError: chat: `opanai:gpt-5` names no model.", "Fix: chat=openai:gpt-5"),
        ("chat=openai:", "ModelError: chat: `openai:` names no model.", "Fix: for example chat=openai:gpt-5-mini"),
        ("chat=gpt-5", "ModelError: chat: `gpt-5` names no model.", "Fix: for example chat=openai:gpt-5-mini"),
        ("chat=openai:m@http://", "ModelError: chat: `http:` is no address of a server.",
         "Fix: chat=openai:m@http://HOST:PORT/v1"),
        ("chat=openai:@http://localhost:1/v1", "ModelError: chat: `openai:@http://localhost:1/v1` names a server and",
         "Fix: chat=openai:MODEL@http://localhost:1/v1"),
        ("chat=recorded:none.csv", "DataError: none.csv: there is no such file.", "Fix: "),
        ("chat=recorded:data.jsonl", "DataError: data.jsonl has no column `parent` to take the parent from.",
         "Fix: recorded:data.jsonl?parent=COLUMN"),
    ],
)  # fmt: skip
def test_a_model_that_is_none(said: str, first: str, fix: str, here: Path):
    found = wrong(augment("--model", said), here)
    assert found[0].startswith(first)
    assert found[1].startswith(fix)


def test_nobody_listens(here: Path):
    with Listener() as gone:
        url = gone.url
    assert wrong(augment(f"--model=chat=openai:gemma3@{url}"), here) == (
        f"ModelError: chat: no server answers at {url} (connection refused).",
        "Fix: start it (for Ollama: ollama serve), or correct the URL after the @.",
    )


def test_a_host_that_is_nowhere(here: Path):
    first, fix = wrong(augment("--model=chat=openai:m@http://no-such-host.invalid/v1"), here)
    assert first.startswith("ModelError: chat: no server answers at http://no-such-host.invalid/v1 (")
    assert "correct the URL" in fix


def test_a_key_that_is_not_set(here: Path):
    assert wrong(augment("--model=chat=openai:gpt-5-mini"), here) == (
        "ModelError: chat: OPENAI_API_KEY is not set, and api.openai.com wants a key.",
        "Fix: export OPENAI_API_KEY=... with a valid key; leaven stores none.",
    )


def test_a_key_that_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "leaven.toml").write_text('[keys]\n"127.0.0.1" = "MY_KEY"\n')
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    with Server(key="sk-right") as server:
        first, fix = wrong(augment(f"--model=chat=openai:m@{server.url}"), here)
        assert sum(server.counts()["requests"].values()) <= 20
    assert first == f"ModelError: chat: 127.0.0.1:{server.port} refused the key in MY_KEY (401)."
    assert fix == "Fix: export MY_KEY=... with a valid key; leaven stores none."


def test_a_model_that_the_server_has_not(here: Path):
    with Server(models=["gemma3", "qwen3"]) as server:
        assert wrong(augment(f"--model=chat=openai:gemma33@{server.url}"), here) == (
            "ModelError: chat: the server has no model `gemma33`; it has gemma3, qwen3.",
            f"Fix: name one of them: openai:gemma3@{server.url}",
        )


def test_a_path_without_v1(here: Path):
    with Server() as server:
        first, fix = wrong(augment(f"--model=chat=openai:m@http://127.0.0.1:{server.port}"), here)
    assert "answers 404" in first
    assert "/v1" in fix


def test_answers_that_are_of_no_use(here: Path):
    source(here, 60)
    with Saying(lambda heard: chat("Sure! Here are 6")) as server:
        done = augment(f"--model=chat=openai:m@{server.url}")
    assert done.code == 1
    first, fix = done.error
    assert first == 'ModelError: chat: 20 answers of 20 were no valid object; the last began "Sure! Here are 6".'
    assert "a larger model" in fix
    assert not (here / "out" / "train").exists()


def test_hostile_words_of_a_server_do_nothing_to_a_terminal(here: Path):
    said = "\x1b[2J\x1b]0;title\x07\u202egnihton\r\nDone in 0:01.\x00"
    with Saying(
        lambda heard: error(404, said) if heard.path.endswith("completions") else Said({"data": [{"id": said}]})
    ) as s:
        first, fix = wrong(augment(f"--model=chat=openai:m@{s.url}"), here)
    assert not {"\x1b", "\x07", "\u202e", "\r", "\x00"} & set(first + fix)
    assert "\\x1b[2J" in first


def test_a_server_that_stays_busy(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("leaven.models.limiter.PATIENCE", 0.5)
    with Server(capacity=0) as server:
        first, following = wrong(augment(f"--model=chat=openai:m@{server.url}"), here)
    assert first.startswith("ModelError: chat: ")
    assert f"for {server.url}, which answers 429" in first
    assert following == "Next: raise the quota, then run the same command; what was answered is stored."


def test_a_used_up_quota(here: Path):
    with Saying(lambda heard: error(429, "no more", code="insufficient_quota")) as server:
        first, following = wrong(augment(f"--model=chat=openai:m@{server.url}"), here)
    assert "quota is used up" in first
    assert following.startswith("Next: raise the quota, then run the same command")


def test_an_error_in_the_middle_leaves_what_was_there(here: Path, server: Server):
    """A second command that goes wrong harms neither the finished run nor the answers."""
    assert augment(f"--model=chat=openai:m@{server.url}").code == 0
    before = output(here / "out"), len(ledger(here / "out"))
    said = (here / "out" / "run.json").read_bytes()
    with Listener() as gone:
        url = gone.url
    for r in ("auggpt", "mine.yaml"):
        recipe(here, "paraphrase: {n: 2, prompt: '{{ record.__class__ }}'}")
        done = augment(f"--model=chat=openai:other@{url}", r=r)
        assert done.code == 1
        assert output(here / "out") == before[0]
        assert len(ledger(here / "out")) == before[1]
    assert augment(f"--model=chat=openai:m@{server.url}").code == 0
    assert output(here / "out") == before[0]
    assert json.loads((here / "out" / "run.json").read_bytes())["counts"] == json.loads(said)["counts"]


def test_vectors_of_a_server_that_breaks(here: Path):
    made = recipe(here, "paraphrase: {n: 2}", "unique: {by: vector, at: 0.95}")
    with Saying(lambda heard: rewrites("one", "two") if heard.path.endswith("completions") else error(500, "oh")) as s:
        done = augment("--model=chat=fake:shape", f"--model=embed=openai:m@{s.url}", r=made)
    assert done.code == 1, done.err
    assert "500 oh" in done.error[0]


# -- the budget -------------------------------------------------------------------------------------------------------


def test_a_budget_without_a_price(here: Path):
    assert wrong(augment("--model=chat=openai:qwen3-32b@http://gpu-box:8000", "--budget", 2), here) == (
        "ModelError: chat: no price is known for qwen3-32b at http://gpu-box:8000; --budget 2 needs one.",
        'Fix: give it in leaven.toml, [prices] "qwen3-32b" = [IN, OUT], or use --limit N and no budget.',
    )


@pytest.mark.parametrize("said", ["-1", "two", "nan"])
def test_a_budget_that_is_none(said: str, here: Path):
    first, _ = wrong(augment("--model=chat=fake:shape", "--budget", said), here)
    assert "budget" in first


# -- extras -----------------------------------------------------------------------------------------------------------


def test_a_program_that_is_not_there(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(here))
    assert wrong(augment(r="back-translation"), here) == (
        "MissingExtra: translate = apertium:eng-spa: the program `apertium` is not on this machine.",
        "Fix: apt install apertium-eng-spa, or --model translate=openai:MODEL",
    )


# -- recipes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "first", "fix"),
    [
        ("paraphrase: {temprature: 0.5}", "RecipeError: mine.yaml line 3: paraphrase has no parameter `temprature`.",
         "Fix: the nearest is `temperature`; it takes "),
        ("parafrase: {n: 2}", "RecipeError: mine.yaml line 3: there is no operator `parafrase`.",
         "Fix: the nearest is `paraphrase`"),
        ("paraphrase: {n: 500}", "RecipeError: mine.yaml line 3: n is 500; paraphrase allows 1 to 50.", "Fix: n: 50"),
        ("paraphrase: {temperature: 3}", "RecipeError: mine.yaml line 3: temperature is 3; paraphrase allows 0 to 2.",
         "Fix: "),
        ("paraphrase: {top_p: 0}", "RecipeError: mine.yaml line 3: top_p is 0;", "Fix: "),
        ("paraphrase: {max_tokens: 0}", "RecipeError: mine.yaml line 3: max_tokens is 0;", "Fix: "),
        ("paraphrase: {prompt: '{{ record.__class__ }}'}",
         "RecipeError: mine.yaml line 3: the prompt reads record.__class__, which templates may not.",
         "Fix: use the fields of the record: {{ text }}, {{ label }}."),
        ("paraphrase: {prompt: '{{ txet }}'}", "RecipeError: mine.yaml line 3: ", "Fix: the nearest is `text`"),
        ("paraphrase: {prompt: '{{ text '}", "RecipeError: mine.yaml line 3: ", "Fix: "),
        ("paraphrase: {prompt: '{% for i in range(10**9) %}x{% endfor %}'}", "RecipeError: mine.yaml line 3: ",
         "Fix: "),
        ("paraphrase: {draw: {k: 2, same: lable}}", "RecipeError: mine.yaml line 3: ", "Fix: the nearest is `label`"),
        ("paraphrase: {draw: {k: 2, same: label, other: label}}",
         "RecipeError: mine.yaml line 3: `draw` has both `same` and `other`.", "Fix: leave out one of the two."),
        ("write: {n: 1}", "RecipeError: mine.yaml line 3: ", "Fix: "),
        ("paraphrase: {model: reader}", "ModelError: chat.reader: recipe mine needs a model for the role chat.reader",
         "Fix: --model chat.reader=openai:gpt-5-mini"),
    ],
)  # fmt: skip
def test_recipes_that_ask_wrongly(step: str, first: str, fix: str, here: Path):
    for named in ("--model=chat=fake:shape", "--model=chat=openai:m@http://127.0.0.1:9/v1"):
        found = wrong(augment(named, r=recipe(here, step)), here)
        assert found[0].startswith(first), found
        assert found[1].startswith(fix), found


def test_a_prompt_that_breaks_for_some_records_only(here: Path):
    """What a template may not do is the recipe's error, however late it shows."""
    made = recipe(here, "paraphrase: {n: 1, prompt: '{{ (text|length // (text|length - text|length)) }}'}")
    done = augment("--model=chat=fake:shape", r=made)
    assert done.code in (1, 3)
    assert "Traceback" not in done.err, done.err


@pytest.mark.parametrize(
    "option", [("--timeout", "0"), ("--concurrency", "0"), ("--limit", "0"), ("--header", "nothing")]
)
def test_options_that_are_out_of_bounds(option: tuple[str, str], here: Path):
    first, _ = wrong(augment("--model=chat=fake:shape", *option), here)
    assert option[0] in first or option[0] in _


# -- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"this is no database" * 100])
@pytest.mark.parametrize("command", ["augment", "try", "plan", "verify"])
def test_a_ledger_that_is_damaged(content: bytes, command: str, here: Path, server: Server):
    named = f"--model=chat=openai:m@{server.url}"
    assert augment(named).code == 0
    for file in (here / "out").glob("ledger.sqlite*"):
        file.unlink()
    (here / "out" / "ledger.sqlite").write_bytes(content)
    said = ["out"] if command == "verify" else ["data.jsonl", "-o", "out", "-r", "auggpt", named]
    done = cli(command, *said)
    assert "Traceback" not in done.err, done.err
    if content:
        assert done.code == 1
        assert "ledger.sqlite cannot be read" in done.error[0]
    elif command == "verify":
        assert done.code == 1
        assert "no answer is stored" in done.error[0]


def test_verify_of_what_is_no_finished_run(here: Path):
    for folder in ("nowhere", "."):
        done = cli("verify", folder)
        assert done.code == 1
        assert "holds no finished run" in done.error[0]
    assert not (here / "nowhere").exists()


def test_verify_of_another_ledger_says_so(here: Path, server: Server):
    named = f"--model=chat=openai:m@{server.url}"
    assert augment(named).code == 0
    with sqlite3.connect(here / "out" / "ledger.sqlite") as db:
        db.execute("DELETE FROM answers WHERE rowid = 3")
    db.close()
    done = cli("verify", "out", "--workers", 1)
    assert done.code == 1
    assert "no answer is stored" in done.error[0]
    with sqlite3.connect(here / "out" / "ledger.sqlite") as db:
        db.execute("DELETE FROM answers WHERE rowid > 4")
    db.close()
    assert "remove OUT/parts, and augment asks again" in done.error[1]
    shutil.rmtree(here / "out" / "parts")
    asked = sum(server.counts()["answered"].values())
    assert augment(named).code == 0
    assert sum(server.counts()["answered"].values()) == asked + 20 - 3
    assert cli("verify", "out", "--workers", 1).code == 0


def test_an_answer_that_was_changed_is_found(here: Path, server: Server):
    assert augment(f"--model=chat=openai:m@{server.url}").code == 0
    [row] = [row for row in ledger(here / "out") if row["record"] == table(here / "out")[0]["_id"]] or [
        ledger(here / "out")[0]
    ]
    answer = json.dumps({"text": json.dumps({"rewrites": ["another one"]}), "finish": "stop"})
    with sqlite3.connect(here / "out" / "ledger.sqlite") as db:
        db.execute("UPDATE answers SET answer = ? WHERE key = ?", (answer, row["key"]))
    db.close()
    done = cli("verify", "out", "--workers", 1)
    assert done.code == 1
    assert "differ" in done.out
    assert "Traceback" not in done.err


def test_a_folder_of_a_trial_is_not_left_where_nothing_was_answered(here: Path):
    with Listener() as gone:
        url = gone.url
    done = cli("try", "data.jsonl", "-o", "a/b/out", "-r", "auggpt", f"--model=chat=openai:m@{url}")
    assert done.code == 1
    assert not (here / "a").exists()


def test_the_command_says_the_same_from_a_shell(here: Path):
    done = process("augment", "data.jsonl", "-o", "out", "-r", "auggpt", "--model", "chta=fake:shape", cwd=here)
    assert wrong(done, here)[1] == "Fix: the nearest is `chat`."
    assert "\x1b" not in done.err

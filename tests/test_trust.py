"""What leaven must never do: send anything anywhere that the user did not name, or write a key down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import asked
from asked import Ran, failed, process, recipe, rows, source, table
from loopback.process import Listener, Server
from saying import Heard, Said, Saying, chat, error, rewrites

KEY = "sk-SECRET-0123456789abcdef"
TEAM = "team-SECRET-fedcba9876543210"
cli = partial(asked.cli, report=True)
"""With the report: it is looked through for secrets too."""


@pytest.fixture
def stranger() -> Iterator[Listener]:
    """A server that must hear nothing."""
    with Listener() as listener:
        yield listener
        assert listener.heard() == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that one is in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def hidden(folder: Path, *said: Ran) -> None:
    """No secret stands in any file below the folder, nor in what was said."""
    for secret in (KEY, TEAM):
        for file in folder.rglob("*"):
            if file.is_file():
                assert secret.encode() not in file.read_bytes(), f"{file} holds a secret"
        for ran in said:
            assert secret not in ran.out + ran.err, ran


# -- nothing is sent that the user did not name -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["augment", "try", "plan"])
def test_a_strangers_recipe_sends_nothing(command: str, here: Path, stranger: Listener):
    made = recipe(here, "paraphrase: {n: 2}", models={"chat": f"openai:x@{stranger.url}"})
    done = cli(command, source(here), "-r", made, *(["-o", here / "out"] if command == "augment" else []))
    assert done.code == 1
    first, fix = done.error
    assert first == "ModelError: chat: recipe mine needs a model for the role chat, and none is named."
    assert f"--model chat=openai:x@{stranger.url}" in fix  # it is the user who names it
    assert not (here / "out").exists()


def test_settings_beside_the_data_are_not_read(here: Path, tmp_path: Path, stranger: Listener):
    there = tmp_path / "there"
    there.mkdir()
    (there / "leaven.toml").write_text(
        f'[models]\nchat = "openai:x@{stranger.url}"\nembed = "openai:x@{stranger.url}"\n'
        f'[keys]\n"127.0.0.1" = "MY_KEY"\n'
    )
    made = recipe(there, "paraphrase: {n: 2}")
    done = cli("augment", source(there), "-o", there / "out", "-r", made)
    assert done.code == 1
    assert "none is named" in done.error[0]
    assert "wordllama" in cli("models").out
    done = cli("augment", source(there), "-o", there / "out")  # and no recipe is chosen by them
    assert done.code == 0
    assert json.loads((there / "out" / "run.json").read_text())["recipe"] == "classic-text"


def test_a_recipe_cannot_name_a_server_in_its_steps(here: Path, stranger: Listener):
    for step in (
        f"paraphrase: {{n: 2, model: 'openai:x@{stranger.url}'}}",
        f"write: {{n: 1, prompt: '{{{{ text }}}}', model: '{stranger.url}'}}",
    ):
        done = cli("augment", source(here), "-o", here / "out", "-r", recipe(here, step), "--model", "chat=fake:shape")
        assert done.code == 1, done.out
        assert "none is named" in done.error[0]


def test_what_stands_in_a_record_is_a_text(here: Path, stranger: Listener):
    """An address or a path in a row is neither opened nor fetched, whatever its column is called."""
    data = [
        {**row, "text": f"{row['text']} see {stranger.url}/x.png", "image": f"{stranger.url}/{i}.png",
         "audio": "/etc/passwd", "url": f"file:///etc/passwd?{i}"}
        for i, row in enumerate(rows(8))
    ]  # fmt: skip
    answer = f"![x]({stranger.url}/a.png) <img src='{stranger.url}/b.png'> file:///etc/passwd"
    with Saying(lambda heard: rewrites(answer, f"{stranger.url}/c")) as server:
        made = recipe(here, "paraphrase: {n: 2}", "unique")
        done = cli("augment", source(here, data), "-o", here / "out", "-r", made, "--text", "text", "--label", "label",
                   f"--model=chat=openai:m@{server.url}", "--workers", 1)  # fmt: skip
        assert done.code == 0, done.err
        assert cli("report", here / "out").code == 0
        asked = json.dumps([heard.body for heard in server.heard])
    assert "root:" not in asked
    assert b"root:x:" not in (here / "out" / "report.html").read_bytes()


def test_a_redirect_ends_the_run_and_the_key_stays(here: Path, stranger: Listener, monkeypatch: pytest.MonkeyPatch):
    (here / "leaven.toml").write_text('[keys]\n"127.0.0.1" = "MY_KEY"\n')
    monkeypatch.setenv("MY_KEY", KEY)
    moved = {"location": f"{stranger.url}/chat/completions?key={KEY}"}
    with Saying(lambda heard: Said(b"", 307, moved)) as server:
        done = cli("augment", source(here), "-o", "out", "-r", "auggpt", f"--model=chat=openai:m@{server.url}")
        assert {heard.headers["authorization"] for heard in server.heard} == {f"Bearer {KEY}"}
    assert done.code == 1
    assert "redirect" in done.error[0]
    hidden(here, done)
    assert not (here / "out").exists()


def test_no_password_is_taken_from_netrc(here: Path):
    home = here / "home"
    home.mkdir()
    (home / ".netrc").write_text(
        f"machine 127.0.0.1\n  login me\n  password {KEY}\nmachine localhost login me password x\n"
    )
    (home / ".netrc").chmod(0o600)
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")} | {"HOME": str(home)}
    env["NETRC"] = str(home / ".netrc")
    with Saying(lambda heard: rewrites("one", "two")) as server:
        made = recipe(here, "paraphrase: {n: 2}")
        done = process("augment", source(here, 4), "-o", "out", "-r", made, f"--model=chat=openai:m@{server.url}",
                       env=env, cwd=here)  # fmt: skip
        assert done.code == 0, done.err
        assert server.heard
        for heard in server.heard:
            assert "authorization" not in heard.headers
            assert "proxy-authorization" not in heard.headers
            assert "cookie" not in heard.headers


def test_a_server_cannot_leave_a_cookie(here: Path):
    with Saying(lambda heard: Said(chat("yes").body, headers={"set-cookie": "a=b"})) as server:
        made = recipe(here, "write: {n: 1, prompt: 'Say {{ text }}'}")
        cli(
            "augment",
            source(here, 4),
            "-o",
            "out",
            "-r",
            made,
            f"--model=chat=openai:m@{server.url}",
            "--concurrency",
            1,
        )
        assert server.heard
        assert not any("cookie" in heard.headers for heard in server.heard)


@pytest.mark.parametrize(
    "slip", ["gemma3@localhost:11434/v1", "gemma3@127.0.0.1:8000", "m@gpu-box:8000/v1", "m@api.example.com/v1",
             "m@ftp://gpu-box/v1", "m@htp://localhost:1/v1"],
)  # fmt: skip
def test_an_address_without_http_is_no_part_of_the_models_name(slip: str, here: Path, monkeypatch: pytest.MonkeyPatch):
    """It would go to api.openai.com, with the key, though a server of one's own is meant."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Listener() as home:
        monkeypatch.setenv("OPENAI_BASE_URL", home.url)
        done = cli("augment", source(here), "-o", "out", "-r", "auggpt", "--model", f"chat=openai:{slip}")
        assert home.heard() == []
    assert done.code == 1
    first, fix = done.error
    assert "no address that begins with http" in first
    model, _, rest = slip.partition("@")
    assert f"chat=openai:{model}@http://{rest.rpartition('//')[2]}" in fix
    assert not (here / "out").exists()


@pytest.mark.parametrize("model", ["gpt-4o@2024-08-06", "@cf/meta/llama-3.1-8b-instruct", "claude-3-5@20240620",
                                   "ft:gpt-4o:acme:x:7p4l", "org/model:free"])  # fmt: skip
def test_names_of_models_may_hold_an_at(model: str, here: Path, monkeypatch: pytest.MonkeyPatch):
    with Saying(lambda heard: rewrites("one", "two")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        for uri in (f"openai:{model}", f"openai:{model}@{server.url}"):
            done = cli("try", source(here, 4), "-n", 1, "-r", "auggpt", "--model", f"chat={uri}")
            assert done.code == 0, done.err
        assert {heard.body["model"] for heard in server.heard} == {model}


def test_a_password_in_an_address_is_refused(here: Path, stranger: Listener):
    url = stranger.url.replace("http://", f"http://me:{KEY}@")
    for command in (["augment", source(here), "-o", "out", "-r", "auggpt"], ["models"]):
        done = cli(*command, "--model", f"chat=openai:m@{url}")
        assert done.code == 1
        assert "password" in done.error[0]
        hidden(here, done)


# -- no key is written anywhere ---------------------------------------------------------------------------------------


@pytest.fixture
def keyed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key for this machine, and a header of one's own."""
    (here / "leaven.toml").write_text('[keys]\n"127.0.0.1" = "MY_KEY"\n[prices]\nm = [1, 1]\n')
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return here


HEADERS = ["--header", f"X-Team={TEAM}", "--header", f"X-More: Bearer {TEAM}"]


def test_the_key_and_the_headers_are_sent_and_stand_in_no_file(keyed: Path):
    def reply(heard: Heard) -> Said:
        assert heard.headers["authorization"] == f"Bearer {KEY}"
        assert (heard.headers["x-team"], heard.headers["x-more"]) == (TEAM, f"Bearer {TEAM}")
        return rewrites("one", "two")

    with Saying(reply) as server:
        named = f"--model=chat=openai:m@{server.url}"
        said = [source(keyed), "-o", "out", "-r", "auggpt", named, *HEADERS]
        ran = [
            cli("plan", *said),
            cli("try", *said, "-n", 2),
            cli("augment", *said, "--workers", 2),
            cli("models", named),
            cli("report", "out"),
            cli("verify", "out", "--workers", 1),
        ]
        assert [r.code for r in ran[:3]] == [0, 0, 0], ran
        assert len(server.heard) >= 20
    hidden(keyed, *ran)


ECHOES = [
    error(400, f"bad request: Authorization: Bearer {KEY}, X-Team: {TEAM}"),
    error(401, f"Incorrect API key provided: {KEY}"),
    error(403, f"{TEAM} may not use {KEY}"),
    error(404, f"{KEY} knows no such model"),
    error(429, f"{TEAM} has used up its quota", code="insufficient_quota"),
    error(500, f"cannot forward Bearer {KEY} of {TEAM}"),
    Said(f"<html>{KEY} {TEAM}</html>".encode(), 502),
    Said(f"<html>{KEY} {TEAM}</html>".encode()),
    Said({"choices": [{"message": {"refusal": f"{KEY} {TEAM}"}}]}),
    chat(f"you sent {KEY} and {TEAM}"),
]


@pytest.mark.parametrize("said", ECHOES, ids=lambda s: f"{s.status}")
def test_a_server_that_says_back_what_it_was_sent_betrays_nothing(
    said: Said, keyed: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("leaven.models.limiter.SHORTEST", 0.001)
    monkeypatch.setattr("leaven.models.asker.HOPELESS", 8)
    count = iter(range(10**9))
    with Saying(lambda heard: rewrites("one", "two") if next(count) % 3 == 0 else said) as server:
        made = recipe(keyed, "paraphrase: {n: 2}")
        command = [
            "augment",
            source(keyed, 12),
            "-o",
            "out",
            "-r",
            made,
            f"--model=chat=openai:m@{server.url}",
            *HEADERS,
        ]
        ran = [cli(*command), cli("try", *command[1:], "-n", 3), cli("models", command[6])]
    assert ran[0].code in (0, 1, 3)
    assert "Traceback" not in ran[0].err, ran[0].err
    hidden(keyed, *ran)


@pytest.mark.parametrize("key", [f"{KEY}\nx", f"{KEY} x", f"{KEY}\u00e9", "\u200b" + KEY])
def test_a_key_that_is_none_is_not_printed(key: str, keyed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", key)
    with Server() as server:
        done = cli("augment", source(keyed), "-o", "out", "-r", "auggpt", f"--model=chat=openai:m@{server.url}")
        assert server.counts()["requests"] == {}
    assert done.code == 1
    assert done.error[0].startswith("ModelError: chat: MY_KEY holds a blank, a line break or a letter")
    hidden(keyed, done)


@pytest.mark.parametrize("header", [f"X-Team{TEAM}", f"X-Team={TEAM}\r\nX-More: x", f"={TEAM}"])
def test_a_header_that_is_none_is_not_printed(header: str, keyed: Path):
    with Server() as server:
        done = cli("augment", source(keyed), "-o", "out", "-r", "auggpt", f"--model=chat=openai:m@{server.url}",
                   "--header", header)  # fmt: skip
        assert server.counts()["requests"] == {}
    assert done.code == 1, done.err
    assert "--header" in done.error[0]
    hidden(keyed, done)


def test_a_key_goes_to_its_own_host_of_two(keyed: Path):
    """Two servers in one run: the key of one is not sent to the other."""
    (keyed / "leaven.toml").unlink()
    with Saying(lambda heard: rewrites("one")) as mine, Saying(lambda heard: rewrites("one")) as other:
        (keyed / "leaven.toml").write_text(f'[keys]\n"127.0.0.1:{mine.port}" = "MY_KEY"\n')
        made = recipe(keyed, "paraphrase: {n: 1}", "paraphrase as again: {n: 1, model: other}")
        done = cli("augment", source(keyed, 6), "-o", "out", "-r", made, f"--model=chat=openai:m@{mine.url}",
                   f"--model=chat.other=openai:m@{other.url}")  # fmt: skip
        assert done.code == 0, done.err
        assert {heard.headers.get("authorization") for heard in mine.heard} == {f"Bearer {KEY}"}
        assert {heard.headers.get("authorization") for heard in other.heard} == {None}


def test_failed_records_keep_their_raw_answers_without_secrets(keyed: Path):
    said = error(400, f"flagged for {KEY}", code="policy")
    count = iter(range(10**9))
    with Saying(lambda heard: rewrites("one") if next(count) else said) as server:
        made = recipe(keyed, "paraphrase: {n: 1}")
        cli("augment", source(keyed, 4), "-o", "out", "-r", made, f"--model=chat=openai:m@{server.url}", *HEADERS)
    [row] = failed(keyed / "out")
    assert "flagged for ***" in row["_error"]
    assert "flagged for ***" in row["_answers"][0]
    assert len(table(keyed / "out")) == 4 + 3

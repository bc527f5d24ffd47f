"""leaven.toml: what it holds, where it is read from, and what is said of each mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.models.config import Config, load

GOOD = """
# who plays
[models]
chat = "openai:gpt-5-mini"
"chat.small" = "openai:gemma3@http://localhost:11434/v1"
embed = "wordllama:"

[keys]
"api.groq.com" = "GROQ_API_KEY"
API.Mistral.ai = "MISTRAL_API_KEY"
"gpu-box:8000" = "GPU_BOX"
"[::1]:9" = "here"

[prices]
"qwen3-32b" = [0.1, 0.4]
gpt-4.1 = [2, 8]
"openai/gpt-oss-20b:free" = [0, 0.0]
"""
KEY = "sk-proj-abcdefghijklmnop1234"


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "leaven.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_what_stands_in_it(tmp_path: Path):
    assert load(written(tmp_path, GOOD)) == Config(
        models={
            "chat": "openai:gpt-5-mini",
            "chat.small": "openai:gemma3@http://localhost:11434/v1",
            "embed": "wordllama:",
        },
        keys={
            "api.groq.com": "GROQ_API_KEY",
            "api.mistral.ai": "MISTRAL_API_KEY",
            "gpu-box:8000": "GPU_BOX",
            "[::1]:9": "here",
        },
        prices={"qwen3-32b": (0.1, 0.4), "gpt-4.1": (2.0, 8.0), "openai/gpt-oss-20b:free": (0.0, 0.0)},
    )


def test_none_is_an_empty_one(tmp_path: Path):
    assert load(tmp_path) == Config()
    assert load(written(tmp_path, "")) == Config()
    assert load(written(tmp_path, "\ufeff[models]\r\nchat = 'fake:shape'\r\n")).models == {"chat": "fake:shape"}


def test_only_the_current_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    written(tmp_path, "[models]\nchat = 'fake:shape'\n")
    monkeypatch.chdir(tmp_path)
    assert load().models == {"chat": "fake:shape"}
    monkeypatch.chdir(inner)
    assert load() == Config()


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        ("[models]\nchat = openai:gpt\n", 2, "it is no TOML", "in quotes"),
        ("[models]\nchat = 'a:b'\nchat = 'c:d'\n", 3, "it is no TOML", "in quotes"),
        ("[models]\nchat = 'a:b'\nchat.small = 'c:d'\n", 3, "it is no TOML", "in quotes"),
        ("[models\n", 1, "it is no TOML", ""),
        ("a = " + "[" * 5000, 0, "it is no TOML", ""),
        ("[prices]\nm = [" + "9" * 5000 + ", 1]", 0, "", ""),
        (b"[models]\n# caf\xe9\n", 2, "not UTF-8", "UTF-8"),
        ("\n[model]\nchat = 'fake:shape'\n", 2, "there is no table [model]", "the nearest is `models`"),
        ("[server]\nport = 1\n", 1, "there is no table [server]", "models, keys, prices"),
        ("chat = 'fake:shape'\n", 1, "there is no table [chat]", "[models]"),
        ("models = 3\n", 1, "`models` is no table", "[models]"),
        ("[models]\n# chat\nchatt = 'fake:shape'\n", 3, "no role `chatt`", "the nearest is `chat`"),
        ("models = { chatt = 'fake:shape' }\n", 1, "no role `chatt`", "the nearest is `chat`"),
        ("[models]\n'chat.' = 'fake:shape'\n", 2, "no role", ""),
        ("[models]\nchat = 3\n", 2, "[models] chat is no text", '"chat" = "openai:gpt-5-mini"'),
        ("[models]\nchat = ''\n", 2, "[models] chat is no text", ""),
        ("[models.chat]\nsmall = 1\n", 2, "[models] chat.small is no text", ""),
        ("[keys]\n'https://api.groq.com/v1' = 'GROQ_API_KEY'\n", 2, "is no host", '"api.groq.com" = ...'),
        ("[keys]\n'a b' = 'GROQ_API_KEY'\n", 2, "is no host", '"api.groq.com" = "GROQ_API_KEY"'),
        ("[keys]\n'a.b' = 'X'\n'A.B.' = 'Y'\n", 3, "names A.B. twice", "one of the two"),
        ("[keys]\n'a.b' = 1\n", 2, "does not hold the name", '"a.b" = "A_API_KEY"'),
        (f"[keys]\n'api.groq.com' = '{KEY}'\n", 2, "does not hold the name", '"api.groq.com" = "GROQ_API_KEY"'),
        (f"[keys]\napi.groq.com = 'gsk_{KEY[8:]}'\n", 2, "does not hold the name", '"GROQ_API_KEY"'),
        ("[models]\nchat='fake:shape'\n[prices]\n'chat' = 3\n", 4, "[prices] chat is no pair", "= [0.1, 0.4]"),
        ("[prices]\nm = [1]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = [1, 2, 3]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = [1, -2]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = [1, nan]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = [1, inf]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = [true, 1]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = ['1', 2]\n", 2, "is no pair of prices", ""),
        ("[prices]\nm = {input = 1, output = 2}\n", 2, "is no pair of prices", ""),
        ("#" * 1_000_001, 0, "larger than 1,000,000 bytes", ""),
    ],
)
def test_what_is_wrong_and_where(tmp_path: Path, text: str | bytes, line: int, what: str, fix: str):
    with pytest.raises(DataError) as caught:
        load(written(tmp_path, text))
    said = caught.value
    if line:
        assert said.where == f"{tmp_path / 'leaven.toml'} line {line}"
    assert what in said.what
    assert fix in said.fix
    assert len(str(said).splitlines()) == 2


@pytest.mark.parametrize("key", [KEY, "gsk_" + KEY[8:], "hf_AbCdEfGhIjKlMnOpQr12", "two words", "a.b"])
def test_a_key_in_the_file_is_never_repeated(tmp_path: Path, key: str):
    with pytest.raises(DataError) as caught:
        load(written(tmp_path, f"[keys]\n'api.x.com' = '{key}'\n"))
    assert key not in str(caught.value)


def test_what_cannot_be_opened(tmp_path: Path):
    (tmp_path / "leaven.toml").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)


@given(st.binary(max_size=200) | st.text("[]modelskyprice.=\"'\n 1", max_size=80).map(str.encode))
def test_any_bytes_are_a_config_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes):
    folder = written(tmp_path_factory.mktemp("any"), raw)
    try:
        found: Config | DataError = load(folder)
    except DataError as error:
        found = error
    assert isinstance(found, Config) or str(folder / "leaven.toml") in found.where

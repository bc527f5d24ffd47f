"""One call over HTTP: what a server may answer, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from leaven.errors import LeavenError, ModelError
from leaven.models.asker import Asker
from leaven.models.budget import Budget
from leaven.models.calls import About, CallFailed
from leaven.models.config import Config
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.players import Players
from loopback.process import Listener, Server
from saying import Heard, Said, Saying, chat, error


class Words(BaseModel):
    words: list[str]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without a pause; no variable of this machine is read."""
    sleep = asyncio.sleep
    monkeypatch.setattr("leaven.models.limiter.asyncio.sleep", lambda s: sleep(min(s, 0.01)))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Asked:
    """One model, asked in this process."""

    def __init__(self, url: str, model: str = "m", *, timeout: float = 5.0, config: Config | None = None) -> None:
        self.players = Players(
            {"chat": f"openai:{model}@{url}"}, config or Config(), recording=lambda said: [], timeout=timeout
        )
        self.ledger = Ledger(None)
        self.asker = Asker(self.ledger, Budget(None, 0.0))
        self.said: list[str] = []
        self.asker.say = lambda text, *, warning=True: self.said.append(text)
        self.conversation = Conversation(self.asker, self.players)

    def __call__(self, *prompts: str, shape: type[BaseModel] | None = None, **sampling: Any) -> list[Any]:
        """What each prompt got: a text, an object, or the error."""

        async def work() -> list[Any]:
            about = [About("step", 0, f"{i} {prompt[:20]!r}") for i, prompt in enumerate(prompts)]
            asking: list[Any] = [
                self.conversation.chat([{"role": "user", "content": p}], a, shape=shape, **sampling)
                for p, a in zip(prompts, about, strict=True)
            ]
            try:
                return await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 20)
            finally:
                await self.players.close()

        try:
            return asyncio.run(work())
        finally:
            self.ledger.close()


def one(reply: Said | Callable[[Heard], Said], *, shape: type[BaseModel] | None = None, **how: Any) -> tuple[Any, int]:
    """What came of a call, and how many requests it took."""
    with Saying(reply if callable(reply) else lambda heard: reply) as server:
        [found] = Asked(server.url, **how)("hello", shape=shape)
        return found, len(server.heard)


# -- answers that are of use -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (chat("yes"), "yes"),
        (chat([{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}]), "yes"),
        (chat("<think>\nIs it no? No.\n</think>\n\nyes"), "yes"),
        (chat("  yes \n", finish="length"), "yes"),
        (chat("yes \U0001f600 é"), "yes \U0001f600 é"),
        (chat("yes", usage={"prompt_tokens": 3, "completion_tokens": 1}), "yes"),
        (chat("yes", usage={}), "yes"),
        (Said({"choices": [{"message": {"content": "yes"}}]}), "yes"),
    ],
)
def test_answers_in_the_forms_that_servers_have(said: Said, text: str):
    assert one(said) == (text, 1)


@pytest.mark.parametrize("usage", [None, "", "none", [], [3], {"prompt_tokens": "many", "completion_tokens": None},
                                   {"prompt_tokens": -5, "completion_tokens": -1},
                                   {"prompt_tokens": 10**30, "completion_tokens": 1e400},
                                   {"prompt_tokens": {"text": 3}}])  # fmt: skip
def test_tokens_are_estimated_where_a_server_counts_none_or_nonsense(usage: Any):
    said = chat("one two three")
    assert isinstance(said.body, dict)
    said.body["usage"] = usage
    with Saying(lambda heard: said) as server:
        asked = Asked(server.url)
        assert asked("hello") == ["one two three"]
        assert 1 < asked.asker.spend.tokens_in < 100
        assert 1 < asked.asker.spend.tokens_out < 20


@pytest.mark.parametrize("prompt", ["caf\u00e9 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202e abc \x00 \x1b[31m",
                                    "half \ud83d a character", "\udc00"])  # fmt: skip
def test_any_text_can_be_asked(prompt: str):
    with Saying(lambda heard: chat("yes")) as server:
        assert Asked(server.url)(prompt) == ["yes"]
        [heard] = server.heard
        assert heard.prompt == prompt.encode("utf-8", "replace").decode()


def test_half_a_character_in_an_answer_is_no_harm():
    """A JSON answer may hold the escape of half a character, which no file and no database takes."""
    raw = rb'{"choices": [{"message": {"content": "half \ud83d a character"}, "finish_reason": "stop"}]}'
    found, _ = one(Said(raw))
    assert isinstance(found, str | CallFailed)
    if isinstance(found, str):
        found.encode()
        assert "a character" in found


# -- answers that are of none ------------------------------------------------------------------------------------------


BROKEN = {
    "no JSON": Said(b"<html>upstream connect error</body>"),
    "no object": Said(b"[1, 2]"),
    "no choices": Said({"object": "chat.completion"}),
    "choices of nothing": Said({"choices": []}),
    "choices that are none": Said({"choices": ["yes"]}),
    "a message that is none": Said({"choices": [{"message": "yes"}]}),
    "half a body": Said(b'{"choices": [{"mess', claim=500),
    "deep": Said(b"[" * 200_000),
    "not UTF-8": Said(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "500": error(500, "oh no"),
    "502 of a gateway": Said(b"<html>Bad Gateway</html>", 502),
    "503": error(503, "overloaded"),
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=list(BROKEN))
def test_what_may_be_better_the_next_time_is_tried_five_times(said: Said):
    found, requests = one(said)
    assert isinstance(found, CallFailed)
    assert (found.reason, requests) == ("server_error", 5)
    assert "5 tries" in found.detail


@pytest.mark.parametrize("said", BROKEN.values(), ids=list(BROKEN))
def test_the_second_try_may_do(said: Said):
    answers = iter([said, said])
    assert one(lambda heard: next(answers, chat("yes"))) == ("yes", 3)


def test_a_silent_server_times_out():
    with Server(hostile=1.0, hostile_kinds=("never",)) as server:
        [found] = Asked(server.url, timeout=0.1)("hello")
        assert isinstance(found, CallFailed)
        assert found.reason == "timed_out"
        assert sum(server.counts()["bodies"].values()) == 5


def test_an_answer_of_40_mb_is_refused_before_it_is_read():
    found, requests = one(Said(b"{}", claim=40 * 2**20))
    assert isinstance(found, CallFailed)
    assert (found.reason, requests) == ("server_error", 5)
    assert "41,943,042 bytes" in found.detail


def test_an_endless_answer_of_unknown_length_is_cut_off():
    chunk = b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n"
    found, _ = one(Said(chunk * 40 + b"0\r\n\r\n", headers={"transfer-encoding": "chunked"}))
    assert isinstance(found, CallFailed)
    assert "33,554,432 bytes" in found.detail


@pytest.mark.parametrize(
    "said",
    [chat(None, refusal="I cannot help with that."), chat("", finish="content_filter"),
     error(400, "The prompt was flagged.", code="content_policy_violation"), error(413, "too long")],
)  # fmt: skip
def test_what_a_provider_will_not_answer_is_asked_once(said: Said):
    found, requests = one(said)
    assert isinstance(found, CallFailed)
    assert (found.reason, requests) == ("provider_refused", 1)


@pytest.mark.parametrize("said", [chat(""), chat(None), chat("<think>hm</think>"), chat([])])
def test_an_empty_answer_is_of_no_use(said: Said):
    found, _ = one(said)
    assert isinstance(found, CallFailed)
    assert found.reason == "no_valid_json"


# -- parameters that a server refuses ----------------------------------------------------------------------------------


def test_each_refused_parameter_is_left_out_once_and_for_all():
    with Server(
        refuse=("temperature", "max_tokens", "response_format"), script=[{"match": "h", "answer": '["a"]'}]
    ) as s:
        asked = Asked(s.url)
        found = asked(*[f"hello {i}" for i in range(40)], shape=Words, temperature=0.5, max_tokens=77)
        assert found == [Words(words=["a"])] * 40
        bodies = s.bodies()
        good = [b for b in bodies if not {"temperature", "max_tokens", "response_format"} & set(b)]
        assert len(good) == 40
        assert {b["max_completion_tokens"] for b in good} == {77}
        assert asked.said == [f"m refuses `{name}`: it is asked without it." for name in
                              ("temperature", "max_tokens", "response_format")]  # fmt: skip


def test_a_server_that_refuses_both_names_of_a_limit_is_asked_without():
    with Server(refuse=("max_tokens", "max_completion_tokens")) as server:
        assert isinstance(Asked(server.url)("hello")[0], str)
        assert [set(b) & {"max_tokens", "max_completion_tokens"} for b in server.bodies()] == [
            {"max_tokens"}, {"max_completion_tokens"}, set()
        ]  # fmt: skip


def test_a_server_that_refuses_for_ever_is_not_asked_for_ever():
    found, requests = one(error(400, "temperature, max_tokens, stop: no.", param="temperature"))
    assert isinstance(found, CallFailed)
    assert found.reason == "provider_refused"
    assert requests < 5


def test_a_prompt_that_is_too_long_is_no_refused_parameter():
    """Its length is this prompt's trouble: the others still go with their limit, which a budget needs."""
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 4096"
        " tokens and your request has 4000 input tokens."
    )
    limits = []

    def reply(heard: Heard) -> Said:
        limits.append(heard.body.get("max_tokens"))
        return error(400, message, param="max_tokens") if "long" in heard.prompt else chat("yes")

    with Saying(reply) as server:
        asked = Asked(server.url)
        long, *short = asked("long", *["short"] * 3)
    assert isinstance(long, CallFailed)
    assert long.reason == "provider_refused"
    assert short == ["yes"] * 3
    assert set(limits) == {1024}


# -- servers that are not there, or another one ------------------------------------------------------------------------


def stopped(found: Any) -> ModelError:
    assert isinstance(found, ModelError), found
    assert found.where == "chat"
    return found


def test_a_redirect_is_not_followed():
    with Listener() as elsewhere, Server(redirect=elsewhere.url + "/chat/completions") as server:
        [found] = Asked(server.url)("hello")
        error = stopped(found)
        assert "redirect" in error.what
        assert "@" in error.fix
        assert sum(server.counts()["requests"].values()) == 1
        assert elsewhere.heard() == []


def test_nobody_listens():
    with Listener() as gone:
        url = gone.url
    began = time.monotonic()
    [found] = Asked(url)("hello")
    error = stopped(found)
    assert error.what == f"no server answers at {url} (connection refused)."
    assert error.fix == "start it (for Ollama: ollama serve), or correct the URL after the @."
    assert time.monotonic() - began < 5


def test_a_model_that_the_server_does_not_have():
    with Server(models=["gemma3", "qwen3"]) as server:
        [found] = Asked(server.url, "gemma33")("hello")
        error = stopped(found)
        assert error.what == "the server has no model `gemma33`; it has gemma3, qwen3."
        assert f"openai:gemma3@{server.url}" in error.fix


def test_a_path_that_is_wrong():
    with Server() as server:
        [found] = Asked(server.url.removesuffix("/v1"))("hello")
        error = stopped(found)
        assert "404" in error.what
        assert "/v1" in error.fix


def test_a_server_that_then_lists_its_models_for_ever_is_not_waited_for():
    def reply(heard: Heard) -> Said:
        if heard.path.endswith("/models"):
            time.sleep(3)
        return error(404, "no such model")

    with Saying(reply) as server:
        began = time.monotonic()
        [found] = Asked(server.url, timeout=0.3)("hello")
        assert time.monotonic() - began < 2
        assert "404" in stopped(found).what


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_and_none(status: int, monkeypatch: pytest.MonkeyPatch):
    found, requests = one(error(status, "Incorrect API key provided: sk-SECRET."))
    wrong = stopped(found)
    assert requests == 1
    assert f"wants a key ({status})" in wrong.what
    assert "[keys]" in wrong.fix
    monkeypatch.setenv("MY_KEY", "sk-SECRET")
    with Saying(lambda heard: error(status, "Incorrect API key provided: sk-SECRET.")) as server:
        [found] = Asked(server.url, config=Config(keys={f"127.0.0.1:{server.port}": "MY_KEY"}))("hello")
        wrong = stopped(found)
        assert f"refused the key in MY_KEY ({status})" in wrong.what
        assert "SECRET" not in str(wrong)


def test_a_used_up_quota_stops_the_run():
    found, requests = one(error(429, "You exceeded your current quota.", code="insufficient_quota"))
    assert "quota" in stopped(found).what
    assert found.next_step
    assert requests == 1


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://host:99999/v1", "http://:80/v1", "http://a b/v1",
                                 "http://\u2028/v1", "https://ex..ample/v1"])  # fmt: skip
def test_an_address_that_is_none(url: str):
    """An error of the run, said in two lines: not a failed record, and no traceback."""
    try:
        [found] = Asked(url)("hello")
    except LeavenError as error:
        found = error
    assert isinstance(found, ModelError), repr(found)


# -- where the key goes ------------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Saying]:
    with Saying(lambda heard: chat("yes")) as server:
        monkeypatch.setenv("MY_KEY", "sk-mine")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
        yield server


def test_the_key_goes_into_one_header_of_the_host_it_is_named_for(keyed: Saying):
    assert Asked(keyed.url, config=Config(keys={"127.0.0.1": "MY_KEY"}))("hello") == ["yes"]
    [heard] = keyed.heard
    assert heard.headers["authorization"] == "Bearer sk-mine"
    rest = {n: v for n, v in heard.headers.items() if n != "authorization"}
    assert "sk-" not in json.dumps([heard.path, rest, heard.body])


@pytest.mark.parametrize("keys", [{}, {"example.com": "MY_KEY"}, {"127.0.0.1:1": "MY_KEY"}, {"localhost": "MY_KEY"}])
def test_another_host_gets_no_key(keyed: Saying, keys: dict[str, str]):
    assert Asked(keyed.url, config=Config(keys=keys))("hello") == ["yes"]
    [heard] = keyed.heard
    assert "authorization" not in heard.headers


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_what_is_asked_of_this_machine_goes_through_no_proxy(name: str, monkeypatch: pytest.MonkeyPatch):
    with Listener() as proxy, Saying(lambda heard: chat("yes")) as server:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert Asked(server.url, timeout=1.0)("hello") == ["yes"]
        assert proxy.heard() == []

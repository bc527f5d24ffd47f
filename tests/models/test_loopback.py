"""The loopback server keeps to the protocol, as OpenAI's own client reads it, and to what it is told."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from loopback.draws import Draws, digest
from loopback.options import KINDS
from loopback.process import Listener, Server
from loopback.schema import Maker

ROOT = Path(__file__).parents[2]
ASK = [{"role": "user", "content": "Where is the card that I ordered last week?"}]


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as made:
        yield made


class Reworded(BaseModel):
    """An answer with a bound of every sort."""

    class One(BaseModel):
        text: str = Field(min_length=1, max_length=60)
        tone: Literal["plain", "polite"]
        sure: float = Field(gt=0, lt=1)
        stars: int = Field(ge=1, le=5)

    texts: list[One] = Field(min_length=2, max_length=4)
    best: One
    note: str | None


def post(server: Server, body: bytes, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of one request, without any client's own ideas."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        link.request("POST", path, body, headers)
        came = link.getresponse()
        return came.status, came.headers, came.read()
    finally:
        link.close()


def chat_body(text: str, **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()


def content(server: Server, text: str, **more: Any) -> str:
    status, _, body = post(server, chat_body(text, **more))
    assert status == 200, body
    found: str = json.loads(body)["choices"][0]["message"]["content"]
    return found


# What the official client reads


def test_chat(client: openai.OpenAI):
    made = client.chat.completions.create(model="gpt-x", messages=ASK, n=2, logprobs=True, top_logprobs=3)
    assert (made.object, made.model, made.id[:9]) == ("chat.completion", "gpt-x", "chatcmpl-")
    first, second = made.choices
    assert (first.message.role, first.finish_reason, second.index) == ("assistant", "stop", 1)
    assert first.message.content != second.message.content
    assert {"card", "ordered", "week?"} <= set(str(first.message.content).split())
    assert made.usage is not None
    assert made.usage.prompt_tokens == 9
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    assert first.logprobs is not None
    tokens = first.logprobs.content or []
    assert "".join(token.token for token in tokens) == first.message.content
    assert all(len(token.top_logprobs) == 3 and token.logprob < 0 for token in tokens)
    assert all(token.top_logprobs[0].token == token.token for token in tokens)


def test_async_chat(server: Server):
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as client:
            made = await asyncio.gather(
                *(client.chat.completions.create(model="m", messages=ASK, seed=i) for i in range(5))
            )
            return [one.choices[0].message.content for one in made]

    assert len(set(asyncio.run(ask()))) == 5
    assert server.counts()["authorization"] == ["Bearer sk-test"]


def test_chat_in_a_shape(client: openai.OpenAI):
    made = client.chat.completions.parse(model="m", messages=ASK, response_format=Reworded)
    found = made.choices[0].message.parsed
    assert found is not None
    assert len({one.text for one in found.texts}) == len(found.texts) == 4
    assert isinstance(found.note, str)


def test_chat_is_cut_at_max_tokens(client: openai.OpenAI):
    made = client.chat.completions.create(model="m", messages=ASK, max_completion_tokens=3)
    assert made.choices[0].finish_reason == "length"
    assert made.usage is not None
    assert made.usage.completion_tokens == len(str(made.choices[0].message.content).split()) == 3
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="m", messages=ASK, response_format=Reworded, max_completion_tokens=3)


def test_completion_with_echo_and_logprobs(client: openai.OpenAI):
    prompt = "The card has not come. It was ordered in May. "
    made = client.completions.create(model="m", prompt=prompt, max_tokens=4, logprobs=2, echo=True).choices[0]
    assert made.text.startswith(prompt)
    assert made.logprobs is not None
    tokens, offsets = made.logprobs.tokens or [], made.logprobs.text_offset or []
    assert "".join(tokens) == made.text
    assert [made.text[at : at + len(token)] for token, at in zip(tokens, offsets)] == tokens
    likely, logprobs = made.logprobs.top_logprobs or [], made.logprobs.token_logprobs or []
    assert likely[0] is None
    assert logprobs[0] is None
    for token, logprob, others in list(zip(tokens, logprobs, likely))[1:]:
        assert len(others) == 2
        assert max(others.values()) == others[token] == logprob < 0
    alone = client.completions.create(model="m", prompt=prompt, max_tokens=0, logprobs=2, echo=True).choices[0]
    assert alone.text == prompt
    assert alone.logprobs is not None
    assert alone.logprobs.token_logprobs == logprobs[: len(alone.logprobs.tokens or [])]


def test_completion_without_echo(client: openai.OpenAI):
    made = client.completions.create(model="m", prompt=["one two three", "four five six"], max_tokens=2, logprobs=0)
    assert [choice.index for choice in made.choices] == [0, 1]
    for choice in made.choices:
        assert choice.finish_reason == "length"
        assert choice.logprobs is not None
        assert "".join(choice.logprobs.tokens or []) == choice.text
        assert choice.logprobs.text_offset is not None
        assert choice.logprobs.text_offset[0] == 13


def test_embeddings(client: openai.OpenAI):
    packed = client.embeddings.create(model="m", input=["one", "two", "one"], dimensions=64)
    plain = client.embeddings.create(model="m", input=["one", "two", "one"], dimensions=64, encoding_format="float")
    vectors = [one.embedding for one in plain.data]
    assert [one.embedding for one in packed.data] == vectors
    assert vectors[0] == vectors[2] != vectors[1]
    for vector in vectors:
        assert len(vector) == 64
        assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-5)
    assert plain.usage.total_tokens == plain.usage.prompt_tokens == 3
    [alone] = client.embeddings.create(model="m", input="one", dimensions=64).data
    assert alone.embedding == vectors[0]


def test_models(server: Server, client: openai.OpenAI):
    server.set(models=["big", "small"])
    assert [model.id for model in client.models.list()] == ["big", "small"]
    assert client.models.retrieve("small").id == "small"
    assert client.chat.completions.create(model="big", messages=ASK).model == "big"
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="none", messages=ASK)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ({"capacity": 0}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"key": "sk-right"}, openai.AuthenticationError, "invalid_api_key"),
        ({"refuse": ["temperature"]}, openai.BadRequestError, "unsupported_value"),
        ({"refuse": ["max_tokens"]}, openai.BadRequestError, "unsupported_parameter"),
        ({"drop": True}, openai.APIConnectionError, None),
        ({"hostile": 1, "hostile_kinds": ["429"]}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"hostile": 1, "hostile_kinds": ["500"]}, openai.InternalServerError, None),
        ({"hostile": 1, "hostile_kinds": ["503"]}, openai.InternalServerError, None),
        ({"hostile": 1, "hostile_kinds": ["half"]}, openai.APIConnectionError, None),
        ({"hostile": 1, "hostile_kinds": ["never"]}, openai.APITimeoutError, None),
        ({"hostile": 1, "hostile_kinds": ["refused"]}, openai.BadRequestError, ...),
        ({"hostile": 1, "hostile_kinds": ["garbage"]}, ValueError, None),
    ],
    ids=str,
)
def test_errors_the_client_knows(
    server: Server, client: openai.OpenAI, mode: dict[str, Any], error: type[Exception], code: Any
):
    server.set(**mode)
    wait = 0.5 if error is openai.APITimeoutError else 30
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="m", messages=ASK, temperature=0.5, max_tokens=50, timeout=wait)
    assert (type(raised.value) is error) == (error is not ValueError)
    if code is not ...:
        assert getattr(raised.value, "code", None) == code
    if isinstance(raised.value, openai.APIStatusError):
        assert raised.value.request_id
        assert isinstance(raised.value.body, dict)
        assert set(raised.value.body) == {"message", "type", "param", "code"}


def test_a_wrong_request_is_refused_as_such(server: Server, client: openai.OpenAI):
    for path, body in {
        "/v1/chat/completions": b"{",
        "/v1/completions": b'{"model": "m"}',
        "/v1/embeddings": b'{"model": "m", "input": []}',
    }.items():
        status, _, said = post(server, body, path)
        assert status == 400
        assert json.loads(said)["error"]["type"] == "invalid_request_error"
    assert post(server, b'{"model": "m", "messages": [5]}')[0] == 400
    assert post(server, b"[" * 100_000)[0] == 400
    assert post(server, b"{}", "/v1/elsewhere")[0] == 404
    with pytest.raises(openai.BadRequestError, match="stream"):
        client.chat.completions.create(model="m", messages=ASK, stream=True)
    server.set(key="sk-right")
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "response_format", "logprobs", "top_k"])
def test_a_refused_parameter_is_named(server: Server, name: str):
    server.set(refuse=[name])
    more = {"temperature": 0.5, "max_tokens": 9, "logprobs": True, "top_k": 4, "response_format": {"type": "text"}}
    status, _, body = post(server, chat_body("hello", **more))
    said = json.loads(body)["error"]["message"]
    assert status == 400
    assert name in said
    assert ("max_completion_tokens" in said) == (name == "max_tokens")
    del more[name]
    assert post(server, chat_body("hello", **more))[0] == 200


# What it answers


def test_an_answer_depends_on_the_body_alone(server: Server):
    bodies = [chat_body(f"message {i % 20}", temperature=i // 20) for i in range(40)]
    first = [post(server, body)[2] for body in bodies]
    with Server(latency=0.01) as other:
        assert [post(other, body)[2] for body in reversed(bodies)] == first[::-1]
    assert len(set(first)) == 40


@pytest.mark.parametrize(
    ("prompt", "n"),
    [("Say it.", 6), ("Say it in 4 other ways.", 4), ("Of 100 rows, 12 here: say 3 other ways", 3), ("60 or 50?", 50)],
)
def test_json_in_a_fence_where_the_prompt_asks_for_it(server: Server, prompt: str, n: int):
    schema = {"type": "object", "properties": {"texts": {"type": "array", "items": {"type": "string"}}}}
    prose, text, _ = content(server, f"{prompt} Schema: {json.dumps(schema)}").split("```")
    assert prose.strip()
    found = json.loads(text.removeprefix("json"))
    assert len(set(found["texts"])) == len(found["texts"]) == n
    bare = content(server, f"{prompt} Answer with JSON.", response_format={"type": "json_object"})
    assert len(json.loads(bare)["answers"]) == n


@given(
    low=st.integers(-50, 50),
    span=st.integers(0, 20),
    least=st.integers(0, 5),
    more=st.integers(0, 5),
    asked=st.integers(1, 50),
    length=st.integers(1, 40),
    said=st.lists(st.text(min_size=1, max_size=8), max_size=6),
    seed=st.binary(max_size=4),
)
def test_a_made_value_is_valid(
    low: int, span: int, least: int, more: int, asked: int, length: int, said: list[str], seed: bytes
):
    class Leaf(BaseModel):
        number: float = Field(gt=low, lt=low + span + 1)
        even: int = Field(ge=low, lt=low + span + 2, multiple_of=2)
        text: str = Field(min_length=length, max_length=length + more)
        kind: Literal["a", "b"] | None

    shape = create_model(
        "Shape",
        leaves=(list[Leaf], Field(min_length=least, max_length=least + more)),
        at_least=(list[str], Field(min_length=least)),
        pair=(tuple[int, str], ...),
        flags=(set[Literal["x", "y", "z"]], Field(min_length=1)),
    )
    made = Maker(said, Draws(digest(seed)), asked).value(shape.model_json_schema())
    found: Any = shape.model_validate_json(json.dumps(made))
    assert len(found.leaves) == max(least, min(asked, least + more))
    assert len(found.at_least) == max(least, asked)


def test_a_shape_that_holds_itself_ends():
    class Tree(BaseModel):
        name: str
        left: Tree | None
        others: list[Tree]

    Tree.model_validate(Maker(["a"], Draws(digest(b"")), 2).value(Tree.model_json_schema()))


def test_thinking_script_and_usage(server: Server):
    server.set(script=[{"match": "card", "answer": "CARD"}, {"match": "", "answer": {"label": "other"}}])
    assert content(server, "my card") == "CARD"
    assert json.loads(content(server, "my money")) == {"label": "other"}
    server.set(script=[], think=True, no_usage=True)
    status, _, body = post(server, chat_body("my money"))
    assert status == 200
    assert "usage" not in json.loads(body)
    assert json.loads(body)["choices"][0]["message"]["content"].startswith("<think>my money")


# Limits


def together(server: Server, n: int) -> list[int]:
    """The statuses of so many different requests sent at once, sorted."""
    links = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(n)]
    try:
        for link in links:
            link.connect()
        for i, link in enumerate(links):
            link.request("POST", "/v1/chat/completions", chat_body(f"number {i}"))
        return sorted(link.getresponse().status for link in links)
    finally:
        for link in links:
            link.close()


def test_capacity(server: Server):
    server.set(capacity=3, latency=0.4)
    assert together(server, 8) == [200] * 3 + [429] * 5
    assert server.counts()["max_in_flight"] == 3
    server.set(capacity=8)
    assert together(server, 8) == [200] * 8
    assert server.counts()["max_in_flight"] == 8
    assert server.counts()["in_flight"] == 0


def test_latency_blocks_nobody(server: Server):
    server.set(latency=0.3)
    began = time.monotonic()
    assert together(server, 16) == [200] * 16
    assert 0.3 <= time.monotonic() - began < 0.3 * 8


def test_requests_a_minute(server: Server):
    server.set(rpm=60, headers=True)
    found = [post(server, chat_body(f"{i}")) for i in range(70)]
    assert 60 <= sum(status == 200 for status, *_ in found) <= 65
    assert found[0][1]["x-ratelimit-limit-requests"] == "60"
    assert found[0][1]["x-ratelimit-remaining-requests"] == "59"
    assert found[-1][0] == 429
    assert found[-1][1]["retry-after"] == "1"


def test_headers_of_a_capacity(server: Server):
    server.set(capacity=2, headers=True, latency=0.12)
    status, headers, _ = post(server, chat_body("hello"))
    assert status == 200
    assert "retry-after" not in headers
    assert (headers["x-ratelimit-remaining-requests"], headers["x-ratelimit-reset-requests"]) == ("1", "120ms")
    server.set(capacity=0)
    assert post(server, chat_body("hello"))[1]["retry-after"] == "1"
    server.set(headers=False)
    assert not {"retry-after", "x-ratelimit-limit-requests"} & set(post(server, chat_body("hello"))[1])


# Hostility


def outcome(server: Server, body: bytes) -> tuple[int, bytes] | str:
    try:
        status, _, said = post(server, body)
    except http.client.IncompleteRead as half:
        return f"half: {len(half.partial)}"
    return status, said


def test_hostility_depends_on_body_number_and_seed(server: Server):
    bodies = [chat_body(f"message {i}", temperature=1) for i in range(150)]
    server.set(hostile=0.4, hostile_kinds=[kind for kind in KINDS if kind != "never"])
    first = [outcome(server, body) for body in bodies for _ in range(2)]
    counts = server.counts()
    assert set(counts["hostile"]) == set(KINDS) - {"never"}
    assert 80 < sum(counts["hostile"].values()) < 160
    assert sum(counts["answered"].values()) == 300 - sum(counts["hostile"].values())
    server.reset()
    again = {i: [outcome(server, bodies[i]) for _ in range(2)] for i in reversed(range(150))}
    assert [one for i in range(150) for one in again[i]] == first
    assert any(one != other for one, other in again.values())
    server.reset()
    server.set(hostile_seed=2)
    assert [outcome(server, body) for body in bodies for _ in range(2)] != first


def test_hostility_as_announced(server: Server):
    server.set(hostile=1, hostile_kinds=["503"])
    assert post(server, chat_body("hello"))[1]["retry-after"] == "0"
    server.set(hostile_kinds=["garbage"])
    status, _, body = post(server, chat_body("hello"))
    assert status == 200
    with pytest.raises(ValueError):
        json.loads(body)
    server.set(hostile_kinds=["invalid"])
    said = {json.loads(post(server, chat_body(f"{i}"))[2])["choices"][0]["finish_reason"] for i in range(20)}
    assert said == {"stop", "length"}
    with pytest.raises(ValueError):
        json.loads(content(server, "hello"))
    server.set(hostile_kinds=["refused"])
    assert content(server, "nothing that could be refused")
    with pytest.raises(ValueError, match="nasty"):
        server.set(hostile_kinds=["nasty"])
    with pytest.raises(ValueError, match="hostil"):
        server.set(hostil=1)


def test_never_is_in_flight_until_the_client_goes(server: Server):
    server.set(hostile=1, hostile_kinds=["never"])
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        body = chat_body("hello")
        link.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert until(lambda: server.counts()["in_flight"] == 1)
    assert until(lambda: server.counts()["in_flight"] == 0)
    assert server.counts()["answered"] == {}


def until(true: Any) -> bool:
    """True as soon as it is true, False where it is not within five seconds."""
    ends = time.monotonic() + 5
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


# Counters and the wire


def test_counts(server: Server):
    twice, once = chat_body("twice"), chat_body("once")
    for body in (twice, once, twice):
        post(server, body, Authorization="Bearer a")
    server.set(capacity=0)
    post(server, once, Authorization="Bearer b")
    post(server, b"{}", "/v1/elsewhere?a=b")
    counts = server.counts()
    assert counts["requests"] == {"/v1/chat/completions": 4, "/v1/elsewhere?a=b": 1}
    assert counts["bodies"] == {digest(twice): 2, digest(once): 2, digest(b"{}"): 1}
    assert counts["answered"] == {digest(twice): 2, digest(once): 1}
    assert counts["statuses"] == {"200": 3, "429": 1, "404": 1}
    assert counts["authorization"] == ["Bearer a", "Bearer b"]
    assert server.bodies()[:2] == [json.loads(twice), json.loads(once)]
    server.reset()
    assert server.counts()["requests"] == {}
    assert server.bodies() == []


def test_requests_in_pieces_and_together(server: Server):
    """Bytes may come one at a time, or two requests at once; the answers come in order, on one connection."""
    body = chat_body("hello")
    raw = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    want = post(server, body)[2]
    server.reset()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(raw)):
            link.sendall(raw[at : at + 1])
        link.sendall(raw + raw)
        came = b""
        while came.count(want) < 3:
            came += link.recv(65536)
    assert came.count(b"HTTP/1.1 200 OK") == 3
    counts = server.counts()
    assert sum(counts["requests"].values()) == 3
    assert counts["connections"] == 2  # this one, and the question for the counts


def test_what_is_not_http_is_refused(server: Server):
    for said in (b"hello\r\n\r\n", b"POST /v1 HTTP/1.1\r\ncontent-length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.sendall(said)
            assert link.recv(100).startswith(b"HTTP/1.1 400")
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.sendall(b"POST /v1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 411")


def test_redirect_and_listener(server: Server):
    with Listener() as listener:
        server.set(redirect=listener.url)
        status, headers, _ = post(server, chat_body("hello"))
        assert (status, headers["location"]) == (307, listener.url)
        assert listener.heard() == []
        with socket.create_connection(("127.0.0.1", listener.port)) as link:
            link.sendall(b"a secret")
        with socket.create_connection(("127.0.0.1", listener.port)):
            pass
        assert listener.heard() == [b"a secret", b""]


def test_started_with_flags(tmp_path: Path):
    script = tmp_path / "script.jsonl"
    script.write_text('{"match": "", "answer": "by heart"}\n')
    flags = ["--key", "sk-a", "--models", "a,b", "--capacity", "1", "--no-usage", "--script", str(script)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.loopback.server", "--port", "0", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        with openai.OpenAI(base_url=url, api_key="sk-a", max_retries=0) as client:
            made = client.chat.completions.create(model="b", messages=ASK)
            assert (made.choices[0].message.content, made.usage) == ("by heart", None)
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="c", messages=ASK)
    finally:
        process.terminate()
        process.communicate()


def test_the_bare_client_measures():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_socket", "--calls", "64", "--at", "8", "--latency", "0.02"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    slots, seconds, ratio, *_ = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|")]
    assert slots == "8"
    assert float(seconds) >= 0.15
    assert float(ratio) >= 1

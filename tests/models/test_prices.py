"""Prices are looked up, never guessed; estimates of tokens are what they say they are."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from leaven.models.backends.wordllama import files
from leaven.models.prices import Price, most_tokens, price, tokens

OPENAI = "https://api.openai.com/v1"
TOKENIZER = Tokenizer.from_file(str(files()[1]))


def test_the_users_price_stands_before_the_list():
    for url in (OPENAI, "http://gpu-box:8000/v1", "http://localhost:1/v1", "nonsense"):
        own = price("gpt-4o", url, {"gpt-4o": (3.0, 4.0)})
        assert own
        assert own.per_million == (3.0, 4.0)
        assert own.of(1_000_000, 500_000) == 5.0
    free = price("gpt-4o", OPENAI, {"gpt-4o": (0.0, 0.0)})
    assert free
    assert free.of(10, 10) == 0


@pytest.mark.parametrize(
    ("model", "url", "rates"),
    [
        ("gpt-4o", OPENAI, (2.5, 10.0)),
        ("GPT-4o", "HTTPS://API.OPENAI.COM:443/v1", (2.5, 10.0)),
        ("gpt-4o-2024-11-20", "https://me@api.openai.com./v1", (2.5, 10.0)),
        ("gpt-5-mini", OPENAI, (0.25, 2.0)),
        ("text-embedding-3-small", OPENAI, (0.02, 0.0)),
        ("openai/gpt-4o", "https://openrouter.ai/api/v1", (2.5, 10.0)),
    ],
)
def test_list_prices(model: str, url: str, rates: tuple[float, float]):
    found = price(model, url, {"another": (9, 9)})
    assert found
    assert found.per_million == rates
    assert found.of(1000, 2000) == pytest.approx((1000 * rates[0] + 2000 * rates[1]) / 1e6)
    assert found.of(0, 0) == 0


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("groq", "https://api.groq.com/openai/v1"),
        ("moonshotai", "https://api.moonshot.ai/v1"),
        ("huggingface_cerebras", "https://router.huggingface.co/cerebras/v1"),
        ("azure", "https://mine.openai.azure.com/openai/v1"),
    ],
)
def test_hosts_that_the_list_describes_in_other_ways(provider: str, url: str):
    from genai_prices.data import providers

    models = next(p.models for p in providers if p.id == provider)
    assert any(price(model.id, url, {}) for model in models)


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("gpt-4o", "http://localhost:11434/v1"),
        ("gpt-4o", "https://127.0.0.1/v1"),
        ("gpt-4o", "http://gpu-box:8000/v1"),
        ("gpt-4o", "https://api.openai.com.evil.org/v1"),
        ("gpt-4o", "https://api.openai.community/v1"),
        ("gpt-4o", "https://evil.org/api.openai.com/v1"),
        ("gemini-2.5-pro", "https://evil.org/x.googleapis.com/v1"),
        ("gpt-4o", "https://api.openai.com@evil.org/v1"),
        ("gpt-4o", "https://api.openai.com:8443/v1"),
        ("gpt-4o", "http://api.openai.com/v1"),
        ("gpt-4o", ""),
        ("ft:gpt-4o:acme::1", OPENAI),
        ("gpt-4o-2031-01-01", OPENAI),
        ("qwen3-32b", OPENAI),
        ("whisper-1", OPENAI),  # priced by the minute
        ("", OPENAI),
    ],
)
def test_unknown_is_none(model: str, url: str):
    assert price(model, url, {}) is None


def test_a_step_is_paid_by_the_call_not_by_the_sum():
    found = price("gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta/openai/", {})
    assert found
    assert found.of(100_000, 0) == pytest.approx(0.125)
    assert found.of(300_000, 0) > 3 * found.of(100_000, 0) * 1.5


def test_no_price_is_looked_up_elsewhere(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert isinstance(price("gpt-4o", OPENAI, {}), Price)
    assert price("no-such-model", OPENAI, {}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("a", 2), ("a b c", 4), ("one two three four five six seven eight nine ten", 13), ("x" * 401, 101)],
)
def test_an_estimate(text: str, expected: int):
    assert tokens(text) == expected


@given(st.text(st.characters(), max_size=300) | st.text("0123456789 qzx", max_size=300))
def test_no_tokenizer_makes_more_than_the_most(text: str):
    """Against the one at hand, which takes a digit, or a byte of a rare letter, for a token."""
    told = text.encode("utf-8", "replace").decode()
    assert len(TOKENIZER.encode(told).ids) <= most_tokens(text)
    assert tokens(text) <= most_tokens(text)

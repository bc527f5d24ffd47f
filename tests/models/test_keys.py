"""A key goes to the host that it belongs to, and nowhere else."""

from __future__ import annotations

import ipaddress

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import ModelError
from leaven.models.config import Config
from leaven.models.keys import is_loopback, key_for, name_for, redact

KEY = "sk-" + "a1" * 20
SET = {"OPENAI_API_KEY": KEY, "GROQ_API_KEY": "gsk-groq", "BOX": "box-key"}
NAMED = Config(keys={"api.groq.com": "GROQ_API_KEY", "gpu-box:8000": "BOX", "localhost:9": "BOX", "[::1]": "BOX"})


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://api.openai.com",
        "HTTPS://API.OpenAI.com/v1",
        "https://api.openai.com:443/v1",
        "https://api.openai.com./v1",
        "https://someone@api.openai.com/v1",
        "https://api.openai.com/v1?x=@evil.org",
    ],
)
def test_openai_gets_its_own(url: str):
    assert key_for(url, Config(), SET) == KEY
    assert name_for(url, Config(), {}) == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com.evil.org/v1",
        "https://evil.org/api.openai.com/v1",
        "https://api.openai.com@evil.org/v1",
        "https://api.openai.com:443@evil.org/v1",
        "https://evil.org#@api.openai.com/",
        "https://evil.org?@api.openai.com/",
        "https://evil.org\\@api.openai.com/",
        "https://api.openai.com\\@evil.org/",
        "https://evil.org\t@api.openai.com/",
        "https://api.openai.com%2eevil.org/",
        "https://xapi.openai.com/",
        "https://openai.com/",
        "https://eu.api.openai.com/",
        "https://api.openai.com:444/v1",
        "https://api.openai.com:99999/v1",
        "https://api。openai.com/v1",
        "https://аpi.openai.com/v1",  # its first letter is Cyrillic
        "http://api.openai.com/v1",
        "http://api.openai.com:443/v1",
        "ftp://api.openai.com/",
        "//api.openai.com/v1",
        "https:api.openai.com",
        "api.openai.com",
        "https://",
        "",
        "http://localhost:11434/v1",
        "https://localhost/v1",
        "https://[::1]/v1",
        "https://[v1.x]/v1",
        "https://gpu-box:8001/v1",
    ],
)
def test_a_stranger_gets_nothing(url: str):
    assert key_for(url, Config(), SET) is None
    assert name_for(url, Config(), SET) is None


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.groq.com/openai/v1", "gsk-groq"),
        ("https://api.groq.com:8443/openai/v1", "gsk-groq"),
        ("http://api.groq.com/openai/v1", "gsk-groq"),
        ("https://api.groq.com.evil.org/", None),
        ("http://GPU-box:8000/v1", "box-key"),
        ("http://gpu-box/v1", None),
        ("http://gpu-box:80001/v1", None),
        ("http://localhost:9/v1", "box-key"),
        ("http://localhost:90/v1", None),
        ("http://[0:0:0:0:0:0:0:1]:7/v1", "box-key"),
        ("https://api.openai.com/v1", KEY),
    ],
)
def test_other_hosts_by_name(url: str, key: str | None):
    assert key_for(url, NAMED, SET) == key


def test_a_port_that_is_named_stands_before_its_host():
    config = Config(keys={"gpu-box": "GROQ_API_KEY", "gpu-box:8000": "BOX"})
    assert key_for("http://gpu-box:8000/v1", config, SET) == "box-key"
    assert key_for("http://gpu-box:8001/v1", config, SET) == "gsk-groq"
    assert key_for("https://api.openai.com/v1", Config(keys={"api.openai.com": "BOX"}), SET) == "box-key"


@pytest.mark.parametrize(
    ("base", "url", "key"),
    [
        ("https://proxy.firm.com/v1", "https://proxy.firm.com/v1", KEY),
        ("https://proxy.firm.com/v1", "https://proxy.firm.com/other", KEY),
        ("https://proxy.firm.com/v1", "https://proxy.firm.com:8443/v1", None),
        ("https://proxy.firm.com:8443/v1", "https://proxy.firm.com:8443/v1", KEY),
        ("https://proxy.firm.com/v1", "https://other.firm.com/v1", None),
        ("https://proxy.firm.com/v1", "https://api.openai.com/v1", KEY),
        ("http://proxy.firm.com/v1", "http://proxy.firm.com/v1", None),
        ("http://localhost:11434/v1", "http://localhost:11434/v1", None),
        ("https://127.0.0.1/v1", "https://127.0.0.1/v1", None),
        ("", "https://evil.org/", None),
        ("nonsense", "https://evil.org/", None),
    ],
)
def test_the_server_that_the_environment_names(base: str, url: str, key: str | None):
    assert key_for(url, Config(), {**SET, "OPENAI_BASE_URL": base}) == key


def test_a_server_of_ones_own_may_want_none():
    environ = {"OPENAI_BASE_URL": "https://proxy.firm.com/v1"}
    assert key_for("https://proxy.firm.com/v1", Config(), environ) is None


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_key_that_is_not_set(value: str | None):
    environ = {} if value is None else {"OPENAI_API_KEY": value, "GROQ_API_KEY": value}
    with pytest.raises(ModelError) as caught:
        key_for("https://api.openai.com/v1", Config(), environ)
    assert str(caught.value).splitlines() == [
        "chat: OPENAI_API_KEY is not set, and api.openai.com wants a key.",
        "  Fix: export OPENAI_API_KEY=... with a valid key; leaven stores none.",
    ]
    with pytest.raises(ModelError, match="embed: GROQ_API_KEY is not set"):
        key_for("https://api.groq.com/v1", NAMED, environ, role="embed")


def test_a_key_is_one_word():
    assert key_for("https://api.openai.com/v1", Config(), {"OPENAI_API_KEY": f" {KEY}\n"}) == KEY
    for bad in (f"{KEY}\r\nX-Evil: 1", "two words", "schl\u00fcssel"):
        with pytest.raises(ModelError, match="holds a blank") as caught:
            key_for("https://api.openai.com/v1", Config(), {"OPENAI_API_KEY": bad})
        assert bad not in str(caught.value)


LABEL = st.text("abcxyz019-", min_size=1, max_size=6).filter(lambda s: s[0] != "-" and s[-1] != "-")
HOSTS = st.lists(LABEL, min_size=1, max_size=4).map(".".join) | st.ip_addresses(v=4).map(str)
PIECES = st.sampled_from(
    ["api.openai.com", "evil.org", "@", ":", "443", ".", "/", "\\", "#", "?", "%", "[", "]", " ", "。"]
)


@given(st.sampled_from(["https://", "http://"]), st.lists(PIECES, max_size=8).map("".join))
def test_whoever_gets_the_key_is_openai_for_the_client_too(scheme: str, rest: str):
    """The client parses the URL by itself: where both do not agree, nothing is sent."""
    url = scheme + rest
    if key_for(url, Config(), SET):
        asked = yarl.URL(url)
        assert ((asked.host or "").rstrip("."), asked.port, asked.scheme) == ("api.openai.com", 443, "https")


@given(HOSTS, st.integers(1, 65535))
def test_no_other_host_gets_the_key(host: str, port: int):
    for url in (f"https://{host}", f"https://{host}:{port}/v1", f"https://api.openai.com.{host}/", f"http://{host}/"):
        assert key_for(url, Config(), SET) is None


@given(HOSTS, st.integers(1, 65535), st.sampled_from(["", "/v1", "/v1?x=1", "/@evil.org"]))
def test_a_named_host_gets_its_own_key_in_any_spelling(host: str, port: int, path: str):
    config = Config(keys={host: "BOX"})
    for url in (f"https://{host}{path}", f"https://{host.upper()}.:{port}{path}", f"http://me@{host}:{port}{path}"):
        assert key_for(url, config, SET) == "box-key"
    assert key_for(f"https://{host}.evil.org{path}", config, SET) is None


@given(st.ip_addresses())
def test_loopback_addresses(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    host = str(address) if address.version == 4 else f"[{address}]"
    own = address in ipaddress.ip_network("127.0.0.0/8") if address.version == 4 else int(address) == 1
    assert is_loopback(f"http://{host}:8000/v1") == own


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://localhost:11434/v1", True),
        ("https://LOCALHOST./", True),
        ("http://127.0.0.1", True),
        ("http://127.8.9.10:1/", True),
        ("http://[::1]:8000/", True),
        ("http://localhost.evil.org/", False),
        ("http://localhost@evil.org/", False),
        ("http://127.0.0.1.evil.org/", False),
        ("http://127.1/", False),
        ("http://0.0.0.0/", False),
        ("http://10.0.0.1/", False),
        ("http://128.0.0.1/", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_what_stays_on_this_machine(url: str, own: bool):
    assert is_loopback(url) == own


def test_redact():
    assert redact(f"401: bad key {KEY}, not {KEY}!", [KEY, ""]) == "401: bad key ***, not ***!"
    assert redact("abcdefgh abcd", ["abcd", "abcdefgh"]) == "*** ***"
    assert redact("a none b", ["", " ", "a"]) == "a none b"


@given(st.text("abc-", max_size=30), st.lists(st.text("abc-", max_size=8), max_size=4), st.integers(0, 30))
def test_nothing_secret_is_left(text: str, secrets: list[str], at: int):
    told = text[:at] + "".join(secrets) + text[at:]
    assert not any(s in redact(told, secrets) for s in secrets if len(s) >= 4)

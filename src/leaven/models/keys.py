"""Which key goes to which host: each only where it belongs.

``OPENAI_API_KEY`` goes to api.openai.com, and to the server of ``OPENAI_BASE_URL`` where the environment sets it;
every other key to the host that ``leaven.toml`` names for it.  A server on this machine gets none unless it is named,
nor does one that is spoken to in clear.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from leaven.errors import ModelError
from leaven.models.config import Config

OPENAI = "api.openai.com"
OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_URL = "OPENAI_BASE_URL"
HIDDEN = "***"
SHORTEST = 4
"""A shorter value is no secret, and hiding it would spoil every message."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Server:
    """Where a URL really goes: ``host`` in lower case, without user name, brackets or trailing dot."""

    scheme: str
    host: str
    port: int


def key_for(url: str, config: Config, environ: Mapping[str, str], *, role: str = "chat") -> str | None:
    """The key that is sent to this URL, or None.

    Raises ModelError, in the name of ``role``, where a key is needed and its variable is not set or holds no key.
    """
    server = server_of(url)
    name = name_for(url, config, environ)
    if server is None or name is None:
        return None
    key = environ.get(name, "").strip()
    if not key:
        if name == OPENAI_KEY and server.host != OPENAI and not _named(server, config):
            return None  # a server of one's own under OPENAI_BASE_URL may want none
        raise ModelError(
            f"{name} is not set, and {server.host} wants a key.",
            f"export {name}=... with a valid key; leaven stores none.",
            where=role,
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise ModelError(
            f"{name} holds a blank, a line break or a letter that no key has.",
            f"export {name}=... anew, with the key alone.",
            where=role,
        )
    return key


def name_for(url: str, config: Config, environ: Mapping[str, str]) -> str | None:
    """The name of the environment variable whose key belongs to this URL, set or not; None where none does."""
    server = server_of(url)
    if server is None:
        return None
    named = _named(server, config)
    if named:
        return named
    if server.scheme != "https" or is_loopback(url):
        return None
    mine = server_of(environ.get(OPENAI_URL, "").strip())
    return OPENAI_KEY if server in (Server("https", OPENAI, 443), mine) else None


def is_loopback(url: str) -> bool:
    """True for localhost, 127.0.0.0/8 and ::1: what is sent there stays on this machine."""
    server = server_of(url)
    if server is None:
        return False
    if server.host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return False
    return address == ipaddress.ip_address("::1") or address in ipaddress.ip_network("127.0.0.0/8")


def server_of(url: str) -> Server | None:
    """The server of an http(s) URL, or None for what another parser could read in another way."""
    if not url.isascii() or re.search(r"[\\\s\x00-\x1f\x7f]", url):
        return None
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
        if ":" in host:
            host = str(ipaddress.IPv6Address(host))
        elif not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host):
            return None
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or port == 0:
        return None
    return Server(scheme, host, port or _PORTS[scheme])


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it hidden."""
    for secret in sorted(
        {s.strip() for s in secrets}, key=len, reverse=True
    ):  # the longest first: one may hold another
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text


def _named(server: Server, config: Config) -> str | None:
    """What [keys] says of a server: of its HOST:PORT, or else of its host on any port."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return config.keys.get(f"{host}:{server.port}") or config.keys.get(host)

"""Any server that speaks OpenAI's protocol: chat, completions with log-probabilities, embeddings.

Over aiohttp, one POST a call: the official client costs ten times the CPU time, and brings retries of its own under
which a limiter cannot see what the server says.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from leaven.errors import ModelError, listed
from leaven.models.calls import About, Answer, Ask, Broken, Busy, CallFailed, Unreachable, encode, whole
from leaven.models.keys import HIDDEN, SHORTEST, is_loopback
from leaven.models.prices import tokens

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

LARGEST = 32 * 2**20
MOST_TOKENS = 10**9
OPTIONAL = (
    "temperature", "top_p", "max_tokens", "response_format", "logprobs", "frequency_penalty", "stop", "seed",
)  # fmt: skip
"""What a server may refuse: a call is then made without it, once and for all."""
OTHER_NAME = {"max_tokens": "max_completion_tokens"}
TOO_MUCH = re.compile(r"context (length|window|size)|too (large|long|many|big)|exceed", re.IGNORECASE)
LIKELIEST = 20
"""How many of the likeliest first tokens a completion is asked for."""


class OpenAI:
    """One model on one server.

    ``key`` goes to ``url`` alone; a redirect is followed nowhere.
    """

    free = False

    def __init__(
        self,
        model: str,
        url: str,
        *,
        uri: str,
        key: str | None = None,
        key_name: str = "",
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
        limiter: Limiter | None = None,
        price: Price | None = None,
    ) -> None:
        self.model, self.url, self.uri = model, url.rstrip("/"), uri
        self.limiter, self.price = limiter, price
        self._left_out: list[str] = []
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._key, self._key_name = key or "", key_name
        secrets = {key or "", *(headers or {}).values()}
        self._secrets = [s.encode() for s in sorted(secrets, key=len, reverse=True) if len(s) >= SHORTEST]
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._urls = {path: URL(self.url + path) for path in ("/chat/completions", "/completions", "/embeddings")}
        self._proxy = _proxy(self.url)
        self._parameters: dict[tuple[str, str, int], tuple[dict[str, Any], str, Any]] = {}

    @property
    def left_out(self) -> list[str]:
        """The parameters that the server refuses."""
        return self._left_out

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def play(self, ask: Ask, about: About) -> Answer:
        if ask.role == "complete":
            return await self._complete(ask)
        return await self._chat(ask)

    async def _chat(self, ask: Ask) -> Answer:
        said = await self.post("/chat/completions", ask)
        choice = _choice(said)
        message = choice.get("message") or {}
        if not isinstance(message, dict):
            raise Broken("server_error", "an answer without a message")
        if message.get("refusal"):
            raise CallFailed("provider_refused", str(message["refusal"]), [str(message["refusal"])])
        text = message.get("content")
        if isinstance(text, list):  # some servers answer in pieces
            text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
        if choice.get("finish_reason") == "content_filter":
            raise CallFailed("provider_refused", "the provider's content filter", [str(text or "")])
        return _answer(said, str(text or ""), choice, ask.encoded)

    async def _complete(self, ask: Ask) -> Answer:
        said = await self.post("/completions", ask)
        choice = _choice(said)
        answer = _answer(said, str(choice.get("text") or ""), choice, ask.encoded)
        found = choice.get("logprobs")
        known, tops = (found.get("token_logprobs"), found.get("top_logprobs")) if isinstance(found, dict) else ([], [])
        numbers = [p for p in known if _number(p)] if isinstance(known, list) else []
        if numbers:
            answer.logprob, answer.scored = round(sum(numbers) / len(numbers), 6), len(numbers)
        if isinstance(tops, list) and tops and isinstance(tops[0], dict):
            answer.tops = {whole(token): float(p) for token, p in tops[0].items() if _number(p)}
        return answer

    async def embed(self, texts: list[str]) -> tuple[np.ndarray, int]:
        """A vector of each text, n x d, float32, and the tokens that they took."""
        import numpy as np

        ask = Ask("embed", {"input": texts, "encoding_format": "float"})
        said = await self.post("/embeddings", ask)
        data = said.get("data")
        if not isinstance(data, list) or len(data) != len(texts):
            raise Broken("server_error", f"{len(texts)} vectors were asked for")
        try:
            ordered = sorted(data, key=lambda item: int(item.get("index", 0)))
            vectors = np.asarray([item["embedding"] for item in ordered], np.float32)
        except (AttributeError, KeyError, TypeError, ValueError):
            vectors = np.zeros(0, np.float32)
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise Broken("server_error", "what came are no vectors of numbers, all as long")
        return vectors, _used(said, "prompt_tokens") or sum(map(tokens, texts))

    # -- one POST ---------------------------------------------------------------------------------------------------

    async def post(self, path: str, ask: Ask) -> dict[str, Any]:
        """The parsed answer.  Raises what the limiter tries again, CallFailed, or ModelError."""
        known = (path, ask.settings, id(ask.shape))
        if known not in self._parameters:
            beside = self._beside(path, ask)
            self._parameters[known] = beside, encode(beside)[1:], ask.shape
        sent, encoded, _ = self._parameters[known]
        status, headers, raw = await self._send(path, f"{ask.encoded[:-1]},{encoded}")
        if status == 200:
            try:
                said = json.loads(raw)
            except (ValueError, RecursionError):
                raise Broken("server_error", f"no JSON: {raw[:80]!r}") from None
            if not isinstance(said, dict):
                raise Broken("server_error", f"no JSON object: {raw[:80]!r}")
            return said
        return await self._refused(status, headers, raw, path, ask, sent)

    def _beside(self, path: str, ask: Ask) -> dict[str, Any]:
        """The parameters beside what is asked, without those that the server refuses."""
        more: dict[str, Any] = {"model": self.model, **ask.sampling}
        if path == "/completions":
            more["logprobs"] = LIKELIEST
        if ask.shape is not None:
            form = {"name": "answer", "schema": ask.shape, "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": form}
        for name in self._left_out:
            if name in more:
                value = more.pop(name)
                if name in OTHER_NAME and OTHER_NAME[name] not in self._left_out:
                    more[OTHER_NAME[name]] = value
        return more

    async def _send(self, path: str, body: str) -> tuple[int, Mapping[str, str], bytes]:
        session = self._opened()
        data = body.encode("utf-8", "replace")
        try:
            # One timer a try: aiohttp's own, one a read, cost as much as the rest of a call.
            async with (
                asyncio.timeout(self._timeout),
                session.post(self._urls[path], data=data, allow_redirects=False, proxy=self._proxy) as reply,
            ):
                if (reply.content_length or 0) > LARGEST:
                    raise Broken("server_error", f"an answer of {reply.content_length:,} bytes")
                return reply.status, reply.headers, self._hidden(await self._body(reply))
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(_why(error)) from None
        except TimeoutError:
            raise Broken("timed_out", f"no answer for {self._timeout:g} s", slow=True) from None
        except aiohttp.ClientError as error:
            raise Broken("server_error", f"the connection broke: {_why(error)}") from None

    def _hidden(self, raw: bytes) -> bytes:
        """The bytes without the key and the user's headers: some gateways send back in an error what they were sent."""
        for secret in self._secrets:
            if secret in raw:
                raw = raw.replace(secret, HIDDEN.encode())
        return raw

    @staticmethod
    async def _body(reply: aiohttp.ClientResponse) -> bytes:
        if reply.content_length is not None:
            return await reply.read()
        parts, size = [], 0
        async for part in reply.content.iter_chunked(65536):
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise Broken("server_error", f"an answer of more than {LARGEST:,} bytes")
        return b"".join(parts)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                headers=self._headers,
                raise_for_status=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    # -- what is no answer --------------------------------------------------------------------------------------------

    async def _refused(
        self, status: int, headers: Mapping[str, str], raw: bytes, path: str, ask: Ask, sent: Mapping[str, Any]
    ) -> dict[str, Any]:
        error = _error(raw)
        message, code = error["message"], error["code"]
        if status == 429:
            if code == "insufficient_quota":
                raise ModelError(
                    f"{_host(self.url)} answers that the quota is used up.",
                    "raise the quota, then run the same command; what was answered is stored.",
                    next_step=True,
                )
            raise Busy(message or "429", _after(headers))
        if status >= 500 or status in (408, 409, 425):
            raise Broken("server_error", f"{status} {message}".strip(), after=_after(headers), slow=status == 503)
        if 300 <= status < 400:
            to = self._hidden(headers.get("Location", "elsewhere").encode("utf-8", "replace")).decode()
            raise ModelError(
                f"{self.url} answers with a redirect to {to[:200]}; leaven follows none.",
                "name the address itself after the @.",
            )
        if status in (401, 403):
            raise self._no_key(status)
        if status == 404:
            raise await self._no_model(message)
        name = _parameter(message, error["param"])
        if status in (400, 422) and name in sent:
            if name not in self._left_out:
                self._left_out.append(name)
                self._parameters.clear()
            return await self.post(path, ask)
        raise CallFailed("provider_refused", f"{status} {message}".strip(), [raw[:2000].decode("utf-8", "replace")])

    def _no_key(self, status: int) -> ModelError:
        host = _host(self.url)
        if self._key:
            return ModelError(
                f"{host} refused the key in {self._key_name} ({status}).",
                f"export {self._key_name}=... with a valid key; leaven stores none.",
            )
        return ModelError(
            f"{host} wants a key ({status}), and none is named for it.",
            f'in leaven.toml: [keys] "{host}" = "NAME_OF_A_VARIABLE" that holds the key.',
        )

    async def _no_model(self, message: str) -> ModelError:
        known = []
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._opened().get(self.url + "/models", allow_redirects=False, proxy=self._proxy) as reply,
            ):
                said = json.loads(await self._body(reply))
                known = [str(item["id"]) for item in said.get("data", [])]
        except (TimeoutError, aiohttp.ClientError, ValueError, KeyError, TypeError, AttributeError, Broken):
            pass
        if known and self.model not in known:
            return ModelError(
                f"the server has no model `{self.model}`; it has {listed(known)}.",
                f"name one of them: openai:{known[0]}@{self.url}",
            )
        return ModelError(
            f"{self.url} answers 404: {message or 'not found'}.",
            "correct the model or the URL after the @; it ends in /v1 with most servers.",
        )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address; none for this machine, which nothing is to leave.

    aiohttp would read it for each call, in a thread, and with it a password for the host from ~/.netrc.
    """
    parsed = URL(url)
    if not parsed.host or is_loopback(url) or proxy_bypass(parsed.host):
        return None
    return getproxies().get(parsed.scheme)


def _choice(said: Mapping[str, Any]) -> dict[str, Any]:
    choices = said.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Broken("server_error", "an answer without `choices`")
    found: dict[str, Any] = choices[0]
    return found


def _answer(said: Mapping[str, Any], text: str, choice: Mapping[str, Any], asked: str) -> Answer:
    return Answer(
        text,
        str(choice.get("finish_reason") or "stop"),
        _used(said, "prompt_tokens") or tokens(asked),
        _used(said, "completion_tokens") or tokens(text),
    )


def _used(said: Mapping[str, Any], name: str) -> int:
    """Tokens as the server counts them; 0 where it says nothing, or nonsense."""
    usage = said.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return int(count) if isinstance(count, int | float) and 0 < count < MOST_TOKENS else 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error(raw: bytes) -> dict[str, str]:
    """Message, parameter and code of an error, in any of the forms that servers have."""
    text = raw[:4000].decode("utf-8", "replace")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = {}
    inner = said.get("error", said) if isinstance(said, dict) else {}
    if isinstance(inner, str):
        inner = {"message": inner}
    if not isinstance(inner, dict):
        inner = {}
    message = inner.get("message") or inner.get("detail") or text
    return {
        "message": " ".join(str(message).split())[:300],
        "param": str(inner.get("param") or ""),
        "code": str(inner.get("code") or ""),
    }


def _parameter(message: str, named: str) -> str:
    """The optional parameter that a server does not take, or an empty text."""
    if TOO_MUCH.search(message):  # this prompt is too long, or its limit too high: others go as they are
        return ""
    for name in (named.split(".")[0], *OPTIONAL):
        if name in (*OPTIONAL, *OTHER_NAME.values()) and (name == named.split(".")[0] or _word(name, message)):
            return name
    return ""


def _word(name: str, message: str) -> bool:
    return re.search(rf"(?<![\w]){name}(?![\w])", message) is not None


def _after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the server says; a date or nonsense counts as nothing said."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return min(120.0, max(0.0, float(headers[name]) / unit))
        except (KeyError, ValueError):
            continue
    return None


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2]


def _why(error: BaseException) -> str:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    return " ".join(str(cause or error).split())[:120] or type(error).__name__

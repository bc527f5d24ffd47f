"""Any server that speaks OpenAI's protocol: chat, completions with log-probabilities, embeddings, images, speech.

Over aiohttp, one POST a call: the official client costs ten times the CPU time, and brings retries of its own under
which a limiter cannot see what the server says.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from leaven.errors import ModelError, listed
from leaven.models.backends import openai_media
from leaven.models.calls import About, Answer, Ask, Broken, Busy, CallFailed, Unreachable, encode, whole
from leaven.models.keys import HIDDEN, SHORTEST, is_loopback
from leaven.models.prices import tokens

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

LARGEST = 32 * 2**20
JSON = "application/json"
MOST_URLS = 64
PIECE = 2**20
MOST_TOKENS = 10**9
OPTIONAL = (
    "temperature", "top_p", "max_tokens", "response_format", "logprobs", "frequency_penalty", "stop", "seed",
    "size", "speed", "top_k", "repetition_penalty", "min_tokens",
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
        self._headers = {"Content-Type": JSON, **(headers or {})}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._key, self._key_name = key or "", key_name
        secrets = {key or "", *(headers or {}).values()}
        self._secrets = [s.encode() for s in sorted(secrets, key=len, reverse=True) if len(s) >= SHORTEST]
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}
        self._proxy = _proxy(self.url)
        self._parameters: dict[tuple[str, str, int], tuple[dict[str, Any], str, Any]] = {}

    @property
    def left_out(self) -> list[str]:
        """The parameters that the server refuses."""
        return self._left_out

    @staticmethod
    def used(said: Mapping[str, Any], name: str) -> int:
        """Tokens as the server counts them; 0 where it says nothing, or nonsense."""
        usage = said.get("usage")
        count = usage.get(name) if isinstance(usage, dict) else None
        return int(count) if isinstance(count, int | float) and 0 < count < MOST_TOKENS else 0

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def play(self, ask: Ask, about: About) -> Answer:
        if ask.role == "complete":
            return await self._complete(ask)
        if ask.role in openai_media.ROLES:
            return await openai_media.play(self, ask)
        return self.chatted(await self.post("/chat/completions", ask), ask)

    def chatted(self, said: Mapping[str, Any], ask: Ask) -> Answer:
        """What a chat model answered.  Raises Broken for what is no answer, CallFailed for a refusal."""
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
        return vectors, self.used(said, "prompt_tokens") or sum(map(tokens, texts))

    # -- one request ------------------------------------------------------------------------------------------------

    async def post(self, path: str, ask: Ask) -> dict[str, Any]:
        """The parsed answer.  Raises what the limiter tries again, CallFailed, or ModelError."""
        return self.parsed(await self.asked(path, lambda: (*self.body(path, ask), JSON)))

    def body(self, path: str, ask: Ask) -> tuple[bytes, Mapping[str, Any]]:
        """What goes over the wire, and the parameters in it that a server may refuse."""
        known = (path, ask.settings, id(ask.shape))
        if known not in self._parameters:
            beside = self.beside(path, ask)
            self._parameters[known] = beside, encode(beside)[1:], ask.shape
        sent, encoded, _ = self._parameters[known]
        content = openai_media.shown(ask) if ask.media else ask.encoded
        return f"{content[:-1]},{encoded}".encode("utf-8", "replace"), sent

    async def asked(
        self,
        path: str,
        make: Callable[[], tuple[bytes, Mapping[str, Any], str]],
        *,
        most: int = LARGEST,
        slow: float = 1.0,
    ) -> bytes:
        """The bytes of the answer to a POST of what ``make`` gives: body, parameters and type; made again without a
        parameter that the server refuses.  ``slow`` times the time-out is waited."""
        while True:
            data, sent, kind = make()
            status, headers, raw = await self.send("POST", path, data, kind, most=most, slow=slow)
            if status == 200:
                return raw
            await self.refused(status, headers, raw, sent)

    def parsed(self, raw: bytes) -> dict[str, Any]:
        """The JSON object of an answer that is shown and stored as it is: no key is left in it."""
        raw = self.hidden(raw)
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError):
            raise Broken("server_error", f"no JSON: {raw[:80]!r}") from None
        if not isinstance(said, dict):
            raise Broken("server_error", f"no JSON object: {raw[:80]!r}")
        return said

    def beside(self, path: str, ask: Ask) -> dict[str, Any]:
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

    async def send(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        kind: str = JSON,
        *,
        most: int = LARGEST,
        slow: float = 1.0,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of what the server answers, at most ``most`` bytes."""
        session, timeout = self._opened(), self._timeout * slow
        headers = None if kind == JSON else {"Content-Type": kind}
        # Bytes go out in one piece, under which the loop would stand still; aiohttp warns of it.
        sent = BytesIO(data) if data and len(data) > PIECE else data
        try:
            # One timer a try: aiohttp's own, one a read, cost as much as the rest of a call.
            async with (
                asyncio.timeout(timeout),
                session.request(
                    method, self._url(path), data=sent, headers=headers, allow_redirects=False, proxy=self._proxy
                ) as reply,
            ):
                if (reply.content_length or 0) > most:
                    raise Broken("server_error", f"an answer of {reply.content_length:,} bytes")
                return reply.status, reply.headers, await self._read(reply, most)
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(_why(error)) from None
        except TimeoutError:
            raise Broken("timed_out", f"no answer for {timeout:g} s", slow=True) from None
        except aiohttp.ClientError as error:
            raise Broken("server_error", f"the connection broke: {_why(error)}") from None

    def _url(self, path: str) -> URL:
        if path not in self._urls:
            if len(self._urls) > MOST_URLS:  # files and batches have an address each
                self._urls.clear()
            self._urls[path] = URL(self.url + path)
        return self._urls[path]

    def hidden(self, raw: bytes) -> bytes:
        """The bytes without the key and the user's headers: some gateways send back in an error what they were sent."""
        for secret in self._secrets:
            if secret in raw:
                raw = raw.replace(secret, HIDDEN.encode())
        return raw

    @staticmethod
    async def _read(reply: aiohttp.ClientResponse, most: int) -> bytes:
        if reply.content_length is not None:
            return await reply.read()
        parts, size = [], 0
        async for part in reply.content.iter_chunked(65536):
            parts.append(part)
            size += len(part)
            if size > most:
                raise Broken("server_error", f"an answer of more than {most:,} bytes")
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

    async def refused(self, status: int, headers: Mapping[str, str], raw: bytes, sent: Mapping[str, Any]) -> None:
        """Raise what an answer other than 200 means; return where it is to be asked again without a parameter."""
        raw = self.hidden(raw)
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
            to = self.hidden(headers.get("Location", "elsewhere").encode("utf-8", "replace")).decode()
            raise ModelError(
                f"{self.url} answers with a redirect to {to[:200]}; leaven follows none.",
                "name the address itself after the @.",
            )
        if status in (401, 403):
            raise self._no_key(status)
        if status == 404:
            raise await self._no_model(message)
        if status in (400, 422) and self.leaves_out(raw, sent):
            return
        raise CallFailed("provider_refused", f"{status} {message}".strip(), [raw[:2000].decode("utf-8", "replace")])

    def leaves_out(self, raw: bytes, sent: Mapping[str, Any]) -> bool:
        """True where an error names a parameter that was sent and need not be: from now on it is not."""
        error = _error(raw)
        name = _parameter(error["message"], error["param"])
        if name in sent:
            self.leave_out(name)
        return name in sent

    @staticmethod
    def message(raw: bytes) -> str:
        """What an error says."""
        return _error(raw)["message"]

    def leave_out(self, name: str) -> None:
        """Note a parameter that the server does not take."""
        if name not in self._left_out:
            self._left_out.append(name)
            self._parameters.clear()

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
                said = json.loads(await self._read(reply, LARGEST))
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
        OpenAI.used(said, "prompt_tokens") or tokens(asked),
        OpenAI.used(said, "completion_tokens") or tokens(text),
    )


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

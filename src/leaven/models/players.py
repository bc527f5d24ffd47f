"""Who plays which role: from what the user named, in a URI each, to a model that can be asked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from shutil import which
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError, RecipeError, listed, nearest
from leaven.models.keys import server_of
from leaven.models.roles import ASKED, FALLBACKS

if TYPE_CHECKING:
    from leaven.models.asker import Player
    from leaven.models.config import Config

OFFLINE = "apertium:eng-spa"
"""Translates where nobody is named and the program is installed: nothing leaves the machine."""
HERE = {"speak": "espeak", "transcribe": "pocketsphinx"}
"""Who plays a role where nobody is named: programs and packages on this machine."""
FITTED = "fitted"
"""The nick, and the scheme, of a model that a step of the recipe fitted from nothing: nobody is named for it."""
HOME = "https://api.openai.com/v1"
SCHEMES = (
    "openai", "openai-batch", "transformers", "diffusers", "recorded", "fake", "apertium", "espeak", "pocketsphinx",
    "wordllama", "hashed", "fitted",
)  # fmt: skip
SAYS = ("chat", "complete", "classify", "translate")
PLAYS = {
    "openai": (*SAYS, "embed", "caption", "paint", "speak", "transcribe"),
    "openai-batch": ("chat",),
    "recorded": (*SAYS, "transcribe"),
    "apertium": ("translate",),
    "espeak": ("speak",),
    "pocketsphinx": ("transcribe",),
    "transformers": (
        *SAYS,
        "embed",
        "fill",
        "tag",
        "caption",
        "detect",
        "segment",
        "map",
        "speak",
        "transcribe",
    ),
    "diffusers": ("paint", "sound"),
    "wordllama": ("embed",),
    "hashed": ("embed",),
    "fitted": ("paint", "sound"),
}
"""The roles that a scheme plays; the others play all."""
SERVERS = ("openai", "openai-batch")
"""The schemes that ask a server: MODEL[@URL]."""
UNPRICED = ("paint", "speak", "transcribe")
"""The roles whose list prices are by the image, the letter or the minute: only the user's own price counts."""
SEEDED = ("transformers", "diffusers", "fitted")
"""The schemes whose models draw by a seed that they are given."""
Rows = Callable[[str], Iterable[tuple[str, str]]]
"""Reads a recording: FILE[?parent=COLUMN] to (parent, text)."""


class Players:
    """The models of one run, each opened when first asked for.

    ``named`` maps a role, or ROLE.NICK, to a URI: the command line's first, then ``leaven.toml``'s.
    """

    def __init__(
        self,
        named: Mapping[str, str],
        config: Config,
        *,
        recording: Rows,
        timeout: float = 60.0,
        concurrency: int | None = None,
        headers: Mapping[str, str] | None = None,
        hints: Mapping[str, str] | None = None,
    ) -> None:
        self.named = {**config.models, **named}
        self.played = {role: (by,) for role, by in (hints or {}).items() if by in ASKED}
        """Roles that the recipe says another role's model plays."""
        self.config = config
        self.timeout, self.concurrency, self.headers = timeout, concurrency, dict(headers or {})
        self._recording = recording
        self._open: dict[tuple[str, str], Player] = {}
        self._limiters: dict[str, Any] = {}
        for role, uri in self.named.items():
            check_role(role.partition(".")[0])
            split(uri, role)

    def who(self, role: str, nick: str | None = None) -> tuple[str, str]:
        """The role that really answers, and its URI; ``("", "")`` where nobody is named.

        A role that nobody plays is played over another one: a text is continued, a label guessed over chat.
        """
        if nick == FITTED:
            return role, FITTED
        if nick:
            return (role, self.named[f"{role}.{nick}"]) if f"{role}.{nick}" in self.named else ("", "")
        if role in self.named:
            return role, self.named[role]
        over = next((over for over in self.played.get(role, FALLBACKS.get(role, ())) if over in self.named), "")
        if role == "translate" and (which("apertium") or not over):
            return role, OFFLINE
        return (over, self.named[over]) if over else (role, HERE[role]) if role in HERE else ("", "")

    def player(self, role: str, nick: str | None = None) -> tuple[str, Player]:
        """The role that really answers, and who plays it.  Raises ModelError where nobody does."""
        over, uri = self.who(role, nick)
        if not uri:
            raise nobody(role, nick)
        held = "chat" if over == "complete" and seeded(uri) else over, uri  # one model of this process plays both
        if held not in self._open:
            self._open[held] = self._opened(over, uri)
        return over, self._open[held]

    def opened(self) -> list[Player]:
        return list(self._open.values())

    async def close(self) -> None:
        for player in self._open.values():
            await player.close()

    def _opened(self, role: str, uri: str) -> Player:
        scheme, rest = split(uri, role)
        if scheme in SERVERS:
            return self._openai(role, uri, rest, batched=scheme == "openai-batch")
        if scheme == "recorded":
            from leaven.models.backends.recorded import Recorded

            return Recorded(uri, self._recording(rest))
        if scheme == "fake":
            from leaven.models.backends.fake import Fake

            return Fake(uri)
        if scheme == "apertium":
            from leaven.models.backends.apertium import Translator

            return Translator(uri, rest)
        if scheme == "espeak":
            from leaven.models.backends.espeak import Espeak

            return Espeak(uri)
        if scheme == "pocketsphinx":
            from leaven.models.backends.pocketsphinx import PocketSphinx

            return PocketSphinx(uri)
        if scheme == "transformers":
            from leaven.models.backends.of_transformers import of_transformers

            return of_transformers(role, uri, rest)
        if scheme == "diffusers":
            from leaven.models.backends.of_diffusers import of_diffusers

            return of_diffusers(role, uri, rest)
        if scheme == FITTED:
            from leaven.models.backends.local.fitted import Fitted

            return Fitted(uri, rest)
        from leaven import plugins

        make = plugins.scheme(scheme)
        assert callable(make), "split() let the scheme through"
        made: Player = make(uri)
        return made

    def _openai(self, role: str, uri: str, rest: str, *, batched: bool) -> Player:
        from leaven.models.backends.openai import OpenAI
        from leaven.models.backends.openai_batch import SHARE, OpenAIBatch
        from leaven.models.keys import key_for, name_for
        from leaven.models.limiter import Limiter
        from leaven.models.prices import price

        model, url = address(rest)
        if url not in self._limiters:
            self._limiters[url] = Limiter(url, most=self.concurrency, fixed=self.concurrency is not None)
        known = price(model, url, self.config.prices)
        if role in UNPRICED and model not in self.config.prices:
            known = None
        if batched and known:
            known = replace(known, share=SHARE)
        server = OpenAI(
            model,
            url,
            uri=uri,
            key=key_for(url, self.config, os.environ, role=role),
            key_name=name_for(url, self.config, os.environ) or "",
            timeout=self.timeout,
            headers=self.headers,
            limiter=self._limiters[url],
            price=known,
        )
        return OpenAIBatch(server) if batched else server


def split(uri: str, role: str) -> tuple[str, str]:
    """Scheme and rest of a URI.  Raises ModelError for what is none."""
    scheme, colon, rest = uri.partition(":")
    known = scheme in SCHEMES
    if not known and colon:
        from leaven import plugins

        known = plugins.scheme(scheme) is not None
    if not known or (scheme in (*SERVERS, "recorded", "apertium", "transformers", "diffusers") and not rest):
        close = nearest(scheme, SCHEMES)
        raise ModelError(
            f"`{uri}` names no model.",
            f"{role}={close}:{rest or '...'}"
            if close and close != scheme
            else f"for example {role}=openai:gpt-5-mini,"
            f" {role}=openai:gemma3@http://localhost:11434/v1, {role}=recorded:answers.csv",
            where=role,
        )
    if scheme in SERVERS:
        _check_address(rest, uri, role)
    plays = PLAYS.get(scheme)
    if plays and role.partition(".")[0] not in plays:
        others = [other for other, roles in PLAYS.items() if role.partition(".")[0] in roles]
        raise ModelError(
            f"{scheme} does not play {role}, but {listed(plays)}.", f"name one of {listed(others)}.", where=role
        )
    return scheme, rest


def _check_address(rest: str, uri: str, role: str) -> None:
    """Raise for an address that is none, or that a slip has made part of the model's name: what is asked would go to
    another server than the one that is meant."""
    scheme = uri.partition(":")[0]
    model, url = address(rest)
    meant = _ADDRESS.search(model)
    if meant:
        to = re.sub(r"^\w+://", "", meant[1])
        raise ModelError(
            f"`{uri}`: what follows the @ is no address that begins with http:// or https://.",
            f"{role}={scheme}:{model[: meant.start()]}@http://{to}",
            where=role,
        )
    server = server_of(url)
    if server is None:
        raise ModelError(
            f"`{url}` is no address of a server.", f"{role}={scheme}:{model}@http://HOST:PORT/v1", where=role
        )
    if "@" in url.partition("//")[2].partition("/")[0]:
        raise ModelError(
            f"the address of {server.host} holds a user name or a password, which would stand in the run's files.",
            '--header "Authorization=Basic ...", or in leaven.toml: [keys] "HOST" = "NAME_OF_A_VARIABLE".',
            where=role,
        )
    if not model:
        raise ModelError(f"`{scheme}:@{url}` names a server and no model.", f"{role}={scheme}:MODEL@{url}", where=role)


_ADDRESS = re.compile(r"@(\w+://.*|localhost\b.*|[\w.-]+:\d+(?:/.*)?|\d+(?:\.\d+){3}.*|[\w-]+(?:\.[\w-]+)+/.*)$", re.S)
"""What looks like an address at the end of a model's name."""


def address(rest: str) -> tuple[str, str]:
    """Model and URL of ``MODEL[@URL]``; it is split at the last ``@http``, since model names may hold an @."""
    at = max(rest.rfind("@http://"), rest.rfind("@https://"))
    if at < 0:
        return rest, os.environ.get("OPENAI_BASE_URL") or HOME
    return rest[:at], rest[at + 1 :].rstrip("/")


def seeded(uri: str) -> bool:
    """Whether a model is told what to draw with: then equal calls get equal answers."""
    return uri.partition(":")[0] in SEEDED


def in_a_prompt(role: str, uri: str) -> bool:
    """Whether who answers for a role is asked in words: what a server says of an image is asked as a chat is."""
    return role in SAYS or (role == "caption" and uri.startswith("openai:"))


def batched(named: Mapping[str, str]) -> bool:
    """Whether a model is asked through a batch API."""
    return any(uri.startswith("openai-batch:") for uri in named.values())


def host(uri: str) -> str:
    """Where a model is asked: ``api.openai.com``, or an empty text where nothing leaves this process."""
    scheme, _, rest = uri.partition(":")
    if scheme not in SERVERS:
        return ""
    _, url = address(rest)
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2]


def check_role(role: str) -> None:
    if role not in ASKED:
        close = nearest(role, ASKED)
        raise RecipeError(
            f"there is no role `{role}` to name a model for.",
            f"the nearest is `{close}`." if close else f"the roles are {listed(ASKED)}.",
            where="--model",
        )


def named_models(said: Iterable[str]) -> dict[str, str]:
    """``ROLE=URI`` options as a mapping."""
    found: dict[str, str] = {}
    for option in said:
        role, equals, uri = option.partition("=")
        if not equals or not role or not uri:
            raise RecipeError(f"{option} is not ROLE=URI.", "--model chat=openai:gpt-5-mini", where="--model")
        found[role] = uri
    return found


def nobody(role: str, nick: str | None, recipe: str = "", hint: str = "") -> ModelError:
    name = f"{role}.{nick}" if nick else role
    what = f"recipe {recipe} needs a model for the role {name}" if recipe else f"no model is named for the role {name}"
    local = f"{name}=openai:gemma3@http://localhost:11434/v1"
    if role not in PLAYS["openai"]:
        by = next((scheme for scheme in ("transformers", "diffusers") if role in PLAYS[scheme]), "fake")
        fix = f"--model {name}={hint or f'{by}:FOLDER'}, where FOLDER is a model that save_pretrained wrote."
        return ModelError(f"{what}{', and none is named' if recipe else ''}.", fix, where=name)
    return ModelError(
        f"{what}{', and none is named' if recipe else ''}.",
        f"--model {name}={hint or 'openai:gpt-5-mini'}, or one on this machine: --model {local}",
        where=name,
    )

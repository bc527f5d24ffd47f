"""``leaven models``: who plays which role, whether it answers, and what it costs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which

from leaven.engine.opening import recording
from leaven.errors import LeavenError
from leaven.media.image import Image
from leaven.models.asker import Player
from leaven.models.backends.fake import hum
from leaven.models.calls import About, Ask, CallFailed
from leaven.models.config import Config
from leaven.models.keys import name_for
from leaven.models.players import HERE, OFFLINE, SERVERS, Players, address
from leaven.records import digest
from leaven.terminal import cut, shown

PROBE = "Answer with the word yes."
HEAD = ("role", "played by", "named in", "answers", "USD per million tokens in / out")


@dataclass(frozen=True)
class Line:
    role: str
    by: str
    named: str
    answers: str
    price: str


@dataclass
class Found:
    lines: list[Line]
    calls: int = 0
    tokens: int = 0
    keys: tuple[str, ...] = ()


async def probe(named: Mapping[str, str], config: Config, timeout: float) -> Found:
    """Ask each named model one short thing."""
    players = Players(named, config, recording=recording, timeout=timeout, concurrency=1)
    found = Found(_built_in(players))
    keys: dict[str, None] = {}
    try:
        for name, uri in sorted(players.named.items()):
            where = "command line" if name in named else "leaven.toml"
            role, _, nick = name.partition(".")
            scheme, _, rest = uri.partition(":")
            if scheme in SERVERS:
                key = name_for(address(rest)[1], config, os.environ)
                if key and os.environ.get(key):
                    keys[key] = None
            try:
                _, player = players.player(role, nick or None)
            except LeavenError as error:
                found.lines.append(Line(name, uri, where, f"no: {error.what}", "-"))
                continue
            answers = await _answers(player, role, found)
            found.lines.append(Line(name, uri, where, answers, _price(player)))
    finally:
        await players.close()
    found.keys = tuple(keys)
    return found


def _built_in(players: Players) -> list[Line]:
    lines = []
    for kind, (by, module) in FEATURES.items():
        there = find_spec(module) is not None
        price = FREE if there else f'pip install "leaven[{kind}]"'
        lines.append(Line("embed", by, "built in", "yes" if there else "not installed", price))
    if "embed" not in players.named:
        lines.append(Line("embed", "wordllama", "built in", "yes" if find_spec("wordllama") else "not installed", FREE))
    lines.append(Line("fill", "ngram", "built in", "yes", FREE))
    lines.append(Line("student", "linear", "built in", "yes", FREE))
    if "translate" not in players.named:
        there = which("apertium") is not None
        lines.append(
            Line("translate", OFFLINE, "built in", "yes" if there else "not installed", FREE if there else INSTALL)
        )
    for role, by in HERE.items():
        if role in players.named:
            continue
        try:
            players.player(role)
            lines.append(Line(role, by, "built in", "yes", FREE))
        except LeavenError as error:
            lines.append(Line(role, by, "built in", "not installed", error.fix))
    return lines


FREE = "0, on this machine"
INSTALL = "apt install apertium-eng-spa"
FEATURES = {"image": ("image features", "cv2"), "audio": ("audio features", "soundfile")}
"""What embeds images and sounds where nobody is named, and the module that it needs."""


def _picture() -> Image:
    import numpy as np

    return Image.of(np.zeros((8, 8, 3), np.uint8))


SHORT = {"text": lambda: "yes", "image": _picture}
"""What an embedder is asked, by the first kind that it takes."""


async def _answers(player: Player, role: str, found: Found) -> str:
    ask = Ask("chat", {"messages": [{"role": "user", "content": PROBE}]}, {"max_tokens": 16})
    if role == "complete":
        ask = Ask("complete", {"prompt": "one two three"}, {"max_tokens": 4})
    elif role == "speak":
        ask = Ask("speak", {"voices": "all"})
    elif role == "transcribe":
        name = digest(hum(0).encoded).hex()
        ask = Ask("transcribe", {"audio": name}, media={name: hum(0)})
    began = time.monotonic()
    try:
        if role == "embed" and hasattr(player, "embed"):
            kinds = getattr(player, "kinds", ("text",))
            vectors, used = await player.embed([SHORT[kinds[0]]()])
            found.tokens += used
            said = f", {len(vectors[0])} numbers"
            if player.limiter is None:
                said += f" for {' and '.join(kinds)}, on the {getattr(player, 'device', 'cpu')}"
        elif player.limiter is None:
            return "yes"
        elif role == "paint":
            return "not asked: an image costs"
        else:
            answer = (await player.limiter.run(lambda: player.play(ask, About("probe", 0, "probe"))))[0]
            found.tokens += answer.tokens_in + answer.tokens_out
            said = "" if answer.logprob is None else ", with log-probabilities"
    except (LeavenError, CallFailed) as error:
        return f"no: {error.what if isinstance(error, LeavenError) else error}"
    except Exception as error:  # a try that broke; the limiter is not asked to try again here
        return f"no: {error}"
    found.calls += 1
    refused = f"; refuses {', '.join(player.left_out)}" if player.left_out else ""
    return f"yes, {time.monotonic() - began:.1f} s{said}{refused}"


def _price(player: Player) -> str:
    if player.free:
        return FREE
    if player.price is None:
        return "unknown"
    per_in, per_out = (player.price.share * rate for rate in player.price.per_million)
    return f"{per_in:.2f} / {per_out:.2f}"


def lines(found: Found) -> list[str]:
    """The answer of the command."""
    rows = [(line.role, shown(line.by), line.named, shown(line.answers), line.price) for line in found.lines]
    widths = [max(len(HEAD[i]), *(len(row[i]) for row in rows)) + 3 for i in range(4)]
    widths[3] = min(widths[3], 60)
    said = ["".join(f"{cell:<{w}}" for cell, w in zip(HEAD, widths, strict=False)) + HEAD[4]]
    for row in rows:
        cells = "".join(f"{cut(cell, 200):<{w}}" for cell, w in zip(row[:4], widths, strict=True))
        said.append((cells + row[4]).rstrip())
    keys = "".join(f" {key} is set, not shown." for key in found.keys)
    word = "call" if found.calls == 1 else "calls"
    said.append(f"Checked with {found.calls} {word} of {found.tokens} tokens.{keys}")
    if not any(line.named != "built in" for line in found.lines):
        said.append("Next:  name one: leaven models --model chat=openai:gemma3@http://localhost:11434/v1")
    return said

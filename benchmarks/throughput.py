"""How fast models are asked: 2,000 calls against a local server that waits 50 ms and takes C at a time (429 beyond).

    python -m benchmarks.throughput                         leaven beside bare sockets, C = 16, 64, 256
    python -m benchmarks.throughput --peers PYTHON ...      and beside other libraries, where an interpreter has them

*calls*: 2,000 questions to the chat role, the limit found by asking, each answer stored in the ledger and parsed into
its shape.  *step*: the whole step of a run around them: prompts rendered, six children an answer made, part files
written.  The bare client knows C, stores and parses nothing: it is what the server can do.  All three run in the same
minute, one after the other, the best of ``--repeat`` each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path

from tests.loopback.process import Server

from benchmarks import bare_socket
from leaven.engine import asking
from leaven.engine.augment import Request, augment
from leaven.engine.reporter import Silent
from leaven.models.asker import Asker
from leaven.models.backends.openai import OpenAI
from leaven.models.budget import Budget
from leaven.models.calls import About
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.limiter import Limiter
from leaven.text.paraphrase import Rewrites

LATENCY = 0.05
PEERS = Path(__file__).with_name("peers.py")


class Quiet(Silent):
    """A reporter for the whole command."""

    def read(self, *_: object) -> None: ...

    def models(self, *_: object) -> None: ...

    def resumed(self, *_: object) -> None: ...


def leaven(url: str, calls: int) -> float:
    """Seconds of the step that asks, within a whole run of ``auggpt``."""
    took = []
    parts = asking.ModelDesk.parts

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        parts(*arguments)  # type: ignore[arg-type]
        took.append(time.perf_counter() - began)

    asking.ModelDesk.parts = timed  # type: ignore[assignment, method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data.csv"
            lines = [
                f"Where is the card number {i} that I ordered,{'card' if i % 2 else 'order'}" for i in range(calls)
            ]
            data.write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
            request = Request(str(data), Path(folder) / "out", recipe="auggpt", models={"chat": f"openai:any@{url}"})
            run = augment(request, Quiet())
            assert run.spend.tokens
            assert run.written.failed == 0
    finally:
        asking.ModelDesk.parts = parts  # type: ignore[method-assign]
    return sum(took)


class Only:
    """One player for the role of chat."""

    named: dict[str, str] = {}

    def __init__(self, player: OpenAI) -> None:
        self._player = player

    def player(self, role: str, nick: str | None = None) -> tuple[str, OpenAI]:
        return role, self._player


async def questions(url: str, number: int) -> float:
    """Seconds of as many questions to the chat role."""
    with tempfile.TemporaryDirectory() as folder:
        player = OpenAI("any", url, uri="", limiter=Limiter(url))
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        chat = Conversation(Asker(ledger, Budget(None, 0.0)), Only(player))  # type: ignore[arg-type]
        began = time.perf_counter()
        asked = []
        for i in range(number):
            said = [{"role": "user", "content": f"Say in 6 other ways: where is the card number {i} that I ordered"}]
            about = About("paraphrase", 0, f"{i}")
            asked.append(asyncio.ensure_future(chat.chat(said, about, shape=Rewrites, wanted=6)))
            if i % 16 == 15:
                await asyncio.sleep(0)
        assert all(len(answer.rewrites) == 6 for answer in await asyncio.gather(*asked))
        took = time.perf_counter() - began
        await player.close()
        ledger.close()
        return took


def bodies(calls: int) -> list[bytes]:
    """What leaven sends, for the bare client to send too."""
    with Server(latency=0.0) as server:
        leaven(server.url, calls)
        return [json.dumps(body).encode() for body in server.bodies()][:calls]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--at", type=int, nargs="*", default=[16, 64, 256])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=[], metavar="PYTHON", help="interpreters that have a peer")
    asked = parser.parse_args()
    sent = bodies(min(1000, asked.calls))
    sent = (sent * (1 + asked.calls // len(sent)))[: asked.calls]
    print("| C | headers | ideal s | bare s | calls s | calls / bare | step s | step / bare |\n|" + "---|" * 8)
    for capacity in asked.at:
        for headers in (False, True):
            bare, alone, whole = [], [], []
            for _ in range(asked.repeat):
                with Server(capacity=capacity, latency=LATENCY, headers=headers) as server:
                    bare.append(asyncio.run(bare_socket.run(f"{server.url}/chat/completions", sent, capacity)))
                with Server(capacity=capacity, latency=LATENCY, headers=headers) as server, asking.few_collections():
                    alone.append(asyncio.run(questions(server.url, asked.calls)))
                with Server(capacity=capacity, latency=LATENCY, headers=headers) as server:
                    whole.append(leaven(server.url, asked.calls))
            ideal = asked.calls / capacity * LATENCY
            cells = [capacity, "yes" if headers else "no", f"{ideal:.2f}", f"{min(bare):.2f}"]
            for found in (alone, whole):
                cells += [f"{min(found):.2f}", f"{min(found) / min(bare):.2f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for python in asked.peers:
        with Server(capacity=64, latency=LATENCY) as server:
            done = subprocess.run(
                [python, str(PEERS), server.url, "1000", "64"], capture_output=True, text=True, check=False
            )
            print(done.stdout.strip() or done.stderr.strip()[-2000:])


if __name__ == "__main__":
    main()

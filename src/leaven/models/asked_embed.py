"""Vectors from a server or a heavy model: each item is asked for once, whatever batch it comes in, and stored in the
ledger."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.models.asker import not_stored
from leaven.models.calls import Answer, Ask, CallFailed
from leaven.models.embedders import BUILT_IN, LocalModels, kind_of
from leaven.models.ledger import Row
from leaven.models.prices import most_tokens
from leaven.records import digest

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.asker import Asker, Player
    from leaven.models.roles import Item

BATCH = 64
Named = tuple[str, str]
"""The kind of an item, and what names it in the ledger."""


def on_a_server(named: Mapping[str, str]) -> str:
    """The URI of the model that the user named for vectors; empty where an embedder in any process makes them."""
    uri = named.get("embed", "")
    return "" if uri in BUILT_IN else uri


class AskedEmbed:
    """Plays ``embed`` where the models are; ``run`` waits for a coroutine on their loop.

    A server embeds texts (``/v1/embeddings``), another player the ``kinds`` that it names.  All others are embedded
    here, by what has nothing to choose: so the model's name alone says how vectors came about.
    """

    def __init__(
        self,
        asker: Asker,
        player: Player,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        self.name = player.uri
        self.asker, self.player = asker, player
        self._run = run
        self._here = LocalModels({"name": "wordllama"})

    def embed(self, items: Sequence[Item]) -> np.ndarray:
        """n x d, float32, unit length; all items are of one kind."""
        import numpy as np

        named = [_named(item) for item in items]
        each = dict(zip(named, items, strict=True))
        if not items or not self._plays(kind_of(items), named):
            return self._here.embed(items)
        found = self._run(self._vectors(each))
        width = max((len(v) for v in found.values()), default=0)
        out = np.zeros((len(items), width), np.float32)
        for i, name in enumerate(named):
            out[i] = found[name]
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        unit: np.ndarray = out / np.where(lengths > 0, lengths, 1)
        return unit

    def _plays(self, kind: str, named: Sequence[Named]) -> bool:
        """True where the player embeds items of this kind.  A replay knows it by what is stored."""
        kinds = getattr(self.player, "kinds", None)
        if kinds is None and kind == "text" and self.player.uri.startswith("openai:"):
            return True
        if kinds is None and self.asker.replay:
            return any(self.asker.ledger.find(self._key(name)) for name in named)
        return self.plays(kind)

    def plays(self, kind: str) -> bool:
        """True where the player embeds items of this kind: text, image or audio."""
        return kind in (getattr(self.player, "kinds", None) or ("text",))

    def scale(self) -> float | None:
        """What the model multiplies the cosine of a text and an image or a sound by, before it says how well they fit;
        None where it does not.  It is stored as a vector is."""
        found: float | None = self._run(self._scale())
        return found

    async def _scale(self) -> float | None:
        key, ledger = digest("logit scale", self.player.model), self.asker.ledger
        stored = ledger.find(key)
        if not stored:
            if self.asker.replay:
                raise not_stored(f"the logit scale of {self.player.model} is not stored.")
            read = getattr(self.player, "scale", None)
            found = await read() if read else None
            answer = Answer(json.dumps(found))
            ask = Ask("embed", {"logit scale": self.player.model})
            row = Row(key, "embed", 0, "", 0, 0, ask, self.player.model, answer, usd=0.0)
            self.asker.count(self.player, row)
            await ledger.store(row)
            return found
        assert stored[0] is not None, "an answer without an error is stored"
        scale: float | None = json.loads(stored[0].text)
        return scale

    async def _vectors(self, items: Mapping[Named, Item]) -> dict[Named, np.ndarray]:
        import numpy as np

        found: dict[Named, np.ndarray] = {}
        missing: list[Named] = []
        for name in items:
            stored = self.asker.ledger.find(self._key(name))
            if stored and stored[0]:
                found[name] = np.frombuffer(base64.b64decode(stored[0].text), np.float32)
                self.asker.spend.stored += 1
            else:
                missing.append(name)
        if missing and self.asker.replay:
            raise not_stored(f"{len(missing)} {missing[0][0]}s have no stored vector of {self.player.model}.")
        batches = [missing[i : i + BATCH] for i in range(0, len(missing), BATCH)]
        made = await asyncio.gather(*(self._batch(batch, items) for batch in batches))
        for batch, vectors in zip(batches, made, strict=True):
            found.update(zip(batch, vectors, strict=True))
        return found

    async def _batch(self, names: Sequence[Named], items: Mapping[Named, Item]) -> list[np.ndarray]:
        import numpy as np

        asker, player = self.asker, self.player
        wanted = [items[name] for name in names]
        most = player.price.of(sum(most_tokens(said) for _, said in names), 0) if player.price else 0.0
        await asker.budget.reserve(most)
        began, usd = time.monotonic(), None
        try:
            embed = getattr(player, "embed", None)
            if embed is None:
                raise ModelError(f"{player.uri} makes no vectors.", "name a server: embed=openai:MODEL@URL")
            if player.limiter is None:
                (vectors, tokens), tries = await embed(wanted), 1
                asker.once(
                    f"{player.uri} makes vectors on the {getattr(player, 'device', '') or 'cpu'}.", warning=False
                )
            else:
                (vectors, tokens), tries = await player.limiter.run(lambda: embed(wanted))
            usd = asker.cost(player, Answer("", tokens_in=tokens))
        except ModelError as error:
            raise error.at("embed") from None
        except CallFailed as failed:  # a keep cannot decide without them: no record's own trouble
            broken = ModelError(
                f"no vectors from {player.uri}: {failed.detail.rstrip('.')}.",
                "the same command goes on when the server answers.",
                where="embed",
                next_step=True,
            )
            broken.retryable = True
            raise broken from None
        finally:
            asker.budget.settle(most, usd or 0.0)
        arrays = [np.asarray(vector, np.float32) for vector in vectors]
        seconds = time.monotonic() - began
        rows = []
        for name, array in zip(names, arrays, strict=True):
            answer = Answer(base64.b64encode(array.tobytes()).decode(), tokens_in=tokens)
            kind, said = name
            ask = Ask("embed", {"input": said} if kind == "text" else {kind: said})
            row = Row(
                self._key(name), "embed", 0, digest(said).hex(), 0, 0, ask, player.model,
                answer, usd=usd, seconds=seconds, tries=tries,
            )  # fmt: skip
            asker.count(player, row)
            rows.append(row)
            # The first row has what the whole batch took; a cost that is not known is not known of the others either.
            tokens, usd, seconds, tries = 0, usd and 0.0, 0.0, 0
        await asyncio.gather(*map(asker.ledger.store, rows))
        return arrays

    def _key(self, name: Named) -> bytes:
        kind, said = name
        return digest("embed", self.player.model, *([] if kind == "text" else [kind]), said)


def _named(item: Item) -> Named:
    """A text as it is, an image or a sound by a hash of its bytes."""
    if isinstance(item, str):
        return "text", item
    return kind_of([item]), digest(item.encoded).hex()

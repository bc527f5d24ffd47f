"""Vectors from a server: each text is asked for once, whatever batch it comes in, and stored in the ledger."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.models.asker import not_stored
from leaven.models.calls import Answer, Ask, CallFailed
from leaven.models.embedders import BUILT_IN
from leaven.models.ledger import Row
from leaven.models.prices import most_tokens
from leaven.records import digest

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.asker import Asker, Player

BATCH = 64


def on_a_server(named: Mapping[str, str]) -> str:
    """The URI of the server that the user named for vectors; empty where an embedder in this process makes them."""
    uri = named.get("embed", "")
    return "" if uri in BUILT_IN else uri


class AskedEmbed:
    """Plays ``embed`` over ``/v1/embeddings``; ``run`` waits for a coroutine on the loop of the models."""

    def __init__(self, asker: Asker, player: Player, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.name = player.uri
        self.asker, self.player = asker, player
        self._run = run

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """n x d, float32, unit length."""
        import numpy as np

        found = self._run(self._vectors(list(dict.fromkeys(texts))))
        width = max((len(v) for v in found.values()), default=0)
        out = np.zeros((len(texts), width), np.float32)
        for i, text in enumerate(texts):
            out[i] = found[text]
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        unit: np.ndarray = out / np.where(lengths > 0, lengths, 1)
        return unit

    async def _vectors(self, texts: list[str]) -> dict[str, np.ndarray]:
        import numpy as np

        found: dict[str, np.ndarray] = {}
        missing: list[str] = []
        for text in texts:
            stored = self.asker.ledger.find(self._key(text))
            if stored and stored[0]:
                found[text] = np.frombuffer(base64.b64decode(stored[0].text), np.float32)
                self.asker.spend.stored += 1
            else:
                missing.append(text)
        if missing and self.asker.replay:
            raise not_stored(f"{len(missing)} texts have no stored vector of {self.player.model}.")
        batches = [missing[i : i + BATCH] for i in range(0, len(missing), BATCH)]
        for batch, vectors in zip(batches, await asyncio.gather(*map(self._batch, batches)), strict=True):
            found.update(zip(batch, vectors, strict=True))
        return found

    async def _batch(self, texts: list[str]) -> list[np.ndarray]:
        import numpy as np

        asker, player = self.asker, self.player
        most = player.price.of(sum(map(most_tokens, texts)), 0) if player.price else 0.0
        await asker.budget.reserve(most)
        began, usd = time.monotonic(), None
        try:
            assert player.limiter is not None
            embed = getattr(player, "embed", None)
            if embed is None:
                raise ModelError(f"{player.uri} makes no vectors.", "name a server: embed=openai:MODEL@URL")
            (vectors, tokens), tries = await player.limiter.run(lambda: embed(texts))
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
        for text, array in zip(texts, arrays, strict=True):
            answer = Answer(base64.b64encode(array.tobytes()).decode(), tokens_in=tokens)
            row = Row(
                self._key(text), "embed", 0, digest(text).hex(), 0, 0, Ask("embed", {"input": text}), player.model,
                answer, usd=usd, seconds=seconds, tries=tries,
            )  # fmt: skip
            asker.count(player, row)
            rows.append(row)
            # The first row has what the whole batch took; a cost that is not known is not known of the others either.
            tokens, usd, seconds, tries = 0, usd and 0.0, 0.0, 0
        await asyncio.gather(*map(asker.ledger.store, rows))
        return arrays

    def _key(self, text: str) -> bytes:
        return digest("embed", self.player.model, text)

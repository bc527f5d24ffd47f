"""What every model that runs in this process does alike: load once, answer in threads, give its memory back.

On a CPU each call is answered alone, under one thread of torch, many beside each other; so no answer hangs on those
that came with it, nor on the number of cores.  On a GPU calls that are alike wait a moment for each other and are
answered in batches, in the order of their records.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.errors import MissingExtra, ModelError
from leaven.media.broken import Broken
from leaven.models.backends.local import room
from leaven.models.backends.local.weights import hush
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

MOMENT = 0.005
"""Seconds that calls wait on a GPU for others of their kind."""
MOST_SAID = 300
"""Characters of an error that a library raised."""

Waiting = tuple[tuple[str, int, str, int], Hashable, Ask, "asyncio.Future[Answer]"]
"""Where it stands among its like, its kind, the call, and where its answer goes."""


class Local(ABC):
    """One model of transformers or diffusers.  A subclass loads it and answers calls, several of one kind at a time."""

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()
    batch: ClassVar[int] = 8
    """Calls that a GPU answers together."""
    extra: ClassVar[str] = "torch"

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.uri, self.model = weights.uri, weights.model
        self.device = ""
        """Where it runs: known once it is loaded."""
        self.dtype: Any = None
        self.beside: Mapping[str, Weights] = {}
        """Those of models that stand beside it, such as a ControlNet."""
        self._loaded = False
        self._loading = threading.Lock()
        self._counting = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: list[Waiting] = []
        self._serving: asyncio.Task[None] | None = None
        self._at_work = 0
        self._threads = 0

    # -- what a subclass does ---------------------------------------------------------------------------------------

    @abstractmethod
    def load(self) -> None:
        """Read the model, onto ``self.device`` and in ``self.dtype``; run once, in a thread."""

    @abstractmethod
    def unload(self) -> None:
        """Forget the model, so that its memory is free."""

    @abstractmethod
    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        """The answers to calls of one kind, in their order; run in a thread.

        Where CallFailed is raised, or an error of a library, each call is answered alone: one of them is at fault.
        """

    def kind(self, ask: Ask) -> Hashable:
        """Calls of one kind may be answered together."""
        return ask.role, ask.settings

    # -- what all do ------------------------------------------------------------------------------------------------

    async def play(self, ask: Ask, about: About) -> Answer:
        """The answer to one call.  Raises CallFailed where the model can make nothing of it."""
        loop = asyncio.get_running_loop()
        with self._counting:
            self._at_work += 1
        try:
            if not self._loaded:
                await asyncio.to_thread(self._open)
            assert self._pool is not None
            if self.device == "cpu":
                [found] = await loop.run_in_executor(self._pool, self._answered, [ask])
            else:
                future: asyncio.Future[Answer] = loop.create_future()
                order = (about.step, about.round, about.record, about.number)
                try:
                    kind = self.kind(ask)
                except Broken as broken:  # the size of what is shown may be part of it
                    raise CallFailed(broken.reason, broken.detail) from None
                self._waiting.append((order, kind, ask, future))
                if self._serving is None or self._serving.done():
                    self._serving = asyncio.create_task(self._serve())
                return await future
        finally:
            with self._counting:
                self._at_work -= 1
        if isinstance(found, CallFailed):
            raise found
        return found

    async def close(self) -> None:
        if self._pool:
            self._pool.shutdown()
            self._pool = None
        if self._threads:
            import torch

            torch.set_num_threads(self._threads)
        self.release()
        room.leave(self)

    @property
    def where(self) -> str:
        """The device that it runs on and its numbers, once it is loaded: `cpu in float32`."""
        return f"{self.device} in {str(self.dtype).removeprefix('torch.')}" if self._loaded else ""

    @property
    def idle(self) -> bool:
        return self._at_work == 0

    def release(self) -> bool:
        """Give its memory back, unless it is at work; the next call loads it again."""
        with self._loading:
            with self._counting:  # a call that comes now finds it not loaded, or is waited for
                if self._at_work:
                    return False
                loaded, self._loaded = self._loaded, False
            if loaded:
                self.unload()
            return True

    async def _serve(self) -> None:
        """Answer what waits, batch by batch, until nothing does."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(MOMENT)
        while waiting := sorted((one for one in self._waiting if not one[-1].done()), key=lambda one: one[0]):
            taken = [one for one in waiting if one[1] == waiting[0][1]][: self.batch]
            futures = [future for *_, future in taken]
            self._waiting = [one for one in waiting if one[-1] not in futures]
            try:
                found = await loop.run_in_executor(self._pool, self._answered, [ask for _, _, ask, _ in taken])
            except BaseException as error:
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                continue
            for future, answer in zip(futures, found, strict=True):
                if future.done():  # its record was given up meanwhile
                    continue
                if isinstance(answer, CallFailed):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    # -- in a thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._loading:
            if self._loaded:
                return
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            try:
                import torch
                import transformers
            except ImportError as error:
                raise MissingExtra(
                    f"{self.uri} needs the extra `{self.extra}` ({error.name}).",
                    f'pip install "leaven[{self.extra}]"',
                ) from None
            hush(transformers.logging)
            self.device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            # Halves add up differently from machine to machine, and are slow on most CPUs and on old GPUs.
            slow = self.device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
            self.dtype = torch.float32 if self.device == "cpu" or slow else torch.bfloat16
            room.make(self, self.weights, self.device, self.beside.values())
            if not self._fits():
                room.clear(self, self.device)
                if not self._fits():
                    raise ModelError(
                        f"{self.uri} finds no room on {self.device}.", "name a smaller model, or free its memory."
                    )
            self._loaded = True
            if self._pool is None:
                self._threads = torch.get_num_threads()
                beside = (os.cpu_count() or 1) if self.device == "cpu" else 1
                # One thread of torch in each of ours: two add up in another order.
                self._pool = ThreadPoolExecutor(beside, "leaven model", torch.set_num_threads, (1,))

    def _fits(self) -> bool:
        """Load it; False where the device has no memory for it."""
        import torch

        try:
            self.load()
        except torch.OutOfMemoryError:
            self.unload()
            return False
        return True

    def _answered(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        import torch

        try:
            with torch.inference_mode():
                return self.answers(asks)
        except (ModelError, MissingExtra):
            raise
        except CallFailed as failed:
            if len(asks) == 1:
                return [failed]
        except torch.OutOfMemoryError:
            if len(asks) == 1:
                return [CallFailed("no_memory", f"{self.uri} found no room on {self.device}")]
        except (Broken, ValueError, RuntimeError, TypeError, IndexError, KeyError) as error:
            if len(asks) == 1:
                return [CallFailed("model_error", " ".join(f"{type(error).__name__}: {error}".split())[:MOST_SAID])]
        # Out here nothing keeps what the batch had in memory: one of them is at fault, or there is room for fewer.
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return self._one_by_one(asks)

    def _one_by_one(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        return [found for ask in asks for found in self._answered([ask])]

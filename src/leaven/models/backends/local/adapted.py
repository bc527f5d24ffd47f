"""A model that writes, as it lies there, and as steps of a recipe fitted it."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path

from leaven.models.backends.local.local import Local
from leaven.models.backends.local.lora import LORA, merged
from leaven.models.backends.local.weights import Weights
from leaven.models.backends.local.writer import Writer
from leaven.models.calls import Adapter

BESIDE = 2
"""Fitted models that are held beside the one that they come of: each is one whole, and a step asks one of them."""


class Adapted(Local):
    """A subclass says how the model is opened; calls that name what was fitted are answered by that."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self._writers: dict[str, Writer] = {}
        """The model as it is, under an empty name, and with each adapter: a model for each, as calls run beside each
        other."""
        self._opening = threading.Lock()

    @abstractmethod
    def opened(self) -> Writer:
        """The model as it lies there, on ``device`` and in ``dtype``.  Raises ModelError where it cannot play the
        role."""

    def load(self) -> None:
        self._writers[""] = self.opened()

    def unload(self) -> None:
        self._writers.clear()

    def writer(self, adapter: Adapter | None) -> Writer:
        """The model, or it with an adapter: a folder with a LoRA, or with a whole model of its family."""
        name = adapter.name if adapter else ""
        with self._opening:
            if name not in self._writers:
                assert adapter is not None
                fitted = [other for other in self._writers if other]
                if len(fitted) == BESIDE:
                    del self._writers[fitted[0]]
                self._writers[name] = self._fitted(adapter.folder)
            return self._writers[name]

    def _fitted(self, folder: Path) -> Writer:
        if not (folder / LORA).is_file():
            described = folder / "config.json"
            whole = type(self)(replace(self.weights, place=str(folder), revision=None, described=described))
            whole.device, whole.dtype = self.device, self.dtype
            return whole.opened()
        writer = self.opened()
        writer.model = merged(writer.model, folder)
        return writer

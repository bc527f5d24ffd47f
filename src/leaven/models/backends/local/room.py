"""Room for models: before one is loaded, those that are idle give theirs back, as far as it needs.

The size of a model is that of its files, and of those of the models that stand beside it; some is left for what it
computes.  Where a model finds no room all the same, all that are idle give theirs back.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

SPARE = 1.3
"""A model's size times this is looked for."""


class Holder(Protocol):
    @property
    def idle(self) -> bool: ...

    def release(self) -> bool: ...


_holders: list[tuple[Holder, str]] = []
"""Those that hold memory, the longest idle first, and on which device."""


def make(holder: Holder, weights: Weights, device: str, beside: Iterable[Weights] = ()) -> None:
    """See that a model, with those that stand beside it, finds room on a device, and keep it in mind; where it does
    not, loading says so."""
    needed = SPARE * sum(size(one) for one in (weights, *beside))
    leave(holder)
    for other, where in list(_holders):
        if free(device) >= needed:
            break
        if where == device:
            _released(other)
    _holders.append((holder, device))


def clear(holder: Holder, device: str) -> None:
    """Have all others on a device that are idle give their room back."""
    for other, where in list(_holders):
        if where == device and other is not holder:
            _released(other)
    free(device)


def _released(other: Holder) -> None:
    if other.idle and other.release():
        leave(other)


def leave(holder: Any) -> None:
    """Forget one that holds nothing any more."""
    _holders[:] = [(other, device) for other, device in _holders if other is not holder]


def size(weights: Weights) -> int:
    """Bytes of a model's files; 0 for what lies on a hub and is not here yet."""
    if weights.revision == "":
        return 0  # none that are known before a call
    place = Path(weights.place) if weights.revision is None else weights.described.parent
    return sum(path.stat().st_size for path in place.rglob("*.safetensors"))


def free(device: str) -> int:
    """Bytes that a device has left."""
    if device == "cuda":
        import gc

        import torch

        gc.collect()  # what was released may hold on to itself in circles
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**62  # not known: loading itself says so
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 2**62)

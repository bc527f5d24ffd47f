"""Room for models: before one is loaded, those that are idle give theirs back, as far as it needs.

The size of a model is that of its files, in the number format that it is loaded in; some is left for what it computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

SPARE = 1.3
"""A model's size times this is looked for."""


class Holder(Protocol):
    @property
    def idle(self) -> bool: ...

    def release(self) -> None: ...


_holders: list[tuple[Holder, str]] = []
"""Those that hold memory, the longest idle first, and on which device."""


def make(holder: Holder, weights: Weights, device: str) -> None:
    """See that a model finds room on a device, and keep it in mind; where it does not, loading says so."""
    needed = SPARE * size(weights)
    leave(holder)
    for other, where in list(_holders):
        if free(device) >= needed:
            break
        if where == device and other.idle:
            other.release()
            leave(other)
    _holders.append((holder, device))


def leave(holder: Any) -> None:
    """Forget one that holds nothing any more."""
    _holders[:] = [(other, device) for other, device in _holders if other is not holder]


def size(weights: Weights) -> int:
    """Bytes of a model's files; 0 for what lies on a hub and is not here yet."""
    return sum(path.stat().st_size for path in Path(weights.place).rglob("*.safetensors")) if _here(weights) else 0


def _here(weights: Weights) -> bool:
    return weights.revision is None


def free(device: str) -> int:
    """Bytes that a device has left."""
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 2**62  # not known: loading itself says so
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 2**62)

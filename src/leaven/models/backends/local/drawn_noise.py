"""Noise of a call's own in a model that takes no generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def drawn_noise(generator: Any) -> Iterator[None]:
    """Within, ``torch.randn`` and ``torch.randn_like`` of this thread draw from a generator of the CPU: torch's own is
    shared by all threads, and is neither read nor set."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Drawn(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.randn:
                return torch.randn(*args, **{**(kwargs or {}), "generator": generator})
            if func is torch.randn_like:
                like = args[0]
                return torch.randn(like.shape, generator=generator).to(like.device, like.dtype)
            return func(*args, **(kwargs or {}))

    with Drawn():
        yield

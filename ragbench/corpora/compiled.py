"""Compilation of plain loops over arrays by numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, compiled at its first call; compiled code releases the GIL.

    The machine code is cached next to the source file, in the user's cache, or in
    ``NUMBA_CACHE_DIR``. If none of these is writable, each process compiles the function again.
    """
    from numba import njit

    try:
        found: Callable[..., Any] = njit(function, cache=True, nogil=True)
    except RuntimeError:  # no writable cache
        found = njit(function, nogil=True)
    return found

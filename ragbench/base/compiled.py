"""Plain loops over arrays as machine code, by numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as machine code that lets go of Python's lock.

    It is kept on disk beside its file, in the user's cache or in ``NUMBA_CACHE_DIR``. Where none
    of them can be written to, each process compiles it anew.

    Args:
        function: Plain loops over arrays.

    Returns:
        The function, compiled when it is first called.
    """
    from numba import njit

    try:
        found: Callable[..., Any] = njit(function, cache=True, nogil=True)
    except RuntimeError:  # there is no such place
        found = njit(function, nogil=True)
    return found

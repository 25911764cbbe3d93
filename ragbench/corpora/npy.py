"""Arrays in NumPy's format."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.errors import first_line
from ragbench.base.files import plain_file


def map_array(path: Path) -> npt.NDArray[Any]:
    """Return the array of a ``.npy`` file, memory-mapped and read-only.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It holds no array; NumPy itself raises a dozen types on a broken header.
    """
    try:
        found: npt.NDArray[Any] = np.lib.format.open_memmap(plain_file(path), mode="r")
    except (EOFError, SyntaxError, TokenError, TypeError, LookupError) as error:
        raise ValueError(f"{path.name} holds no array: {first_line(error)}") from None
    except (OverflowError, MemoryError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path.name} holds no array: {first_line(error)}") from None
    return found.view(np.ndarray)

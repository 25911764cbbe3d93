"""The compiled loop that splits texts into words (numba)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ragbench.base.devices import compiled

DOT = 0x2E


@compiled
def split_words(data: Any, bounds: Any, is_word: Any, out: Any, ends: Any, counts: Any) -> Any:
    """Copy the words of texts (runs of word characters with inner dots) one after another.

    Args:
        data: uint8, the texts in valid UTF-8, one after another.
        bounds: int64 (N + 1), start of each text and end of the last.
        is_word: bool (0x110000), whether a code point is a word character.
        out: uint8, as long as ``data``; gets the bytes of the words.
        ends: int32, longer than the possible number of words; gets 0 and the end of each in
            ``out``.
        counts: int64 (N); gets the number of words of each text.

    Returns:
        The number of words.
    """
    n_words, size = 0, 0
    ends[0] = 0
    for text in range(counts.size):
        place, stop, first = bounds[text], bounds[text + 1], n_words
        inside, dot = False, False  # dot: after a word that may continue
        while place < stop:
            byte = data[place]
            if byte < 0x80:
                width, code = 1, np.int64(byte)
            elif byte < 0xE0:
                width, code = 2, np.int64(byte & 0x1F)
            elif byte < 0xF0:
                width, code = 3, np.int64(byte & 0x0F)
            else:
                width, code = 4, np.int64(byte & 0x07)
            for more in range(1, width):
                code = (code << 6) | (data[place + more] & 0x3F)
            if is_word[code]:
                if dot:
                    out[size] = DOT
                    size += 1
                for more in range(width):
                    out[size + more] = data[place + more]
                size += width
                inside, dot = True, False
            elif code == DOT and inside and not dot:
                dot = True
            elif inside:
                n_words += 1
                ends[n_words] = size
                inside, dot = False, False
            place += width
        if inside:
            n_words += 1
            ends[n_words] = size
        counts[text] = n_words - first
    return n_words

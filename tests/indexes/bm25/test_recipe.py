"""What a BM25 index would take, counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ragbench.corpora.corpus import Corpus
from ragbench.indexes.bm25.recipe import Bm25Recipe
from ragbench.indexes.recipe import BASE_MEMORY

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


def test_an_estimate_counts_the_terms_of_each_passage_once(
    home: object, corpus_of: CorpusOf
) -> None:
    """gout foot | fever | fever gout: five postings of 8 bytes; per passage 12 in memory."""
    corpus = corpus_of("small", {"a": "gout of the foot", "b": "fever", "c": "fever, fever, gout"})
    found = Bm25Recipe(kind="bm25").estimate("mine", corpus, measure=True, device="cpu")
    assert found is not None
    assert (found.name, found.what, found.disk, found.scratch) == ("mine", "bm25", 40, 40)
    assert found.build_disk == 80
    assert found.build_memory == BASE_MEMORY + 36
    assert found.search_memory == BASE_MEMORY + 40
    assert found.hours == 5 / 5e6 / 3600
    assert Bm25Recipe(kind="bm25").alternatives("mine", corpus, "cpu") == []
    assert Bm25Recipe(kind="bm25").hub_models() == {}

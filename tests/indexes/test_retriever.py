"""What every retriever shares: the passage template and the order of hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import retriever
from ragbench.indexes.recipe import Recipe
from ragbench.indexes.retriever import (
    TIE_MARGIN,
    Rows,
    Scores,
    passage_text,
    search_all,
    top_hits,
)

N = 120


@pytest.mark.parametrize(
    ("template", "title", "text", "expected"),
    [
        ("{title}\n{text}", "Gout", "Uric acid.", "Gout\nUric acid."),
        ("{title}\n{text}", "", "Uric acid.", "Uric acid."),
        ("{text}", "Gout", "Uric acid.", "Uric acid."),
        ("passage: {text} ({title})", "Gout", "Uric acid.", "passage: Uric acid. (Gout)"),
        ("{title}: {text}", "the {text} field", "{title}", "the {text} field: {title}"),
    ],
)
def test_template_fills_in_title_and_text(
    template: str, title: str, text: str, expected: str
) -> None:
    assert passage_text(template, title, text) == expected


def test_recipe_refuses_a_key_that_is_not_declared() -> None:
    with pytest.raises(ValidationError, match="depth"):
        Recipe.model_validate({"kind": "bm25", "depth": 3})


@pytest.fixture(scope="module")
def shuffled(
    tmp_path_factory: pytest.TempPathFactory,
    corpus_of: Callable[[str, Mapping[str, str]], Corpus],
) -> Corpus:
    """Passages whose order in the file is not that of their ids."""
    order = np.random.default_rng(3).permutation(N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(tmp_path_factory.mktemp("shuffled")))
        return corpus_of("shuffled", {f"p{i:03d}": f"text {i}" for i in order})


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.lists(st.integers(0, 4), min_size=N, max_size=N), min_size=1, max_size=3),
    k=st.integers(1, N + 10),
    floor=st.sampled_from([None, 0.0, 2.0]),
)
def test_hits_are_the_best_with_ties_by_id(
    shuffled: Corpus, values: list[list[int]], k: int, floor: float | None
) -> None:
    """Against sorting everything, with an engine that breaks ties against the order of ids."""
    scores = np.array(values, dtype=np.float32)
    ids = [passage.id for passage in shuffled]

    def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
        best = [
            sorted(range(N), key=lambda r: (scores[p, r], ids[r]), reverse=True)[:size]
            for p in places
        ]
        rows = np.array(best, dtype=np.int64)
        return np.take_along_axis(scores[list(places)], rows, axis=1), rows

    found = top_hits(shuffled, len(values), k, ask, floor=floor)

    for query, hits in enumerate(found):
        kept = [(-float(s), i) for s, i in zip(scores[query], ids, strict=True)]
        if floor is not None:
            kept = [(s, i) for s, i in kept if -s > floor]
        assert [(-h.score, h.id) for h in hits] == sorted(kept)[:k]
        assert all(shuffled[h.row].id == h.id == h.doc_id for h in hits)


def test_only_queries_whose_tie_goes_on_are_asked_again(shuffled: Corpus) -> None:
    falling = np.arange(N, 0, -1, dtype=np.float32)
    level = np.ones(N, dtype=np.float32)
    scores = np.stack([falling, level])
    asked: list[tuple[list[int], int]] = []

    def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
        asked.append((list(places), size))
        rows = np.tile(np.arange(size, dtype=np.int64), (len(places), 1))
        return scores[list(places), :size], rows

    top_hits(shuffled, 2, 5, ask)

    first = 5 + TIE_MARGIN  # 13; then 4 * 13 = 52, and 208, which the corpus of 120 cuts
    assert asked == [([0, 1], first), ([1], 4 * first), ([1], N)]


def test_rows_below_zero_mean_that_there_is_nothing_more(shuffled: Corpus) -> None:
    def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
        rows = np.full((len(places), size), -1, dtype=np.int64)
        rows[:, 0] = 7
        return np.zeros((len(places), size), dtype=np.float32), rows

    (hits,) = top_hits(shuffled, 1, 10, ask)

    assert [hit.row for hit in hits] == [7]


def test_no_queries_give_no_lists(shuffled: Corpus) -> None:
    def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
        raise AssertionError("the engine was asked")

    assert top_hits(shuffled, 0, 5, ask) == []


def test_searching_for_many_keeps_their_order(
    shuffled: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of three queries, the last one shorter."""
    monkeypatch.setattr(retriever, "BATCH_QUERIES", 3)
    sizes: list[int] = []

    class Echo:
        corpus = shuffled
        metric = "the query itself"

        def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
            sizes.append(len(queries))
            return [[Hit(query, query, k, 1.0)] for query in queries]

    queries = [f"q{i}" for i in range(8)]
    found = search_all(Echo(), queries, 4, label="search")
    assert [(hit.id, hit.row) for (hit,) in found] == [(query, 4) for query in queries]
    assert sizes == [3, 3, 2]

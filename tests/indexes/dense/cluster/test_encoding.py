"""Vectors that a cluster's workers made are those that one process makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from ragbench.base.cluster.engine import Cluster, Node
from ragbench.base.cluster.pool import Pool
from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.dense import embeddings
from ragbench.indexes.dense.cluster.encoding import encoding_on
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard
from tests.base.cluster.machines import Machines, calls, once
from tests.base.cluster.workers import Here, pool_of
from tests.indexes.dense_recipes import MINILM, many_texts, vectors_of, write_recipe


class CorpusOf(Protocol):
    def __call__(self, name: str, texts: Mapping[str, str]) -> Corpus: ...


class Near(Cluster):
    """A cluster of workers in this process."""

    def __init__(self, pool: Pool, *nodes: Node) -> None:
        self.__dict__["pool"] = pool
        self._checks = []
        self._nodes = list(nodes)

    @property
    def nodes(self) -> list[Node]:
        return self._nodes


def card() -> EncoderCard:
    return EncoderCard.model_validate({"model": MINILM, "dtype": "float32"})


@contextmanager
def folder(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[None]:
    """Let embeddings be stored in another folder."""
    with monkeypatch.context() as patch:
        patch.setattr(embeddings, "root", lambda: path)
        yield


def test_every_file_is_as_one_process_writes_it_though_a_worker_is_lost(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)
    corpus = corpus_of("small", many_texts(60))
    alone = Embeddings(corpus, card(), "cpu")
    alone.make()
    cluster = Near(pool_of([Here("a", dies_after=5), Here("b"), Here("c")], 2))
    with folder(monkeypatch, tmp_path), encoding_on(cluster):
        many = Embeddings(corpus, card(), "cpu")
        assert many.digest == alone.digest and many.verify() == [0, 16, 32, 48]
        many.make()
    files = sorted(path.name for path in alone.folder.glob("*.npy"))
    assert len(files) == 4
    for name in files:
        assert (many.folder / name).read_bytes() == (alone.folder / name).read_bytes()
    assert sum(cluster.pool.calls.values()) == 30  # steps of two passages


def test_a_restricted_corpus_is_not_sent_to_another_machine(home: Path, corpus_of: Any) -> None:
    corpus = corpus_of("closed", many_texts(4))
    path = home / "corpora" / "closed.yaml"
    path.write_text(path.read_text() + "data_use: restricted\n")
    workers = [Here("10.0.0.7"), Here("10.0.0.7")]
    for nodes, is_refused in (
        ([Node("10.0.0.7", 2, 0)], True),
        ([Node("10.0.0.7", 2, 0, is_here=True)], False),
    ):
        cluster = Near(pool_of(workers[:1], 1), *nodes)
        stored = Embeddings(corpus, card(), "cpu")
        with encoding_on(cluster):
            if is_refused:
                with pytest.raises(UsageError, match="corpus 'closed' is restricted"):
                    stored.make()
                assert workers[0].asked == 0
            else:
                stored.make()
                assert workers[0].asked > 0


@pytest.mark.slow
def test_an_index_of_a_cluster_whose_node_is_killed_is_that_of_one_machine(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 64)
    corpus_of("some", many_texts(1000))
    recipe = write_recipe(home, factory="Flat")
    alone = build_index(recipe, "some", name="alone", device="cpu")
    expected = vectors_of("alone")
    machines = Machines()
    try:
        with (
            machines.connected() as cluster,
            folder(monkeypatch, home / "others"),
            once(lambda: calls(cluster) > 4 and len(cluster.pool._busy) == 2, machines.kill_node),
            encoding_on(cluster),
        ):
            many = build_index(recipe, "some", name="many", device="cpu")
            assert len(cluster.pool.calls) == 1  # all nodes have one address here
    finally:
        machines.stop()
    assert many.digest == alone.digest
    np.testing.assert_array_equal(vectors_of("many"), expected)
    index = {made.name: {k: v["sha256"] for k, v in made.sums.items()} for made in (alone, many)}
    assert index["many"] == index["alone"]

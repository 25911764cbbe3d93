"""Approximate FAISS indexes: their recall, measured, reached by tuning, or too low."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index, read_manifest
from tests.indexes.dense_recipes import (
    QUERIES,
    Counted,
    many_texts,
    short_texts,
    write_recipe,
)

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


def test_cells_that_hold_fewer_than_k_give_fewer_and_no_row_of_minus_one(
    some: Path,
) -> None:
    recipe = write_recipe(some, factory="IVF16,Flat", nprobe=1, min_recall=0.0)
    build_index(recipe, "some", device="cpu")
    index: Any = open_index("minilm-some", device="cpu")
    raw = index._index.search(index._encoder.queries(QUERIES), 100)[1]
    assert (raw == -1).any(axis=1).all()
    for rows, hits in zip(raw, index.search(QUERIES, 100), strict=True):
        assert sorted(hit.row for hit in hits) == sorted(rows[rows >= 0])


def test_an_approximate_index_says_its_recall(
    some: Path,
) -> None:
    recipe = write_recipe(some, factory="IVF16,Flat", nprobe=8, min_recall=0.5, recall_k=5)
    facts = build_index(recipe, "some", device="cpu").facts
    assert [one["queries"] for one in facts["recall"]] == ["passages", "excerpts"]
    for one in facts["recall"]:
        assert (one["n_queries"], one["k"]) == (160, 5)
        assert 0.5 <= one["recall_at_k"] <= 1
    assert facts["recall_seed"] == 17
    assert facts["self_retrieval"] == {"n_queries": 160, "share": 1.0}
    assert read_manifest("minilm-some").recipe["nprobe"] == 8


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"factory": "IVF16,Flat", "nprobe": 1}, r"recall@10 of passages .* is 0\.\d"),
        ({"factory": "PQ4x4", "min_recall": 0}, r"only 0\.\d+ find themselves, below .* 0\.95"),
    ],
)
def test_an_index_that_finds_too_little_fails_and_leaves_the_embeddings_alone(
    some: Path, counted: Counted, keys: dict[str, Any], what: str
) -> None:
    with pytest.raises(DataError, match=what) as caught:
        build_index(write_recipe(some, **keys), "some", device="cpu")
    assert "nprobe" in caught.value.fix
    assert keys["factory"] in caught.value.where
    folders = sorted(p.name for p in (some / "indexes").iterdir() if p.is_dir())
    assert folders == [".embeddings", "flat"]
    better = write_recipe(some, factory="IVF16,Flat", nprobe=16)
    assert build_index(better, "some", device="cpu").facts["recall"][0]["recall_at_k"] == 1.0
    assert counted.texts == []


@pytest.mark.slow
def test_probes_are_tuned_to_a_recall(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", many_texts(400))
    found = {}
    for target in (0.5, 0.99):
        name = write_recipe(home, "tuned", factory="IVF10,Flat", target_recall=target, min_recall=0)
        facts = build_index(name, "some", device="cpu", replace=True).facts
        found[target] = facts["tuned"]["nprobe"]
        opened = open_index("tuned-some", device="cpu")
        assert opened._index.nprobe == facts["tuned"]["nprobe"]  # type: ignore[attr-defined]
        # The queries of the report are others than those that it was tuned with.
        assert min(one["recall_at_k"] for one in facts["recall"]) > target - 0.1
    assert found[0.5] < found[0.99] <= 10


def test_a_recall_that_no_probe_reaches_is_told(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", many_texts(400))
    options: dict[str, Any] = {"target_recall": 0.999, "min_recall": 0, "min_self_retrieval": 0}
    name = write_recipe(home, "coarse", factory="IVF2,PQ2x4", **options)
    with pytest.raises(DataError, match=r"does not reach 0\.999: it is 0\.\d+ with nprobe 2"):
        build_index(name, "some", device="cpu")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"factory": "SQ8", "target_recall": 0.9}, "nothing to tune"),
        ({"factory": "IVF4,Flat", "target_recall": 0.9, "nprobe": 2}, "leave nprobe out"),
        ({"factory": "IVF4,Flat", "gpu_float16": True}, "of `Flat` alone"),
    ],
)
def test_what_cannot_be_tuned(
    home: Path, corpus_of: CorpusOf, recipe: dict[str, Any], message: str
) -> None:
    corpus_of("few", short_texts(3))
    with pytest.raises(UsageError, match=message):
        build_index(write_recipe(home, "odd", **recipe), "few", device="cpu")

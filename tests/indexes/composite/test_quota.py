"""Quotas over one ranking of a union, against plain loops over that ranking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError, RagbenchError, UsageError
from ragbench.base.records import Hit
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union_reader import members_of
from ragbench.indexes.build import build_index
from ragbench.indexes.built import index_digest, open_index, read_manifest
from ragbench.indexes.check import check_index
from ragbench.indexes.composite.quota import QuotaIndex
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.retriever import IndexKind
from tests.unions import write_texts

WORDS = "gout fever cough rash asthma anemia sepsis stroke".split()
# Of "small" only three hold "gout" and one "stroke"; "rare" is in "large" alone.
LARGE = {f"d{i}{j}": f"{a} with {b}" for i, a in enumerate(WORDS) for j, b in enumerate(WORDS)}
SMALL = {"d00": "gout", "d01": "gout gout", "x": "fever and gout", "y": "cough", "z": "stroke"}
OTHER = {f"o{i}": f"{word} {word} alone" for i, word in enumerate(WORDS)}
QUERIES = ["gout with fever", "stroke", "cough rash asthma", "zzzz", "", "rare gout"]
Quotas = Mapping[str, int]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a union of three corpora and its BM25 index."""
    home = tmp_path_factory.mktemp("quota")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(home))
        write_texts(home, "large", LARGE | {"r": "a rare gout"})
        write_texts(home, "small", SMALL)
        write_texts(home, "other", OTHER)
        build_corpus("large--small--other")
        build_index("bm25", "large--small--other")
    return home


@pytest.fixture
def home(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGBENCH_HOME", str(built))
    return built


def write_recipe(home: Path, name: str = "q", **keys: Any) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "quota", "of": "bm25", "quotas": {"large": 2, "small": 2}, **keys}
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return name


def opened(quotas: Quotas, order: str = "score") -> tuple[QuotaIndex, IndexKind]:
    """Return quotas over the built index, and that index."""
    inner = open_index("bm25-large--small--other")
    recipe = QuotaIndex.Options.model_validate(
        {"kind": "quota", "of": {"kind": "bm25"}, "quotas": dict(quotas), "order": order}
    )
    return QuotaIndex(inner, recipe, inner.corpus), inner  # type: ignore[arg-type]


def by_hand(ranking: list[Hit], quotas: Quotas, order: str, k: int) -> list[Hit]:
    """Take hits by quotas as the recipe says, one at a time."""
    members = [name for name in ("large", "small", "other") if name in quotas]
    left = {name: [h for h in ranking if h.id.startswith(f"{name}/")] for name in members}
    taken: list[Hit] = []
    while True:
        block: dict[str, list[Hit]] = {name: [] for name in members}
        for name in members:
            while left[name] and len(block[name]) < quotas[name]:
                block[name].append(left[name].pop(0))
        size = sum(len(hits) for hits in block.values())
        if order == "score":
            taken += sorted(
                (hit for hits in block.values() for hit in hits), key=lambda h: (-h.score, h.id)
            )
        else:
            while any(block.values()):
                taken += [block[name].pop(0) for name in members if block[name]]
        if size < sum(quotas.values()) or len(taken) >= k:
            return taken[:k]


@given(
    quotas=st.dictionaries(
        st.sampled_from(["large", "small", "other"]), st.integers(1, 5), min_size=1
    ),
    order=st.sampled_from(["score", "round-robin"]),
    k=st.integers(1, 30),
)
@settings(max_examples=40)
def test_hits_are_those_of_the_one_ranking(
    built: Path, quotas: dict[str, int], order: str, k: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(built))
        index, inner = opened(quotas, order)
        whole = inner.search(QUERIES, len(inner.corpus))
        found = index.search(QUERIES, k)
        assert found == [by_hand(ranking, quotas, order, k) for ranking in whole]
        first = sum(quotas.values())
        for hits, ranking in zip(found, whole, strict=True):
            assert {hit.id.partition("/")[0] for hit in hits} <= quotas.keys()
            for name, quota in quotas.items():
                of_member = [h for h in hits[:first] if h.id.startswith(f"{name}/")]
                held = sum(hit.id.startswith(f"{name}/") for hit in ranking)
                assert len(of_member) <= quota
                if k >= first:
                    assert len(of_member) == min(quota, held)
        # What is asked for never changes what stands before it.
        deeper = index.search(QUERIES, k + 7)
        assert [hits[: len(some)] for hits, some in zip(deeper, found, strict=True)] == found


def test_quotas_of_a_small_case_by_hand(home: Path) -> None:
    index, inner = opened({"large": 1, "small": 2})
    (hits,) = index.search(["gout"], 3)
    assert {hit.id for hit in hits if hit.id.startswith("small/")} == {"small/d00", "small/d01"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    (all_hits,) = inner.search(["gout"], 80)
    scores = {hit.id: hit.score for hit in all_hits}
    assert all(hit.score == scores[hit.id] for hit in hits)
    turns, _ = opened({"small": 2, "large": 2}, "round-robin")
    members = [hit.id.partition("/")[0] for hit in turns.search(["gout"], 4)[0]]
    assert members == ["large", "small", "large", "small"]  # the union's order, not the recipe's


def test_a_member_without_enough_hits_ends_the_ranking(home: Path) -> None:
    index, _ = opened({"large": 2, "small": 2})
    (hits,) = index.search(["stroke"], 20)  # one of the small corpus, many of the large one
    assert [hit.id.partition("/")[0] for hit in hits].count("small") == 1
    assert len(hits) == 3


def test_built_and_opened(home: Path) -> None:
    manifest = build_index(write_recipe(home), "large--small--other")
    assert manifest.recipe["of"]["kind"] == "bm25"
    assert [part.name for part in manifest.parts] == ["bm25-large--small--other"]
    index = open_index("q-large--small--other")
    assert index.metric == "bm25 lucene, by quotas"
    direct, _ = opened({"large": 2, "small": 2})
    assert index.search(QUERIES, 4) == direct.search(QUERIES, 4)
    assert all(finding.is_ok for finding in check_index("q-large--small--other"))
    assert read_manifest("q-large--small--other").digest == manifest.digest


def test_the_digest_follows_every_option(home: Path) -> None:
    union = open_corpus("large--small--other")

    def digest(**keys: Any) -> str:
        return index_digest(load_recipe(write_recipe(home, "other", **keys)), union)

    same = {digest(), digest(of={"kind": "bm25"}), digest(quotas={"small": 2, "large": 2})}
    assert len(same) == 1
    others = [
        digest(of={"kind": "bm25", "k1": 1.3}),
        digest(quotas={"small": 2, "large": 3}),
        digest(order="round-robin"),
    ]
    assert len({*same, *others}) == 4


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"quotas": {}}, "at least one entry"),
        ({"quotas": {"large": 0}}, "a number above 0"),
        ({"of": "bm52"}, "no index recipe 'bm52'"),
        ({"of": {"k1": 1}}, "does not say its kind"),
        ({"of": {"kind": "bm25", "k2": 1}}, "no key 'k2'"),
        ({"of": {"kind": "quota", "of": "bm25", "quotas": {"a": 1}}}, "cannot be of an index with"),
        ({"order": "random"}, "order"),
    ],
)
def test_a_wrong_recipe_is_refused(home: Path, keys: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        load_recipe(write_recipe(home, "wrong", **keys))


@pytest.mark.parametrize(
    ("corpus", "quotas", "what"),
    [
        ("large", {"large": 1}, "'large' is not a union"),
        ("large--small--other", {"larg": 1}, "a quota of 'larg'"),
    ],
)
def test_a_corpus_without_the_members_is_refused(
    home: Path, corpus: str, quotas: Quotas, what: str
) -> None:
    write_recipe(home, "wrong", quotas=quotas)
    with pytest.raises(DataError, match=what):
        build_index("wrong", corpus)
    assert all(path.suffix == ".lock" for path in (home / "indexes").glob("*wrong-*"))


def test_the_carried_recipe_reads(home: Path) -> None:
    recipe = load_recipe("bm25-quotas").model_dump()
    assert recipe["of"]["kind"] == "bm25"
    assert set(recipe["quotas"]) == set(members_of(load_card("medcorp")[0]))


def test_quotas_of_a_hybrid_are_bounded_by_its_depth(home: Path) -> None:
    parts = [{"kind": "bm25"}, {"kind": "bm25", "k1": 2}]
    of = {"kind": "hybrid", "parts": parts, "depth": 12}
    build_index(write_recipe(home, "hy", of=of, quotas={"large": 2}), "large--small--other")
    index = open_index("hy-large--small--other")
    assert len(index.search(["gout"], 2)[0]) == 2
    write_recipe(home, "deep", of=of, quotas={"other": 5})
    build_index("deep", "large--small--other")
    with pytest.raises(RagbenchError, match="of the first 12 hits only") as caught:
        open_index("deep-large--small--other").search(["gout fever cough rash"], 5)
    assert "depth" in caught.value.fix


def test_corpus_is_what_was_given(home: Path) -> None:
    index, inner = opened({"small": 1})
    corpus: Corpus = index.corpus
    assert corpus is inner.corpus
    assert index.search([], 3) == []

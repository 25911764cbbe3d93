"""The reranking index against its first stage and transformers, pair by pair."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import index_digest, is_built, open_index, read_manifest
from ragbench.indexes.check import check_index
from ragbench.indexes.loading import load_recipe
from tests.indexes.cross_encoders import save_cross_encoder, scored_alone

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
WORDS = "gout fever cough rash asthma anemia sepsis stroke".split()
TEXTS = {f"d{i}{j}": f"{a} with {b}" for i, a in enumerate(WORDS) for j, b in enumerate(WORDS)}
TWINS = {"a-twin": "gout with fever", "z-twin": "gout with fever"}  # of d01
QUERIES = ["gout with fever", "stroke", "zzzz", "", "cough rash asthma"]


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("reranker"))


@pytest.fixture
def corpus(home: Path, corpus_of: CorpusOf) -> Corpus:
    return corpus_of("some", TEXTS | TWINS)


def write_recipe(home: Path, scorer: Path | str, **keys: Any) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    own = {"model": str(scorer), "max_tokens": 64}
    recipe = {"kind": "rerank", "first": "bm25", "depth": 20, "reranker": own, **keys}
    (home / "indexes" / "two.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return "two"


@pytest.mark.parametrize("k", [1, 7, 20])
def test_hits_are_the_first_hits_by_the_cross_encoders_score(
    home: Path, corpus: Corpus, reranker: Path, k: int
) -> None:
    build_index(write_recipe(home, reranker), "some", device="cpu")
    build_index("bm25", "some")
    index = open_index("two-some", device="cpu")
    found = index.search(QUERIES, k)
    for query, first, hits in zip(
        QUERIES, open_index("bm25-some").search(QUERIES, 20), found, strict=True
    ):
        texts = [corpus[hit.row].text for hit in first]
        scores = dict(
            zip(
                (hit.id for hit in first),
                scored_alone(reranker, [(query, text) for text in texts], 64),
                strict=True,
            )
        )
        expected = sorted(scores, key=lambda i: (-round(scores[i], 4), i))[:k]
        assert [hit.id for hit in hits] == expected
        assert [hit.score for hit in hits] == pytest.approx([scores[i] for i in expected], abs=1e-5)
        assert all(corpus[hit.row].id == hit.id == hit.doc_id for hit in hits)
    assert index.metric == f"{reranker} on the first 20 hits by bm25 lucene"


def test_passages_of_one_text_come_in_the_order_of_their_ids(
    home: Path, corpus: Corpus, reranker: Path
) -> None:
    build_index(write_recipe(home, reranker), "some", device="cpu")
    (hits,) = open_index("two-some", device="cpu").search(["gout with fever"], 20)
    twins = [hit for hit in hits if hit.id in ("d01", *TWINS)]
    assert [hit.id for hit in twins] == ["a-twin", "d01", "z-twin"]
    assert len({hit.score for hit in twins}) == 1


def test_a_query_alone_has_the_hits_that_it_has_among_others(
    home: Path, corpus: Corpus, reranker: Path
) -> None:
    build_index(write_recipe(home, reranker), "some", device="cpu")
    index = open_index("two-some", device="cpu")
    for query, hits in zip(QUERIES, index.search(QUERIES, 5), strict=True):
        assert [hit.id for hit in index.search([query], 5)[0]] == [hit.id for hit in hits]
    assert index.search([], 5) == []


def test_a_first_stage_may_be_written_out_and_be_a_hybrid(
    home: Path, corpus: Corpus, reranker: Path
) -> None:
    first = {"kind": "hybrid", "parts": ["bm25", {"kind": "bm25", "k1": 2}], "depth": 30}
    build_index(write_recipe(home, reranker, first=first), "some", device="cpu")
    manifest = read_manifest("two-some")
    assert [part["kind"] for part in manifest.recipe["first"]["parts"]] == ["bm25", "bm25"]
    (part,) = manifest.parts
    assert part.name.startswith("hybrid.")
    inner = read_manifest(part.name).parts
    assert inner[0].name == "bm25-some"
    assert inner[1].name.startswith("bm25.")
    findings = check_index("two-some", device="cpu")
    assert all(finding.is_ok for finding in findings)
    assert open_index("two-some", device="cpu").search(["gout"], 3)[0]


def test_the_digest_follows_the_first_stage_and_the_weights(
    home: Path, corpus: Corpus, reranker: Path, tmp_path: Path
) -> None:
    def digest(model: Path, **keys: Any) -> str:
        return index_digest(load_recipe(write_recipe(home, model, **keys)), corpus)

    budget = {"model": str(reranker), "max_tokens": 64, "batch_tokens": 128}
    same = {digest(reranker), digest(reranker, first={"kind": "bm25"}, reranker=budget)}
    assert len(same) == 1
    own = {"model": str(reranker), "max_tokens": 32}
    assert digest(reranker, reranker=own) not in same
    assert digest(reranker, first={"kind": "bm25", "k1": 2}) not in same
    other = save_cross_encoder(tmp_path / "other", seed=9)
    build_index(write_recipe(home, reranker), "some", device="cpu")
    kept = (reranker / "model.safetensors").read_bytes()
    try:
        (reranker / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
        assert digest(reranker) not in same
    finally:
        (reranker / "model.safetensors").write_bytes(kept)


def test_a_reranker_that_is_not_here_stops_the_build_before_it_begins(
    home: Path, corpus: Corpus
) -> None:
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        build_index(write_recipe(home, "nobody/no-such-reranker"), "some", device="cpu")
    assert not is_built("two-some")


def test_more_than_the_depth_is_refused(home: Path, corpus: Corpus, reranker: Path) -> None:
    build_index(write_recipe(home, reranker), "some", device="cpu")
    with pytest.raises(UsageError, match=r"21 hits .* first 20 again") as caught:
        open_index("two-some", device="cpu").search(["gout"], 21)
    assert "depth" in caught.value.fix


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"first": "bm52"}, "no index recipe 'bm52'"),
        ({"first": {"k1": 3}}, "does not say its kind"),
        ({"first": {"kind": "bm25", "k2": 3}}, "no key 'k2'"),
        ({"first": {"kind": "hybrid", "parts": ["bm25", "bm25"], "depth": 9}}, "that ranks 9"),
        ({"reranker": {}}, "model"),
        ({"depth": 0}, "a number above 0"),
    ],
)
def test_a_wrong_recipe_is_refused(home: Path, keys: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        load_recipe(write_recipe(home, "x/y", **keys))


def test_the_carried_recipe_reads(home: Path) -> None:
    recipe = load_recipe("bm25-rerank").model_dump()
    assert (recipe["first"]["kind"], recipe["depth"]) == ("bm25", 100)

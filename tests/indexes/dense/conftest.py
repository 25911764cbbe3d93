"""Fixtures for the tests of dense indexes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes.build import build_index
from tests.indexes.dense_recipes import write_recipe

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


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

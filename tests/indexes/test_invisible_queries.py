"""A query with characters that nobody sees finds what it finds without them, by every retriever."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import retrievers
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index
from ragbench.indexes.langchain.adapters import as_langchain
from tests.indexes import encoder_models
from tests.indexes.cross_encoders import save_word_reranker

PLAIN = "treatment of acute gout in the foot"
UNSEEN = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff"
)
TEXTS = {
    "a": ["gout of the foot and hand", "treatment of fever", "acute rash", "aspirin code"],
    "b": ["chronic pain of the hand", "acute gout : treatment", "treatment of rash and fever"],
}
RECIPES: dict[str, dict[str, Any]] = {
    "bm25": {"kind": "bm25", "stopwords": "none"},
    "okapi": {"kind": "bm25", "formula": "okapi", "fold": "none", "words": "unicode"},
    "named": {"kind": "bm25", "formula": "okapi", "fold": "none", "engine": "rank-bm25"},
    "faiss": {"kind": "faiss"},
    "hybrid": {"kind": "hybrid", "parts": ["okapi", "faiss"]},
    "quota": {"kind": "quota", "of": "faiss", "quotas": {"a": 2, "b": 1}},
    "rerank": {"kind": "rerank", "first": "faiss", "depth": 5},
    "langchain": {"kind": "langchain", "factory": f"{__name__}:by_characters", "trust_code": True},
    "in-memory": {"kind": "vectorstore", "store": "in-memory", "min_recall": 0},
}
WITH_ENCODER = ("faiss", "in-memory")


class ByCharacters(BaseRetriever):
    """All passages, from one that every character of the query has a part in choosing."""

    corpus: Any

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        first = crc32(query.encode()) % len(self.corpus)
        passages = [*self.corpus, *self.corpus][first : first + len(self.corpus)]
        return [Document(p.text, metadata={"id": p.id}) for p in passages]


def by_characters(corpus: Corpus) -> ByCharacters:
    return ByCharacters(corpus=corpus)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("unseen")
    encoder = {"model": str(encoder_models.static(home / "encoder", 1)), "dtype": "float32"}
    reranker = {"model": str(save_word_reranker(home / "reranker"))}
    for folder in ("corpora", "indexes"):
        (home / folder).mkdir()
    for name, texts in TEXTS.items():
        lines = [json.dumps({"id": f"{name}{n}", "text": text}) for n, text in enumerate(texts)]
        (home / f"corpora/{name}.jsonl").write_text("\n".join(lines))
        (home / f"corpora/{name}.yaml").write_text(f"reader: jsonl\npath: {name}.jsonl\n")
    for name, recipe in RECIPES.items():
        own = {"encoder": encoder} if name in WITH_ENCODER else {}
        own |= {"reranker": reranker} if name == "rerank" else {}
        (home / f"indexes/{name}.yaml").write_text(json.dumps(recipe | own))
    paths = list(sys.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(home))
        build_corpus("a--b")
        for name in RECIPES:
            build_index(name, "a--b", device="cpu")
        yield home
    sys.path[:] = paths


def test_every_kind_of_retriever_is_here() -> None:
    ours = {name for name, entry in retrievers.items() if entry.target.startswith("ragbench.")}
    assert {recipe["kind"] for recipe in RECIPES.values()} == ours


@pytest.mark.parametrize("recipe", RECIPES)
def test_characters_that_nobody_sees_change_no_hit(built: Path, recipe: str) -> None:
    index = open_index(f"{recipe}-a--b", device="cpu")
    (plain,) = index.search([PLAIN], 5)
    assert plain
    for sign in UNSEEN:
        inside = PLAIN.replace("gout", f"go{sign}ut").replace("acute", f"acute{sign}")
        assert index.search([sign + inside], 5) == [plain], unicodedata.name(sign)
    documents = as_langchain(index, 5, sends_to=()).invoke(f"\ufeff{PLAIN}")
    assert [document.id for document in documents] == [hit.id for hit in plain]


def test_a_store_given_to_langchain_encodes_as_its_index_does(built: Path) -> None:
    index: Any = open_index("in-memory-a--b", device="cpu")
    plain = index.store.similarity_search_with_score(PLAIN, k=3)
    unseen = index.store.similarity_search_with_score(PLAIN.replace("u", "u\u00ad"), k=3)
    assert [(d.id, s) for d, s in plain] == [(d.id, s) for d, s in unseen]

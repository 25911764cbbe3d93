"""Opening stores: vectors handed over in order, and errors of libraries as errors of ours."""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ragbench.base.errors import BackendError, DataError, PrerequisiteError, UsageError
from ragbench.base.records import Passage
from ragbench.indexes.dense.encoders import Encoder
from ragbench.indexes.langchain.stores import (
    STORES,
    OurEmbeddings,
    StoreLocation,
    add,
    store_errors,
)

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def place(folder: Path, **options: object) -> StoreLocation:
    return StoreLocation(folder / "store", None, "some", 2, "cosine", options, is_new=True)


def test_vectors_on_offer_come_first_and_then_the_encoders(minilm: Encoder) -> None:
    ours = OurEmbeddings(lambda: minilm)
    ours.offer(VECTORS, as_lists=True)
    embedding = ours.as_langchain()
    # The texts are equal: only their order says which vector is whose.
    assert embedding.embed_documents(["a", "a"]) == [[0.0, 1.0], [2.0, 3.0]]
    assert embedding.embed_documents(["a"]) == [[4.0, 5.0]]
    texts = ["fever", "gout"]
    np.testing.assert_allclose(embedding.embed_documents(texts), minilm.passages(texts), atol=1e-6)
    np.testing.assert_allclose(
        embedding.embed_query("gout"), minilm.queries(["gout"])[0], atol=1e-6
    )


@pytest.mark.parametrize("name", ["in-memory", "qdrant", "chroma"])
def test_passages_of_equal_text_keep_their_own_vectors(
    tmp_path: Path, minilm: Encoder, name: str
) -> None:
    if name != "in-memory" and find_spec(f"langchain_{name}") is None:
        pytest.skip(f"langchain-{name} is not installed")
    ours = OurEmbeddings(lambda: minilm)
    kind = STORES[name]
    opened = kind.open(place(tmp_path), ours.as_langchain())
    passages = {row: Passage(f"p/{row} é", "d", "T", "same") for row in range(3)}
    add(opened, ours, kind, passages, VECTORS + 1)
    assert opened.count() == 3
    for row in range(3):
        ((document, _),) = opened.ask((VECTORS[row] + 1).tolist(), 1)
        assert document.page_content == "same"
        assert document.metadata["id"] == f"p/{row} é"
        assert (document.metadata["doc_id"], document.metadata["title"]) == ("d", "T")
    opened.close()


def test_in_memory_takes_no_options(tmp_path: Path, minilm: Encoder) -> None:
    ours = OurEmbeddings(lambda: minilm)
    with pytest.raises(UsageError, match="has no options"):
        STORES["in-memory"].open(place(tmp_path, depth=3), ours.as_langchain())


@pytest.mark.parametrize("name", ["qdrant", "chroma", "milvus"])
def test_a_missing_package_is_named_with_the_line_to_type(
    tmp_path: Path, minilm: Encoder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (f"langchain_{name}", "chromadb", "qdrant_client"):
        monkeypatch.setitem(sys.modules, module, None)
    ours = OurEmbeddings(lambda: minilm)
    with pytest.raises(PrerequisiteError) as caught, store_errors(name, "being made"):
        STORES[name].open(place(tmp_path), ours.as_langchain())
    assert caught.value.fix.startswith(f"pip install langchain-{name}, or ")


def test_what_a_library_raises_is_told_and_our_own_errors_pass() -> None:
    with pytest.raises(BackendError) as caught, store_errors("chroma", "searching"):
        raise KeyError("none\nmore")
    assert caught.value.what == "the store 'chroma' failed at searching: KeyError: 'none\\nmore'"
    with pytest.raises(DataError, match="as it is"), store_errors("chroma", "searching"):
        raise DataError("as it is")
    with store_errors("qdrant", "adding"):
        warnings.warn("Local mode is not recommended for so many", UserWarning, stacklevel=1)

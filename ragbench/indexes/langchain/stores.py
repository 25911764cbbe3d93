"""The LangChain vector stores that an index may use, each opened by the same few facts.

Chroma keeps its own files. Qdrant's embedded store keeps Python pickles, which would run code when
an index is opened, and LangChain's in-memory store keeps nothing: these two are filled from
``vectors.npy`` at each opening. Milvus is taken from a server only: embedded, it opens a port and
writes into the index whenever that is opened. LangChain's wrapper of FAISS is left out: its package
is no longer maintained, and ``kind: faiss`` is the same search.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragbench.base.errors import (
    BackendError,
    PrerequisiteError,
    RagbenchError,
    UsageError,
    first_line,
)
from ragbench.base.records import Passage
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.retriever import passage_text

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore

EVERY = frozenset({"inner-product", "cosine", "l2"})


class OurEmbeddings:
    """Our encoder for LangChain: passages by vectors that are made already, queries encoded.

    Args:
        encoder: Makes the encoder, when it is first needed.
    """

    def __init__(self, encoder: Callable[[], Encoder]) -> None:
        self._encoder = encoder
        self._ready: list[Any] = []

    def offer(self, vectors: Vectors, *, as_lists: bool) -> None:
        """Set the vectors of the next passages to be asked for, in their order."""
        self._ready = vectors.tolist() if as_lists else list(vectors)

    def as_langchain(self) -> Embeddings:
        """Return this as LangChain's class."""
        from langchain_core.embeddings import Embeddings

        ours = self

        class FromRagbench(Embeddings):
            """The encoder of a ragbench index."""

            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return ours.embed_documents(texts)

            def embed_query(self, text: str) -> list[float]:
                return ours.embed_query(text)

        return FromRagbench()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors on offer, or encode texts as passages without a title."""
        if self._ready:
            found, self._ready = self._ready[: len(texts)], self._ready[len(texts) :]
            return found
        encoder = self._encoder()
        given = [passage_text(encoder.card.template, "", text) for text in texts]
        return [[float(x) for x in vector] for vector in encoder.passages(given)]

    def embed_query(self, text: str) -> list[float]:
        """Encode a query."""
        return [float(x) for x in self._encoder().queries([text])[0]]


@dataclass(frozen=True)
class StoreLocation:
    """Where a store is, and its settings.

    Attributes:
        folder: For its own files.
        url: Of a server, instead.
        collection: Its name there.
        dimension: The length of a vector.
        metric: The recipe's.
        options: The recipe's, for the store's own settings.
        is_new: Whether it is made from nothing.
    """

    folder: Path
    url: str | None
    collection: str
    dimension: int
    metric: str
    options: dict[str, Any]
    is_new: bool


@dataclass(frozen=True)
class Opened:
    """An open store.

    Attributes:
        store: LangChain's object.
        ask: Gives documents and raw scores for a vector and k.
        count: How many documents it holds.
        close: Lets go of its files.
        drop: Removes its collection from a server.
    """

    store: VectorStore
    ask: Callable[[list[float], int], list[tuple[Document, float]]]
    count: Callable[[], int]
    close: Callable[[], object] = field(default=lambda: None)
    drop: Callable[[], object] = field(default=lambda: None)


@dataclass(frozen=True)
class StoreKind:
    """What one store can do.

    Attributes:
        open: Opens it.
        packages: What must be installed.
        metrics: Those that it claims.
        keeps: Whether it keeps its documents in its folder by itself.
        serving: Whether it is a server's.
        row_ids: Whether its ids must be numbers, so that rows are used instead of passage ids.
        max_k: The most hits that it gives.
        port: Of its server, where an ``http`` address has none.
    """

    open: Callable[[StoreLocation, Embeddings], Opened]
    packages: tuple[str, ...]
    metrics: frozenset[str] = EVERY
    keeps: bool = True
    serving: Literal["never", "maybe", "always"] = "never"
    row_ids: bool = False
    max_k: int = 10_000
    port: int | None = None

    def install_line(self) -> str:
        """Return what to type where its packages are missing."""
        return "pip install " + " ".join(self.packages or ("langchain-core",))


@contextmanager
def store_errors(name: str, doing: str) -> Iterator[None]:
    """Turn whatever a store's library raises into an error of ragbench's.

    Raises:
        PrerequisiteError: A package is missing.
        BackendError: The library raised something.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Local mode is not recommended")
            yield
    except RagbenchError:
        raise
    except ImportError as error:
        raise PrerequisiteError(
            f"the store {name!r} needs a package that is not here: {first_line(error)}",
            where="recipe: store",
            fix=f"{STORES[name].install_line()}, or pip install 'ragbench[stores]'",
        ) from None
    except Exception as error:
        raise BackendError(
            f"the store {name!r} failed at {doing}: {type(error).__name__}: {first_line(error)}",
            where="recipe: store, url, options",
            fix="see that the server runs and that the store takes these options; where its "
            "collection is gone, build the index again with --replace",
        ) from error


def add(
    opened: Opened,
    ours: OurEmbeddings,
    kind: StoreKind,
    passages: Mapping[int, Passage],
    vectors: Vectors,
) -> None:
    """Add passages by row, with their vectors (P, D) in the same order, to a store."""
    ours.offer(vectors, as_lists=bool(kind.packages))
    ids: Any = list(passages) if kind.row_ids else [p.id for p in passages.values()]
    opened.store.add_texts(
        [p.text for p in passages.values()],
        [{"id": p.id, "doc_id": p.doc_id, "title": p.title} for p in passages.values()],
        ids=ids,
    )


def _in_memory(location: StoreLocation, embedding: Embeddings) -> Opened:
    from langchain_core.vectorstores import InMemoryVectorStore

    if location.options:
        raise UsageError("the store 'in-memory' has no options", where="recipe: options")
    store = InMemoryVectorStore(embedding)
    return Opened(store, store.similarity_search_with_score_by_vector, lambda: len(store.store))


def _qdrant(location: StoreLocation, embedding: Embeddings) -> Opened:
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, VectorParams

    distances = {"inner-product": "Dot", "cosine": "Cosine", "l2": "Euclid"}
    settings = {
        "size": location.dimension,
        "distance": distances[location.metric],
        **location.options,
    }
    # No proxy of the environment may see what goes to a server.
    served = {"url": location.url, "trust_env": False, "check_compatibility": False}
    client = QdrantClient(**served) if location.url else QdrantClient(":memory:")
    if location.is_new:
        if client.collection_exists(location.collection):
            client.delete_collection(location.collection)
        client.create_collection(location.collection, vectors_config=VectorParams(**settings))
    store = QdrantVectorStore(
        client,
        location.collection,
        embedding,
        distance=Distance(settings["distance"]),
        validate_collection_config=False,  # it encodes a text to see a length; searching checks too
    )
    return Opened(
        store,
        store.similarity_search_with_score_by_vector,
        lambda: int(client.count(location.collection, exact=True).count),
        client.close,
        lambda: client.delete_collection(location.collection),
    )


def _chroma(location: StoreLocation, embedding: Embeddings) -> Opened:
    from chromadb import PersistentClient
    from chromadb.config import Settings
    from langchain_chroma import Chroma

    spaces = {"inner-product": "ip", "cosine": "cosine", "l2": "l2"}
    settings = {"space": spaces[location.metric], "ef_search": 256, **location.options}
    client = PersistentClient(str(location.folder), Settings(anonymized_telemetry=False))
    store = Chroma(
        location.collection,
        embedding,
        client=client,
        collection_configuration={"hnsw": settings} if location.is_new else None,
        create_collection_if_not_exists=location.is_new,
    )
    return Opened(
        store,
        store.similarity_search_by_vector_with_relevance_scores,
        lambda: int(client.get_collection(location.collection).count()),
        client.close,
    )


def _milvus(location: StoreLocation, embedding: Embeddings) -> Opened:
    from langchain_milvus import Milvus

    metrics = {"inner-product": "IP", "cosine": "COSINE", "l2": "L2"}
    settings = {"index_type": "FLAT", "metric_type": metrics[location.metric], **location.options}
    store = Milvus(
        embedding,
        location.collection,
        connection_args={
            "uri": location.url,
            "grpc_options": {"grpc.enable_http_proxy": 0},  # as for Qdrant
        },
        index_params=settings,
        auto_id=False,
        drop_old=location.is_new,
    )

    def count() -> int:
        found = store.client.query(location.collection, "", output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    return Opened(
        store,
        store.similarity_search_with_score_by_vector,
        count,
        store.client.close,
        lambda: store.client.drop_collection(location.collection),
    )


STORES = {
    "in-memory": StoreKind(_in_memory, (), frozenset({"cosine"}), keeps=False),
    "qdrant": StoreKind(
        _qdrant, ("langchain-qdrant",), keeps=False, serving="maybe", row_ids=True, port=6333
    ),
    "chroma": StoreKind(_chroma, ("langchain-chroma",)),
    "milvus": StoreKind(_milvus, ("langchain-milvus",), serving="always", port=19530),
}

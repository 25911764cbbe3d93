"""The recipe of a vector store: which one, by which metric, and where it may be."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ragbench.base.devices import Device
from ragbench.base.endpoint import Endpoint, Reach, parse
from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard
from ragbench.indexes.langchain.stores import STORES, store_errors
from ragbench.indexes.recipe import BASE_MEMORY, Footprint, HubModels, Recipe

PYTHON_FLOAT = 32.0  # bytes of a number in a list, as LangChain's store in memory has them


class VectorstoreRecipe(Recipe):
    """The options of a vector store; each is part of the index's identity.

    Attributes:
        store: The vector store.
        metric: Metric of the ranking; ``cosine`` is the store's own, of vectors of any length, and
            the scores of ``l2`` are minus the squared distance.
        encoder: The encoder that makes the vectors.
        options: The store's own settings.
        url: URL of a server that keeps the store; without it, the store is in the index's folder.
        trust_url: Whether a server on another machine may see the passages and the vectors of
            queries.
        min_recall: Recall@k against exact search below which the build fails.
        recall_k: The k of the measured recall.
        recall_queries: Number of queries of each kind that measure the recall.
        seed: Seed of the draws.
    """

    store: Literal["in-memory", "qdrant", "chroma", "milvus"]
    metric: Literal["inner-product", "l2", "cosine"] = "cosine"
    encoder: EncoderCard
    options: dict[str, Any] = Field(default_factory=dict)
    url: str | None = None
    trust_url: bool = False
    min_recall: float = Field(0.9, ge=0, le=1)
    recall_k: int = Field(10, gt=0)
    recall_queries: int = Field(100, gt=0)
    seed: int = Field(17, ge=0)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        try:
            if url is not None:
                parse(url)
        except ValueError as error:
            # A ValueError's message would repeat the address, which may hold a password.
            raise UsageError(
                "the `url` of the recipe is not an address", where="recipe: url", fix=str(error)
            ) from None
        return url

    @model_validator(mode="after")
    def _check_store(self) -> VectorstoreRecipe:
        kind = STORES[self.store]
        if self.metric not in kind.metrics:
            known = ", ".join(sorted(kind.metrics))
            raise ValueError(f"the store {self.store!r} has no {self.metric}, only {known}")
        if self.url and kind.serving == "never":
            raise ValueError(f"the store {self.store!r} is not taken from a server: no `url`")
        if not self.url and kind.serving == "always":
            raise ValueError(f"the store {self.store!r} needs the `url` of its server")
        if self.url and not (self.is_loopback or self.trust_url):
            raise ValueError(
                "the server is not on this machine: if it may see the passages and the queries, "
                "say so with `trust_url: true`"
            )
        return self

    @property
    def endpoint(self) -> Endpoint | None:
        """The server that keeps the store; None if the store is in this process."""
        if self.url is None:
            return None
        is_plain = parse(self.url).scheme == "http"
        return parse(self.url, port=STORES[self.store].port if is_plain else None)

    @property
    def is_loopback(self) -> bool:
        """Whether the address as written is this machine, or there is none."""
        return self.endpoint is None or self.endpoint.is_loopback

    def sends_to(self) -> Reach:
        """Return the server that keeps the store; it receives passages and vectors of queries."""
        return () if self.endpoint is None else (self.endpoint,)

    def encoder_digest(self) -> str | None:
        """Return the digest of the encoder's weights."""
        return self.encoder.digest()

    def hub_models(self) -> HubModels:
        """Return the encoder's models that come from the hub, with their revisions."""
        return self.encoder.hub_models()

    def embeddings(self, corpus: Corpus, device: Device) -> Embeddings:
        """Return the vectors of the corpus, which may not be made yet."""
        return Embeddings(corpus, self.encoder, device)

    def estimate(
        self, name: str, corpus: Corpus, *, measure: bool, device: Device
    ) -> Footprint | None:
        """Return what the vectors and texts take, counted once; a store may keep more."""
        stored = self.embeddings(corpus, device)
        missing = stored.missing_bytes()
        if self.url:  # another machine has the store
            return Footprint(name, self.store, 0.0, missing)
        n, texts = len(corpus), float(corpus.manifest.n_characters)
        disk = 4.0 * stored.dimension * n + (texts if STORES[self.store].keeps else 0.0)
        number = PYTHON_FLOAT if self.store == "in-memory" else 4.0
        memory = BASE_MEMORY + number * stored.dimension * n + texts
        return Footprint(name, self.store, disk, missing, build_memory=memory, search_memory=memory)

    def require(self) -> None:
        """Refuse a machine without the store's packages or the encoder."""
        with store_errors(self.store, "being looked for"):
            for package in ("langchain-core", *STORES[self.store].packages):
                import_module(package.replace("-", "_"))
        super().require()

"""The options of a FAISS index, and what it takes."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Literal

from pydantic import Field, model_validator

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense import flatcodes
from ragbench.indexes.dense.ann import KNOBS, new_index, resolve_factory, training_rows
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard
from ragbench.indexes.dense.footprint import (
    encoding_seconds,
    faiss_bytes,
    operations,
    products_per_second,
)
from ragbench.indexes.dense.gpu.forms import has_form, held_bytes
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.dense.tuning import knob_of
from ragbench.indexes.recipe import BASE_MEMORY, Footprint, HubModels, Recipe

HNSW = re.compile(r"(?!.*IVF).*HNSW")
HALVES = re.compile(r"(?!.*(?:IVF|HNSW|Refine))(?:.*,)?Flat")
# What `ragbench index estimate` sets beside a recipe, from the largest to the smallest.
TYPES = ("HNSW32", "Flat", "IVF,Flat", "SQfp16", "SQ8", "IVF,SQ8", "OPQ48,IVF,PQ48")


class DenseRecipe(Recipe):
    """The options of a FAISS index; each is part of the index's identity.

    Attributes:
        factory: String of FAISS's index factory; ``IVF`` without a number chooses its number of
            cells.
        metric: ``cosine`` is the inner product of vectors that the encoder card normalises;
            the scores of ``l2`` are minus the squared distance.
        encoder: The encoder that makes the vectors.
        ef_construction: Number of candidates while HNSW is built.
        ef_search: Number of candidates of an HNSW search.
        fill_threads: Threads that fill HNSW; with ``all`` it is faster, and no two builds have the
            same links.
        nprobe: Number of cells that an IVF search reads.
        k_factor: Number of candidates that refined codes rank, as a multiple of k.
        target_recall: Recall for which the build finds the smallest ``nprobe``, ``ef_search`` or
            ``k_factor``.
        train_rows: Number of vectors that train the index; more where a cell of IVF would have
            fewer than 39 of them, which FAISS warns of.
        min_recall: Recall@k against exact search below which the build fails; not for ``Flat``.
        min_self_retrieval: Share of vectors that must find themselves, below which the build fails;
            ``Flat`` must find all.
        recall_k: The k of the measured recall.
        recall_queries: Number of queries of each kind that measure the recall.
        seed: Seed of the training sample and of the queries that measure the recall.
        gpu_float16: Whether a GPU holds the vectors of ``Flat`` in half precision.
    """

    factory: str = Field("Flat", pattern=r"^[A-Za-z0-9_,()]{1,80}$")
    metric: Literal["inner-product", "l2", "cosine"] = "inner-product"
    encoder: EncoderCard
    ef_construction: int | None = Field(None, gt=0)
    ef_search: int | None = Field(None, gt=0)
    fill_threads: Literal["one", "all"] = "one"
    nprobe: int | None = Field(None, gt=0)
    k_factor: int | None = Field(None, gt=0)
    target_recall: float | None = Field(None, gt=0, le=1)
    train_rows: int = Field(100_000, gt=0)
    min_recall: float = Field(0.9, ge=0, le=1)
    min_self_retrieval: float = Field(0.95, ge=0, le=1)
    recall_k: int = Field(10, gt=0)
    recall_queries: int = Field(500, gt=0)
    seed: int = Field(17, ge=0)
    gpu_float16: bool = False

    def knobs(self) -> dict[str, int]:
        """Return the search and build settings that are given, by their names here."""
        given = self.model_dump(include=set(KNOBS), exclude_none=True)
        return {name: given[name] for name in KNOBS if name in given}

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared with the query as it is."""
        return self.factory == "Flat"

    @model_validator(mode="after")
    def _check_metric(self) -> DenseRecipe:
        if self.metric == "cosine" and not self.encoder.normalise:
            raise ValueError("`metric: cosine` needs `normalise: true` in the encoder")
        if self.is_exact and self.knobs():
            raise ValueError(f"`factory: Flat` is exact and has no {', '.join(self.knobs())}")
        if self.gpu_float16 and not HALVES.fullmatch(self.factory):
            raise ValueError("`gpu_float16` is of `Flat` alone; other types have their own codes")
        if self.fill_threads == "all" and not HNSW.match(self.factory):
            raise ValueError("`fill_threads` is of HNSW alone; other types use all threads")
        if self.target_recall is not None:
            knob = knob_of(self.factory)
            if knob in self.knobs():
                raise ValueError(f"`target_recall` finds {knob}, so leave {knob} out")
        return self

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit; an exact index has fewer of them."""
        every = super().identity()
        if self.is_exact:
            keys = ("kind", "factory", "metric", "encoder", "gpu_float16")
            return {key: every[key] for key in keys}
        if self.fill_threads == "one":  # as before there was a choice
            del every["fill_threads"]
        return every

    def sends_to(self) -> Reach:
        """Return no endpoint: vectors are made and searched in this process."""
        return ()

    def encoder_digest(self) -> str | None:
        """Return the digest of the encoder's weights."""
        return self.encoder.digest()

    def require(self) -> None:
        """Refuse a machine without FAISS or the encoder."""
        import_faiss()
        super().require()

    def hub_models(self) -> HubModels:
        """Return the encoder's models that come from the hub, with their revisions."""
        return self.encoder.hub_models()

    def embeddings(self, corpus: Corpus, device: Device) -> Embeddings:
        """Return the vectors of the corpus, which may not be made yet."""
        return Embeddings(corpus, self.encoder, device)

    def estimate(
        self, name: str, corpus: Corpus, *, measure: bool, device: Device
    ) -> Footprint | None:
        """Return what the FAISS index takes, and the vectors that it still needs."""
        return self._footprint(name, self.embeddings(corpus, device), measure)

    def alternatives(self, name: str, corpus: Corpus, device: Device) -> list[Footprint]:
        """Return what other FAISS types would take for the same encoder."""
        settings = dict.fromkeys((*KNOBS, "target_recall"))
        stored = self.embeddings(corpus, device)
        found: list[Footprint] = []
        for factory in TYPES:
            if factory == self.factory:
                continue
            other = self.model_copy(update={**settings, "factory": factory})
            with suppress(UsageError):  # codes that do not divide the dimensions
                found.append(other._footprint(f"({name} as)", stored, False))
        return found

    def _footprint(self, name: str, stored: Embeddings, measure: bool) -> Footprint:
        faiss = import_faiss()
        n, dimension = len(stored.corpus), stored.dimension
        factory = resolve_factory(self.factory, n)
        disk = faiss_bytes(factory, dimension, n, self.metric)
        empty = new_index(faiss, factory, dimension, self.metric)
        trained = training_rows(factory, n, self.train_rows)
        sample = 0.0 if self.is_exact else 4.0 * dimension * trained
        in_memory = 0.0 if flatcodes.streams(faiss, empty) else disk
        on_gpu = None
        if has_form(faiss, empty):
            on_gpu = held_bytes(faiss, empty, n, float16=self.gpu_float16)
        hours = None
        if measure:
            encoding = 0.0 if stored.is_whole else encoding_seconds(stored)
            around = self.ef_construction or 40
            computing = operations(factory, dimension, n, trained=trained, around=around)
            hours = (encoding + computing / products_per_second()) / 3600
        return Footprint(
            name,
            factory,
            disk,
            embeddings=stored.missing_bytes(),
            build_memory=BASE_MEMORY + in_memory + sample,
            search_memory=BASE_MEMORY + disk,
            gpu_memory=on_gpu,
            hours=hours,
        )

"""A LangChain vector store over a corpus, with our encoder, its scores checked by computing them.

At the build, vectors of the corpus are asked for at differing lengths, and the store's raw scores
are compared with inner products, cosines and distances of the same vectors: the manifest says
what they are, and a store that computes another metric than the recipe's is refused. Recall is
measured as for a FAISS index.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ragbench.base.devices import Device
from ragbench.base.errors import DataError, RagbenchError, UsageError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.npy import map_array
from ragbench.indexes.dense import recall
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.langchain import store_checks
from ragbench.indexes.langchain.raw_scores import FORMULAS
from ragbench.indexes.langchain.store_recipe import VectorstoreRecipe
from ragbench.indexes.langchain.stores import (
    STORES,
    Opened,
    OurEmbeddings,
    StoreLocation,
    add,
    store_errors,
)
from ragbench.indexes.recipe import Recipe
from ragbench.indexes.retriever import Finding, Rows, Scores, top_hits

if TYPE_CHECKING:
    from langchain_core.vectorstores import VectorStore

VECTORS = "vectors.npy"
STORE = "store"
BLOCK = 1024


class VectorstoreIndex:
    """An open vector store and its encoder."""

    Options: ClassVar[type[Recipe]] = VectorstoreRecipe

    def __init__(
        self,
        opened: Opened,
        encoder: Encoder,
        recipe: VectorstoreRecipe,
        corpus: Corpus,
        *,
        folder: Path,
        facts: dict[str, Any],
    ) -> None:
        self.corpus = corpus
        self.metric = recipe.metric
        self.recipe = recipe
        self.folder = folder
        self.facts = facts
        self._opened = opened
        # Chroma shares what is open of a folder within a process, also after a new build.
        self._closing = weakref.finalize(self, opened.close)
        self._encoder = encoder
        self._search = store_checks.RawSearch(
            opened, recipe.store, corpus, FORMULAS[facts["raw_score"]]
        )

    @property
    def store(self) -> VectorStore:
        """LangChain's object, which encodes queries as this index does; of use while it is open."""
        return self._opened.store

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Embed the corpus if need be, fill the store and check its scores; return facts.

        Raises:
            DataError: The store's scores are not of the recipe's metric, or it finds too little of
                what exact search finds.
        """
        options = VectorstoreRecipe.model_validate(recipe.model_dump())
        _remove_left_over(work)
        stored = Embeddings(corpus, options.encoder, device)
        # Queries are encoded in float32 when they are searched, so here too.
        encoder = Encoder(options.encoder, device, "float32")
        ours = OurEmbeddings(lambda: encoder)
        location = _location(options, corpus, work, encoder.dimension, is_new=True)
        kind = STORES[options.store]
        with store_errors(options.store, "being made"):
            opened = kind.open(location, ours.as_langchain())
        try:
            stored.make()
            if not kind.keeps and not options.url:
                _keep(stored, work / VECTORS)
            _fill(opened, ours, options.store, corpus, stored.shards())
            facts = _checked(opened, options, stored, encoder, work)
        except RagbenchError:
            with suppress(RagbenchError), store_errors(options.store, "removing the collection"):
                opened.drop()
            raise
        finally:
            with store_errors(options.store, "being closed"):
                opened.close()
        return {
            "dimension": location.dimension,
            "n_vectors": len(corpus),
            "dtype": stored.dtype,
            "embeddings": stored.digest,
            "collection": location.collection,
            **facts,
        }

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> VectorstoreIndex:
        """Return the open store; one that keeps nothing is filled from the vectors in the folder.

        Raises:
            DataError: The store does not hold the corpus.
        """
        options = VectorstoreRecipe.model_validate(recipe.model_dump())
        recall.stated_recall(facts)  # which `check` repeats
        encoder = Encoder(options.encoder, device, "float32")
        ours = OurEmbeddings(lambda: encoder)
        refill = not STORES[options.store].keeps and not options.url
        location = _location(options, corpus, folder, facts["dimension"], is_new=refill)
        kept = _kept(folder, corpus, facts["dimension"]) if refill else None
        with store_errors(options.store, "being opened"):
            opened = STORES[options.store].open(location, ours.as_langchain())
        try:
            if kept is not None:
                _fill(opened, ours, options.store, corpus, [(0, kept)])
            store_checks.check_count(opened, options.store, corpus)
        except RagbenchError:
            opened.close()
            raise
        return cls(opened, encoder, options, corpus, folder=folder, facts=facts)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return the k nearest passages per query: nearest first, ties by passage id ascending.

        An approximate store may give fewer than k.

        Raises:
            UsageError: The store never gives as many hits as are wanted and the corpus has.
            DataError: The store gave what is not in the corpus.
        """
        if not queries:
            return []
        most = STORES[self.recipe.store].max_k
        if min(k, len(self.corpus)) > most:  # or its end would pass for that of the ranking
            raise UsageError(
                f"{k:,} hits are wanted of a store that gives at most {most:,}",
                where=f"index over {self.corpus.name}: store {self.recipe.store}",
                fix="ask for fewer, or take `kind: faiss`",
            )
        vectors = self._encoder.queries(queries)

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            return self._search.search(vectors[list(places)], size)

        return top_hits(self.corpus, len(queries), k, ask)

    def examine(self) -> list[Finding]:
        """Check the raw scores and the recall again, if the embeddings are here."""
        options = self.recipe
        stored = Embeddings(self.corpus, options.encoder, "auto")
        stated, embedded = recall.stated_recall(self.facts)
        if stored.digest != embedded or stored.verify():
            return [Finding("recall", True, f"{stated} at build; the embeddings are not here")]
        raw = store_checks.RawSearch(self._opened, options.store, self.corpus)
        try:
            formula, _ = store_checks.find_formula(
                raw, options.store, stored, options.metric, options.seed
            )
        except DataError as error:
            return [Finding("raw scores", False, error.what)]
        is_same = formula.name == self.facts["raw_score"]
        drawn = recall.RecallQueries.load(self.folder)
        return [
            Finding("raw scores", is_same, f"{formula.name}, {self.facts['raw_score']} at build"),
            *(
                Finding(
                    f"recall@{one.k} of {one.queries}",
                    one.recall_at_k >= options.min_recall,
                    f"{one.recall_at_k:.3f}, at least {options.min_recall:g}; at build {stated}",
                )
                for one in store_checks.measure(
                    self._search, drawn, stored, options.recall_k, options.metric
                )
            ),
        ]

    def close(self) -> None:
        """Let go of the store's files, as happens anyway when the index is no longer used."""
        self._closing()


def _checked(
    opened: Opened, options: VectorstoreRecipe, stored: Embeddings, encoder: Encoder, work: Path
) -> dict[str, Any]:
    """Return the facts that say what the store does; refuse one that does something else."""
    name, corpus = options.store, stored.corpus
    store_checks.check_count(opened, name, corpus)
    raw = store_checks.RawSearch(opened, name, corpus)
    formula, facts = store_checks.find_formula(raw, name, stored, options.metric, options.seed)
    search = store_checks.RawSearch(opened, name, corpus, formula)
    return {
        "store_class": type(opened.store).__name__,
        **facts,
        **store_checks.measured(search, options, stored, encoder, work),
    }


def _location(
    recipe: VectorstoreRecipe, corpus: Corpus, folder: Path, dimension: int, *, is_new: bool
) -> StoreLocation:
    # On a server, every index has a collection of its own.
    identity = sha256_json([corpus.digest, recipe.identity(), recipe.encoder_digest()])
    return StoreLocation(
        folder=folder / STORE,
        url=recipe.endpoint.address if recipe.endpoint else None,
        collection=f"ragbench_{identity[:24]}",
        dimension=dimension,
        metric=recipe.metric,
        options=recipe.options,
        is_new=is_new,
    )


def _remove_left_over(work: Path) -> None:
    """Remove what a build that was stopped has left of its store."""
    for path in work.glob(f"{STORE}*"):
        shutil.rmtree(path, ignore_errors=True)


def _keep(stored: Embeddings, path: Path) -> None:
    """Write all vectors into one file, block by block."""
    shape = (len(stored.corpus), stored.dimension)
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start, vectors in stored.shards():
        kept[start : start + len(vectors)] = vectors
    kept.flush()


def _kept(folder: Path, corpus: Corpus, dimension: int) -> Vectors:
    """Return the vectors in an index's folder, memory-mapped."""
    path = folder / VECTORS
    try:
        found: Vectors = map_array(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read: {first_line(error)}") from None
    if found.shape != (len(corpus), dimension) or found.dtype != np.float32:
        raise _damaged(path, f"have the shape {found.shape}")
    return found


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"the vectors of the index {what}",
        where=str(path),
        fix="build it again with `ragbench index build ... --replace`",
    )


def _fill(
    opened: Opened,
    ours: OurEmbeddings,
    name: str,
    corpus: Corpus,
    shards: Iterable[tuple[int, Vectors]],
) -> None:
    """Add passages with their vectors, block by block."""
    with stage(f"index over {corpus.name}: filling the store", len(corpus)) as progress:
        for first, vectors in shards:
            for start in range(0, len(vectors), BLOCK):
                block = np.asarray(vectors[start : start + BLOCK])
                rows = range(first + start, first + start + len(block))
                with store_errors(name, "adding passages"):
                    add(opened, ours, STORES[name], {row: corpus[row] for row in rows}, block)
                progress.advance(len(block))

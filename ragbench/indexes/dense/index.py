"""Sentence vectors in FAISS: exact (``Flat``), or approximate with a recall that was measured.

What is saved is always the CPU form of the index; a GPU, where there is one, gets a copy at
opening (of all but HNSW, which FAISS has no GPU form of).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ragbench.base.devices import Device
from ragbench.base.errors import DataError, first_line
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense import recall
from ragbench.indexes.dense.ann import (
    fill,
    metric_number,
    new_index,
    range_parameters,
    read_mapped,
    resolve_factory,
    set_knobs,
    training_rows,
)
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.dense.gpu import cards
from ragbench.indexes.dense.gpu.copies import OnCards, to_gpus
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.dense.recipe import DenseRecipe
from ragbench.indexes.dense.tuning import tune
from ragbench.indexes.recipe import Recipe
from ragbench.indexes.retriever import (
    TIE_MARGIN,
    Finding,
    Rows,
    Scores,
    passage_text,
    top_hits,
)
from ragbench.indexes.within import deepen

INDEX = "index.faiss"
SELF_ROWS = 200
FRESH_ROWS = 32
FRESH_TOLERANCE = 0.02


class DenseIndex:
    """An open FAISS index and its encoder."""

    Options: ClassVar[type[Recipe]] = DenseRecipe

    def __init__(
        self,
        index: Any,
        encoder: Encoder,
        recipe: DenseRecipe,
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
        self._index = index
        self._encoder = encoder

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Embed the corpus if need be, write and measure the FAISS index; return facts.

        Raises:
            DataError: The index finds too little of what exact search finds.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
        stored = Embeddings(corpus, options.encoder, device)
        if device == "cuda":
            cards.require(faiss)
        factory = resolve_factory(options.factory, len(corpus))
        index = new_index(faiss, factory, stored.dimension, options.metric)
        set_knobs(faiss, index, options.knobs(), factory=factory)
        stored.make()
        rows, seed = training_rows(factory, len(corpus), options.train_rows), options.seed
        index = fill(
            faiss,
            index,
            stored,
            train_rows=rows,
            seed=seed,
            path=work / INDEX,
            all_threads=options.fill_threads == "all",
        )
        set_knobs(faiss, index, options.knobs(), factory=factory)
        return {
            "dimension": index.d,
            "n_vectors": index.ntotal,
            "dtype": stored.dtype,
            "embeddings": stored.digest,
            "factory": factory,
            **_measured(faiss, index, options, stored, work, factory),
        }

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> DenseIndex:
        """Return the index on the device; ``auto`` copies it to a GPU where there is one.

        Raises:
            DataError: The file is not the index that the manifest describes.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
        recall.stated_recall(facts)  # which `check` repeats
        try:
            index = read_mapped(faiss, str(folder / INDEX))
        except RuntimeError as error:
            raise DataError(
                f"the FAISS index cannot be read: {first_line(error)}",
                where=str(folder / INDEX),
                fix="build it again with `ragbench index build ... --replace`",
            ) from None
        if index.ntotal != len(corpus) or index.metric_type != metric_number(faiss, options.metric):
            raise DataError(
                f"the FAISS index holds {index.ntotal:,} vectors for {len(corpus):,} passages, "
                f"or another metric than {options.metric}",
                where=str(folder / INDEX),
                fix="build it again with `ragbench index build ... --replace`",
            )
        # In bfloat16 a query's vector would depend on the queries that share its batch.
        encoder = Encoder(options.encoder, device, "float32")
        knobs = options.knobs() | facts.get("tuned", {})
        set_knobs(faiss, index, knobs, factory=options.factory)
        if cards.is_wanted(faiss, device, options.factory):
            index = to_gpus(faiss, index, float16=options.gpu_float16)
        return cls(index, encoder, options, corpus, folder=folder, facts=facts)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return the k nearest passages per query: nearest first, ties by passage id ascending.

        An approximate index that searches few cells may give fewer than k.
        """
        return self._nearest(queries, k, None) if queries else []

    def search_within(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Return the k nearest passages per query among a range of rows, as ``search`` does.

        A GPU ranks all rows as deep as it can; for queries with too few hits among them, the
        processor searches the range.
        """
        found: list[list[Hit]] = [[] for _ in queries]
        pending = list(range(len(queries)))
        if isinstance(self._index, OnCards):
            depth = min(max(1, self._index.most - TIE_MARGIN), len(self.corpus))
            ranked = self.search(queries, depth)
            found = [[hit for hit in ranking if hit.row in rows][:k] for ranking in ranked]
            pending = [
                query
                for query, ranking in enumerate(ranked)
                if len(found[query]) < min(k, len(rows))
                and depth <= len(ranking) < len(self.corpus)
            ]
        if pending:
            rest = self._search_range([queries[query] for query in pending], k, rows)
            for query, hits in zip(pending, rest, strict=True):
                found[query] = hits
        return found

    def _search_range(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Search a range on the processor, or deeper and deeper in the whole ranking."""
        cpu = self._index.cpu if isinstance(self._index, OnCards) else self._index
        parameters = range_parameters(import_faiss(), cpu, rows)
        if parameters is None:
            return [found[rows] for found in deepen(self, queries, {rows: k})]
        return self._nearest(queries, k, parameters)

    def _nearest(self, queries: Sequence[str], k: int, parameters: Any) -> list[list[Hit]]:
        vectors = self._encoder.queries(queries)

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            given = {} if parameters is None else {"params": parameters}
            scores, rows = self._index.search(vectors[list(places)], size, **given)
            return (-scores if self.metric == "l2" else scores), rows

        return top_hits(self.corpus, len(queries), k, ask)

    def examine(self) -> list[Finding]:
        """Search for some passages, encoded again, and measure an approximate index's recall."""
        n = len(self.corpus)
        rows = np.random.default_rng(self.recipe.seed).choice(n, min(FRESH_ROWS, n), replace=False)
        floor = 1.0 if self.recipe.is_exact else self.recipe.min_self_retrieval
        share = self._self_retrieval(rows)
        given = self.recipe.encoder.vectors is not None
        findings = [
            Finding(
                f"{'vectors' if given else 'passages, encoded again,'} that find themselves",
                share >= floor,
                f"{share:.3f} of {len(rows)}, at least {floor:g}",
            )
        ]
        return findings if self.recipe.is_exact else [*findings, *self._recall_again()]

    def _self_retrieval(self, rows: Rows) -> float:
        """Return how many passages find themselves first, or another that is as near."""
        own = self._vectors_of(rows)
        found = self._index.search(own, 1)[1][:, 0]
        first = self._vectors_of(np.maximum(found, 0))
        pairs = recall.nearness(own[:, None], np.stack((own, first), axis=1), self.metric)[:, 0]
        # The stored vectors may be rounded to bfloat16, these are not.
        margin = FRESH_TOLERANCE * (own**2).sum(axis=1)
        return float(((found >= 0) & (pairs[:, 1] >= pairs[:, 0] - margin)).mean())

    def _vectors_of(self, rows: Rows) -> Vectors:
        card = self.recipe.encoder
        if card.vectors is not None:
            return Embeddings(self.corpus, card, "auto").rows(rows)
        passages = (self.corpus[int(row)] for row in rows)
        texts = [passage_text(card.template, p.title, p.text) for p in passages]
        return self._encoder.passages(texts)

    def _recall_again(self) -> list[Finding]:
        stored = Embeddings(self.corpus, self.recipe.encoder, "auto")
        stated, embedded = recall.stated_recall(self.facts)
        if stored.digest != embedded or stored.verify():
            return [Finding("recall", True, f"{stated} at build; the embeddings are not here")]
        drawn = recall.RecallQueries.load(self.folder)
        k, metric = self.recipe.recall_k, self.recipe.metric
        return [
            Finding(
                f"recall@{one.k} of {one.queries}",
                one.recall_at_k >= self.recipe.min_recall,
                f"{one.recall_at_k:.3f}, at least {self.recipe.min_recall:g}; at build {stated}",
            )
            for one in recall.measure(self._index, drawn, stored, k, metric)
        ]


def _measured(
    faiss: Any, index: Any, options: DenseRecipe, stored: Embeddings, work: Path, factory: str
) -> dict[str, Any]:
    """Return the facts that say how good the index is; refuse one that is not good enough."""
    n = len(stored.corpus)
    facts: dict[str, Any] = {}
    if options.target_recall is not None:
        encoder = Encoder(options.encoder, stored.device, "float32")
        count, seed = options.recall_queries, options.seed + 1  # not those of the report
        sample = recall.draw(stored.corpus, count, seed, encoder.queries)
        judge = recall.Judge(sample, stored, options.recall_k, options.metric)
        target = options.target_recall
        facts["tuned"] = tune(faiss, index, judge, target, factory=factory)
    generator = np.random.default_rng(options.seed)
    rows = generator.choice(n, size=min(SELF_ROWS, n), replace=False)
    share = recall.self_retrieval(index, rows, stored, options.metric)
    floor = 1.0 if options.is_exact else options.min_self_retrieval
    if share < floor:
        raise _too_poor(f"of its vectors only {share:.3f} find themselves", floor, options, stored)
    facts["self_retrieval"] = {"n_queries": len(rows), "share": share}
    if options.is_exact:
        return facts
    with stage(f"index over {stored.corpus.name}: recall", options.recall_queries) as progress:
        # Queries are encoded in float32 when they are searched, so here too.
        encoder = Encoder(options.encoder, stored.device, "float32")
        drawn = recall.draw(stored.corpus, options.recall_queries, options.seed, encoder.queries)
        found = recall.measure(index, drawn, stored, options.recall_k, options.metric)
        progress.advance(len(drawn.rows))
    for one in found:
        if one.recall_at_k < options.min_recall:
            what = f"recall@{one.k} of {one.queries} against exact search is {one.recall_at_k:.3f}"
            raise _too_poor(what, options.min_recall, options, stored)
    drawn.save(work)
    facts["recall"] = [one.to_json() for one in found]
    facts["recall_seed"] = options.seed
    return facts


def _too_poor(what: str, floor: float, options: DenseRecipe, stored: Embeddings) -> DataError:
    knobs = ", ".join(f"{name} {value}" for name, value in options.knobs().items())
    return DataError(
        f"{what}, below the recipe's {floor:g}",
        where=f"index over {stored.corpus.name}: factory {options.factory}"
        + (f", {knobs}" if knobs else ""),
        fix="raise nprobe (IVF) or ef_search and ef_construction (HNSW), or take finer codes or "
        "Flat; the embeddings are kept, so that the next build is quick",
    )

"""Sentence vectors in FAISS: exact (``Flat``), or approximate with a recall that was measured.

What is saved is always the CPU form of the index; a GPU, where there is one, gets a copy at
opening (of all but HNSW, which FAISS has no GPU form of).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ragbench.base.devices import Device
from ragbench.base.errors import DataError, first_line
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.check import Finding
from ragbench.indexes.composite.within import deepen
from ragbench.indexes.dense import gpu, recall
from ragbench.indexes.dense.ann import (
    fill,
    import_faiss,
    knobs_of,
    metric_number,
    new_index,
    range_parameters,
    read_mapped,
    resolve_factory,
    set_knobs,
)
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, EncoderCard, Vectors
from ragbench.indexes.dense.tuning import knob_of, tune
from ragbench.indexes.retriever import Recipe, Rows, Scores, passage_text, top_hits

INDEX = "index.faiss"
HALVES = re.compile(r"(?!.*(?:IVF|HNSW|Refine))(?:.*,)?Flat")
SELF_ROWS = 200
FRESH_ROWS = 32
FRESH_TOLERANCE = 0.02


class DenseRecipe(Recipe):
    """The options of a FAISS index; each is part of the index's identity.

    Attributes:
        factory: A string of FAISS's index factory; a bare ``IVF`` counts its cells itself.
        metric: ``cosine`` is the inner product of vectors that the encoder card normalises;
            the scores of ``l2`` are minus the squared distance.
        encoder: What makes the vectors.
        ef_construction: Of HNSW, while it is built.
        ef_search: Of HNSW, while it is searched.
        nprobe: Of IVF: how many cells are searched.
        k_factor: Of refined codes: how many times k candidates are refined.
        target_recall: Has ``nprobe``, ``ef_search`` or ``k_factor`` found by measuring.
        train_rows: How many vectors the index is trained on, at most.
        min_recall: Below this recall@k the build fails; no matter for ``Flat``.
        min_self_retrieval: Below this share of vectors that find themselves the build fails;
            ``Flat`` must find all.
        recall_k: The k of that recall.
        recall_queries: How many queries of each kind measure it.
        seed: Of the training sample and of those queries.
        gpu_float16: Whether a GPU holds the vectors of ``Flat`` in half precision.
    """

    factory: str = Field("Flat", pattern=r"^[A-Za-z0-9_,()]{1,80}$")
    metric: Literal["inner-product", "l2", "cosine"] = "inner-product"
    encoder: EncoderCard
    ef_construction: int | None = Field(None, gt=0)
    ef_search: int | None = Field(None, gt=0)
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

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared with the query as it is."""
        return self.factory == "Flat"

    @model_validator(mode="after")
    def _check_metric(self) -> DenseRecipe:
        if self.metric == "cosine" and not self.encoder.normalise:
            raise ValueError("`metric: cosine` needs `normalise: true` in the encoder")
        if self.is_exact and knobs_of(self):
            raise ValueError(f"`factory: Flat` is exact and has no {', '.join(knobs_of(self))}")
        if self.gpu_float16 and not HALVES.fullmatch(self.factory):
            raise ValueError("`gpu_float16` is of `Flat` alone; other types have their own codes")
        if self.target_recall is not None:
            knob = knob_of(self.factory)
            if getattr(self, knob) is not None:
                raise ValueError(f"`target_recall` finds {knob}, so leave {knob} out")
        return self

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit; an exact index has fewer of them."""
        every = super().identity()
        if self.is_exact:
            keys = ("kind", "factory", "metric", "encoder", "gpu_float16")
            return {key: every[key] for key in keys}
        return every

    def encoder_digest(self) -> str | None:
        """Return the digest of the encoder's weights."""
        return self.encoder.digest()

    def require(self) -> None:
        """Refuse a machine without FAISS or the encoder."""
        import_faiss()
        super().require()


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
        on_gpu: bool,
    ) -> None:
        self.corpus = corpus
        self.metric = recipe.metric
        self.recipe = recipe
        self.folder = folder
        self.facts = facts
        self._index = index
        self._encoder = encoder
        self._on_gpu = on_gpu

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Embed the corpus, unless that has been done, write the FAISS index, and measure it.

        Args:
            recipe: A DenseRecipe.
            corpus: What is indexed.
            work: The folder to fill.
            device: Where the encoder computes.

        Returns:
            Facts for the manifest.

        Raises:
            DataError: The index finds too little of what exact search finds.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
        stored = Embeddings(corpus, options.encoder, device)
        if device == "cuda":
            gpu.require(faiss)
        factory = resolve_factory(options.factory, len(corpus))
        index = new_index(faiss, factory, stored.dimension, options.metric)
        set_knobs(faiss, index, knobs_of(options), factory=factory)
        stored.make()
        rows, seed = options.train_rows, options.seed
        index = fill(faiss, index, stored, train_rows=rows, seed=seed, path=work / INDEX)
        set_knobs(faiss, index, knobs_of(options), factory=factory)
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
        """Open the index on the device.

        Args:
            folder: The built index.
            recipe: A DenseRecipe.
            facts: What ``build`` returned.
            corpus: What was indexed.
            device: ``cuda`` copies the index to the GPU; ``auto`` does so where there is one.

        Returns:
            The open index.

        Raises:
            DataError: The file is not the index that the manifest describes.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
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
        knobs = knobs_of(options) | facts.get("tuned", {})
        set_knobs(faiss, index, knobs, factory=options.factory)
        found = index
        if gpu.is_wanted(faiss, device, options.factory):
            found = gpu.to_gpus(faiss, index, float16=options.gpu_float16)
        on_gpu = found is not index
        return cls(found, encoder, options, corpus, folder=folder, facts=facts, on_gpu=on_gpu)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return the k nearest passages a query.

        Args:
            queries: The texts.
            k: How many hits are wanted.

        Returns:
            One list a query: nearest first, ties by passage id ascending; an approximate index
            that searches few cells may give fewer than k.
        """
        return self._nearest(queries, k, None) if queries else []

    def search_within(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Return the k nearest passages a query among a range of rows.

        Args:
            queries: The texts.
            k: How many hits are wanted.
            rows: Where.

        Returns:
            As ``search`` does.
        """
        parameters = None
        if not self._on_gpu:
            parameters = range_parameters(import_faiss(), self._index, rows)
        if parameters is None:
            depth = gpu.MAX_K if self._on_gpu else None
            return [found[rows] for found in deepen(self, queries, {rows: k}, depth=depth)]
        return self._nearest(queries, k, parameters) if queries else []

    def _nearest(self, queries: Sequence[str], k: int, parameters: Any) -> list[list[Hit]]:
        if self._on_gpu:
            gpu.check_k(k, len(self.corpus))
        vectors = self._encoder.queries(queries)

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            if self._on_gpu:
                size = min(size, gpu.MAX_K)
            given = {} if parameters is None else {"params": parameters}
            scores, rows = self._index.search(vectors[list(places)], size, **given)
            return (-scores if self.metric == "l2" else scores), rows

        return top_hits(self.corpus, len(queries), k, ask)

    def examine(self) -> list[Finding]:
        """Search for some passages encoded anew, and measure an approximate index's recall."""
        n = len(self.corpus)
        rows = np.random.default_rng(self.recipe.seed).choice(n, min(FRESH_ROWS, n), replace=False)
        floor = 1.0 if self.recipe.is_exact else self.recipe.min_self_retrieval
        share = self._self_retrieval(rows)
        given = self.recipe.encoder.vectors is not None
        findings = [
            Finding(
                f"{'vectors' if given else 'passages, encoded anew,'} that find themselves",
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
        stated = ", ".join(f"{r['recall_at_k']:.3f} ({r['queries']})" for r in self.facts["recall"])
        if stored.digest != self.facts["embeddings"] or stored.verify():
            return [Finding("recall", True, f"{stated} at build; the embeddings are not here")]
        drawn = recall.Sample.load(self.folder)
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
    knobs = ", ".join(f"{name} {value}" for name, value in knobs_of(options).items())
    return DataError(
        f"{what}, below the recipe's {floor:g}",
        where=f"index over {stored.corpus.name}: factory {options.factory}"
        + (f", {knobs}" if knobs else ""),
        fix="raise nprobe (IVF) or ef_search and ef_construction (HNSW), or take finer codes or "
        "Flat; the embeddings are kept, so that the next build is quick",
    )

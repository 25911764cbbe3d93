"""Whether a vector store does what its recipe says: its metric, its order, its recall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.errors import DataError
from ragbench.base.progress import stage
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense import recall
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, Vectors
from ragbench.indexes.langchain.raw_scores import FORMULAS, TOLERANCE, RawScore, errors, fitting
from ragbench.indexes.langchain.stores import STORES, Opened, store_errors
from ragbench.indexes.retriever import Rows, Scores

PROBES = 64
PROBE_K = 20
LENGTHS = (0.5, 2.0)


class UnitEmbeddings(Embeddings):
    """The same vectors at unit length, whose inner products are the cosines."""

    def shards(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors) of each shard."""
        for start, vectors in super().shards():
            yield start, _unit(vectors)

    def rows(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the vectors of some rows."""
        return _unit(super().rows(rows))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


class RawSearch:
    """Asks a store, and turns its documents into rows and its scores into ours.

    Args:
        opened: The store.
        name: Which one.
        corpus: What it holds.
        formula: What its raw scores are; raw scores stay as they are without it.
    """

    def __init__(
        self, opened: Opened, name: str, corpus: Corpus, formula: RawScore | None = None
    ) -> None:
        self._opened = opened
        self._name = name
        self._corpus = corpus
        self._formula = formula

    def search(self, vectors: Vectors, k: int) -> tuple[Scores, Rows]:
        """Return scores and rows (Q, k) in the store's order; nan and -1 where there was no hit.

        Raises:
            DataError: A document is not a passage of the corpus, is repeated, or has no score.
        """
        k = min(k, STORES[self._name].max_k)
        scores = np.full((len(vectors), k), np.nan)
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        for place, vector in enumerate(vectors.tolist()):
            with store_errors(self._name, "searching"):
                answer = self._opened.ask(vector, k)
            found = [self._row(document.metadata.get("id")) for document, _ in answer[:k]]
            if len(set(found)) < len(found):
                raise self._wrong("gave the same passage twice for one query")
            rows[place, : len(found)] = found
            scores[place, : len(found)] = [score for _, score in answer[:k]]
            if not np.isfinite(scores[place, : len(found)]).all():
                raise self._wrong("gave a score that is not a finite number")
        return (self._formula.ours(scores) if self._formula else scores), rows

    def _row(self, identifier: object) -> int:
        row = self._corpus.find(identifier) if isinstance(identifier, str) else None
        if row is None:
            raise self._wrong(f"gave {str(identifier)[:80]!r}, which is not in the corpus")
        return row

    def _wrong(self, what: str) -> DataError:
        return DataError(
            f"the store {self._name!r} {what}",
            where=f"index over {self._corpus.name}",
            fix="let nothing else write into its collection, and build it again with --replace",
        )


def check_count(opened: Opened, name: str, corpus: Corpus) -> None:
    """Refuse a store that does not hold as many documents as the corpus has passages.

    Raises:
        DataError: It holds more or fewer.
    """
    with store_errors(name, "counting"):
        count = opened.count()
    if count != len(corpus):
        raise DataError(
            f"the store {name!r} holds {count:,} documents for {len(corpus):,} passages",
            where=f"index over {corpus.name}",
            fix="build it again with `ragbench index build ... --replace`",
        )


def find_formula(
    search: RawSearch, name: str, stored: Embeddings, metric: str, seed: int
) -> tuple[RawScore, dict[str, Any]]:
    """Return what a store's raw scores are, and what the manifest says about it.

    They are found with vectors of the corpus at different lengths.

    Raises:
        DataError: The scores are of no known formula, or of another metric, or the hits are not in
            the order of their scores.
    """
    where = f"index over {stored.corpus.name}: store {name}"
    n = len(stored.corpus)
    generator = np.random.default_rng(seed)
    probes = generator.choice(n, size=min(PROBES, n), replace=False)
    lengths = generator.uniform(*LENGTHS, (len(probes), 1))
    queries = np.asarray(stored.rows(probes) * lengths, dtype=np.float32)
    raw, rows = search.search(queries, min(PROBE_K, n))
    if not (rows >= 0).any(axis=1).all():
        raise DataError(f"the store {name!r} gave no hits for one of its own vectors", where=where)
    vectors = stored.rows(np.maximum(rows, 0).ravel()).reshape(*rows.shape, -1)
    away = errors(raw, queries, vectors)
    fits = fitting(away)
    own = [fit for fit in fits if FORMULAS[fit].metric == metric]
    if not own:
        closest = min(away, key=lambda formula: away[formula])
        is_what = f"{fits[0]}, not of" if fits else f"nothing known (closest: {closest}), let alone"
        raise DataError(
            f"the raw scores of the store {name!r} are {is_what} the recipe's metric {metric!r}",
            where=where,
            fix=f"write `metric: {FORMULAS[fits[0]].metric}` if that is meant, or change `options`"
            if fits
            else "take another store or metric",
        )
    formula = FORMULAS[own[0]]
    _check_order(formula.ours(raw), queries, vectors, where)
    facts = {"raw_score": formula.name, "raw_score_error": away[own[0]], "probes": len(probes)}
    return formula, facts


def _check_order(scores: npt.NDArray[Any], queries: Vectors, vectors: Vectors, where: str) -> None:
    squares = (queries**2).sum(-1)[:, None] + (vectors**2).sum(-1)
    slack = TOLERANCE * (1 + squares.max(axis=1, keepdims=True))
    if (np.diff(scores, axis=1) > slack).any():
        raise DataError(
            "the store's hits do not come in the order of their own scores", where=where
        )


def measure(
    search: RawSearch, drawn: recall.RecallQueries, stored: Embeddings, k: int, metric: str
) -> list[recall.Recall]:
    """Return the recall against exact search by the recipe's metric, per kind of queries."""
    if metric == "cosine" and not stored.card.normalise:
        stored = UnitEmbeddings(stored.corpus, stored.card, stored.device)
    return recall.measure(search, drawn, stored, k, metric)


def measured(
    search: RawSearch, options: Any, stored: Embeddings, encoder: Encoder, work: Path
) -> dict[str, Any]:
    """Return the recall for the manifest, and keep the queries that gave it in ``work``.

    Raises:
        DataError: The recall is below the recipe's.
    """
    corpus = stored.corpus
    with stage(f"index over {corpus.name}: recall", options.recall_queries) as progress:
        drawn = recall.draw(corpus, options.recall_queries, options.seed, encoder.queries)
        found = measure(search, drawn, stored, options.recall_k, options.metric)
        progress.advance(len(drawn.rows))
    for one in found:
        if one.recall_at_k < options.min_recall:
            raise DataError(
                f"recall@{one.k} of {one.queries} against exact search is {one.recall_at_k:.3f}, "
                f"below the recipe's {options.min_recall:g}",
                where=f"index over {corpus.name}: store {options.store}",
                fix="let the store search further (`options`), or lower min_recall; the "
                "embeddings are kept, so that the next build is quick",
            )
    drawn.save(work)
    return {"recall": [one.to_json() for one in found], "recall_seed": options.seed}

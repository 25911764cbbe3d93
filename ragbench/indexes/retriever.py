"""The protocols of a retriever and of a kind of index, and the order of every retriever's hits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ragbench.base.devices import Device
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.recipe import Recipe

TIE_MARGIN = 8
BATCH_QUERIES = 1024
BATCH_HITS = 1 << 24  # of all queries in a batch
FIELD = re.compile(r"\{(?:title|text)\}")
Scores = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]
# Searches some queries (by position) for k hits; returns scores and rows, both (Q, k).
Search = Callable[[Sequence[int], int], tuple[Scores, Rows]]


class Retriever(Protocol):
    """Anything that finds passages for queries, in batches."""

    corpus: Corpus

    @property
    def metric(self) -> str:
        """What a hit's score is, such as ``bm25 lucene`` or ``inner-product``."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k hits per query: score descending, ties by passage id ascending."""


@runtime_checkable
class Within(Protocol):
    """A retriever that can rank the passages of a range of rows alone."""

    def search_within(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Return up to k hits per query among the rows, with the scores of the whole index."""


@runtime_checkable
class Bounded(Protocol):
    """A retriever that ranks a limited number of passages."""

    @property
    def max_hits(self) -> int:
        """The most hits that a query can ask for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check of an index looked at."""

    what: str
    is_ok: bool
    value: str


@runtime_checkable
class Examined(Protocol):
    """A kind of index that ``ragbench index check`` can look at more closely."""

    def examine(self) -> list[Finding]:
        """Return what the kind itself looked at."""


class IndexKind(Retriever, Protocol):
    """A retriever that is built into a folder and opened from it."""

    Options: ClassVar[type[Recipe]]

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Fill the folder ``work``; return facts for the manifest.

        A build that was killed finds what it had left there. A recipe with parts only checks what
        it needs: its parts are built next, as indexes of their own.
        """

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> IndexKind:
        """Open what ``build`` filled; ``built.open_parts`` opens the parts."""


def search_all(
    retriever: Retriever, queries: str | Sequence[str], k: int, *, label: str
) -> list[list[Hit]]:
    """Return the hits of each query, searched for in batches, with progress under ``label``.

    One text is one query, not one per character.
    """
    queries = [queries] if isinstance(queries, str) else queries
    hits: list[list[Hit]] = []
    with stage(label, len(queries)) as progress:
        size = max(1, min(BATCH_QUERIES, BATCH_HITS // max(k, 1)))
        for start in range(0, len(queries), size):
            batch = queries[start : start + size]
            hits += retriever.search(batch, k)
            progress.advance(len(batch))
    return hits


def passage_text(template: str, title: str, text: str) -> str:
    """Return what an index sees of a passage: the template with {title} and {text} filled in."""
    values = {"{title}": title, "{text}": text}
    return FIELD.sub(lambda found: values[found[0]], template).strip()


def top_hits(
    corpus: Corpus, n_queries: int, k: int, search: Search, *, floor: float | None = None
) -> list[list[Hit]]:
    """Return the k best hits of each query, with exact ties in ascending order of passage id.

    An engine breaks ties in any order, and a tie may reach beyond rank k. So the engine is asked
    for more than k hits, and for more again where the k-th score is also the last one returned.
    ``search`` asks the engine; its rows of -1 mean that there was nothing more. With ``floor``,
    only scores above it are hits.
    """
    hits: list[list[Hit]] = [[] for _ in range(n_queries)]
    pending = list(range(n_queries))
    ask = min(k + TIE_MARGIN, len(corpus))
    while pending:
        scores, rows = search(pending, ask)
        kept = rows >= 0
        if floor is not None:
            kept &= scores > floor
        falls = kept.all(axis=1) & (scores[:, :-1] > scores[:, 1:]).all(axis=1)
        if not falls.all():
            rest = ~falls
            scores, rows = scores.copy(), rows.copy()
            ids = corpus.id_rank[rows[rest]]
            order = np.lexsort((ids, -scores[rest], ~kept[rest]))
            scores[rest] = np.take_along_axis(scores[rest], order, axis=1)
            rows[rest] = np.take_along_axis(rows[rest], order, axis=1)
        n_kept = kept.sum(axis=1, keepdims=True)
        rows = np.where(np.arange(rows.shape[1]) < n_kept, rows, -1)
        is_cut = np.zeros(len(pending), dtype=bool)
        if ask < len(corpus):
            is_cut = (n_kept[:, 0] == ask) & (scores[:, k - 1] == scores[:, -1])
        found = hits_at(corpus, rows[~is_cut, :k], scores[~is_cut, :k])
        numbers = np.asarray(pending)
        for query, some in zip(numbers[~is_cut].tolist(), found, strict=True):
            hits[query] = some
        pending = numbers[is_cut].tolist()
        ask = min(ask * 4, len(corpus))
    return hits


def hits_at(corpus: Corpus, rows: Rows, scores: Scores) -> list[list[Hit]]:
    """Return the hits of ``rows`` (Q, k) in their order; a row of -1 ends a query's hits."""
    kept = rows >= 0
    flat = rows[kept].tolist()
    ids, docs = zip(*corpus.ids_of(flat), strict=True) if flat else ((), ())
    every = map(Hit._make, zip(ids, docs, flat, scores[kept].tolist(), strict=True))
    return [list(islice(every, n)) for n in kept.sum(axis=1).tolist()]

"""What a retriever is, and how every retriever orders its hits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ragbench.base.devices import Device
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus

TIE_MARGIN = 8
BATCH_QUERIES = 1024
BATCH_HITS = 1 << 24  # of all queries of a batch
PLACE = re.compile(r"\{(?:title|text)\}")
Scores = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]
# Asks for k hits of some of the queries (by position); gives scores and rows, both (Q, k).
Search = Callable[[Sequence[int], int], tuple[Scores, Rows]]


class Recipe(BaseModel):
    """Base of every index recipe; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    description: str = ""

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit; part of the index's digest."""
        return self.model_dump(exclude={"description"})

    def resolved(self, load: Callable[[str], Recipe]) -> Recipe:
        """Return the recipe with the recipes that it names, loaded, in their places."""
        return self

    def encoder_digest(self) -> str | None:
        """Return the digest of what else decides, such as the encoder's weights; None if none."""
        return None

    def require(self) -> None:
        """Refuse a machine that lacks a package or weights; models of the hub may come later.

        Raises:
            PrerequisiteError: Something is not here.
        """
        self.encoder_digest()


class Retriever(Protocol):
    """Anything that finds passages for queries, in batches."""

    corpus: Corpus

    @property
    def metric(self) -> str:
        """What a hit's score is, such as ``bm25 lucene`` or ``inner-product``."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k hits a query: score descending, ties by passage id ascending."""


@runtime_checkable
class Within(Protocol):
    """A retriever that can rank the passages of a range of rows alone."""

    def search_within(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Return up to k hits a query among the rows, with the scores of the whole index."""


class IndexKind(Retriever, Protocol):
    """A retriever that is built into a folder and opened from it."""

    Options: ClassVar[type[Recipe]]

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Fill the folder ``work``; return facts for the manifest."""

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> IndexKind:
        """Open what ``build`` filled."""


def search_all(
    retriever: Retriever, queries: Sequence[str], k: int, *, label: str
) -> list[list[Hit]]:
    """Search for many queries in batches, with progress.

    Args:
        retriever: Who is asked.
        queries: The texts.
        k: How many hits are wanted.
        label: What the progress is called.

    Returns:
        One list a query.
    """
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
    return PLACE.sub(lambda found: values[found[0]], template).strip()


def top_hits(
    corpus: Corpus, n_queries: int, k: int, search: Search, *, floor: float | None = None
) -> list[list[Hit]]:
    """Return the k best hits of each query, with exact ties in ascending order of passage id.

    An engine breaks ties as it likes, and a tie may reach beyond place k. So more than k are
    asked for, and more again for a query whose k-th score goes on to the end of what came.

    Args:
        corpus: Where the rows lead.
        n_queries: How many queries there are.
        k: How many hits are wanted.
        search: Asks the engine; rows of -1 mean that there was nothing more.
        floor: Only scores above it count as hits, if given.

    Returns:
        One list a query; shorter than k where there were no more hits.
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
        goes_on = np.zeros(len(pending), dtype=bool)
        if ask < len(corpus):
            goes_on = (n_kept[:, 0] == ask) & (scores[:, k - 1] == scores[:, -1])
        found = hits_at(corpus, rows[~goes_on, :k], scores[~goes_on, :k])
        places = np.asarray(pending)
        for query, some in zip(places[~goes_on].tolist(), found, strict=True):
            hits[query] = some
        pending = places[goes_on].tolist()
        ask = min(ask * 4, len(corpus))
    return hits


def hits_at(corpus: Corpus, rows: Rows, scores: Scores) -> list[list[Hit]]:
    """Return the hits of rows, in their order.

    Args:
        corpus: Where the rows lead.
        rows: (Q, k); -1 ends a query's hits.
        scores: (Q, k).

    Returns:
        One list a query.
    """
    kept = rows >= 0
    flat = rows[kept].tolist()
    ids, docs = zip(*corpus.ids_of(flat), strict=True) if flat else ((), ())
    every = map(Hit._make, zip(ids, docs, flat, scores[kept].tolist(), strict=True))
    return [list(islice(every, n)) for n in kept.sum(axis=1).tolist()]

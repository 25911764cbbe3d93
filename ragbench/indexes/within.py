"""Hits within ranges of rows, by any retriever, on the scale and in the order of its whole ranking.

A retriever that is ``Within`` is asked for each range; any other is asked for more and more of its
ranking until each range has what is needed, or the ranking ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.base.errors import UsageError
from ragbench.base.records import Hit
from ragbench.indexes.retriever import Bounded, Retriever, Within

FIRST = 100
FACTOR = 4
Needs = dict[range, int]
Found = dict[range, list[Hit]]


def hits_within(index: Retriever, queries: Sequence[str], needs: Needs) -> list[Found]:
    """Return the first hits of ranges of rows, best first, one dictionary per query.

    ``needs`` says how many hits of each range are wanted; a range has fewer where the ranking ends.

    Raises:
        UsageError: The retriever cannot be asked for as much of its ranking as is needed.
    """
    if not isinstance(index, Within):
        return deepen(index, queries, needs)
    each = {rows: index.search_within(queries, need, rows) for rows, need in needs.items()}
    return [{rows: found[query] for rows, found in each.items()} for query in range(len(queries))]


def deepen(
    index: Retriever, queries: Sequence[str], needs: Needs, *, depth: int | None = None
) -> list[Found]:
    """Return the same from more and more of the whole ranking.

    ``depth`` is the most hits that the retriever ranks; its own ``max_hits`` by default.

    Raises:
        UsageError: A range has too few of the first ``depth`` hits, and more may follow.
    """
    if depth is None and isinstance(index, Bounded):
        depth = index.max_hits
    size = len(index.corpus)
    limit = size if depth is None else min(depth, size)
    hits: list[Found] = [{} for _ in queries]
    pending = list(range(len(queries)))
    ask = limit if depth is not None else min(max(FIRST, FACTOR * sum(needs.values())), limit)
    while pending:
        again: list[int] = []
        ranked = index.search([queries[query] for query in pending], ask)
        for query, ranking in zip(pending, ranked, strict=True):
            hits[query] = {
                rows: [hit for hit in ranking if hit.row in rows][:need]
                for rows, need in needs.items()
            }
            if len(ranking) >= ask and ask < size and (few := _too_few(hits[query], needs)):
                if ask == limit:
                    raise _too_shallow(index, queries[query], few, needs, limit)
                again.append(query)
        pending = again
        ask = min(ask * FACTOR, limit)
    return hits


def _too_few(found: Found, needs: Needs) -> Found:
    return {
        rows: found[rows] for rows, need in needs.items() if len(found[rows]) < min(need, len(rows))
    }


def _too_shallow(index: Retriever, query: str, few: Found, needs: Needs, limit: int) -> UsageError:
    rows, found = next(iter(few.items()))
    return UsageError(
        f"of the first {limit:,} hits only {len(found):,} are in the rows {rows.start:,} to "
        f"{rows.stop - 1:,} of {index.corpus.name!r}, where {needs[rows]:,} are needed, and the "
        "retriever ranks no more",
        where=f"query {query[:80]!r}",
        fix="raise `depth` in its recipe if it has one, search with `--device cpu` if it was a "
        "GPU, or ask for fewer",
    )

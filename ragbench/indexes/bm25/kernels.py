"""Compiled loops of BM25: counting, placing, searching (numba).

Every function works on plain arrays and releases Python's lock, so that threads run in parallel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ragbench.base.devices import compiled

GROUP = 64  # scores compared together
TINY = 1e-30


@compiled
def count_terms(codes: Any, counts: Any, starts: Any, terms: Any, n_terms: int) -> Any:
    """Return the postings of texts, ordered by term and then by text.

    Args:
        codes: int32, the number of each word in the order of the texts.
        counts: int64 (N), number of words of each text.
        starts: int64 (W + 1), start of the terms of each word number in ``terms``.
        terms: int32, terms of words: none, one or several.
        n_terms: Number of distinct terms.

    Returns:
        Lengths of the texts in terms, int32 (N); start of each term's postings, int64 (T + 1);
        texts of the postings, int32; frequency of the term in the text, int32.
    """
    lengths = np.zeros(counts.size, dtype=np.int32)
    bounds = np.zeros(n_terms + 1, dtype=np.int64)
    last = np.full(n_terms, -1, dtype=np.int64)
    word = 0
    for text in range(counts.size):
        for _ in range(counts[text]):
            code = codes[word]
            word += 1
            for place in range(starts[code], starts[code + 1]):
                term = terms[place]
                lengths[text] += 1
                if last[term] != text:
                    last[term] = text
                    bounds[term + 1] += 1
    for term in range(n_terms):
        bounds[term + 1] += bounds[term]
    rows = np.empty(bounds[n_terms], dtype=np.int32)
    times = np.empty(bounds[n_terms], dtype=np.int32)
    cursor = bounds[:-1].copy()
    last[:] = -1
    word = 0
    for text in range(counts.size):
        for _ in range(counts[text]):
            code = codes[word]
            word += 1
            for place in range(starts[code], starts[code + 1]):
                term = terms[place]
                if last[term] != text:
                    last[term] = text
                    rows[cursor[term]] = text
                    times[cursor[term]] = 0
                    cursor[term] += 1
                times[cursor[term] - 1] += 1
    return lengths, bounds, rows, times


@compiled
def place_postings(
    terms: Any,
    bounds: Any,
    rows: Any,
    times: Any,
    first_row: int,
    cursor: Any,
    idf: Any,
    norms: Any,
    factor: float,
    out_rows: Any,
    out_scores: Any,
) -> None:
    """Append the postings of a run to those of earlier runs, with their scores.

    A posting's score is idf * tf * factor / (tf + norm of the passage).

    Args:
        terms: int64 (T), number of each local term among the terms being written.
        bounds: int64 (T + 1), start of each local term's postings.
        rows: int32, texts of the postings, counted from the run's first row.
        times: int32, tf.
        first_row: The run's first row.
        cursor: int64, position of each term's next posting; advanced.
        idf: float64, of the terms being written.
        norms: float64 (N), of all passages.
        factor: k1 + 1 or 1.
        out_rows: int32, gets the rows.
        out_scores: float32, gets the scores.
    """
    for local in range(terms.size):
        term = terms[local]
        to = cursor[term]
        for place in range(bounds[local], bounds[local + 1]):
            row = rows[place] + first_row
            tf = float(times[place])
            out_rows[to] = row
            out_scores[to] = idf[term] * tf * factor / (tf + norms[row])
            to += 1
        cursor[term] = to


@compiled
def _first_at(rows: Any, low: int, high: int, row: int) -> Any:
    """Return the first position in the ascending rows[low:high] that is not below a row."""
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _is_worse(scores: Any, ranks: Any, one: int, other: int) -> Any:
    if scores[one] != scores[other]:
        return scores[one] < scores[other]
    return ranks[one] > ranks[other]


@compiled
def _swap(scores: Any, rows: Any, ranks: Any, one: int, other: int) -> None:
    scores[one], scores[other] = scores[other], scores[one]
    rows[one], rows[other] = rows[other], rows[one]
    ranks[one], ranks[other] = ranks[other], ranks[one]


@compiled
def _sink(scores: Any, rows: Any, ranks: Any, at: int, size: int) -> None:
    """Restore a heap, whose root is the worst hit, from a position downwards."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _is_worse(scores, ranks, child + 1, child):
            child += 1
        if not _is_worse(scores, ranks, child, at):
            return
        _swap(scores, rows, ranks, at, child)
        at = child


@compiled
def _offer(scores: Any, rows: Any, ranks: Any, size: int, score: float, row: int, rank: int) -> Any:
    """Add a hit to the heap if it is among the best; return the heap's size."""
    if size < scores.size:
        scores[size], rows[size], ranks[size] = score, row, rank
        at = size
        while at > 0 and _is_worse(scores, ranks, at, (at - 1) // 2):
            _swap(scores, rows, ranks, at, (at - 1) // 2)
            at = (at - 1) // 2
        return size + 1
    if score > scores[0] or (score == scores[0] and rank < ranks[0]):
        scores[0], rows[0], ranks[0] = score, row, rank
        _sink(scores, rows, ranks, 0, size)
    return size


@compiled
def _add(
    indices: Any, data: Any, start: int, stop: int, weight: float, low: int, width: int, sums: Any
) -> Any:
    """Add postings to the sums of their rows; return how many are outside the window."""
    some, values = indices[start:stop], data[start:stop]
    outside = 0
    for place in range(some.size):
        # Unsigned: the compiler need not handle negative indices.
        at = np.uint32(some[place] - low)
        if at < width:
            sums[at] += weight * values[place]
        else:
            outside += 1
    return outside


@compiled
def _offer_touched(
    indices: Any,
    begin: Any,
    end: Any,
    low: int,
    sums: Any,
    id_rank: Any,
    scores: Any,
    rows: Any,
    ranks: Any,
    size: int,
) -> Any:
    """Offer the rows of postings, all with sums above 0, and reset the sums; return the size."""
    bar = scores[0] if size == scores.size else np.float32(TINY)
    for i in range(begin.size):
        for place in range(begin[i], end[i]):
            at = np.uint32(indices[place] - low)
            score = sums[at]
            sums[at] = 0  # a row in several lists is offered once
            if score >= bar:
                row = np.int64(low + at)
                size = _offer(scores, rows, ranks, size, score, row, id_rank[row])
                if size == scores.size:
                    bar = scores[0]
    return size


@compiled
def _offer_signed(
    indices: Any,
    begin: Any,
    end: Any,
    low: int,
    sums: Any,
    seen: Any,
    id_rank: Any,
    scores: Any,
    rows: Any,
    ranks: Any,
    size: int,
) -> Any:
    """Offer the rows of postings with any sums, and reset the sums; return the size."""
    for i in range(begin.size):
        for place in range(begin[i], end[i]):
            at = np.uint32(indices[place] - low)
            if not seen[at]:
                seen[at] = True
                row = np.int64(low + at)
                size = _offer(scores, rows, ranks, size, sums[at], row, id_rank[row])
    for i in range(begin.size):
        for place in range(begin[i], end[i]):
            at = np.uint32(indices[place] - low)
            seen[at] = False
            sums[at] = 0
    return size


@compiled
def _offer_scanned(
    sums: Any,
    bits: Any,
    width: int,
    low: int,
    id_rank: Any,
    scores: Any,
    rows: Any,
    ranks: Any,
    size: int,
) -> Any:
    """Offer the rows of a window with sums above 0, and reset the sums; return the size."""
    bar = np.empty(1, dtype=np.float32)
    bar_bits = bar.view(np.int32)
    bar[0] = scores[0] if size == scores.size else TINY
    for group in range(0, width, GROUP):
        highest = np.int32(0)
        for at in range(group, group + GROUP):  # compiled to SIMD comparisons
            highest = max(highest, bits[at])
        if highest >= bar_bits[0]:
            for at in range(group, min(group + GROUP, width)):
                if sums[at] >= bar[0]:
                    row = low + at
                    size = _offer(scores, rows, ranks, size, sums[at], row, id_rank[row])
                    if size == scores.size:
                        bar[0] = scores[0]
    sums[:width] = 0
    return size


@compiled
def search(
    indptr: Any,
    indices: Any,
    data: Any,
    id_rank: Any,
    terms: Any,
    weights: Any,
    starts: Any,
    is_signed: Any,
    first_row: int,
    last_row: int,
    sums: Any,
    seen: Any,
    out_scores: Any,
    out_rows: Any,
) -> Any:
    """Find the best passages of each query in a range of rows; ties are ordered by passage id.

    Rows are processed in windows, with all postings of a window together, so that the sums stay in
    the processor's cache for any size of corpus. (Skipping terms that cannot bring a passage among
    the best, as MaxScore does, was not faster for up to a million passages.)

    Args:
        indptr: int64 (T + 1), start of each term's postings.
        indices: int32, rows of the postings, ascending within a term.
        data: float32, their scores.
        id_rank: int64 (N), each row's position in the order of passage ids.
        terms: int64, distinct terms of all queries, one query after another.
        weights: float32, frequency of each term in its query.
        starts: int64 (Q + 1), start of each query's terms.
        is_signed: bool (Q), whether a query has postings that score 0 or less.
        first_row: First row searched.
        last_row: Row after the last one.
        sums: float32 (W + GROUP), zeros on entry and return; W is the largest window.
        seen: bool (W), likewise.
        out_scores: float32 (Q, k), gets the scores, descending.
        out_rows: int64 (Q, k), gets the rows; -1 after the last hit.

    Returns:
        Whether the postings that were read are in order; if not, the search ended there.
    """
    k = out_scores.shape[1]
    window = seen.size
    bits = sums.view(np.int32)  # non-negative floats compare like their bits
    ranks = np.empty(k, dtype=np.int64)
    for query in range(out_scores.shape[0]):
        scores, rows, size = out_scores[query], out_rows[query], 0
        n = starts[query + 1] - starts[query]
        asked = terms[starts[query] : starts[query + 1]]
        times = weights[starts[query] : starts[query + 1]]
        begin, middle, end = np.empty((3, n), dtype=np.int64)
        for i in range(n):
            end[i] = indptr[asked[i] + 1]
            begin[i] = _first_at(indices, indptr[asked[i]], end[i], first_row)
            if first_row == 0 and begin[i] != indptr[asked[i]]:
                return False
        for low in range(first_row, last_row, window):
            high = min(low + window, last_row)
            n_here = outside = 0
            for i in range(n):
                middle[i] = _first_at(indices, begin[i], end[i], high)
                n_here += middle[i] - begin[i]
                outside += _add(indices, data, begin[i], middle[i], times[i], low, high - low, sums)
            if outside:
                sums[:window] = 0
                return False
            heap = (scores, rows, ranks, size)
            if is_signed[query]:
                size = _offer_signed(indices, begin, middle, low, sums, seen, id_rank, *heap)
            elif n_here * 8 < high - low:
                size = _offer_touched(indices, begin, middle, low, sums, id_rank, *heap)
            else:
                size = _offer_scanned(sums, bits, high - low, low, id_rank, *heap)
            begin[:] = middle
        if last_row == id_rank.size and (begin != end).any():
            return False
        for left in range(size - 1, 0, -1):  # moves the worst to the end
            _swap(scores, rows, ranks, 0, left)
            _sink(scores, rows, ranks, 0, left)
        for place in range(size, k):
            scores[place], rows[place] = 0, -1
    return True

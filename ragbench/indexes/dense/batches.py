"""Batches for a transformer: texts of like length together, as many tokens as a budget allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield the rows of each batch: longest first, so that what does not fit fails at once.

    Args:
        lengths: Tokens of each text.
        budget: The most tokens of a batch, each text padded to the longest of its batch; a
            text that is longer than that is a batch of its own.

    Yields:
        Rows, ordered by length, rows of one length in their order; every row once.
    """
    batch: list[int] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and longest * (len(batch) + 1) > budget:
            yield batch
            batch = []
        if not batch:
            longest = lengths[row]
        batch.append(row)
    if batch:
        yield batch

"""Batches for a transformer: texts of like length together, as many tokens as a budget allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield the rows of each batch: longest first, so that a batch that does not fit fails at once.

    ``budget`` is the most tokens of a batch, each text padded to the longest of its batch; a longer
    text is a batch of its own. Rows of one length stay in their order; every row comes once.
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

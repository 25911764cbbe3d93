"""Token-budget batches: every row once, no budget exceeded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragbench.indexes.dense.batches import token_batches


@given(st.lists(st.integers(0, 60)), st.integers(1, 200))
def test_every_row_is_in_one_batch_that_keeps_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(token_batches(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    order = [lengths[row] for batch in batches for row in batch]
    assert order == sorted(lengths, reverse=True)
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= budget or len(batch) == 1
    # No batch could have taken the first of the next.
    for batch in batches[:-1]:
        assert (len(batch) + 1) * lengths[batch[0]] > budget


def test_by_hand() -> None:
    assert list(token_batches([3, 9, 5, 5, 1], 10)) == [[1], [2, 3], [0, 4]]
    assert list(token_batches([], 10)) == []

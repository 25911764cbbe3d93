"""Units have every question once, whatever the arms, sizes and shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import UsageError
from ragbench.experiment.answering.units import Shard, share, units_of


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    arms=st.integers(1, 30),
    batch_size=st.integers(1, 200),
    of=st.integers(1, 40),
)
def test_units_have_every_question_once_and_shards_every_unit(
    sizes: list[int], arms: int, batch_size: int, of: int
) -> None:
    every = [
        unit
        for task, size in enumerate(sizes)
        for unit in units_of(
            f"t{task}", [f"q{n}" for n in range(size)], arms=arms, batch_size=batch_size
        )
    ]
    asked = [(unit.task, place) for unit in every for place in range(unit.start, unit.end)]
    assert asked == [(f"t{task}", n) for task, size in enumerate(sizes) for n in range(size)]
    for unit in every:
        questions = unit.end - unit.start
        assert questions == 1 or questions * arms <= batch_size
    shards = [share(every, Shard(of, number)) for number in range(1, of + 1)]
    assert sorted((u for shard in shards for u in shard), key=every.index) == every
    lengths = [len(shard) for shard in shards]
    assert max(lengths) - min(lengths) <= 1
    assert all(shard == sorted(shard, key=every.index) for shard in shards)


def test_a_batch_of_twelve_prompts_has_three_questions_in_four_arms() -> None:
    found = units_of("t", [f"q{n}" for n in range(7)], arms=4, batch_size=12)
    assert [(unit.start, unit.end) for unit in found] == [(0, 3), (3, 6), (6, 7)]
    one = units_of("t", ["a", "b"], arms=4, batch_size=1)
    assert [(unit.start, unit.end) for unit in one] == [(0, 1), (1, 2)]


def test_each_shard_has_questions_from_all_over_a_sorted_file() -> None:
    every = units_of("t", [f"q{n:04}" for n in range(1000)], arms=1, batch_size=1)
    for number in range(1, 5):
        first = sum(unit.start < 500 for unit in share(every, Shard(4, number)))
        assert 95 < first < 155  # of 250; 125 on average, and 3.3 standard deviations are 26


def test_shards_are_merged_by_their_count_then_their_number() -> None:
    assert sorted([Shard(16, 2), Shard(4, 3), Shard(16, 10), Shard(4, 1)]) == [
        Shard(4, 1),
        Shard(4, 3),
        Shard(16, 2),
        Shard(16, 10),
    ]
    assert (str(Shard.parse("3/16")), Shard.parse("3/16").folder) == ("3/16", "3-of-16")


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4", "1/2/3", "1/9999999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        Shard.parse(text)

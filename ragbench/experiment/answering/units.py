"""Units: whole questions with all their arms, which one model answers together.

In bfloat16 an answer depends on those beside it. So units depend on the plan alone (questions,
arms, model), not on what a killed run has left over nor on the number of shards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json

MOST_SHARDS = 100_000
WRITTEN = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of several equal parts of a run; ``number`` counts from 1.

    The order is that in which shards are merged.
    """

    of: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of a text such as ``3/16``.

        Raises:
            UsageError: It is no such text, or there is no such shard.
        """
        found = WRITTEN.fullmatch(text)
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of <= MOST_SHARDS:
            raise UsageError(
                f"{text!r} is no shard",
                where="--shard",
                fix=f"write NUMBER/OF, such as 3/16, with 1 <= NUMBER <= OF <= {MOST_SHARDS:,}",
            )
        return cls(of, number)

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class Unit:
    """Consecutive questions of a task, from ``start`` up to but without ``end``."""

    task: str
    start: int
    end: int
    key: str


def units_of(
    task: str,
    question_ids: Sequence[str],
    *,
    arms: int,
    batch_size: int,
    cuts: Sequence[int] = (),
) -> list[Unit]:
    """Return the units of a task: as many questions each as give about ``batch_size`` prompts.

    Args:
        task: The task's name.
        question_ids: Its questions, in the order asked.
        arms: Number of its arms.
        batch_size: Number of prompts that the model is best asked together.
        cuts: Numbers of questions, in ascending order, after which a unit ends.
    """
    size = max(1, batch_size // max(1, arms))
    return [
        Unit(task, start, min(start + size, end), _key(task, question_ids[start]))
        for begin, end in pairwise((0, *(cuts or (len(question_ids),))))
        for start in range(begin, end, size)
    ]


def _key(task: str, question_id: str) -> str:
    return sha256_json([task, question_id])


def share(units: Iterable[Unit], shard: Shard | None) -> list[Unit]:
    """Return the units of a shard in the order of the plan; all of them without a shard."""
    every = list(units)
    if shard is None:
        return every
    dealt = zip(every, numbers(every, shard.of), strict=True)
    return [unit for unit, number in dealt if number == shard.number]


def numbers(units: Sequence[Unit], of: int) -> list[int]:
    """Return the number of the shard that has each unit of one model.

    The units of all its tasks are dealt in turn, in the order of a hash: shards have equal numbers
    of units, give or take one, and each has units from all over a sorted file.
    """
    found = [0] * len(units)
    for turn, place in enumerate(sorted(range(len(units)), key=lambda i: units[i].key)):
        found[place] = turn % of + 1
    return found

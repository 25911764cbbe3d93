"""The order of a task's questions where a run may stop early, and when it is looked at."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import replace

from ragbench.base.records import Question
from ragbench.experiment.grid.parts import TaskPart
from ragbench.runfolder.looks.clusters import clusters_of

GROWTH = 1.25  # of the number of questions from look to look


def in_random_order(part: TaskPart, seed: int, least: int) -> TaskPart:
    """Return a task with its questions in random order, and its looks from ``least`` on.

    Clusters stay whole. Strata come in proportion: a cluster's place is its share of the questions
    of its stratum that were drawn before it. A cluster is of the stratum of its first question.
    """
    draw = random.Random(f"order {seed} {part.spec.name}")  # noqa: S311
    clusters: dict[int, list[Question]] = defaultdict(list)
    for question, code in zip(part.questions, clusters_of(part.questions), strict=True):
        clusters[code].append(question)
    strata: dict[str, list[list[Question]]] = defaultdict(list)
    for members in clusters.values():
        strata[members[0].stratum].append(members)
    placed: list[tuple[float, list[Question]]] = []
    for _, every in sorted(strata.items()):
        draw.shuffle(every)
        total, before = sum(map(len, every)), 0
        for members in every:
            placed.append(((before + draw.random() * len(members)) / total, members))
            before += len(members)
    ordered = [members for _, members in sorted(placed, key=lambda pair: pair[0])]
    return replace(
        part,
        questions=[question for members in ordered for question in members],
        looks=_looks([len(members) for members in ordered], least),
    )


def _looks(sizes: list[int], least: int) -> tuple[int, ...]:
    """Return the numbers of questions at the looks, each at the end of a cluster."""
    ends, wanted, asked = [], least, 0
    for size in sizes:
        asked += size
        if asked >= wanted:
            ends.append(asked)
            wanted = max(asked + 1, math.ceil(asked * GROWTH))
    if not ends or ends[-1] < asked:
        ends.append(asked)
    return tuple(ends)

"""Random order: clusters whole, strata in proportion, looks at the ends of clusters."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from ragbench.base.records import Question
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.order import in_random_order
from ragbench.experiment.grid.parts import TaskPart
from ragbench.tasks.task import TaskInfo


def part(questions: list[Question]) -> TaskPart:
    info = TaskInfo(instruction="Answer.", default_corpus="", licence="none", data_use="open")
    return TaskPart(TaskSpec(name="t", task="mcq"), info, questions, "letters", 16)


def asked(number: int, stratum: str = "", cluster: str | None = None) -> Question:
    text = f"Is it number {number}?"
    return Question(f"q{number}", text, ("yes", "no"), 0, "", stratum=stratum, cluster=cluster)


def test_strata_come_in_proportion_and_clusters_whole() -> None:
    questions = [asked(i, "rare" if i < 40 else "common", f"c{i // 4}") for i in range(200)]
    ordered = in_random_order(part(questions), 7, 50)
    ids = [question.id for question in ordered.questions]
    assert sorted(ids) == sorted(question.id for question in questions)
    assert ids != [question.id for question in questions]
    clusters = [question.cluster for question in ordered.questions]
    assert len(list(groupby(clusters))) == 50  # each in one piece
    for n in ordered.looks:
        count = Counter(question.stratum for question in ordered.questions[:n])
        assert abs(count["rare"] - n / 5) <= 4  # at most a cluster from its share
        assert n == 200 or clusters[n - 1] != clusters[n]


def test_the_order_depends_on_the_seed_alone() -> None:
    questions = [asked(i) for i in range(60)]
    orders = [
        [question.id for question in in_random_order(part(questions), seed, 20).questions]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_looks_grow_by_a_quarter() -> None:
    # 50, then the next whole number from 1.25 times the last on: 62.5, 78.75, 98.75, 123.75
    ordered = in_random_order(part([asked(i) for i in range(130)]), 0, 50)
    assert ordered.looks == (50, 63, 79, 99, 124, 130)
    assert in_random_order(part([asked(i) for i in range(30)]), 0, 50).looks == (30,)

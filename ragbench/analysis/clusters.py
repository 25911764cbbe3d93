"""Which questions count as one: those of a named cluster, and those that are the same question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.statistics.inference import Clusters
from ragbench.base.errors import DataError
from ragbench.runfolder.looks.clusters import clusters_of, same


class _Task(NamedTuple):
    codes: Mapping[str, int]  # cluster by question
    repeats: int
    named: bool  # whether a question names its cluster


_FOUND: WeakKeyDictionary[Run, dict[str, _Task]] = WeakKeyDictionary()


def _task(run: Run, task: str) -> _Task:
    """Return what is known of a task's clusters; a report asks for it hundreds of times."""
    found = _FOUND.setdefault(run, {})
    if task not in found:
        questions = run.questions(task)
        found[task] = _Task(
            {q.id: code for q, code in zip(questions, clusters_of(questions), strict=True)},
            len(questions) - len({same(question) for question in questions}),
            any(question.cluster is not None for question in questions),
        )
    return found[task]


def cluster_codes(run: Run, task: str, cell: pd.DataFrame) -> Clusters | None:
    """Return a number for the cluster of each row; None where no two questions share a cluster.

    Args:
        run: The run.
        task: The task.
        cell: Rows with ``question_id`` as a column or as the index.

    Raises:
        DataError: A row is of a question that the run does not have.
    """
    ids = list(cell.get("question_id", cell.index))
    known = _task(run, task).codes
    if unknown := next((name for name in ids if name not in known), None):
        raise DataError(
            f"there are figures of a question {unknown!r} that the run does not have",
            where=str(run.files.questions(task)),
            fix=f"ragbench score {run.path.name}",
        )
    codes = np.asarray(pd.factorize(np.array([known[name] for name in ids]))[0], dtype=np.int64)
    alone = np.unique(codes).size == len(set(ids))
    return None if alone else codes


def whole_clusters(run: Run, task: str) -> tuple[Mapping[str, int], int]:
    """Return the cluster of every question of a task, asked or not, and the size of the largest."""
    codes = _task(run, task).codes
    return codes, max(Counter(codes.values()).values())


def repeats(run: Run, task: str) -> int:
    """Return how many questions of a task repeat another one: all of them less the distinct."""
    return _task(run, task).repeats


def has_clusters(run: Run, task: str) -> bool:
    """Say whether questions of a task name their clusters."""
    return _task(run, task).named


def cluster_name(run: Run, task: str) -> str:
    """Return what a cluster of a task is, such as ``patient``."""
    return run.facts(task).cluster_unit or "cluster"

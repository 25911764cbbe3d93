"""Which questions count as one: those of a named cluster, and those that are the same question."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ragbench.analysis.load import Run
from ragbench.analysis.statistics.inference import Clusters
from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.base.words import plain_or_whole


class Same(NamedTuple):
    """What two questions have in common if they are the same question."""

    options: tuple[str, ...]
    documents: tuple[str, ...]
    text: str


def same(question: Question) -> Same:
    """Return what makes a question the same as another.

    That is the words of its text in their order, and the sets of its options and of its own
    documents. The same text with other options, or about another patient's documents, is another
    question.
    """
    options = {plain_or_whole(option) for option in question.options}
    documents = tuple(sorted(question.documents))
    return Same(tuple(sorted(options)), documents, plain_or_whole(question.text))


def clusters_of(questions: Sequence[Question]) -> list[int]:
    """Return the number of each question's cluster, from 0 in the order asked.

    Questions belong together that name the same ``cluster`` or are the same question, directly or
    through others. A question that does neither is a cluster of its own.
    """
    return joined([(same(question), question.cluster) for question in questions])


def joined(marks: Sequence[Sequence[Hashable]]) -> list[int]:
    """Return the number of each item's cluster, from 0, from the marks that items share.

    A mark that is None joins nothing.
    """
    numbers: dict[Hashable, int] = {}
    edges = [
        (place, numbers.setdefault(mark, len(numbers)))
        for place, mine in enumerate(marks)
        for mark in mine
        if mark is not None
    ]
    n = len(marks)
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    size = n + len(numbers)  # a graph of items, and of what they share
    graph = coo_matrix((np.ones(len(edges)), (rows, n + columns)), shape=(size, size))
    found = connected_components(graph, directed=False)[1][:n]
    return [int(code) for code in pd.factorize(found)[0]]


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


def repeats(run: Run, task: str) -> int:
    """Return how many questions of a task repeat another one: all of them less the distinct."""
    return _task(run, task).repeats


def has_clusters(run: Run, task: str) -> bool:
    """Say whether questions of a task name their clusters."""
    return _task(run, task).named


def cluster_name(run: Run, task: str) -> str:
    """Return what a cluster of a task is, such as ``patient``."""
    return run.facts(task).cluster_unit or "cluster"

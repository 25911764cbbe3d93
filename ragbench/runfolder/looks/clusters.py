"""Which questions count as one: those of a named cluster, and those that are the same question."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

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
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

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
    codes: dict[int, int] = {}
    return [codes.setdefault(int(code), len(codes)) for code in found]

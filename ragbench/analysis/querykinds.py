"""Retrieval with written queries against retrieval with the question, over the same index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p
from ragbench.analysis.statistics.multiplicity import holm

# Suffixes of a ranking's name other than ~documents and the depth and constant of a fusion.
WRITTEN = re.compile(r"~(?!(?:documents|\d+)(?:[~+]|$))[^~+]+")
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class SourceDifference:
    """A measure of two rankings of a task, over the questions that have it in both.

    Attributes:
        task: The task.
        source: A ranking.
        other: The ranking that it is compared with.
        measure: The measure.
        n: Number of questions.
        value: Mean of the source.
        other_value: Mean of the other.
        estimate: The source less the other.
        low: Lower end of its interval; NaN with fewer than two questions or eight clusters.
        high: Upper end.
        p: Two-sided p of no difference, of the method of the interval.
        p_adjusted: p adjusted by Holm's procedure over all that is compared in the run.
        better: Number of questions on which the source is better.
        worse: Number of questions on which it is worse.
    """

    task: str
    source: str
    other: str
    measure: str
    n: int
    value: float
    other_value: float
    estimate: float
    low: float
    high: float
    p: float
    p_adjusted: float
    better: int
    worse: int


def plain_source(source: str) -> str:
    """Return the name of the ranking with the question as its query.

    >>> plain_source("bm25~rationale"), plain_source("bm25~documents~hyde@llama")
    ('bm25', 'bm25~documents')
    >>> plain_source("bm25~rationale+dense~rationale~50~60"), plain_source("bm25~documents")
    ('bm25+dense~50~60', 'bm25~documents')
    """
    return WRITTEN.sub("", source)


def query_kinds(run: Run) -> list[SourceDifference]:
    """Return what written queries change in each measure, for every task and index with both."""
    pairs = []
    for task in run.members("tasks"):
        known = {source for name, source in run.retrievals if name == task}
        for source in sorted(known):
            if (plain := plain_source(source)) != source and plain in known:
                pairs.append((task, source, plain))
    return differences(run, pairs)


def differences(run: Run, pairs: Sequence[tuple[str, str, str]]) -> list[SourceDifference]:
    """Return the paired difference in each measure that both rankings of a pair have.

    Args:
        run: The run.
        pairs: Task, ranking, and the one that it is compared with.
    """
    settings = Settings.of(run.config)
    found = [one for pair in pairs for one in _of_pair(run, settings, *pair)]
    adjusted = holm(np.array([one.p for one in found])) if found else ()
    return [replace(one, p_adjusted=float(p)) for one, p in zip(found, adjusted, strict=True)]


def _of_pair(
    run: Run, settings: Settings, task: str, source: str, other: str
) -> list[SourceDifference]:
    mine = run.quality[(run.quality.task == task) & run.quality.retriever.isin((source, other))]
    found = []
    for measure, lines in mine.groupby("measure", sort=False):
        table = lines.pivot_table(index="question_id", columns="retriever", values="value")
        if not {source, other} <= set(table.columns):
            continue
        table = table[[source, other]].dropna()
        if table.empty:
            continue
        values = table.to_numpy(dtype=np.float64) * (1.0, -1.0)
        cells = Cells(values, cluster_codes(run, task, table))
        said = interval_and_p([cells], settings, [task, source, other, str(measure)])
        better, worse = cells.counts
        found.append(
            SourceDifference(
                *(task, source, other, str(measure), len(table)),
                value=float(table[source].mean()),
                other_value=float(table[other].mean()),
                estimate=float(cells.differences.mean()),
                low=said.low if said else NAN,
                high=said.high if said else NAN,
                p=said.p if said else NAN,
                p_adjusted=NAN,
                better=better,
                worse=worse,
            )
        )
    return found

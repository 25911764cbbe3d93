"""Retrieval quality over queries: the interval of each measure, and what parts two retrievers.

The methods are those of scores and effects (docs/statistics.md). Values are given by measure and
query; every measure has the same queries, in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p, spread
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.base.records import Query
from ragbench.base.words import plain_or_whole
from ragbench.runfolder.looks.clusters import joined
from ragbench.runfolder.settings import AnalysisSettings

ByQuery = Mapping[str, Mapping[str, float]]  # measure -> query -> value
DEFAULTS = AnalysisSettings()
SEED = 0  # of random signs; there is no run whose seed could be taken


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a measure with its 95 % interval; its ends are NaN where it has none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The first retriever's mean less the second's, over the same queries.

    Attributes:
        estimate: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Two-sided p of no difference, of the method of the interval.
        p_adjusted: p adjusted by Holm's procedure over the measures, and over all that is compared.
        better: Number of queries on which the first is better.
        worse: Number of queries on which it is worse.
        smallest_detectable: The true difference that is found four times in five.
    """

    estimate: float
    low: float
    high: float
    p: float
    p_adjusted: float
    better: int
    worse: int
    smallest_detectable: float


def query_clusters(queries: Sequence[Query]) -> Clusters | None:
    """Return a number for the cluster of each query; None where each is one of its own.

    Queries belong together that name the same cluster or have the same words.
    """
    codes = joined([(("text", plain_or_whole(q.text)), q.cluster) for q in queries])
    return None if len(set(codes)) == len(codes) else np.asarray(codes, dtype=np.int64)


def means(values: ByQuery, clusters: Clusters | None) -> dict[str, Mean]:
    """Return the mean of each measure, by its name; ``clusters`` are in the queries' order."""
    found = {}
    for measure, by_query in values.items():
        array = np.fromiter(by_query.values(), dtype=np.float64)
        low, high = interval_of_mean(
            array,
            seeded(SEED, "mean", measure),
            clusters=clusters,
            resamples=DEFAULTS.resamples,
            alpha=DEFAULTS.alpha,
        )
        found[measure] = Mean(float(array.mean()), low, high)
    return found


def differences(
    first: ByQuery, second: ByQuery, clusters: Clusters | None
) -> dict[str, Difference]:
    """Return the paired difference in each measure, by its name.

    Both have the same measures and the same queries; ``clusters`` are in the queries' order.
    """
    settings = Settings(SEED, DEFAULTS.alpha, DEFAULTS.resamples, DEFAULTS.equivalence_margin)
    nothing = float("nan")
    found: dict[str, Difference] = {}
    for measure, mine in first.items():
        pairs = [(value, -second[measure][query]) for query, value in mine.items()]
        cells = Cells(np.array(pairs, dtype=np.float64), clusters)
        said = interval_and_p([cells], settings, ["difference", measure])
        better, worse = cells.counts
        found[measure] = Difference(
            float(cells.differences.mean()),
            said.low if said else nothing,
            said.high if said else nothing,
            said.p if said else nothing,
            nothing,
            better,
            worse,
            spread([cells]).smallest(settings.alpha),
        )
    return holm_over([found])[0]


def holm_over(several: Sequence[Mapping[str, Difference]]) -> list[dict[str, Difference]]:
    """Return differences with p adjusted by Holm's procedure over all of them together."""
    adjusted = iter(holm(np.array([one.p for found in several for one in found.values()])))
    return [
        {measure: replace(one, p_adjusted=float(next(adjusted))) for measure, one in found.items()}
        for found in several
    ]

"""Figures of a whole cell that are no means over questions: by class, by confidence, by code.

Intervals are those of a mean of the questions' influences (the jackknife's pseudo-values, Efron
1982), by cluster where the task has any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded

BINS = 10
BIASED = ("ece",)
FEWEST_OF_CLASS = 5  # questions; a class of fewer moves an average over classes too much
CODE_COUNTS = ("code_hits", "code_named", "code_gold")
Counts = npt.NDArray[np.float64]


def aggregates(run: Run, cell: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield rows ``metric, value, ci_low, ci_high, n, status, n_clusters`` of a whole cell.

    ``balanced_accuracy`` (mean recall of the classes asked for) and ``macro_f1`` (mean F-measure
    of the classes asked for or given; a reply without a class is wrong) where all questions of
    the task have the same options (without an interval where a class has fewer than five
    questions); ``ece``, the expected calibration error over ten equal bins of the highest
    probability of an option (Guo et al. 2017), where options were scored: how often the option with
    that probability, which may not be the pick, is right (without an interval: the binned error is
    biased upward, and no bootstrap of it covers);
    ``code_micro_f1`` where codes were counted. A cell with errors has none.
    """
    task = str(cell.iloc[0]["task"])
    if (cell.outcome == "error").any():
        return
    make = _Row(run, cell)
    classes = run.facts(task).classes
    if classes and "pick" in cell:
        n = len(classes)
        pick = cell["pick"].fillna(n).astype(int).to_numpy()  # no class is a column of its own
        table = np.zeros((len(cell), n * (n + 1)))
        table[np.arange(len(cell)), cell["answer"].to_numpy() * (n + 1) + pick.clip(0, n)] = 1
        rare = cell["answer"].value_counts().min() < FEWEST_OF_CLASS
        for row in (
            make("balanced_accuracy", table, lambda t: balanced_accuracy(_square(t, n))),
            make("macro_f1", table, lambda t: macro_f1(_square(t, n))),
        ):
            yield row | {"ci_low": math.nan, "ci_high": math.nan} if rare else row
    if "likeliest" in cell and cell["confidence"].notna().all():
        sure = cell["confidence"].to_numpy(dtype=float)
        right = (cell["likeliest"] == cell["answer"]).to_numpy(dtype=float)
        place = np.minimum((sure * BINS).astype(int), BINS - 1)
        gaps = np.zeros((len(cell), BINS))
        gaps[np.arange(len(cell)), place] = right - sure
        yield make("ece", np.column_stack([gaps, np.ones(len(cell))]), _ece)
    if set(CODE_COUNTS) <= set(run.metrics(task)):  # other tasks of the run have empty columns
        yield make("code_micro_f1", cell[list(CODE_COUNTS)].to_numpy(dtype=float), _micro)


def majority(cell: pd.DataFrame) -> float:
    """Return the share of the most frequent right option: the accuracy of a constant answer."""
    return float(cell["answer"].value_counts(normalize=True).max())


def _square(counts: Counts, n: int) -> Counts:
    return counts.reshape(*counts.shape[:-1], n, n + 1)


def balanced_accuracy(table: Counts) -> Counts:
    """Return the mean recall (...) of the classes that are asked for.

    ``table`` (..., K, K + 1) counts the right class by the given class; the last given is none.
    """
    asked = table.sum(axis=-1)
    hit = np.diagonal(table[..., :-1], axis1=-2, axis2=-1)
    recall = np.divide(hit, asked, out=np.zeros_like(hit), where=asked > 0)
    return np.asarray(recall.sum(axis=-1) / np.maximum((asked > 0).sum(axis=-1), 1))


def macro_f1(table: Counts) -> Counts:
    """Return the mean F-measure (...) of the classes that are asked for or given.

    ``table`` is that of ``balanced_accuracy``; the values are those of scikit-learn's
    ``f1_score(average="macro")``.
    """
    hit = np.diagonal(table[..., :-1], axis1=-2, axis2=-1)
    both = table.sum(axis=-1) + table[..., :-1].sum(axis=-2)
    f = np.divide(2 * hit, both, out=np.zeros_like(hit), where=both > 0)
    return np.asarray(f.sum(axis=-1) / np.maximum((both > 0).sum(axis=-1), 1))


def _ece(sums: Counts) -> Counts:
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


def _micro(sums: Counts) -> Counts:
    hits, named, gold = sums[..., 0], sums[..., 1], sums[..., 2]
    both = named + gold
    return np.asarray(np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0))


class _Row:
    """Makes the row of a statistic of sums over questions."""

    def __init__(self, run: Run, cell: pd.DataFrame) -> None:
        first = cell.iloc[0]
        self._config = run.config
        self._names = [str(first[key]) for key in ("model", "task", "arm")]
        self._clusters: Clusters | None = cluster_codes(run, str(first["task"]), cell)

    def __call__(
        self, metric: str, rows: Counts, statistic: Callable[[Counts], Counts]
    ) -> dict[str, Any]:
        """Return the row; ``rows`` is (N, S), of which the statistic takes sums (..., S)."""
        n, value = len(rows), float(statistic(rows.sum(axis=0)))
        row = {"metric": metric, "value": value, "n": n, "status": "complete"}
        codes = self._clusters
        row["n_clusters"] = None if codes is None else int(np.unique(codes).size)
        low, high = math.nan, math.nan
        if metric not in BIASED:
            analysis = self._config.analysis
            low, high = interval_of_mean(
                influences(rows, statistic),
                seeded(self._config.seed, *self._names, metric),
                clusters=codes,
                resamples=analysis.resamples,
                alpha=analysis.alpha,
                bounds=(0.0, 1.0),
            )
        return row | {"ci_low": low, "ci_high": high}


def influences(rows: Counts, statistic: Callable[[Counts], Counts]) -> Counts:
    """Return (N,) values whose mean is a statistic of sums over (N, S) rows, and spread is its own.

    They are the jackknife's pseudo-values, moved so that their mean is the statistic itself.
    """
    n, total = len(rows), rows.sum(axis=0)
    if n < 2:
        return np.full(n, float(statistic(total)))
    without = statistic(total - rows)
    return np.asarray(float(statistic(total)) - (n - 1) * (without - without.mean()))

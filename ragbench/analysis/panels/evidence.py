"""Evidence use: what the gold passages of an arm did, question by question.

Three facts decide: whether the model is right closed-book, whether a gold passage was delivered,
and whether the model is right with the arm's passages. Their eight cells make five shares:

    closed-book   gold        with the arm   share
    right         either      right          already known
    right         either      wrong          broken by context
    wrong         delivered   right          found and used
    wrong         delivered   wrong          found and not used
    wrong         missing     either         not found (of which: right anyway)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import BASELINE
from ragbench.analysis.load import Run, once
from ragbench.analysis.statistics.estimate import Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded

USED, UNUSED, NOT_FOUND = "found and used", "found and not used", "not found"
KNOWN, BROKEN = "already known", "broken by context"
SHARES = (USED, UNUSED, NOT_FOUND, KNOWN, BROKEN)
QUADRANTS = ("delivered, right", "delivered, wrong", "missing, right", "missing, wrong")
SHARE, QUADRANT = "share", "quadrant"
OF_FOUND, OF_NOT_FOUND = "of found", "of not found"
USE, RIGHT_ANYWAY = "used", "right anyway"
EVIDENCE_COLUMNS = [
    "model",
    "task",
    "arm",
    "kind",
    "part",
    "n",
    "count",
    "value",
    "ci_low",
    "ci_high",
    "n_clusters",
    "without_gold",
    "status",
]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@once
def evidence(run: Run) -> pd.DataFrame:
    """Return the five shares, the quadrants, and how often a wrong answer became right.

    Rows of the kind ``share`` add up to one, and so do those of the kind ``quadrant`` (gold
    delivered or missing, right or wrong in the arm; RAG-X, arXiv 2603.03541). ``used`` is the share
    of the questions that are wrong closed-book and have a gold passage in the prompt which become
    right; ``right anyway`` is the same share without one.

    Questions count whose gold passages are in the arm's corpus; ``without_gold`` is the number of
    the others. Gold passages of which the budget cut the answer are missing. A reply without an
    answer is wrong. A cell with failed questions has bounds instead of values. There are no rows
    for tasks whose first metric is not accuracy, for arms with the prompts of another arm, and for
    the control ``misled``, whose gold passages are changed; without closed-book, there are
    quadrants only.
    """
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for arm in _arms(run, task):
                rows += _rows(run, model, task, arm)
    table = pd.DataFrame(rows, columns=EVIDENCE_COLUMNS)
    counts = dict.fromkeys(("n", "count", "n_clusters", "without_gold"), "Int64")
    return table.astype(counts)


def _arms(run: Run, task: str) -> list[str]:
    if run.metrics(task)[0] != "accuracy":
        return []
    return [
        arm
        for arm in run.arms(task)
        if arm not in (BASELINE, *run.same[task]) and run.config.arm(arm).control != "misled"
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions of one cell that have known gold.

    Attributes:
        cell: Their scores in the arm.
        delivered: Whether a gold passage with the answer was delivered.
        right: 1 if the answer with the arm is right, 0 if not, NaN if the question failed.
        closed: The same closed-book; None if the task has no such arm.
    """

    cell: pd.DataFrame
    delivered: Flags
    right: npt.NDArray[np.float64]
    closed: npt.NDArray[np.float64] | None

    def shares(self) -> list[Codes]:
        """Return the number of each question's share in SHARES, for every way it may have gone."""
        return [
            np.select(
                [known & right, known, self.delivered & right, self.delivered],
                [SHARES.index(part) for part in (KNOWN, BROKEN, USED, UNUSED)],
                default=SHARES.index(NOT_FOUND),
            )
            for known in _ways(self.closed)
            for right in _ways(self.right)
        ]

    def quadrants(self) -> list[Codes]:
        """Return the number of each question's quadrant, for every way it may have gone."""
        return [2 * ~self.delivered + ~right for right in _ways(self.right)]


def _ways(values: npt.NDArray[np.float64] | None) -> list[Flags]:
    """Return the answers as right or wrong, with those that failed as wrong, then as right."""
    if values is None:
        return []
    failed = np.isnan(values)
    ways = [np.where(failed, guess, values) == 1 for guess in (0.0, 1.0)]
    return ways if failed.any() else ways[:1]


def _rows(run: Run, model: str, task: str, arm: str) -> Iterator[dict[str, Any]]:
    cell = run.cell(model, task, arm).set_index("question_id")
    without_gold = int((~cell.has_gold.astype(bool)).sum())
    if without_gold == len(cell):
        return
    asked = _asked(run, model, task, cell[cell.has_gold.astype(bool)])
    row = _Row(run, [model, task, arm], without_gold)
    if asked.closed is not None:
        shares = asked.shares()
        for number, part in enumerate(SHARES):
            yield row(SHARE, part, asked.cell, [way == number for way in shares])
        if len(shares) == 1:
            wrong, right = asked.closed != 1, asked.right == 1
            for kind, part, among in (
                (OF_FOUND, USE, wrong & asked.delivered),
                (OF_NOT_FOUND, RIGHT_ANYWAY, wrong & ~asked.delivered),
            ):
                yield row(kind, part, asked.cell[among], [right[among]])
    quadrants = asked.quadrants()
    for number, part in enumerate(QUADRANTS):
        yield row(QUADRANT, part, asked.cell, [way == number for way in quadrants])


def _asked(run: Run, model: str, task: str, held: pd.DataFrame) -> _Asked:
    base = run.cell(model, task, BASELINE).set_index("question_id")
    closed = None
    if not base.empty:
        held = held[held.index.isin(base.index)]  # a run that stops early asks cells unequally
        closed = _answers(base.loc[held.index])
    delivered = (held.gold_delivered > 0) & ~held.answer_truncated.astype(bool)
    return _Asked(held, delivered.to_numpy(dtype=bool), _answers(held), closed)


def _answers(cell: pd.DataFrame) -> npt.NDArray[np.float64]:
    values = cell["accuracy"].astype(float).mask(cell.outcome == "error")
    return np.asarray(values, dtype=np.float64)


class _Row:
    """Makes the rows of one cell."""

    def __init__(self, run: Run, names: Sequence[str], without_gold: int) -> None:
        self._run = run
        self._names = list(names)
        self._base = dict(zip(("model", "task", "arm"), names, strict=True))
        self._without_gold = without_gold

    def __call__(
        self, kind: str, part: str, cell: pd.DataFrame, ways: Sequence[Flags]
    ) -> dict[str, Any]:
        """Return the share of some questions that are in a part, for each way it may be."""
        certain = np.logical_and.reduce(ways)
        clusters = cluster_codes(self._run, self._names[1], cell) if len(cell) else None
        row: dict[str, Any] = self._base | {
            "kind": kind,
            "part": part,
            "n": len(cell),
            "n_clusters": None if clusters is None else int(np.unique(clusters).size),
            "without_gold": self._without_gold,
        }
        if len(ways) > 1:
            low, high = float(certain.mean()), float(np.logical_or.reduce(ways).mean())
            unknown = {"count": None, "value": math.nan, "status": "incomplete"}
            return row | unknown | {"ci_low": low, "ci_high": high}
        settings = Settings.of(self._run.config)
        values = certain.astype(np.float64)
        low, high = interval_of_mean(
            values,
            seeded(settings.seed, *self._names, kind, part),
            clusters=clusters,
            resamples=settings.resamples,
            alpha=settings.alpha,
        )
        value = float(values.mean()) if values.size else math.nan
        found = {"count": int(certain.sum()), "value": value, "status": "complete"}
        return row | found | {"ci_low": low, "ci_high": high}

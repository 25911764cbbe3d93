"""Every figure of a run, as rows: accuracies with intervals, gains, retrieval quality."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.effects import EFFECT_COLUMNS, effects
from ragbench.analysis.intervals import bootstrap_mean, seeded, wilson
from ragbench.analysis.load import CELL, Run
from ragbench.errors import DataError
from ragbench.files import atomic_file, write_json

NO_MODEL = "-"
RESULT_COLUMNS = [
    "model",
    "task",
    "arm",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "mode",
    "scoring",
    "seed",
    "k",
    "status",
]


def results(run: Run) -> pd.DataFrame:
    """Return one row a model, task, arm and metric.

    Metrics are the task's own, the same by stratum (``accuracy/STRATUM``), shares of outcomes,
    means of what was delivered, and, for the model ``-``, retrieval measures. A cell with
    questions that have no answer is ``incomplete``: its interval runs from all of those wrong
    to all of them right.

    Args:
        run: The run.

    Returns:
        The columns of RESULT_COLUMNS; rates from 0 to 1.

    Raises:
        DataError: A task is clustered, or a metric takes values other than 0 and 1.
    """
    _check_supported(run)
    alpha = run.config["analysis"]["alpha"]
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for arm in run.arms(task):
                rows += _cell_rows(run, run.cell(model, task, arm), alpha)
    rows += _quality_rows(run)
    table = pd.DataFrame(rows, columns=RESULT_COLUMNS)
    table["k"] = table["k"].astype("Int64")
    return table


def _check_supported(run: Run) -> None:
    """Refuse what Wilson's interval and McNemar's test would be wrong for."""
    for task in run.members("tasks"):
        unit = run.about["identity"]["tasks"][task]["cluster_unit"]
        if unit is not None:
            raise DataError(
                f"the questions of {task!r} come in clusters ({unit}), which the analysis "
                "cannot take yet",
                where=str(run.path),
                fix="take the task out; its records and scores are kept",
            )
        for metric in run.metrics(task):
            values = run.scores.loc[run.scores.task == task, metric].dropna()
            if not values.isin([0.0, 1.0]).all():
                raise DataError(
                    f"the metric {metric!r} of {task!r} is not 0 or 1, which the analysis "
                    "cannot take yet",
                    where=str(run.path),
                    fix="take the metric out of the task; its scores are kept",
                )


def _cell_rows(run: Run, cell: pd.DataFrame, alpha: float) -> Iterator[dict[str, Any]]:
    first = cell.iloc[0]
    base = {name: first[name] for name in CELL}
    metrics = run.metrics(first["task"])
    for metric in metrics:
        yield base | {"metric": metric} | _rate(cell[metric], alpha)
        strata = [s for s in cell.stratum.unique() if s]
        if len(strata) > 1:
            for stratum in sorted(strata):
                part = cell.loc[cell.stratum == stratum, metric]
                yield base | {"metric": f"{metric}/{stratum}"} | _rate(part, alpha)
    for outcome in ("parsed", "unparsed", "refused", "truncated", "error"):
        share = (cell.outcome == outcome).astype(float)
        yield base | {"metric": f"{outcome}_rate"} | _rate(share, alpha)
    columns = ["delivered_k", "passage_tokens", "prompt_tokens"]
    if first["scoring"] == "generate":
        columns.append("reply_tokens")
    else:
        yield base | {"metric": "tied_rate"} | _rate(cell.tied.astype(float), alpha)
    for column in columns:
        values = cell[column].dropna()
        yield base | {"metric": f"mean_{column}"} | _plain(values)
    shares = {"shortfall_rate": cell.shortfall_tokens > 0, "left_out_rate": cell.left_out > 0}
    if cell.has_gold.any():
        shares["gold_delivered_rate"] = cell.gold_delivered[cell.has_gold] > 0
    for metric, held in shares.items():
        yield base | {"metric": metric} | _rate(held.astype(float), alpha)


def _plain(values: pd.Series[Any]) -> dict[str, Any]:
    mean = float(values.mean()) if len(values) else math.nan
    nan = math.nan
    return {"value": mean, "ci_low": nan, "ci_high": nan, "n": len(values), "status": "complete"}


def _rate(values: pd.Series[Any], alpha: float) -> dict[str, Any]:
    """Return a rate over all questions; one with missing answers is bounded, not estimated."""
    n, known = len(values), values.dropna()
    right = int(known.sum())
    if len(known) < n:
        return {
            "value": right / n,
            "ci_low": right / n,
            "ci_high": (right + n - len(known)) / n,
            "n": n,
            "status": "incomplete",
        }
    low, high = wilson(right, n, alpha=alpha)
    return {"value": right / n, "ci_low": low, "ci_high": high, "n": n, "status": "complete"}


def _quality_rows(run: Run) -> Iterator[dict[str, Any]]:
    config = run.config
    alpha, resamples = config["analysis"]["alpha"], config["analysis"]["resamples"]
    for (task, retriever, measure), group in run.quality.groupby(
        ["task", "retriever", "measure"], sort=True
    ):
        values = group.value.to_numpy(dtype=float)
        row = {
            "model": NO_MODEL,
            "task": task,
            "arm": retriever,
            "metric": measure,
            "mode": config["mode"],
            "scoring": NO_MODEL,
            "seed": config["seed"],
            "k": int(str(measure).partition("@")[2]),
        }
        if set(np.unique(values)) <= {0.0, 1.0}:
            yield row | _rate(group.value, alpha)
        else:
            draw = seeded(config["seed"], str(task), str(retriever), str(measure))
            low, high = bootstrap_mean(values, draw, resamples=resamples, alpha=alpha)
            yield row | _plain(group.value) | {"ci_low": low, "ci_high": high}


def write_tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write results.csv, effects.csv and analysis.json into the run folder.

    Args:
        run: The run.

    Returns:
        The two tables.
    """
    found, gains = results(run), effects(run)
    for table, name in ((found, "results.csv"), (gains, "effects.csv")):
        with atomic_file(run.path / name) as handle:
            table.to_csv(handle, index=False, float_format="%.10g")
    write_json(run.path / "analysis.json", as_objects(run, found, gains))
    return found, gains


def as_objects(run: Run, found: pd.DataFrame, gains: pd.DataFrame) -> list[dict[str, Any]]:
    """Return gains and accuracies as one list of JSON objects; what is not known is null."""
    first = {run.metrics(task)[0] for task in run.members("tasks")}
    accuracies = found[found.metric.isin(first) & (found.model != NO_MODEL)].rename(
        columns={"metric": "effect", "value": "estimate"}
    )
    table = pd.concat([gains, accuracies[["effect", "estimate", *_SHARED]]], ignore_index=True)
    return [
        {str(key): _json(value) for key, value in row.items()}
        for row in table[EFFECT_COLUMNS].to_dict(orient="records")
    ]


_SHARED = ["model", "task", "arm", "ci_low", "ci_high", "n", "status"]


def _json(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value

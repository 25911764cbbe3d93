"""Every figure of a run, as rows: accuracies with intervals, gains, retrieval quality."""

from __future__ import annotations

import math
from collections.abc import Iterator
from string import ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.csvfile import write_csv
from ragbench.analysis.effects import EFFECT_COLUMNS, effects
from ragbench.analysis.load import Run
from ragbench.analysis.panels.abstaining import abstaining
from ragbench.analysis.panels.aggregates import aggregates, majority
from ragbench.analysis.panels.citations import citations
from ragbench.analysis.panels.clue import LONGHEALTH, first_doubled, level_scores, task_score
from ragbench.analysis.panels.curves import curves, places
from ragbench.analysis.panels.evidence import SHARE, evidence
from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.panels.misled import misled
from ragbench.analysis.panels.policies import policies
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded, wilson
from ragbench.analysis.stopping import trajectories
from ragbench.base.files import private, write_json
from ragbench.base.records import OUTCOMES
from ragbench.runfolder.scores import CELL

NO_MODEL = "-"
DOUBLED = " (first doubled)"
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
    "n_clusters",
]


def results(run: Run) -> pd.DataFrame:
    """Return one row a model, task, arm and metric.

    Metrics are the task's own, the same by stratum (``accuracy/STRATUM``), shares of outcomes,
    means of what was delivered, and, for the model ``-``, retrieval measures. Intervals are those
    of ``interval_of_mean``, by cluster where questions come in clusters. A cell with questions that
    have no answer is ``incomplete``: its interval runs from all of those 0 to all of them 1. A
    question that a metric has no value for is not counted in its n.

    Args:
        run: The run.

    Returns:
        The columns of RESULT_COLUMNS; rates from 0 to 1.
    """
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for arm in run.arms(task):
                cell = run.cell(model, task, arm)
                rows += _cell_rows(run, cell)
    rows += _quality_rows(run)
    rows += _constant_rows(run)
    rows += _clue_rows(run, rows)
    table = pd.DataFrame(rows, columns=RESULT_COLUMNS)
    return table.astype({"k": "Int64", "n_clusters": "Int64"})


def _cell_rows(run: Run, cell: pd.DataFrame) -> Iterator[dict[str, Any]]:
    first = cell.iloc[0]
    base = {name: first[name] for name in CELL}
    mean = _Mean(run, cell)
    for metric in run.metrics(first["task"]):
        # A metric may have no value for a question that was answered.
        held = cell[metric].notna() | (cell.outcome == "error")
        yield base | {"metric": metric} | mean(metric, cell.loc[held, metric])
        strata = [s for s in cell.stratum.unique() if s]
        if len(strata) > 1:
            for stratum in sorted(strata):
                name = f"{metric}/{stratum}"
                part = cell.loc[held & (cell.stratum == stratum), metric]
                yield base | {"metric": name} | mean(name, part)
    for outcome in OUTCOMES:
        name = f"{outcome}_rate"
        yield base | {"metric": name} | mean(name, (cell.outcome == outcome).astype(float))
    columns = ["delivered_k", "passage_tokens", "prompt_tokens"]
    shares = {}
    if cell.passage_tokens.notna().all():  # else the run was imported
        shares = {"shortfall_rate": cell.shortfall_tokens > 0, "left_out_rate": cell.left_out > 0}
    if first["scoring"] == "generate":
        columns.append("reply_tokens")
    else:
        shares["tied_rate"] = cell.tied
        columns.append("option_mass")
    for column in columns:
        if column in cell and cell[column].notna().any():
            yield base | {"metric": f"mean_{column}"} | _plain(cell[column].dropna())
    if cell.has_gold.any():
        shares["gold_delivered_rate"] = cell.gold_delivered[cell.has_gold] > 0
    if cell.answer_truncated.any():
        shares["answer_truncated_rate"] = cell.answer_truncated
    for name, share in shares.items():
        yield base | {"metric": name} | mean(name, share.astype(float))
    for row in aggregates(run, cell):
        yield base | row
    if run.facts(first["task"]).double_first:
        for metric in run.metrics(first["task"]):
            known = cell[metric].dropna()
            if len(known) == len(cell):
                doubled = first_doubled(known.tolist())
                yield base | {"metric": metric + DOUBLED} | _plain(known) | {"value": doubled}


def _plain(values: pd.Series[Any]) -> dict[str, Any]:
    mean = float(values.mean()) if len(values) else math.nan
    nan = math.nan
    return {"value": mean, "ci_low": nan, "ci_high": nan, "n": len(values), "status": "complete"}


class _Mean:
    """Means of a cell's columns, with the intervals that its task asks for."""

    def __init__(self, run: Run, cell: pd.DataFrame) -> None:
        first = cell.iloc[0]
        self._config = run.config
        self._names = [str(first[key]) for key in ("model", "task", "arm")]
        codes = cluster_codes(run, first["task"], cell)
        self._clusters = None if codes is None else pd.Series(codes, index=cell.index)

    def __call__(self, name: str, values: pd.Series[Any]) -> dict[str, Any]:
        """Return mean and interval of some of the cell's rows; missing ones are bounded."""
        config = self._config.analysis
        known = values.dropna().astype(float)
        if self._clusters is None and set(known.unique()) <= {0.0, 1.0} and len(values):
            return rate(values, config.alpha)
        if len(known) < len(values) or not len(values):
            return _bounded(known, len(values))
        clusters = None if self._clusters is None else self._clusters.loc[values.index].to_numpy()
        low, high = interval_of_mean(
            np.asarray(known, dtype=np.float64),
            seeded(self._config.seed, *self._names, name),
            clusters=clusters,
            resamples=config.resamples,
            alpha=config.alpha,
        )
        units = None if clusters is None else int(np.unique(clusters).size)
        return _plain(known) | {"ci_low": low, "ci_high": high, "n_clusters": units}


def _bounded(known: pd.Series[Any], n: int) -> dict[str, Any]:
    """Return what is known of a mean of values from 0 to 1 of which some are missing."""
    if not n:
        nan = math.nan
        return {"value": nan, "ci_low": nan, "ci_high": nan, "n": 0, "status": "complete"}
    low = float(known.sum()) / n
    return {
        "value": low,
        "ci_low": low,
        "ci_high": low + (n - len(known)) / n,
        "n": n,
        "status": "incomplete",
    }


def rate(values: pd.Series[Any], alpha: float) -> dict[str, Any]:
    """Return a rate over all questions; one with missing answers is bounded, not estimated."""
    n, known = len(values), values.dropna()
    if len(known) < n:
        return _bounded(known, n)
    right = int(known.sum())
    low, high = wilson(right, n, alpha=alpha)
    return {"value": right / n, "ci_low": low, "ci_high": high, "n": n, "status": "complete"}


def _constant_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Yield what giving the same answer to every question would get, where answers are options.

    ``constant_accuracy/ANSWER`` for each answer, by its text where all questions have the same
    options and their texts may be shown, else by its letter; ``majority_accuracy`` is the best of
    them.
    """
    for task in run.members("tasks"):
        cell = run.cell(run.members("models")[0], task, run.arms(task)[0])
        if (cell["answer"] < 0).any():
            continue
        first = cell.iloc[0]
        shared = {key: first[key] for key in ("mode", "scoring", "seed")} | {"k": 0}
        base = {"model": NO_MODEL, "task": task, "arm": NO_MODEL} | shared
        yield (
            base
            | {"metric": "majority_accuracy"}
            | _plain(cell["answer"])
            | {"value": majority(cell)}
        )
        classes = run.shown_classes(task)
        shares = cell["answer"].value_counts(normalize=True).sort_index()
        for index, share in shares.items():
            place = int(str(index))
            name = classes[place] if classes else ascii_uppercase[place]
            row = base | {"metric": f"constant_accuracy/{name}"}
            yield row | _plain(cell["answer"]) | {"value": float(share)}


def _clue_rows(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return CLUE's task and level scores, of complete cells."""
    kinds = {task.name: task.task for task in run.config.tasks}
    made: list[dict[str, Any]] = []
    for model in run.members("models"):
        for arm in run.members("arms"):
            scores: dict[str, float] = {}
            base: dict[str, Any] = {}
            for task, kind in kinds.items():
                suffix = DOUBLED if run.facts(task).double_first else ""
                mine = [
                    row
                    for row in rows
                    if (row["model"], row["task"], row["arm"]) == (model, task, arm)
                    and row["status"] == "complete"
                ]
                values = {
                    str(row["metric"]).removesuffix(suffix): float(row["value"])
                    for row in mine
                    if str(row["metric"]).endswith(suffix)
                }
                if kind in LONGHEALTH and "accuracy" in values:
                    scores[kind] = 100 * values["accuracy"]
                elif (score := task_score(kind, values)) is not None:
                    scores[kind] = score
                else:
                    continue
                base = {key: mine[0][key] for key in CELL} | {"n": len(mine), "status": "complete"}
                if kind not in LONGHEALTH:
                    made.append(_clue_row(base, task, scores[kind], mine[0]["n"]))
            made += [_clue_row(base, name, v, 0) for name, v in level_scores(scores).items()]
    return made


def _clue_row(base: dict[str, Any], task: str, score: float, n: int) -> dict[str, Any]:
    row = {"task": task, "metric": "clue_score", "value": score / 100, "n": n}
    return base | row | {"ci_low": math.nan, "ci_high": math.nan}


def _quality_rows(run: Run) -> Iterator[dict[str, Any]]:
    config = run.config
    alpha, resamples = config.analysis.alpha, config.analysis.resamples
    for (task, retriever, measure), group in run.quality.groupby(
        ["task", "retriever", "measure"], sort=True
    ):
        values = group.value.to_numpy(dtype=float)
        row = {
            "model": NO_MODEL,
            "task": task,
            "arm": retriever,
            "metric": measure,
            "mode": config.mode,
            "scoring": NO_MODEL,
            "seed": config.seed,
            "k": int(str(measure).partition("@")[2]),
        }
        clusters = _clusters_of(run, str(task), group)
        if clusters is None and set(np.unique(values)) <= {0.0, 1.0}:
            yield row | rate(group.value, alpha)
            continue
        draw = seeded(config.seed, str(task), str(retriever), str(measure))
        low, high = interval_of_mean(
            values, draw, clusters=clusters, resamples=resamples, alpha=alpha
        )
        units = None if clusters is None else int(np.unique(clusters).size)
        interval = {"ci_low": low, "ci_high": high, "n_clusters": units}
        yield row | _plain(group.value) | interval


def _clusters_of(run: Run, task: str, group: pd.DataFrame) -> Clusters | None:
    """Return a number for the cluster of each question of a retrieval measure."""
    cell = run.scores[run.scores.task == task].drop_duplicates("question_id")
    placed = cell.set_index("question_id").reindex(group.question_id)
    return cluster_codes(run, task, placed)


def write_tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the tables of the analysis into the run folder, as CSV, and analysis.json.

    Args:
        run: The run.

    Returns:
        The two tables.
    """
    found, gains, used = results(run), effects(run), evidence(run)
    tables = {
        "results.csv": found,
        "effects.csv": gains,
        "policies.csv": policies(run),
        "curves.csv": curves(run).points,
        "places.csv": places(run),
        "evidence.csv": used,
        "misled.csv": misled(run),
        "frontier.csv": frontier(run, found),
    }
    further = {"citations.csv": citations(run), "abstaining.csv": abstaining(run)}
    further["trajectory.csv"] = trajectories(run)
    tables |= {name: table for name, table in further.items() if len(table)}
    with private(run.about.identity.is_restricted):
        for name, table in tables.items():
            write_csv(table, run.path / name)
        write_json(run.path / "analysis.json", as_objects(run, found, gains, used))
    return found, gains


def as_objects(
    run: Run, found: pd.DataFrame, gains: pd.DataFrame, used: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """Return gains, accuracies and shares of evidence use as one list of JSON objects.

    ``used`` saves computing the shares again. What is not known is null.
    """
    first = {run.metrics(task)[0] for task in run.members("tasks")}
    accuracies = found[found.metric.isin(first) & (found.model != NO_MODEL)].rename(
        columns={"metric": "effect", "value": "estimate"}
    )
    used = evidence(run) if used is None else used
    shares = used[used.kind == SHARE].rename(columns={"value": "estimate"})
    shares["effect"] = "share " + shares.part
    further = [part[["effect", "estimate", *_SHARED]] for part in (accuracies, shares)]
    table = pd.concat([gains, *(part for part in further if len(part))], ignore_index=True)
    return json_rows(table[EFFECT_COLUMNS])


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON objects; what is not known is null."""
    return [
        {str(key): _json(value) for key, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


_SHARED = ["model", "task", "arm", "ci_low", "ci_high", "n", "status", "n_clusters"]


def _json(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value

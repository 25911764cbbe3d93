"""Scores by the length of their prompts: what each arm costs beside what it is worth."""

from __future__ import annotations

import math

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.report.charts.forest import ALL, Plot, Row, row_of, shortened, stacked
from ragbench.report.tables import coverage, percent

ARM_CHARACTERS = 18  # the label has the tokens too


def spent_plots(run: Run, results: pd.DataFrame) -> list[Plot]:
    """Return a plot per task, a row per model and arm, from the shortest prompts to the longest.

    Imported answers have no row, because their prompts are not known.
    """
    made = []
    for number, task in enumerate(run.members("tasks")):
        metric = run.metrics(task)[0]
        found = results[(results.task == task) & (results.metric == metric)]
        cells = {(row["model"], row["arm"]): row for row in found.to_dict(orient="records")}
        groups: dict[str, list[Row]] = {}
        for model in run.members("models"):
            lengths = {arm: _tokens(run, model, task, arm) for arm in run.arms(task)}
            known = sorted((n, arm) for arm, n in lengths.items() if not math.isnan(n))
            groups[model] = [
                row_of(
                    cells[model, arm],
                    "value",
                    ALL,
                    percent,
                    f"{shortened(arm, ARM_CHARACTERS)}, {n:,.0f} tokens",
                    f"{model}, {arm}, {n:,.0f} tokens per prompt",
                )
                for n, arm in known
            ]
        if any(groups.values()):
            title = f"{metric.capitalize()} by the length of the prompt on {task}"
            description = (
                f"One row per model and arm, the shortest prompts first, with the {coverage(run)} "
                "interval of the score. A dashed line without a marker shows bounds, where answers "
                "are missing."
            )
            ticks = [(f"{tick:g} %", ALL.at(tick)) for tick in ALL.ticks()]
            unit = f"{coverage(run)} interval"
            key = f"spent-{number}"
            made.append(stacked(key, title, description, unit, groups, ticks, zero=None))
    return made


def _tokens(run: Run, model: str, task: str, arm: str) -> float:
    """Return the mean length of the prompts that were answered; NaN where none is known."""
    return float(run.cell(model, task, arm).prompt_tokens.astype(float).mean())

"""Scores by all tokens that they take: what each arm costs beside what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.report.charts.forest import ALL, Plot, Row, row_of, shortened, stacked
from ragbench.report.tables import coverage, percent
from ragbench.runfolder.config import money_text

ARM_CHARACTERS = 18  # the label has the tokens too
NEAR = 0.07  # of the width and of the height: marks that are nearer hide each other
ON, OFF = "on the frontier", "other arms"


def spent_plots(run: Run, table: pd.DataFrame) -> list[Plot]:
    """Return a plot per task, a row per model and arm, from the fewest tokens to the most.

    Imported answers have no row, because their prompts are not known. ``table`` is that of
    ``panels.frontier``.
    """
    made = []
    for number, task in enumerate(run.members("tasks")):
        metric = run.metrics(task)[0]
        groups = {
            model: [_row(row, place) for place, row in enumerate(_sorted(table, model, task), 1)]
            for model in run.members("models")
        }
        if any(groups.values()):
            title = f"{metric.capitalize()} by the tokens of a question on {task}"
            description = (
                "One row per model and arm, the fewest tokens first, with the "
                f"{coverage(run)} interval of the score; tokens are those of all calls. "
                "A dashed line without a marker shows bounds, where answers are missing."
            )
            ticks = [(f"{tick:g} %", ALL.at(tick)) for tick in ALL.ticks()]
            unit = f"{coverage(run)} interval"
            key = f"spent-{number}"
            made.append(stacked(key, title, description, unit, groups, ticks, zero=None))
    return made


def frontier_charts(run: Run, table: pd.DataFrame) -> list[Chart]:
    """Return charts of the score against tokens, and against money where every arm has a price.

    One per model and task with two arms or more; a line joins the arms on the frontier, and the
    numbers are those of ``spent_plots``. Controls are left out.
    """
    return list(_charts(run, table))


def _charts(run: Run, table: pd.DataFrame) -> Iterator[Chart]:
    for number, task in enumerate(run.members("tasks")):
        for place, model in enumerate(run.members("models")):
            rows = list(enumerate(_sorted(table, model, task), 1))
            rows = [(n, r) for n, r in rows if not r["control"] and r["status"] == "complete"]
            for by, best in (("tokens", "on_frontier"), ("money", "on_money_frontier")):
                known = [(n, row) for n, row in rows if row[by] > 0]
                if len(known) < max(2, len(rows)):
                    continue
                lines: dict[str, list[Value]] = {ON: [], OFF: []}
                known.sort(key=lambda one: (one[1][by], one[0]))
                drawn = _apart([_value(row, by, str(n)) for n, row in known])
                for value, (_, row) in zip(drawn, known, strict=True):
                    lines[ON if row[best] else OFF].append(value)
                unit = "tokens of a question, all calls"
                if by == "money":
                    unit = f"{run.config.currency} per 1,000 questions"
                found = chart(
                    f"frontier-{number}-{place}-{by}",
                    f"{model} on {task}: {run.metrics(task)[0]} against {by}",
                    f"One point per arm with its {coverage(run)} interval; the axis below doubles. "
                    "The line joins the arms that no other arm equals for less. The numbers are "
                    "those of the arms in the plot by tokens.",
                    lines,
                    [(_amount(row[by], by), math.log2(row[by])) for _, row in known],
                    below=unit,
                    scattered={OFF},
                    apart=False,
                )
                if found is not None:
                    yield found


def _apart(values: Sequence[Value]) -> list[Value]:
    """Return values in order of x whose marks do not hide each other: the first has them all."""
    made: list[Value] = []
    width = NEAR * ((values[-1].x - values[0].x) or 1.0)
    for value in values:
        for place, other in enumerate(made):
            is_near = value.x - other.x < width and abs(value.value - other.value) < NEAR
            if other.mark and is_near:
                made[place] = replace(other, mark=f"{other.mark}, {value.mark}")
                value = replace(value, mark="")
                break
        made.append(value)
    return made


def _value(row: Mapping[Any, Any], by: str, mark: str) -> Value:
    ends = row["value"], row["ci_low"], row["ci_high"]
    return Value(math.log2(row[by]), *ends, name=f"{row['arm']}, {_amount(row[by], by)}", mark=mark)


def _amount(value: float, by: str) -> str:
    return money_text(1000 * value) if by == "money" else f"{value:,.0f}"


def _sorted(table: pd.DataFrame, model: str, task: str) -> list[dict[Any, Any]]:
    """Return the rows of a model and a task with known tokens, the fewest first."""
    mine = table[(table.model == model) & (table.task == task) & table.tokens.notna()]
    return mine.sort_values(["tokens", "arm"]).to_dict(orient="records")


def _row(row: Mapping[Any, Any], place: int) -> Row:
    tokens = f"{row['tokens']:,.0f} tokens"
    return row_of(
        row,
        "value",
        ALL,
        percent,
        f"{place}. {shortened(row['arm'], ARM_CHARACTERS)}, {tokens}",
        f"{row['model']}, {row['arm']}, {tokens} per question"
        + f", {ON}" * bool(row["on_frontier"]),
    )

"""Scores against all that an arm costs, and the arms that nothing cheaper equals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.effects import Contrast, values_of
from ragbench.analysis.load import Run, once
from ragbench.analysis.panels.costs import answers_money, before_means, cell_cost, written_money
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.analysis.stopping import fixed_test
from ragbench.runfolder.retrieval import read_calls

NAN = math.nan
MORE_FOR = "gain over the next cheaper arm"
FRONTIER_COLUMNS = [
    *("model", "task", "arm", "control", "metric", "n", "value", "ci_low", "ci_high", "status"),
    *("calls", "tokens", "answer_sent_tokens", "answer_reply_tokens"),
    *("written_sent_tokens", "written_reply_tokens", "seconds", "money"),
    *("on_frontier", "on_money_frontier", "against", "against_calls"),
    *("gain", "gain_low", "gain_high", "p", "p_is_bound", "p_adjusted"),
]


@dataclass(frozen=True, slots=True)
class PipelineCalls:
    """What a runnable asked of models, per question; tokens are NaN unless all were reported."""

    calls: float = 0.0
    sent: float = 0.0
    written: float = 0.0
    seconds: float = 0.0


@once
def frontier(run: Run, results: pd.DataFrame) -> pd.DataFrame:
    """Return what each cell costs per question and what it is worth, one row per cell.

    All calls count: answers, what models wrote before them (in full for every model and arm that
    uses it), and the calls of runnables. A control has the calls of the arm that it imitates.

    An arm is on the frontier of its model and task if no other arm scores at least as much for
    fewer tokens, or more for as many; ``on_money_frontier`` is the same by money. Controls are no
    choices: they are never on the frontier and never keep an arm off it. ``against`` is the best of
    the cheaper arms, and ``gain`` the paired difference from it, with p adjusted by Holm's
    procedure over all gains of the run.

    Args:
        run: The run.
        results: Its results table.

    Returns:
        The columns of FRONTIER_COLUMNS. Cells without known prompts have no row.
    """
    firsts = {task: run.metrics(task)[0] for task in run.members("tasks")}
    found = results[results.metric == results.task.map(firsts)]
    scores = {(r["model"], r["task"], r["arm"]): r for r in found.to_dict(orient="records")}
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task, metric in firsts.items():
            cells = [
                _row(run, model, task, arm, scores[model, task, arm]) | {"metric": metric}
                for arm in run.arms(task)
                if not math.isnan(cell_cost(run.cell(model, task, arm)).prompt)
            ]
            choices = [row for row in cells if not row["control"] and row["status"] == "complete"]
            for name, by in (("on_frontier", "tokens"), ("on_money_frontier", "money")):
                for row in choices:
                    row[name] = _is_best(row, choices, by)
            for row in choices:
                row |= _gain(run, row, choices)
            rows += cells
    table = pd.DataFrame(rows, columns=FRONTIER_COLUMNS)
    compared = (table["against"] != "").to_numpy(dtype=bool)
    adjusted = np.full(len(table), NAN)
    adjusted[compared] = holm(table.loc[compared, "p"].to_numpy(dtype=float))
    kinds: dict[Any, Any] = {"n": "Int64", "p_is_bound": bool}
    kinds |= {"on_frontier": bool, "on_money_frontier": "boolean"}
    return table.assign(p_adjusted=adjusted).astype(kinds)


def _row(run: Run, model: str, task: str, arm: str, score: dict[Any, Any]) -> dict[str, Any]:
    cell = run.cell(model, task, arm)
    cost, before = cell_cost(cell), before_means(cell)
    piped = pipeline_calls(run, task, arm)
    reply = 0.0 if cell.scoring.iloc[0] != "generate" and math.isnan(cost.reply) else cost.reply
    wrote = before[1] + piped.sent, before[2] + piped.written
    paid, for_texts = answers_money(run, model, cost), written_money(run, model, task, arm)
    known = paid is not None and for_texts is not None and not piped.calls and run.config.billing
    return {
        **{"model": model, "task": task, "arm": arm, "control": run.config.arm(arm).control or ""},
        **{key: score[key] for key in ("n", "value", "ci_low", "ci_high", "status")},
        "calls": cost.calls + before[0] + piped.calls,
        "tokens": cost.sent + reply + sum(wrote),
        **{"answer_sent_tokens": cost.sent, "answer_reply_tokens": reply},
        **{"written_sent_tokens": wrote[0], "written_reply_tokens": wrote[1]},
        "seconds": cost.seconds + before[3] + piped.seconds,
        "money": ((paid or 0.0) / cost.n + (for_texts or 0.0) / len(cell)) if known else NAN,
        **{"on_frontier": False, "on_money_frontier": None, "against": "", "against_calls": NAN},
        **dict.fromkeys(("gain", "gain_low", "gain_high", "p", "p_adjusted"), NAN),
        "p_is_bound": False,
    }


def pipeline_calls(run: Run, task: str, arm: str) -> PipelineCalls:
    """Return what the runnable of an arm asked of models; nothing without a runnable."""
    spec = run.config.imitated(arm)
    if spec.runnable is None:
        return PipelineCalls()
    asked = {question.id for question in run.questions(task)}
    read = read_calls(run.files.retrieval(task, spec.runnable.name, "calls.jsonl"))
    calls = [call for name, call in read.items() if name in asked]
    n, total = max(len(calls), 1), sum(call.model_calls for call in calls)
    whole = total == sum(call.reported_calls for call in calls)
    return PipelineCalls(
        calls=total / n,
        sent=sum(call.sent_tokens for call in calls) / n if whole else NAN,
        written=sum(call.written_tokens for call in calls) / n if whole else NAN,
        seconds=sum(call.seconds for call in calls) / n,
    )


def _is_best(row: dict[str, Any], others: Sequence[dict[str, Any]], by: str) -> bool | None:
    """Say whether nothing else is at least as good in both and better in one; None if unknown."""
    if math.isnan(row[by]):
        return False if by == "tokens" else None
    mine = row[by], -row["value"]
    both = ((other[by], -other["value"]) for other in others)
    return not any(x <= mine[0] and y <= mine[1] and (x, y) != mine for x, y in both)


def _gain(run: Run, row: dict[str, Any], choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the paired gain over the best cheaper arm, of those the cheapest."""
    task, same = row["task"], run.same[row["task"]]
    cheaper = [
        other
        for other in choices
        if other["tokens"] < row["tokens"]
        and same.get(other["arm"], other["arm"]) != same.get(row["arm"], row["arm"])
    ]
    if not cheaper:
        return {}
    best = min(cheaper, key=lambda other: (-other["value"], other["tokens"]))
    names = row["arm"], best["arm"]
    terms = ((1, row["model"], names[0]), (-1, row["model"], names[1]))
    contrast = Contrast(MORE_FOR, row["model"], "", *names, terms)
    cells = values_of(run, task, contrast)[""]
    found = {"against": best["arm"], "against_calls": best["calls"]}
    if not len(cells.values):
        return found
    found["gain"] = float(np.mean(cells.differences))
    tested = fixed_test(run, cells, [MORE_FOR, row["model"], task, *names])
    if tested is not None:
        found |= {"gain_low": tested.low, "gain_high": tested.high}
        found |= {"p": tested.p, "p_is_bound": tested.is_bound}
    return found

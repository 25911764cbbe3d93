"""What each arm cost: tokens and seconds, and the points gained for them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.report.tables import NONE, Rows


def cost_rows(run: Run, effects: pd.DataFrame) -> Rows:
    """Return tokens and seconds a question, a row a model, task and arm that was answered here.

    Args:
        run: The run.
        effects: Its effects.

    Returns:
        Header and rows; none for imported answers, whose cost is not known.
    """
    gains = effects[(effects.effect == GAIN) & (effects.stratum == "")]
    known = {
        (str(row["model"]), str(row["task"]), str(row["arm"])): float(row["estimate"])
        for row in gains.to_dict(orient="records")
    }
    rows = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            cells = {arm: _cost(run.cell(model, task, arm)) for arm in run.arms(task)}
            for arm, cost in cells.items():
                if not math.isnan(cost["prompt"]):
                    gain = known.get((model, task, arm), math.nan)
                    rows.append([model, task, arm, *_cells(cost, cells.get(BASELINE), gain)])
    header = ["model", "task", "arm", "prompt tokens", "of them passages", "reply tokens"]
    header += ["seconds a question", "seconds in all", "prompt, times closed-book"]
    return [*header, "seconds, times closed-book", "points per 1,000 more tokens"], rows


def _cost(cell: pd.DataFrame) -> dict[str, float]:
    return {
        "prompt": float(cell.prompt_tokens.astype(float).mean()),
        "passages": float(cell.passage_tokens.astype(float).mean()),
        "reply": float(cell.reply_tokens.astype(float).mean()),
        "seconds": float(cell.elapsed_s.astype(float).mean()),
        "all": float(cell.elapsed_s.astype(float).sum()),
    }


def _cells(cost: dict[str, float], base: dict[str, float] | None, gain: float) -> list[str]:
    before: dict[str, Any] = base or dict.fromkeys(cost, math.nan)
    more = cost["prompt"] - before["prompt"]
    worth = 100 * gain / (more / 1000) if more > 0 else math.nan
    return [
        _number(cost["prompt"], ".0f"),
        _number(cost["passages"], ".0f"),
        _number(cost["reply"], ".1f"),
        _number(cost["seconds"], ".3f"),
        _number(cost["all"], ".1f"),
        _times(cost["prompt"], before["prompt"]),
        _times(cost["seconds"], before["seconds"]),
        _number(worth, "+.1f"),
    ]


def _times(value: float, base: float) -> str:
    return _number(value / base if base else math.nan, ".2f")


def _number(value: float, form: str) -> str:
    return NONE if math.isnan(value) else format(value, form)

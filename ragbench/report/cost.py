"""The cost of each arm in tokens and seconds, and the points gained for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.report.tables import NONE, Rows, between, coverage
from ragbench.runfolder.config import Billing, money_text
from ragbench.runfolder.records import Covered, written_records
from ragbench.runfolder.retrieval import read_calls

OWN = "0 (own machine)"


def cost_rows(run: Run, effects: pd.DataFrame) -> Rows:
    """Return tokens and seconds per question, one row per model, task and arm.

    Wall seconds are those in which at least one question of the cell was being answered. Runs whose
    config has prices, or says that nothing is sent to a server, have money too. Imported answers
    have no row, because their cost is not known. The interval of the points is that of the gain,
    divided by the same tokens.
    """
    gains = effects[(effects.effect == GAIN) & (effects.stratum == "")]
    known = {
        (str(row["model"]), str(row["task"]), str(row["arm"])): [
            float(row[key]) if row["status"] == "complete" else math.nan
            for key in ("estimate", "ci_low", "ci_high")
        ]
        for row in gains.to_dict(orient="records")
    }
    rows = []
    writes = any(run.config.writings(arm.name) for arm in run.config.arms)
    for model in run.members("models"):
        for task in run.members("tasks"):
            cells = {arm: _cost(run.cell(model, task, arm)) for arm in run.arms(task)}
            for arm, cost in cells.items():
                if not math.isnan(cost["prompt"]):
                    gain = known.get((model, task, arm), [math.nan] * 3)
                    row = [model, task, arm, *_cells(cost, cells.get(BASELINE), gain)]
                    row += _before(run.cell(model, task, arm)) if writes else []
                    more = _money(run, model, cost, _written(run, model, task, arm))
                    rows.append([*row, *more] if run.config.billing else row)
    header = ["model", "task", "arm", "n", "prompt tokens", "of them passages", "reply tokens"]
    header += ["seconds a question", "seconds in all", "wall seconds", "prompt, times closed-book"]
    header += ["seconds, times closed-book", "points per 1,000 more tokens"]
    header.append(f"{coverage(run)} interval")
    if writes:
        header += ["calls before, a question", "tokens sent before", "tokens written before"]
    if not run.config.billing:
        return header, rows
    money = run.config.currency
    return [*header, f"{money} per 1,000 questions", f"{money} in all"], rows


def runnable_rows(run: Run) -> Rows:
    """Return what the calls of each runnable took, by its ranking.

    Model calls are those that LangChain announced; tokens are those of the calls that reported any.
    """
    rows = []
    for (task, source), note in run.retrievals.items():
        if note.kind != "runnable":
            continue
        asked = {question.id for question in run.questions(task)}
        read = read_calls(run.files.retrieval(task, source, "calls.jsonl"))
        calls = [call for name, call in read.items() if name in asked]
        n, model_calls = len(calls), sum(call.model_calls for call in calls)
        told = sum(call.reported_calls for call in calls)
        seconds = sum(call.seconds for call in calls)
        sent = sum(call.sent_tokens for call in calls)
        written = sum(call.written_tokens for call in calls)
        rows.append(
            [
                *(task, source, f"{n:,}", _number(seconds / max(n, 1), ".3f")),
                *(_number(seconds, ".1f"), f"{model_calls:,}", f"{told:,}"),
                *(f"{sent:,}" if told else NONE, f"{written:,}" if told else NONE),
            ]
        )
    header = ["task", "retriever", "questions", "seconds per question", "seconds in all"]
    header += ["model calls", "of them with tokens reported", "prompt tokens", "reply tokens"]
    return header, rows


def _cost(cell: pd.DataFrame) -> dict[str, float]:
    """Return means over the answered questions, and the number of those."""
    answered = cell[cell.prompt_tokens.notna()]
    means = {
        "prompt": answered.prompt_tokens,
        "passages": answered.passage_tokens,
        "reply": answered.reply_tokens,
        "seconds": answered.elapsed_s,
    }
    found = {name: float(values.astype(float).mean()) for name, values in means.items()}
    total = float(answered.elapsed_s.astype(float).sum(min_count=1))
    sums = {
        name: float(answered[name].astype(float).sum()) if name in answered else math.nan
        for name in ("sent_tokens", "cached_tokens", "reply_tokens")
    }
    return found | sums | {"all": total, "wall": _wall(answered), "n": float(len(answered))}


def _wall(answered: pd.DataFrame) -> float:
    """Return the seconds in which at least one question was being answered; NaN if unknown.

    Questions that were answered side by side count once, and the time between two sessions of a run
    does not count.
    """
    if "ended_at" not in answered:
        return math.nan
    ends = answered.ended_at.astype(float).to_numpy()
    starts = ends - answered.elapsed_s.astype(float).to_numpy()
    if not len(ends) or math.isnan(float(starts.sum())):
        return math.nan
    covered = Covered()
    return sum(map(covered.add, starts.tolist(), ends.tolist()))


def _before(cell: pd.DataFrame) -> list[str]:
    """Return the calls before an answer, and their tokens, as means over all questions."""
    names = ("written_calls", "written_sent_tokens", "written_reply_tokens")
    means = (float(cell[name].astype(float).mean()) if name in cell else 0.0 for name in names)
    return [_number(mean, ".1f") for mean in means]


def _written(run: Run, model: str, task: str, arm: str) -> float | None:
    """Return what the calls before the answers of a cell cost; None if it is unknown.

    Several arms may use the same queries, which are paid once; here each arm has their whole cost.
    """
    sums: dict[str, list[float]] = {}
    for _, writer, record in written_records(run.files, run.config, task, arm, model):
        parts = (record.sent_tokens, record.cached_tokens, record.reply_tokens, record.elapsed_s)
        before = sums.setdefault(writer, [0.0] * len(parts))
        sums[writer] = [old + (new or 0) for old, new in zip(before, parts, strict=True)]
    costs = [
        run.config.billing.get(writer, Billing()).cost(
            sent=sent, cached=cached, written=written, seconds=seconds
        )
        for writer, (sent, cached, written, seconds) in sums.items()
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _money(run: Run, model: str, cost: dict[str, float], before: float | None) -> list[str]:
    """Return the cost of a cell per 1,000 questions and in all, by what its calls took."""
    billing = run.config.billing.get(model, Billing())
    is_free = billing.own_machine and billing.input is None and billing.per_hour is None
    if is_free and before == 0:
        return [OWN, OWN]
    total = billing.cost(
        sent=cost["sent_tokens"],
        cached=cost["cached_tokens"],
        written=cost["reply_tokens"],
        seconds=cost["all"],
        wall=None if math.isnan(cost["wall"]) else cost["wall"],
    )
    if total is None or math.isnan(total) or before is None:
        return ["unknown", "unknown"]
    total += before
    return [money_text(1000 * total / cost["n"]), money_text(total, 4)]


def _cells(
    cost: dict[str, float], base: dict[str, float] | None, gain: Sequence[float]
) -> list[str]:
    before: dict[str, float] = base or dict.fromkeys(cost, math.nan)
    more = cost["prompt"] - before["prompt"]
    worth, low, high = (100 * part / (more / 1000) if more > 0 else math.nan for part in gain)
    return [
        _number(cost["n"], ".0f"),
        _number(cost["prompt"], ".0f"),
        _number(cost["passages"], ".0f"),
        _number(cost["reply"], ".1f"),
        _number(cost["seconds"], ".3f"),
        _number(cost["all"], ".1f"),
        _number(cost["wall"], ".1f"),
        _times(cost["prompt"], before["prompt"]),
        _times(cost["seconds"], before["seconds"]),
        _number(worth, "+.1f"),
        between(low, high, "{:+.1f}".format),
    ]


def _times(value: float, base: float) -> str:
    return _number(value / base if base else math.nan, ".2f")


def _number(value: float, form: str) -> str:
    return NONE if math.isnan(value) else format(value, form)

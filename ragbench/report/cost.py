"""The cost of each arm in tokens and seconds, and the points gained for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.analysis.panels.costs import (
    CellCost,
    answers_money,
    before_means,
    calls_money,
    cell_cost,
    written_money,
)
from ragbench.report.tables import NONE, Rows, between, coverage, p_is, p_value, points, scored
from ragbench.runfolder.config import Billing, money_text
from ragbench.runfolder.records import last_records
from ragbench.runfolder.retrieval import read_calls

FRONTIER_NOTE = (
    "Means per question of all calls of an arm: its answer, what models wrote before it, and the "
    "calls of a runnable. Tokens are those of all requests and replies. What a model writes for "
    "several arms or models is counted in full for each of them, because it is what the arm would "
    "cost alone; the table of calls before the answers has it once. A control has the calls of "
    "the arm that it imitates, although none were made for it. An arm is on the frontier if no "
    "other arm of the model scores at least as much for fewer tokens; controls are left out, "
    "because they are no choices. Points are the paired gain over the best of the cheaper arms. "
    "This arm was chosen by its score in the same run, so the gains are exploratory; p is adjusted "
    "by Holm's procedure over the table."
)
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
            cells = {arm: cell_cost(run.cell(model, task, arm)) for arm in run.arms(task)}
            for arm, cost in cells.items():
                if not math.isnan(cost.prompt):
                    gain = known.get((model, task, arm), [math.nan] * 3)
                    row = [model, task, arm, *_cells(cost, cells.get(BASELINE), gain)]
                    means = before_means(run.cell(model, task, arm))[:3]
                    row += [_number(mean, ".1f") for mean in means] if writes else []
                    more = _money(run, model, cost, written_money(run, model, task, arm))
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


def writing_rows(run: Run) -> Rows:
    """Return what models wrote before the answers, each writing once, whoever uses it."""
    users: dict[tuple[str, str, str], dict[str, None]] = {}
    for task in run.members("tasks"):
        for arm in run.arms(task):
            for model in run.members("models"):
                for writer, name in run.config.written_for(arm, model):
                    users.setdefault((task, writer, name), {})[arm] = None
    rows = []
    for (task, writer, name), arms in users.items():
        records = last_records(run.files.written.records(writer, task, name)).values()
        sent = sum(record.sent_tokens for record in records)
        written = sum(record.reply_tokens or 0 for record in records)
        seconds = sum(record.elapsed_s or 0.0 for record in records)
        row = [writer, task, name, ", ".join(arms), f"{len(records):,}"]
        row += [f"{sent:,}", f"{written:,}", _number(seconds, ".1f")]
        if run.config.billing:
            cost = calls_money(run, writer, records)
            row.append("unknown" if cost is None else money_text(cost, 4))
        rows.append(row)
    header = ["model", "task", "what", "arms", "calls", "tokens sent", "reply tokens"]
    header += ["seconds in all"]
    money = [f"{run.config.currency} in all"] if run.config.billing else []
    return [*header, *money], rows


def frontier_rows(run: Run, table: pd.DataFrame) -> Rows:
    """Return what each arm costs and is worth per question, the fewest tokens first."""
    rows = []
    groups = table.sort_values("tokens", kind="stable").groupby(["model", "task"], sort=False)
    cells = {names: group for names, group in groups}
    for model in run.members("models"):
        for task in run.members("tasks"):
            if (model, task) in cells:
                records = cells[model, task].to_dict(orient="records")
                rows += [_frontier_row(run, row) for row in records]
    header = ["model", "task", "arm", "n", "score", f"{coverage(run)} interval", "calls"]
    header += ["tokens", "answering: sent", "replies", "writing: sent", "replies", "seconds"]
    header += [f"{run.config.currency} per 1,000 questions"] if run.config.billing else []
    header += ["on the frontier", "against", "points", f"{coverage(run)} interval"]
    return [*header, "p", "adjusted p"], rows


def _frontier_row(run: Run, row: Mapping[Any, Any]) -> list[str]:
    names = [row["model"], row["task"], row["arm"], str(row["n"])]
    keys = ["tokens", "answer_sent_tokens", "answer_reply_tokens"]
    keys += ["written_sent_tokens", "written_reply_tokens"]
    cost = [_number(row["calls"], ".1f"), *(_number(row[key], ",.0f") for key in keys)]
    cost.append(_number(row["seconds"], ".3f"))
    if run.config.billing:
        amount = row["money"]
        cost.append("unknown" if math.isnan(amount) else money_text(1000 * amount))
    best = "control" if row["control"] else "yes" if row["on_frontier"] else "no"
    gain = [points(row["gain"]), between(row["gain_low"], row["gain_high"], points)]
    ps = p_value(row["p"], is_bound=bool(row["p_is_bound"])), p_value(row["p_adjusted"])
    return [*names, *scored(row), *cost, best, row["against"] or NONE, *gain, *ps]


def frontier_note(run: Run, table: pd.DataFrame) -> str:
    """Return how to read the table, after a sentence on each arm whose calls bought no gain."""
    return " ".join([*unpaid_sentences(run, table), FRONTIER_NOTE])


def unpaid_sentences(run: Run, table: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence on each arm for whose further calls no gain was shown."""
    for row in table.to_dict(orient="records"):
        more, less = row["calls"], row["against_calls"]
        shown = row["p_adjusted"] < run.config.analysis.alpha and row["gain_low"] > 0
        if not row["against"] or not more > less or shown or math.isnan(row["gain_low"]):
            continue
        change = "changed nothing" if row["gain"] == 0 else f"gained {points(row['gain'])} points"
        if row["gain"] < 0:
            change = f"lost {points(-row['gain']).lstrip('+')} points"
        yield (
            f"{row['model']} on {row['task']}: the {calls_text(more)} of {row['arm']} {change} "
            f"({coverage(run)} interval {between(row['gain_low'], row['gain_high'], points)}, "
            f"adjusted {p_is(row['p_adjusted'])}), no gain shown, over the {calls_text(less)} of "
            f"{row['against']}."
        )


def calls_text(calls: float) -> str:
    """Return a mean number of calls with its noun.

    >>> calls_text(1.0), calls_text(5.0), calls_text(5.25)
    ('1 call', '5 calls', '5.2 calls')
    """
    return "1 call" if calls == 1 else f"{calls:.1f}".removesuffix(".0") + " calls"


def _money(run: Run, model: str, cost: CellCost, before: float | None) -> list[str]:
    """Return the cost of a cell per 1,000 questions and in all, by what its calls took."""
    if run.config.billing.get(model, Billing()).is_free and before == 0:
        return [OWN, OWN]
    total = answers_money(run, model, cost)
    if total is None or before is None:
        return ["unknown", "unknown"]
    total += before
    return [money_text(1000 * total / cost.n), money_text(total, 4)]


def _cells(cost: CellCost, base: CellCost | None, gain: Sequence[float]) -> list[str]:
    prompt, seconds = (math.nan, math.nan) if base is None else (base.prompt, base.seconds)
    more = cost.prompt - prompt
    worth, low, high = (100 * part / (more / 1000) if more > 0 else math.nan for part in gain)
    return [
        _number(cost.n, ".0f"),
        _number(cost.prompt, ".0f"),
        _number(cost.passages, ".0f"),
        _number(cost.reply, ".1f"),
        _number(cost.seconds, ".3f"),
        _number(cost.all_seconds, ".1f"),
        _number(cost.wall, ".1f"),
        _times(cost.prompt, prompt),
        _times(cost.seconds, seconds),
        _number(worth, "+.1f"),
        between(low, high, "{:+.1f}".format),
    ]


def _times(value: float, base: float) -> str:
    return _number(value / base if base else math.nan, ".2f")


def _number(value: float, form: str) -> str:
    return NONE if math.isnan(value) else format(value, form)

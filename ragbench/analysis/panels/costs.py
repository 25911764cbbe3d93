"""What the answers of a cell took, and what was written before them: tokens, seconds and money."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.runfolder.config import Billing
from ragbench.runfolder.records import Covered, Record, written_records


@dataclass(frozen=True, slots=True)
class CellCost:
    """What the answers of a cell took; NaN where it is not known.

    Attributes:
        n: Number of answered questions.
        prompt: Mean tokens of a prompt, by the model's tokenizer.
        passages: Mean tokens of its passages, by the reference tokenizer.
        reply: Mean tokens of a reply.
        sent: Mean tokens of all requests of a question; of the prompt where they were not counted.
        seconds: Mean seconds of a question.
        all_seconds: Sum of the seconds.
        wall: Seconds in which at least one question was being answered.
        sums: Sums of the tokens sent, of those cached, and of the replies.
        calls: Mean calls of language models of a question, in its answer.
    """

    n: int
    prompt: float
    passages: float
    reply: float
    sent: float
    seconds: float
    all_seconds: float
    wall: float
    sums: tuple[float, float, float]
    calls: float = 1.0


def cell_cost(cell: pd.DataFrame) -> CellCost:
    """Return what the answered questions of a cell took; NaN unless all their tokens are known."""
    answered = cell[cell.prompt_tokens.notna()]
    if (cell.elapsed_s.notna() & cell.prompt_tokens.isna()).any():  # a runnable's reports have gaps
        answered = answered[:0]
    prompt = answered.prompt_tokens.astype(float)
    sent = answered.sent_tokens.astype(float) if "sent_tokens" in answered else prompt
    sums = [
        float(answered[name].astype(float).sum()) if name in answered else math.nan
        for name in ("sent_tokens", "cached_tokens", "reply_tokens")
    ]
    return CellCost(
        n=len(answered),
        prompt=float(prompt.mean()),
        passages=float(answered.passage_tokens.astype(float).mean()),
        reply=float(answered.reply_tokens.astype(float).mean()),
        sent=float(sent.mean()),
        seconds=float(answered.elapsed_s.astype(float).mean()),
        all_seconds=float(answered.elapsed_s.astype(float).sum(min_count=1)),
        wall=_wall(answered),
        sums=(sums[0], sums[1], sums[2]),
        calls=float(answered.model_calls.mean()) if "model_calls" in answered else 1.0,
    )


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


def before_means(cell: pd.DataFrame) -> tuple[float, float, float, float]:
    """Return calls, tokens sent, tokens written and seconds before an answer, per question."""
    names = ("calls", "sent_tokens", "reply_tokens", "seconds")
    calls, sent, written, seconds = (
        float(cell[f"written_{name}"].astype(float).mean()) if f"written_{name}" in cell else 0.0
        for name in names
    )
    return calls, sent, written, seconds


def answers_money(run: Run, model: str, cost: CellCost) -> float | None:
    """Return what the answers of a cell cost; None if it is unknown."""
    total = run.config.billing.get(model, Billing()).cost(
        sent=cost.sums[0],
        cached=cost.sums[1],
        written=cost.sums[2],
        seconds=cost.all_seconds,
        wall=None if math.isnan(cost.wall) else cost.wall,
    )
    return None if total is None or math.isnan(total) else total


def written_money(run: Run, model: str, task: str, arm: str) -> float | None:
    """Return what the calls before the answers of a cell cost; None if it is unknown.

    Several arms and models may use the same texts, which are paid once; here each cell has their
    whole cost.
    """
    by_writer: dict[str, list[Record]] = {}
    for _, writer, record in written_records(run.files, run.config, task, arm, model):
        by_writer.setdefault(writer, []).append(record)
    costs = [calls_money(run, writer, records) for writer, records in by_writer.items()]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def calls_money(run: Run, writer: str, records: Iterable[Record]) -> float | None:
    """Return what calls of a model cost; None if it is unknown."""
    sent = cached = written = seconds = 0.0
    for record in records:
        sent += math.nan if record.is_uncounted else record.sent_tokens
        cached += record.cached_tokens or 0
        written += record.reply_tokens or 0
        seconds += record.elapsed_s or 0
    total = run.config.billing.get(writer, Billing()).cost(
        sent=sent, cached=cached, written=written, seconds=seconds
    )
    return None if total is None or math.isnan(total) else total

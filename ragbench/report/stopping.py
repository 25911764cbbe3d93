"""What the report says of a run that may stop early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ragbench.analysis.family import MACRO, OF_PAIR
from ragbench.analysis.load import Run
from ragbench.analysis.panels.costs import answers_money, cell_cost
from ragbench.report.cost import OWN
from ragbench.report.tables import NONE, Rows, between, points
from ragbench.runfolder.config import Billing, money_text
from ragbench.runfolder.looks.stopped import AskedCell


def methods(run: Run) -> str:
    """Return how the run was stopped and which statistics apply; empty if it was never looked at.

    It replaces what the methods say of the tests of the primary effects.
    """
    stopped = run.stopped
    if stopped is None or not stopped.looks:
        return ""
    least, margin = stopped.settings.min_questions, stopped.settings.margin or 0.0
    sequence = stopped.alpha * stopped.share
    text = (
        "The questions were asked in a seeded random order, in which clusters are whole and strata "
        f"come in proportion. The run was looked at {len(stopped.looks):,} times, from {least:,} "
        "questions per task on. The primary effects have the e-values and confidence sequences of "
        "bets on the questions (Waudby-Smith and Ramdas 2024), valid at any look, instead of the "
        "tests above. At each look, Holm's procedure adjusted their p values. An effect was "
        f"decided when its adjusted p, or that of equivalence within {100 * margin:g} points, was "
        f"below {stopped.alpha:g}; cells that no undecided effect needed were no longer asked. "
        f"Before the run, {stopped.alpha:g} was split: the sequence has {sequence:g}, and the test "
        f"of a fixed number of questions has {stopped.alpha - sequence:g}, used only for an effect "
        "that was asked all its questions. "
    )
    if any(effect.task == MACRO for effect in stopped.effects):
        text += (
            "The e-value of an average over tasks is the least product of the bets of the tasks, "
            "over all means per task with that average (stratified betting: Spertus and Stark "
            "2022). "
        )
    if run.is_stopped:
        text += (
            "Some cells were not asked all questions. Each effect is over the questions that all "
            "its cells were asked. Effects that are not primary have no interval and no p there, "
            "and the intervals of rates are not adjusted for the stop. "
        )
    return text


def limit(run: Run) -> str:
    """Return that a run stopped before its last question, and what it saved; empty if it did not.

    Tokens and money are estimates: those of the answers that were asked, by question.
    """
    if run.stopped is None or not run.is_stopped:
        return ""
    saved = list(_saved(run))
    every, asked = sum(one.of for one in saved), sum(one.cell.n for one in saved)
    open_ones = sum(effect.verdict == "open" for effect in run.stopped.effects)
    why = (
        f"with {open_ones:,} effects open" if open_ones else "when its primary effects were decided"
    )
    tokens = sum(one.tokens for one in saved)
    amounts = [] if math.isnan(tokens) else [f"{tokens:,.0f} tokens"]
    if any(one.money for one in saved):
        known = sum(one.money or 0.0 for one in saved)
        least = "at least " if any(one.money is None for one in saved) else ""
        amounts.append(f"{least}{money_text(known)} {run.config.currency}")
    also = f", about {' and '.join(amounts)}" if amounts else ""
    return (
        f"The run stopped {why}: it asked {asked:,} of {every:,} answers "
        f"({100 * (1 - asked / every):.0f} % saved{also}). `ragbench run CONFIG --until all` asks "
        "the others."
    )


def decision_rows(run: Run) -> Rows:
    """Return the primary effects of a run that may stop early: what was decided, and when."""
    header = ["effect", "model", "task", "arm", "n", "points", "sequence", "verdict", "decided at"]
    effects = () if run.stopped is None else run.stopped.effects
    rows = []
    for effect in effects:
        last = effect.looks[-1]
        rows.append(
            [
                OF_PAIR.get(effect.effect, effect.effect),
                effect.model,
                effect.task,
                effect.arm,
                f"{last.n:,}",
                points(math.nan if last.estimate is None else last.estimate),
                between(last.low, last.high, points),
                "not shown" if effect.verdict == "exhausted" else effect.verdict,
                "-" if effect.decided_at is None else f"{effect.decided_at:,}",
            ]
        )
    return header, rows


@dataclass(frozen=True, slots=True)
class _Saved:
    """What a cell of a stopped run did not spend; its answers only, not what came before them.

    Attributes:
        cell: The cell, with the number of its questions that were asked.
        of: Number of questions of its task.
        each: Mean tokens of a question: all requests, and the replies; NaN if unknown.
        tokens: Tokens of the questions that were not asked, if they are like those that were.
        money: Their cost; None if it is unknown.
    """

    cell: AskedCell
    of: int
    each: float
    tokens: float
    money: float | None


def _saved(run: Run) -> Iterator[_Saved]:
    for cell in () if run.stopped is None else run.stopped.asked:
        of, cost = run.facts(cell.task).n, cell_cost(run.cell(*cell.key))
        each = cost.sent + (0.0 if math.isnan(cost.reply) else cost.reply)
        left = of - cell.n
        total = answers_money(run, cell.model, cost) if cost.n else None
        money = 0.0 if not left else None if total is None else total / cost.n * left
        yield _Saved(cell, of, each, each * left if left else 0.0, money)


def saved_rows(run: Run) -> Rows:
    """Return what each cell of a stopped run was asked, and the tokens and the money it saved.

    The questions that were not asked count with the means of those that were. Runs whose config
    has no prices, and does not say that nothing is sent to a server, have no money.
    """
    header = ["model", "task", "arm", "asked", "of", "tokens of a question", "tokens saved"]
    has_money = bool(run.config.billing)
    rows = []
    for one in _saved(run) if run.is_stopped else ():
        row = [*one.cell.key, f"{one.cell.n:,}", f"{one.of:,}"]
        row += [NONE if math.isnan(x) else f"{x:,.0f}" for x in (one.each, one.tokens)]
        if has_money:
            is_free = run.config.billing.get(one.cell.model, Billing()).is_free
            known = "unknown" if one.money is None else money_text(one.money, 4)
            row.append(OWN if is_free else known)
        rows.append(row)
    return [*header, *([f"{run.config.currency} saved"] if has_money else [])], rows

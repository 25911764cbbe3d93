"""What the report says of a run that may stop early."""

from __future__ import annotations

import math

import pandas as pd

from ragbench.analysis.family import OF_PAIR
from ragbench.analysis.load import Run
from ragbench.report.tables import Rows, between, points


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
    if run.is_stopped:
        text += (
            "Some cells were not asked all questions. Each effect is over the questions that all "
            "its cells were asked. Effects that are not primary have no interval and no p there, "
            "and the intervals of rates are not adjusted for the stop. "
        )
    return text


def limit(run: Run) -> str:
    """Return that a run stopped before its last question, and what it saved; empty if it did not.

    Only answers are counted, not tokens.
    """
    if run.stopped is None or not run.is_stopped:
        return ""
    every = sum(run.facts(cell.task).n for cell in run.stopped.asked)
    asked = sum(cell.n for cell in run.stopped.asked)
    open_ones = sum(effect.verdict == "open" for effect in run.stopped.effects)
    why = (
        f"with {open_ones:,} effects open" if open_ones else "when its primary effects were decided"
    )
    return (
        f"The run stopped {why}: it asked {asked:,} of {every:,} answers "
        f"({100 * (1 - asked / every):.0f} % saved). `ragbench run CONFIG --until all` asks the "
        "others."
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


def saved_rows(run: Run) -> Rows:
    """Return what each cell of a stopped run was asked, and the tokens that it saved.

    The questions that were not asked count with the mean tokens of those that were.
    """
    header = ["model", "task", "arm", "asked", "of", "tokens of a question", "tokens saved"]
    rows = []
    for cell in run.stopped.asked if run.stopped is not None and run.is_stopped else ():
        of = run.facts(cell.task).n
        scores = run.cell(*cell.key)
        mean = scores["sent_tokens"].mean() + scores["reply_tokens"].fillna(0).mean()
        known = not pd.isna(mean)
        rows.append(
            [
                *cell.key,
                f"{cell.n:,}",
                f"{of:,}",
                f"{mean:,.0f}" if known else "-",
                f"{mean * (of - cell.n):,.0f}" if known else "-",
            ]
        )
    return header, rows

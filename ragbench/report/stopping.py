"""What the report says of a run that may stop early."""

from __future__ import annotations

from ragbench.analysis.load import Run


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

"""Multiple choice: which option a model picked, and whether it was the right one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import UNANSWERABLE, Answered


def pick_option(log_likelihoods: Sequence[float], options: Sequence[str]) -> tuple[int, bool]:
    """Return the option with the highest log-likelihood per character.

    Dividing by length keeps long options from losing for their length alone; lm-eval calls the
    same quantity ``acc_norm``. The blank before an option is not counted. The index is the lowest
    of equals; the second value says whether there were any.

    >>> pick_option([-4.0, -4.5], ["ab", "abc"])
    (1, False)
    """
    scores = [
        total / max(len(option), 1) for total, option in zip(log_likelihoods, options, strict=True)
    ]
    best = max(scores)
    return scores.index(best), scores.count(best) > 1


def accuracy(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 where the picked option is the right one, else 0.0; no pick is wrong."""
    return [float(answered.pick == answered.question.answer) for answered in answers]


def accuracy_sum(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 where the option of the highest log-likelihood is the right one, else 0.0.

    Length does not count: lm-eval calls the same quantity ``acc``. NaN where options were not
    scored.
    """
    return [
        float(a.log_likelihoods.index(max(a.log_likelihoods)) == a.question.answer)
        if a.log_likelihoods
        else math.nan
        for a in answers
    ]


def over_refusal(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 where an answerable question was called unanswerable; NaN for the others.

    Lower is better. The option that calls a question unanswerable is the last one.
    """
    return [
        float(a.pick == len(a.question.options) - 1) if _answerable(a) else math.nan
        for a in answers
    ]


def hallucination(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 where an unanswerable question was given another option; NaN for the others.

    Lower is better. A reply without an option is not a hallucination.
    """
    return [
        math.nan
        if _answerable(a)
        else float(a.pick is not None and a.pick != len(a.question.options) - 1)
        for a in answers
    ]


def _answerable(answered: Answered) -> bool:
    last = len(answered.question.options) - 1
    return answered.question.answer != last or answered.question.options[last] != UNANSWERABLE

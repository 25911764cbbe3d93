"""Multiple choice: the option that a model picked, and whether it is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import UNANSWERABLE, Answered


def pick_option(log_likelihoods: Sequence[float], options: Sequence[str]) -> tuple[int, bool]:
    """Return the option with the highest log-likelihood per character, and whether there are ties.

    Division by length keeps long options from losing only for their length; lm-eval calls this
    quantity ``acc_norm``. The blank before an option is not counted. The first of tied options is
    returned.

    >>> pick_option([-4.0, -4.5], ["ab", "abc"])
    (1, False)
    """
    scores = [
        total / max(len(option), 1) for total, option in zip(log_likelihoods, options, strict=True)
    ]
    best = max(scores)
    return scores.index(best), scores.count(best) > 1


def accuracy(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 if the picked option is right, else 0.0; no pick is wrong."""
    return [float(answered.pick == answered.question.answer) for answered in answers]


def accuracy_sum(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 if the option with the highest log-likelihood is right, else 0.0.

    Length does not count; lm-eval calls this quantity ``acc``. NaN if options were not scored.
    """
    return [
        float(a.log_likelihoods.index(max(a.log_likelihoods)) == a.question.answer)
        if a.log_likelihoods
        else math.nan
        for a in answers
    ]


def over_refusal(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 if an answerable question was called unanswerable; NaN for unanswerable questions.

    Lower is better. The last option calls a question unanswerable.
    """
    return [
        float(a.pick == len(a.question.options) - 1) if _answerable(a) else math.nan
        for a in answers
    ]


def hallucination(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1.0 if an unanswerable question got another option; NaN for answerable questions.

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

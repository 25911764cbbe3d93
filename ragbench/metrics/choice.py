"""Multiple choice: which option a model picked, and whether it was the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.records import Answered


def pick_option(log_likelihoods: Sequence[float], options: Sequence[str]) -> tuple[int, bool]:
    """Return the option with the highest log-likelihood per character.

    Dividing by length keeps long options from losing for their length alone; lm-eval calls the
    same quantity ``acc_norm``. The blank before an option is not counted.

    Args:
        log_likelihoods: Sum of log-probabilities of each option.
        options: The option texts.

    Returns:
        The index, the lowest of equals, and whether there were equals.

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

"""Probabilities of options: the softmax of their raw log-likelihoods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import Answered


def probabilities(log_likelihoods: Sequence[float]) -> list[float]:
    """Return the softmax of log-likelihoods.

    >>> [round(p, 3) for p in probabilities([0.0, math.log(3)])]
    [0.25, 0.75]
    """
    best = max(log_likelihoods)
    weights = [math.exp(value - best) for value in log_likelihoods]
    return [weight / sum(weights) for weight in weights]


def option_mass(log_likelihoods: Sequence[float]) -> float:
    """Return the probability that a reply starts with one of the options.

    Little of it means that the model would write something else, and that the likeliest option is
    one among unlikely replies. An option that starts another one counts twice; never more than 1.

    >>> option_mass([math.log(0.5), math.log(0.25)])
    0.75
    """
    return min(1.0, math.fsum(map(math.exp, log_likelihoods)))


def brier(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the squared distance of the probabilities from 1 for the right option (Brier 1950).

    From 0 (sure and right) to 2; lower is better. NaN if options were not scored.
    """
    found = []
    for answered in answers:
        if not answered.log_likelihoods:
            found.append(math.nan)
            continue
        shares = probabilities(answered.log_likelihoods)
        right = answered.question.answer
        found.append(sum((share - (i == right)) ** 2 for i, share in enumerate(shares)))
    return found

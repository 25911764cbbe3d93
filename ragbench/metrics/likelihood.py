"""Probabilities of options: the softmax of their raw log-likelihoods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import Answered

ALIKE = 4  # pairs of options
ROUNDING = 1e-6


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


def follows_length(
    log_likelihoods: Sequence[Sequence[float]], tokens: Sequence[Sequence[int]]
) -> bool:
    """Say whether the likelihoods of all questions follow from their options' numbers of tokens.

    So answers a server that gives every token the same number, or each place its own: either each
    question's options have one mean per token, or options of as many tokens are as likely in at
    least ``ALIKE`` pairs and never otherwise. A model that reads the options does neither.

    >>> follows_length([[-2.0, -6.0], [-4.0, -2.0]], [[1, 3], [2, 1]])
    True
    """
    pairs = 0
    one_mean = same_length = True
    for values, counts in zip(log_likelihoods, tokens, strict=True):
        if len(values) < 2 or len(values) != len(counts) or not all(counts):
            return False
        means = [value / count for value, count in zip(values, counts, strict=True)]
        one_mean &= all(math.isclose(mean, means[0], rel_tol=ROUNDING) for mean in means)
        first: dict[int, float] = {}
        for value, count in zip(values, counts, strict=True):
            pairs += count in first
            same_length &= math.isclose(first.setdefault(count, value), value, rel_tol=ROUNDING)
    return bool(log_likelihoods) and (one_mean or (same_length and pairs >= ALIKE))


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

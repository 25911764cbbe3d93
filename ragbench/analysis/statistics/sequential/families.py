"""Families of e-values: e-Holm, and e-BH (Wang and Ramdas 2022, JRSS B 84:822).

One over an e-value is a p value. So e-values reject what Holm's procedure and that of Benjamini and
Hochberg reject with these p values; of e-values, the latter is valid whatever their dependence.
"""

from __future__ import annotations

import numpy as np

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.multiplicity import benjamini_hochberg, holm


def p_of(e: Values) -> Values:
    """Return the p of e-values, of any shape: one over each, at most 1."""
    return np.asarray(1 / np.maximum(e, 1.0))


def e_holm(e: Values) -> Values:
    """Return adjusted p that keep the chance of any false finding below alpha.

    The largest of m e-values must reach m / alpha, the next (m - 1) / alpha, and so on. The
    largest that each e-process has reached so far may be used: the guarantee then holds for all
    looks together.

    >>> e_holm(np.array([100.0, 30.0, 5.0])).round(3).tolist()
    [0.03, 0.067, 0.2]
    """
    return holm(p_of(e))


def e_benjamini_hochberg(e: Values) -> Values:
    """Return p adjusted for the share of false findings among the findings.

    Each e-value must be that of one look, such as the last, and not the largest of all looks.

    >>> e_benjamini_hochberg(np.array([100.0, 30.0, 5.0])).round(3).tolist()
    [0.03, 0.05, 0.2]
    """
    return benjamini_hochberg(p_of(e))

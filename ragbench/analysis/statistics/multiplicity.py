"""Adjustments for many p values: Holm's, and Benjamini and Hochberg's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def holm(p: Values) -> Values:
    """Return p values adjusted so that the chance of any false finding stays under alpha.

    Holm 1979 (Scandinavian Journal of Statistics 6:65): the smallest times m, the next times
    m - 1, ..., none smaller than one before it, none above 1. A p that is missing (NaN) counts
    as a hypothesis that was not rejected, and stays missing.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")  # missing values sort last
    filled = np.where(np.isnan(p), 1.0, p)[order]
    stepped = np.maximum.accumulate(filled * np.arange(p.size, 0, -1)).clip(max=1.0)
    adjusted = np.empty(p.size)
    adjusted[order] = stepped
    adjusted[np.isnan(p)] = np.nan
    return adjusted


def benjamini_hochberg(p: Values) -> Values:
    """Return p values adjusted for the share of false findings among the findings.

    Benjamini and Hochberg 1995 (JRSS B 57:289). A missing p (NaN) belongs to no tested hypothesis:
    it does not count, and stays missing.
    """
    from scipy.stats import false_discovery_control

    known = ~np.isnan(p)
    adjusted = np.full(p.size, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted

"""Holm's and Benjamini and Hochberg's adjustments, by hand and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from ragbench.analysis.statistics.multiplicity import benjamini_hochberg, holm


def test_holm_by_hand() -> None:
    # In order .005 (x 4), .01 (x 3), .03 (x 2), .04 (x 1, no less than .06)
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_by_hand() -> None:
    # In order .005 x 4/1 = .02, .01 x 4/2 = .02, .03 x 4/3 = .04, .04 x 4/4 = .04
    found = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found == pytest.approx([0.02, 0.04, 0.04, 0.02])


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_both_equal_statsmodels(n: int) -> None:
    values = np.random.default_rng(n).uniform(size=n).round(2)  # with ties
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1])


def test_what_was_not_tested_stays_missing() -> None:
    p = np.array([np.nan, 0.02, 0.5])
    # Holm's family is what was planned: three hypotheses.
    assert holm(p)[1:] == pytest.approx([0.06, 1.0])
    assert benjamini_hochberg(p)[1:] == pytest.approx([0.04, 0.5])
    assert np.isnan(holm(p)[0]) and np.isnan(benjamini_hochberg(p)[0])
    assert holm(np.array([])).size == 0 and np.isnan(benjamini_hochberg(np.array([np.nan]))).all()

"""McNemar's exact test against hand arithmetic and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.statistics.paired import (
    mcnemar_exact,
    sign_flip,
    smallest_detectable,
)


def test_mcnemar_by_hand() -> None:
    # 8 against 1: 2 * (C(9,0) + C(9,1)) / 2^9 = 20 / 512
    assert mcnemar_exact(8, 1) == pytest.approx(20 / 512)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(3, 3) == 1.0
    # The published pair of PubMedQA* replies: +200 / -43, p about 2e-25
    assert mcnemar_exact(200, 43) == pytest.approx(2e-25, rel=0.5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels(helped: int, hurt: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    theirs = mcnemar([[0, helped], [hurt, 0]], exact=True).pvalue if helped + hurt else 1.0
    assert mcnemar_exact(helped, hurt) == pytest.approx(min(theirs, 1.0))
    assert mcnemar_exact(helped, hurt) == mcnemar_exact(hurt, helped)


def test_signs_flip_by_cluster() -> None:
    """Against every one of the 2^6 sets of signs."""
    values = np.array([1, 0, 1, 1, -1, 0, 1, 1, 1, 0, 1, 1], dtype=float)
    clusters = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5], dtype=np.int64)
    sums = np.array([values[clusters == c].sum() for c in range(6)])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    exact = (np.abs(sums @ signs) >= abs(values.sum()) - 1e-12).mean()
    found = sign_flip([values], np.random.default_rng(2), clusters=[clusters], draws=40_000)
    assert found == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / 40_000))
    alone = sign_flip([values], np.random.default_rng(2), draws=40_000)
    assert found != pytest.approx(alone, abs=0.002)


def test_clusters_widen_what_could_have_been_found() -> None:
    values = np.repeat([1.0, 0.0, -1.0, 1.0, 0.0, 1.0, 0.0, 0.0], 5)
    clusters = np.repeat(np.arange(8), 5).astype(np.int64)
    means = values.reshape(8, 5)[:, 0]
    # (1.959964 + 0.841621) standard errors of the mean of eight independent values
    expected = 2.801585 * np.sqrt(means.var(ddof=1) / 8)
    assert smallest_detectable([values], clusters=[clusters]) == pytest.approx(
        max(expected, 6 / 8), rel=1e-6
    )
    assert smallest_detectable([values]) < expected

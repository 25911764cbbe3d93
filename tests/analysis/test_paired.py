"""McNemar's exact test against hand arithmetic and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.paired import Discordance, discordance, mcnemar_exact


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


def test_discordance_counts() -> None:
    before = np.array([0.0, 0.0, 1.0, 1.0, 0.0])
    after = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    found = discordance(before, after)
    assert found == Discordance(n=5, helped=2, hurt=1, p=1.0)

"""Judging a run: figures of the first look by hand."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pandas as pd
import pytest

from tests.experiment.answering.stopping_home import decisions, of


def test_the_first_look_is_the_bet_in_closed_form(stopped_home: Path) -> None:
    (look, *_) = of("reads", decisions(stopped_home)).looks
    effects = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    row = effects[(effects.model == "reads") & (effects.arm == "bm25-1")].iloc[0]
    helped, hurt = int(row.helped), int(row.hurt)
    assert look.n == row.n == 20
    assert hurt < helped
    # 2^(h+l) B(3+h, 3+l) / B(3, 3); B(a, b) = 1 / (a C(a+b-1, a)), and B(3, 3) is 1/30
    beta = 1 / ((3 + helped) * comb(5 + helped + hurt, 3 + helped))
    assert look.e_value == pytest.approx(2 ** (helped + hurt) * beta * 30, rel=1e-9)
    assert look.p == pytest.approx(5 / look.e_value, rel=1e-9)  # a fifth of alpha
    assert row.p_adjusted == pytest.approx(2 * look.p, rel=1e-9)  # Holm, two effects
    assert (row.ci_low, row.ci_high) == pytest.approx((look.low, look.high), rel=1e-9)

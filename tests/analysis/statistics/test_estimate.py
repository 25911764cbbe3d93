"""One effect: the method that fits its data, its parts by hand, and their agreement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from ragbench.analysis.statistics.estimate import (
    Cells,
    Settings,
    estimate,
    inference,
    interval_and_p,
    spread,
)
from ragbench.analysis.statistics.paired import Tango, mcnemar_exact, mcnemar_mid_p
from ragbench.analysis.statistics.power import mid_p_power, smallest_difference
from tests.analysis.making import about_of

SETTINGS = Settings(seed=1, alpha=0.05, resamples=2000, margin=0.1)


def changed(helped: int, hurt: int, n: int, clusters: list[int] | None = None) -> Cells:
    """Return two cells of n questions, of which some were helped and some hurt."""
    after = np.array([1.0] * helped + [0.0] * hurt + [1.0] * (n - helped - hurt))
    before = np.array([0.0] * helped + [1.0] * hurt + [1.0] * (n - helped - hurt))
    codes = None if clusters is None else np.array(clusters, dtype=np.int64)
    return Cells(np.column_stack([after, -before]), codes)


def test_an_effect_by_hand() -> None:
    found = estimate([changed(12, 3, 100)], SETTINGS, ["x"])
    assert found["estimate"] == pytest.approx(0.09)
    assert (found["helped"], found["hurt"]) == (12, 3)
    assert found["p"] == mcnemar_mid_p(12, 3)
    assert found["p_exact"] == mcnemar_exact(12, 3)
    # variance of the differences: (15 - 9^2 / 100) / 99
    assert found["se"] == pytest.approx(math.sqrt((15 - 0.81) / 99 / 100))
    assert (found["ci_low"], found["ci_high"]) == Tango(12, 3, 100).limits(0.05)
    assert spread([changed(12, 3, 100)]).smallest(0.05) == smallest_difference(100, 0.15)


def test_equivalence_by_hand() -> None:
    # Nothing changed in 200 questions. At a true loss of 3 points all changes are losses, by the
    # restricted estimate: the score is 6 / sqrt(200 * 0.03 * 0.97). Exactly: 0.97^200 = 0.0023.
    margin = Settings(seed=1, alpha=0.05, resamples=2000, margin=0.03)
    found = estimate([changed(0, 0, 200)], margin, ["x"])
    expected = norm.sf(6 / math.sqrt(200 * 0.03 * 0.97))
    assert found["p_equivalence"] == pytest.approx(expected)
    assert 0.97**200 < found["p_equivalence"] < 0.01


def test_equivalence_is_the_interval_at_twice_the_level_within_the_margin() -> None:
    for helped, hurt, n in ((2, 1, 100), (9, 2, 100), (4, 4, 60), (30, 28, 900)):
        found = estimate([changed(helped, hurt, n)], SETTINGS, ["x"])
        low, high = Tango(helped, hurt, n).limits(0.1)
        assert (found["p_equivalence"] < 0.05) == (low > -0.1 and high < 0.1)


def test_nothing_changed_is_no_proof_in_few_questions() -> None:
    few, many = (estimate([changed(0, 0, n)], SETTINGS, ["x"])["p_equivalence"] for n in (10, 400))
    assert few > 0.05 > many
    one = estimate([changed(0, 0, 6, [0] * 6)], SETTINGS, ["x"])
    assert math.isnan(one["p_equivalence"]) and math.isnan(one["ci_low"]) and math.isnan(one["p"])


def test_where_interval_and_test_differ_the_weaker_holds() -> None:
    # 4 against 0 of 20: Tango's interval begins above zero, and the mid-p is 1/16.
    assert Tango(4, 0, 20).limits(0.05)[0] > 0
    found = estimate([changed(4, 0, 20)], SETTINGS, ["x"])
    assert found["p"] == pytest.approx(1 / 16)
    assert found["ci_low"] == 0.0
    assert found["ci_high"] == Tango(4, 0, 20).limits(0.05)[1]


def test_a_single_question_has_an_interval_that_is_possible() -> None:
    found = estimate([changed(1, 0, 1)], SETTINGS, ["x"])
    assert -1 < found["ci_low"] < 0 and found["ci_high"] == 1.0
    assert math.isnan(spread([changed(1, 0, 1)]).smallest(0.05)) and math.isnan(found["se"])


counts = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 40)).filter(any)


@settings(max_examples=150, deadline=None)
@given(counts, st.sampled_from(["rate", "clusters", "repeats", "four cells", "metric"]), st.data())
def test_interval_and_test_never_contradict_each_other(
    count: tuple[int, int, int], kind: str, data: st.DataObject
) -> None:
    helped, hurt, same = count
    n = helped + hurt + same
    codes: list[int] | None = None
    if kind == "clusters":
        codes = data.draw(st.lists(st.integers(0, 11), min_size=n, max_size=n))
    elif kind == "repeats":
        codes = [i // 2 if i < 6 else i for i in range(n)]
    cells = changed(helped, hurt, n, codes)
    if kind in ("four cells", "metric"):
        draw = np.random.default_rng(n)
        more = draw.integers(0, 2, size=(n, 2)) * np.array([1.0, -1.0])
        four = np.column_stack([cells.values, more])
        scores = cells.values * draw.random((n, 1))  # ties stay
        cells = Cells(four if kind == "four cells" else scores, None)
    found = interval_and_p([cells], SETTINGS, ["x"])
    if found is None:
        return
    reach = cells.reach
    assert -reach <= found.low <= found.high <= reach
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert found.low <= cells.differences.mean() <= found.high


def test_the_method_fits_the_data() -> None:
    kinds = [
        (changed(3, 1, 30), "Tango"),
        (changed(3, 1, 40, [i // 4 for i in range(40)]), "Flips"),
        (changed(3, 1, 80, [i // 2 for i in range(80)]), "Studentised"),
        (Cells(np.array([[0.2, 0.1], [0.4, -0.1], [0.3, 0.3]]), None), "Studentised"),
        (changed(0, 0, 40, [i // 4 for i in range(40)]), "Alike"),
    ]
    for cells, name in kinds:
        assert type(inference([cells], SETTINGS, ["x"])).__name__ == name
    assert type(inference([changed(3, 1, 30)] * 2, SETTINGS, ["x"])).__name__ == "Average"
    few = changed(3, 1, 14, [i // 2 for i in range(14)])
    assert inference([few], SETTINGS, ["x"]) is None
    assert inference([changed(3, 1, 30), few], SETTINGS, ["x"]) is None


def test_what_is_found_is_by_the_discordant_share_whatever_the_gain() -> None:
    # 127 helped and 6 hurt of 240: the same share changes as with 66 and 67.
    large, none = (spread([changed(*pair, 240)]) for pair in ((127, 6), (66, 67)))
    assert large == none
    assert mid_p_power(240, large.smallest(0.05), 133 / 240) == pytest.approx(0.8, abs=0.01)
    # The exact test would take 13.8 points; the mid-p finds a little less.
    assert 0.13 < large.smallest(0.05) < 0.138
    assert large.smallest(0.05 / 8) > 1.2 * large.smallest(0.05)


def test_settings_of_a_config_that_does_not_name_a_margin() -> None:
    analysis = {"alpha": 0.1, "resamples": 300}
    config = about_of({"seed": 2, "analysis": analysis}, {}).config
    assert Settings.of(config) == Settings(2, 0.1, 300, 0.03)

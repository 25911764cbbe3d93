"""Intervals over queries and paired differences, against SciPy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.quality import differences, means, query_clusters
from ragbench.analysis.statistics.inference import Values
from ragbench.base.records import Query


def by_query(values: Values) -> dict[str, float]:
    return {f"q{number}": float(value) for number, value in enumerate(values)}


def drawn(n: int, seed: int) -> Values:
    """Values as nDCG has them: a third 0, a third 1, others between."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, 3, size=n)
    return np.where(kinds == 2, draw.beta(2, 2, size=n), kinds.astype(np.float64))


def test_a_rate_has_wilsons_interval() -> None:
    values = np.array([1.0] * 37 + [0.0] * 13)
    found = means({"R@5": by_query(values)}, None)["R@5"]
    assert found.value == pytest.approx(37 / 50)
    wanted = proportion_confint(37, 50, method="wilson")
    assert (found.low, found.high) == pytest.approx(wanted)


def test_a_graded_measure_has_an_interval_near_the_bootstraps() -> None:
    """The studentised interval is within a tenth of its width of SciPy's BCa bootstrap."""
    values = drawn(200, 3)
    found = means({"nDCG@10": by_query(values)}, None)["nDCG@10"]
    made = stats.bootstrap((values,), np.mean, n_resamples=4000, rng=1).confidence_interval
    slack = (made.high - made.low) / 10
    assert (found.low, found.high) == pytest.approx((made.low, made.high), abs=slack)


def test_clusters_widen_it_as_statsmodels_says() -> None:
    """Fifty clusters of four equal queries are worth fifty queries, not two hundred."""
    import statsmodels.api as sm

    values, clusters = np.repeat(drawn(50, 4), 4), np.repeat(np.arange(50), 4)
    found = means({"nDCG@10": by_query(values)}, clusters)["nDCG@10"]
    fitted = sm.OLS(values, np.ones(200)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
    )
    low, high = fitted.conf_int()[0]
    slack = (high - low) / 10
    assert (found.low, found.high) == pytest.approx((low, high), abs=slack)
    alone = means({"nDCG@10": by_query(values)}, None)["nDCG@10"]
    assert alone.high - alone.low < 0.6 * (found.high - found.low)


def test_found_or_not_is_mcnemars_test() -> None:
    """9 queries found by the first alone and 2 by the second: mid-p = exact p less one point."""
    first = np.array([1.0] * 30 + [1.0] * 9 + [0.0] * 2 + [0.0] * 9)
    second = np.array([1.0] * 30 + [0.0] * 9 + [1.0] * 2 + [0.0] * 9)
    found = differences({"R@5": by_query(first)}, {"R@5": by_query(second)}, None)["R@5"]
    exact = mcnemar([[30, 9], [2, 9]], exact=True).pvalue
    assert found.p == pytest.approx(exact - stats.binom.pmf(2, 11, 0.5))
    assert found.estimate == pytest.approx(7 / 50)
    assert (found.better, found.worse) == (9, 2)
    assert found.low > 0 if found.p < 0.05 else found.low <= 0


def test_graded_differences_are_near_the_paired_t_test() -> None:
    """Of 200 queries, so many that neither skewness nor the added two count for much."""
    first, second = drawn(200, 5), drawn(200, 6)
    second = np.clip(first * 0.9 + 0.05 * second, 0, 1)
    found = differences({"AP": by_query(first)}, {"AP": by_query(second)}, None)["AP"]
    paired = stats.ttest_rel(first, second)
    interval = paired.confidence_interval()
    slack = (interval.high - interval.low) / 10
    assert found.estimate == pytest.approx(float((first - second).mean()))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=slack)
    assert found.p < 1e-4 and paired.pvalue < 1e-4
    assert found.better == int((first > second).sum())


def test_the_other_way_round_is_the_same_with_other_signs() -> None:
    first, second = {"AP": by_query(drawn(60, 7))}, {"AP": by_query(drawn(60, 8))}
    one, other = differences(first, second, None)["AP"], differences(second, first, None)["AP"]
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (-other.estimate, -other.high, -other.low)
    )
    assert one.p == pytest.approx(other.p)
    assert (one.better, one.worse) == (other.worse, other.better)


def test_p_is_adjusted_over_the_measures() -> None:
    """Holm: the smaller of two p is doubled; the larger is at least as large."""
    first = {"A": by_query(drawn(80, 1)), "B": by_query(drawn(80, 2))}
    second = {"A": by_query(drawn(80, 3)), "B": by_query(drawn(80, 4) * 0.5)}
    found = differences(first, second, None)
    small, large = sorted(found.values(), key=lambda one: one.p)
    assert small.p_adjusted == pytest.approx(min(1, 2 * small.p))
    assert large.p_adjusted == pytest.approx(max(large.p, small.p_adjusted))


def test_a_retriever_against_itself() -> None:
    values = {"R@5": by_query(drawn(50, 9).round())}
    found = differences(values, values, None)["R@5"]
    assert (found.estimate, found.better, found.worse, found.p) == (0.0, 0, 0, 1.0)
    assert found.low < 0 < found.high


def test_queries_of_one_patient_or_the_same_words_belong_together() -> None:
    queries = [
        Query("1", "Gout?", "p1"),
        Query("2", "fever"),
        Query("3", "gout"),
        Query("4", "rash", "p1"),
        Query("5", "Fever!"),
        Query("6", "stroke", "p2"),
    ]
    codes = query_clusters(queries)
    assert codes is not None
    assert codes.tolist() == [0, 1, 0, 0, 1, 2]
    assert query_clusters(queries[:2]) is None
    # A cluster that is called as a question reads is not that question.
    assert query_clusters([Query("1", "fever", "x"), Query("2", "rash", "fever")]) is None


def test_fewer_than_eight_clusters_have_neither_interval_nor_p() -> None:
    values, clusters = {"AP": by_query(drawn(20, 1))}, np.arange(20) % 7
    assert math.isnan(means(values, clusters)["AP"].low)
    other = {"AP": by_query(drawn(20, 2))}
    found = differences(values, other, clusters)["AP"]
    assert math.isnan(found.low) and math.isnan(found.p) and math.isnan(found.p_adjusted)

"""False findings, coverage and power by simulation, with fixed seeds; docs/statistics.md has more.

The bounds are two standard errors of the simulated rate, as of 95 % or 5 % in so many repeats.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ragbench.analysis.statistics.power import exact_power, questions_needed

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_statistics.py"
REPEATS, FEW = 1500, 800


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate_statistics", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("n", "mean"), [(50, 0.3), (140, 0.5), (500, 0.9)])
def test_mcnemar_finds_no_more_than_alpha(simulate: ModuleType, n: int, mean: float) -> None:
    rate = simulate.null_mcnemar(REPEATS, n, mean)
    assert rate <= 0.05 + simulate.margin(0.05, REPEATS)


@pytest.mark.parametrize("n", [20, 60])
def test_sign_flips_find_alpha(simulate: ModuleType, n: int) -> None:
    rate = simulate.null_sign_flip(FEW, n)
    assert rate == pytest.approx(0.05, abs=simulate.margin(0.05, FEW))


def test_by_cluster_no_more_than_alpha_and_without_clusters_more(simulate: ModuleType) -> None:
    rate, naive = simulate.null_clustered(FEW, 20, 20)
    assert rate == pytest.approx(0.05, abs=simulate.margin(0.05, FEW))
    assert naive > 0.1  # what a test that ignores clusters would find


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("difference", [0.0, 0.2])
def test_intervals_hold_the_truth(simulate: ModuleType, mean: float, difference: float) -> None:
    rate = simulate.coverage(REPEATS, 100, mean, difference)
    assert 0.93 <= rate <= 0.97


@pytest.mark.parametrize(("clusters", "size"), [(10, 20), (40, 5)])
def test_intervals_by_cluster_hold_the_truth(
    simulate: ModuleType, clusters: int, size: int
) -> None:
    assert 0.93 <= simulate.coverage_clustered(REPEATS, clusters, size) <= 0.97


def test_a_planted_effect_is_found_as_often_as_predicted(simulate: ModuleType) -> None:
    n = questions_needed(0.1, 0.2)
    predicted = exact_power(n, 0.1, 0.2)
    rate = simulate.power(REPEATS, n, 0.1, 0.2)
    assert rate == pytest.approx(predicted, abs=simulate.margin(predicted, REPEATS))


def test_the_margin_itself_is_seldom_called_equivalent(simulate: ModuleType) -> None:
    for n, discordant in ((100, 0.1), (600, 0.2)):
        rate = simulate.false_equivalence(REPEATS, n, discordant)
        assert rate <= 0.05 + simulate.margin(0.05, REPEATS)


def test_a_pair_that_bought_nothing_seldom_has_a_finding(simulate: ModuleType) -> None:
    adjusted, bare = simulate.false_family(400, 140, draws=299)
    assert adjusted <= 0.05 + simulate.margin(0.05, 400)
    assert bare > adjusted

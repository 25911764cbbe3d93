"""Coverage, size, power and agreement by simulation, with fixed seeds; docs/statistics.md has more.

The bounds are two standard errors of the simulated rate, as of 95 % or 5 % in so many repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
REPEATS = 800


@pytest.fixture(scope="module")
def simulate() -> Iterator[ModuleType]:
    """The script, which finds the module of its designs beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield import_module("simulate_statistics")


@pytest.fixture(scope="module")
def designs(simulate: ModuleType) -> ModuleType:
    return import_module("statistics_designs")


def check(simulate: ModuleType, design: object, repeats: int = REPEATS) -> float:
    """Check what holds on every design, and return the rate of rejections."""
    found = simulate.examine(design, repeats)
    assert found.contradictions == found.outside == 0
    assert found.coverage >= 0.95 - simulate.margin_of(0.95, repeats)
    return float(found.rejected)


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize(("up", "down"), [(0.03, 0.02), (0.07, 0.07), (0.35, 0.25)])
def test_two_cells(
    simulate: ModuleType, designs: ModuleType, n: int, up: float, down: float
) -> None:
    data = partial(designs.paired, n=n, up=up, down=down)
    rejected = check(simulate, designs.Design("", data, up - down))
    if up == down:
        assert rejected <= 0.05 + simulate.margin_of(0.05, REPEATS)


@pytest.mark.parametrize("kind", ["normal", "skewed", "half tied", "90 % tied"])
def test_metrics_that_are_not_rates(simulate: ModuleType, designs: ModuleType, kind: str) -> None:
    data = partial(designs.metric, n=40, kind=kind, effect=0.0)
    rejected = check(simulate, designs.Design("", data, 0.0))
    assert rejected <= 0.05 + simulate.margin_of(0.05, REPEATS)


def test_interactions(simulate: ModuleType, designs: ModuleType) -> None:
    data = partial(designs.interaction, n=60, flipped=0.1, effect=0.0)
    rejected = check(simulate, designs.Design("", data, 0.0))
    assert rejected <= 0.05 + simulate.margin_of(0.05, REPEATS)


@pytest.mark.parametrize("name", ["10 x 10", "60 x 2", "100 and 9 x 5", "40 x 1 and 5 twice"])
def test_clusters(simulate: ModuleType, designs: ModuleType, name: str) -> None:
    data = partial(
        designs.in_clusters, sizes=designs.CLUSTERS[name], kind="0.2", shared=0.3, effect=0.0
    )
    rejected = check(simulate, designs.Design("", data, 0.0), 400)
    assert rejected <= 0.05 + simulate.margin_of(0.05, 400)


@pytest.mark.slow
def test_averages_over_tasks_of_unequal_size(simulate: ModuleType, designs: ModuleType) -> None:
    for design in list(designs.averages())[1:4]:
        check(simulate, design, 400)


@pytest.mark.slow
def test_an_effect_is_found_as_often_as_foretold(simulate: ModuleType, designs: ModuleType) -> None:
    known = dict(designs.power_designs())
    for name in ("n 200, 30 % changed", "n 50, metric, normal", "20 x 5, normal, 0.3 between"):
        _, rate = simulate.power(known[name], 500, 0.05)
        assert rate == pytest.approx(0.8, abs=0.02 + simulate.margin_of(0.8, 500))


def test_the_margin_itself_is_seldom_called_equivalent(
    simulate: ModuleType, designs: ModuleType
) -> None:
    for n, changed in ((200, 0.2), (1000, 0.06)):
        data = partial(designs.paired, n=n, up=(changed + 0.05) / 2, down=(changed - 0.05) / 2)
        found = simulate.examine(designs.Design("", data, 0.05), REPEATS, margin=0.05)
        assert found.equivalent <= 0.05 + simulate.margin_of(0.05, REPEATS)


def test_a_pair_that_bought_nothing_seldom_has_a_finding(simulate: ModuleType) -> None:
    adjusted, bare = simulate.false_family(400, 140)
    assert adjusted <= 0.05 + simulate.margin_of(0.05, 400)
    assert bare > adjusted

"""Coverage and false findings at any look, by simulation; docs/statistics.md has more.

The bounds are three standard errors of the simulated rate, as of 95 % or 5 % in so many repeats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p
from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.sequential.decide import Rules

SCRIPTS = Path(__file__).parents[2] / "scripts"
REPEATS = 400
OVER = 3 * math.sqrt(0.05 * 0.95 / REPEATS)


@pytest.fixture(scope="module")
def scripts() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield patch


@pytest.fixture(scope="module")
def simulate(scripts: pytest.MonkeyPatch) -> ModuleType:
    return import_module("simulate_sequential")


@pytest.fixture(scope="module")
def designs(scripts: pytest.MonkeyPatch) -> ModuleType:
    return import_module("sequential_designs")


@pytest.fixture(scope="module")
def replay(scripts: pytest.MonkeyPatch) -> ModuleType:
    return import_module("replay_sequential")


@pytest.mark.parametrize(
    ("group", "place"),
    [
        ("two cells", 0),
        ("two cells", 5),
        ("two cells", 9),
        ("interactions", 2),
        ("metrics", 4),
        ("clusters", 8),
        ("strata", 0),
        ("strata", 1),
    ],
)
def test_sequences_hold_at_all_looks(
    simulate: ModuleType, designs: ModuleType, group: str, place: int
) -> None:
    design = list(designs.GROUPS[group]())[place]
    found = simulate.examine(design, REPEATS)
    assert found.held >= 0.95 - OVER
    assert found.held <= found.least
    if not design.mean:
        assert found.shown <= 0.05 + OVER
    else:
        assert found.shown > 0.5


def test_designs_draw_what_they_say(designs: ModuleType) -> None:
    """The mean of a large sample is the mean of the design."""
    draw, looks = np.random.default_rng(1), np.array([400_000])
    for group in designs.GROUPS.values():
        for design in group():
            counts = design.draw(draw, 1, looks)[0, 0]
            weights = counts * design.weights
            found = weights @ design.values / weights.sum()
            assert found == pytest.approx(design.mean, abs=0.006), design.name
            assert design.chances.sum(axis=1) == pytest.approx(1)


def test_a_margin_itself_is_seldom_called_equivalent(
    simulate: ModuleType, designs: ModuleType
) -> None:
    found = simulate.examine(designs.changes(0.03, 0.0), REPEATS)
    assert found.equivalent <= 0.05 + OVER


def test_a_pair_that_bought_nothing_seldom_has_a_finding(simulate: ModuleType) -> None:
    adjusted, bare = simulate.false_family(REPEATS, 0.5)
    assert adjusted <= 0.05 + OVER
    assert bare >= adjusted


@pytest.mark.slow
def test_the_verdict_is_that_of_the_full_run(simulate: ModuleType) -> None:
    found = simulate.agreement(0.1, 0.2, 400, 0.2, 1000)
    assert found.same >= 0.95
    none = simulate.agreement(0.0, 0.3, 1000, 0.2, 1000)
    assert none.shown <= 0.05 + OVER
    # The looks cost nothing: a test of all questions at its part of alpha differs as often.
    assert none.same == pytest.approx(none.alone, abs=0.01)


@pytest.mark.slow
def test_averages_over_tasks_hold_at_all_looks(
    simulate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [(200, 0.16, 0.04), (400, 0.04, 0.16)]
    monkeypatch.setattr(simulate, "STRATIFIED", {"two tasks": parts})
    *_, row = simulate.of_tasks(REPEATS)
    held, least, shown = (float(cell.split()[0]) for cell in row.split(" | ")[1:4])
    assert least >= held >= 0.95 - OVER
    assert shown <= 0.05 + OVER


def gain(replay: ModuleType, task: str, values: Values) -> object:
    cells = Cells(np.column_stack([np.maximum(values, 0), np.minimum(values, 0)]), None)
    tests = []
    for alpha in (Rules().alpha, Rules().of_full):
        settings = Settings(1, alpha, 99, Rules().margin)
        tests.append(interval_and_p([cells], settings, [task]))
    return replay.Gain(task, cells, *tests)


def test_a_replay_stops_each_gain_when_it_is_decided(replay: ModuleType) -> None:
    large = np.repeat([1.0, -1.0, 0.0], [80, 20, 100])
    none = np.repeat([1.0, -1.0, 0.0], [12, 12, 126])
    family = [gain(replay, "large", large), gain(replay, "none", none)]
    assert replay.verdicts(family, Rules()) == [{"shown"}, {"exhausted"}]
    for seed in range(3):
        first, second = replay.replayed(family, Rules(), seed)
        assert first[0] == "shown"
        assert 50 <= first[1] < 200
        assert second == ("exhausted", 150)
    again = [replay.replayed(family, Rules(), 0) for _ in range(2)]
    assert again[0] == again[1]

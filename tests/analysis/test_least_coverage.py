"""The least that an interval could cover: above the floor, below ragbench's own, and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def least() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield import_module("least_coverage")


@pytest.mark.parametrize(("up", "down"), [(0.006, 0.004), (0.015, 0.01), (0.05, 0.0)])
def test_few_changes_leave_no_choice(least: ModuleType, up: float, down: float) -> None:
    bound = least.least_coverage(20, up, down, 0.93)
    assert 0.98 < bound <= least.covered(20, up, down) + 1e-6


def test_without_an_effect_the_interval_is_the_test(least: ModuleType) -> None:
    # An interval that holds zero wherever McNemar's mid-p finds nothing has no choice left: five
    # changes one way (mid-p 1/32) and rarer results are all that may be outside.
    bound, own = least.least_coverage(20, 0.025, 0.025, 0.93), least.covered(20, 0.025, 0.025)
    assert bound == pytest.approx(own, abs=1e-5)


def test_the_chances_of_tables_by_hand(least: ModuleType) -> None:
    # 20 questions: none changes .99^20; one is helped 20 * .006 * .99^19.
    found = least.chances([(0, 0), (1, 0)], 20, 0.006, 0.004)
    assert found.tolist() == pytest.approx([0.99**20, 20 * 0.006 * 0.99**19])

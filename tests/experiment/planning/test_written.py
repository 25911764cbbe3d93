"""A plan counts what models write before the answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.plan import Plan, make_plan
from tests.experiment.writing.cases import N, make_cases

ANSWERS = 11 * N  # of each model, one per arm


@pytest.fixture
def plan(home: Path) -> Plan:
    return make_plan(Grid(*load_config(str(make_cases(home) / "written.yaml"))))


def test_calls_of_writers_are_counted(plan: Plan) -> None:
    prompts = {found.model: found.prompts for found in plan.estimates}
    # llama writes rationale, own, parts, shown and memory; med own and memory, and judges 12 each.
    assert prompts == {"llama": ANSWERS + 5 * N, "med": ANSWERS + 2 * N + 12 * N}
    written = {found.model: found.reply_tokens for found in plan.estimates}
    assert written == {
        "llama": N * (256 + 256 + 192 + 64 + 2 * 200),
        "med": N * (256 + 2 * 200),
    }


def test_the_plan_says_what_is_written_and_who_gets_what(plan: Plan) -> None:
    notes = "\n".join(plan.notes)
    assert "llama writes the queries 'rationale' on cases: 12 replies of at most 256" in notes
    assert "med judges the first 12 passages of bm25~parts on cases: at most 144 prompts" in notes
    assert "own-1: each model has its own queries" in notes
    assert "rationale-1: all models get the same passages" in notes


def test_samples_say_that_passages_are_not_known_yet(plan: Plan) -> None:
    notes = {sample.arm: sample.note for sample in plan.samples}
    assert "when a model has written the queries" in notes["own-1"]
    assert notes["memory"] == notes["shuffled-memory"] != ""

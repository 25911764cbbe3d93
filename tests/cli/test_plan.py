"""``ragbench plan`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import ragbench


def test_plan_prints_grid_prompts_and_costs(finished_home: Path) -> None:
    done = ragbench(finished_home, "plan", "small.yaml")
    assert done.returncode == 0, done.stderr
    assert "everything is built" in done.stdout
    assert "Reference passages:" in done.stdout
    assert "prompt tokens, about" in done.stdout
    as_json = json.loads(ragbench(finished_home, "plan", "small.yaml", "--json").stdout)
    assert len(as_json["samples"]) == 15
    refused = ragbench(finished_home, "plan", "small.yaml", "--set", "packing.budget_tokens=9999")
    assert refused.returncode == 2
    assert "packing.budget_tokens" in refused.stderr

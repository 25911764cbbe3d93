"""``ragbench plan`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.base.errors import UsageError
from ragbench.cli.main import cli


def test_plan_prints_grid_prompts_and_costs(
    finished_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(finished_home))
    config = str(finished_home / "small.yaml")
    run = CliRunner().invoke
    done = run(cli, ["plan", config])
    assert done.exit_code == 0, done.stderr
    assert "everything is built" in done.stdout
    assert "Reference passages:" in done.stdout
    # bm25-2 comes first, and random-5 imitates bm25-5.
    why = "the first retrieval arm that a control imitates"
    assert f"\nprimary arm of icd10cm: bm25-5 ({why})\n" in done.stdout
    assert "prompt tokens, about" in done.stdout
    as_json = json.loads(run(cli, ["plan", config, "--json"]).stdout)
    assert len(as_json["samples"]) == 15
    assert as_json["primary"] == [{"task": "icd10cm", "arm": "bm25-5", "why": why}]
    refused = run(cli, ["plan", config, "--set", "packing.budget_tokens=9999"])
    assert isinstance(refused.exception, UsageError)
    assert "packing.budget_tokens" in refused.exception.fix

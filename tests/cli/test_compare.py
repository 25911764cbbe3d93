"""``ragbench compare`` on a real run against itself, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.analysis.load import load_run
from ragbench.cli.main import cli


def test_two_arms_of_a_run(mixed_copy: Path) -> None:
    command = ["compare", "mixed", "mixed", "--arm", "closed-book=bm25-2"]
    result = CliRunner().invoke(cli, [*command, "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {(row["arm"], row["other_arm"]) for row in rows} == {("closed-book", "bm25-2")}
    scores = load_run(mixed_copy).scores
    for row in rows:
        cells = scores[scores.task == row["task"]].groupby("arm").accuracy.mean()
        assert row["estimate"] == pytest.approx(cells["bm25-2"] - cells["closed-book"])
    shown = CliRunner().invoke(cli, command)
    assert "closed-book, bm25-2" in shown.stdout and "adjusted p" in shown.stdout


def test_what_is_refused(mixed_copy: Path) -> None:
    result = CliRunner().invoke(cli, ["compare", "mixed", "mixed", "--arm", "closed-book"])
    assert result.exit_code == 2
    assert "--arm takes A=B" in result.output
    result = CliRunner().invoke(cli, ["compare", "mixed", "mixed", "--arm", "nothing=bm25-2"])
    assert "the run has no arm 'nothing'" in str(result.exception or result.output)

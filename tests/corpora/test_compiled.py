"""Compiled loops: kept on disk where that can be, and run all the same where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUM = """
from ragbench.corpora.compiled import compiled

@compiled
def total(values):
    found = 0
    for value in values:
        found += value
    return found
"""
CALL = "import numpy, loops; print(loops.total(numpy.arange(5)), loops.total.stats.cache_misses)"


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_loop_runs_also_where_its_code_cannot_be_kept(tmp_path: Path, is_writable: bool) -> None:
    (tmp_path / "loops.py").write_text(SUM, encoding="utf-8")
    if not is_writable:
        (tmp_path / "__pycache__").touch()  # no folder: also the superuser cannot write into it
    nowhere = {"HOME": "/dev/null/none", "XDG_CACHE_HOME": "/dev/null/none"}
    environment = {key: text for key, text in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env={**environment, **nowhere, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "10"
    kept = list(tmp_path.glob("__pycache__/loops.total*.nbc"))
    assert len(kept) == is_writable

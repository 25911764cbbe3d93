"""``python -m ragbench``."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import ragbench


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ragbench", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_version_and_help(home: Path) -> None:
    done = run(home, "--version")
    assert (done.returncode, done.stdout) == (0, f"ragbench, version {ragbench.__version__}\n")
    shown = run(home, "--help")
    assert shown.returncode == 0
    assert "corpus" in shown.stdout
    assert "RAGBENCH_HOME" in shown.stdout


def test_an_unknown_command_is_a_usage_error(home: Path) -> None:
    done = run(home, "corpsu")
    assert done.returncode == 2
    assert "did you mean 'corpus'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_expected_error_shows_no_traceback_unless_asked(home: Path) -> None:
    done = run(home, "corpus", "build", "../x")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: '../x' cannot be the name of a corpus\nfix:   a name has only letters"
    )
    assert "Traceback" in run(home, "--debug", "corpus", "build", "../x").stderr
    assert list(home.iterdir()) == []


def test_importing_it_runs_nothing() -> None:
    assert importlib.import_module("ragbench.__main__").main is not None

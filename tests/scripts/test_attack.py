"""A small, seeded part of the attacks; docs/security.md has the figures of large ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).parents[2] / "scripts" / "attack"


def attack(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ATTACK), *arguments],
        env={**os.environ, "PYTHONPATH": str(ATTACK.parents[1])},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_damaged_inputs_end_in_errors_of_ragbench() -> None:
    assert attack("fuzz", "--seed", "7", "--cases", "300").split() == ["all", "300", "0"]


@pytest.mark.slow
def test_one_flipped_bit_gives_no_other_figure() -> None:
    kind, tried, found, wrong = attack("flip", "--seed", "7", "--cases", "60").split()
    # Three of the thirty kinds are notes that a file was verified; no figure depends on them.
    assert (kind, tried, found, wrong) == ("all", "60", "54", "0")


@pytest.mark.slow
def test_killed_commands_resume_and_lose_nothing() -> None:
    said = attack("kill", "--seed", "7", "--cases", "20", "--only", "run")
    assert said.endswith("   0; 0 records lost"), said

"""Progress: plain lines in a pipe, a bar on a terminal, nothing on standard output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from ragbench.base import progress
from ragbench.base.progress import Progress, say, stage


def test_say_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("corpus x: reading")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "corpus x: reading\n"


def test_a_stage_ends_with_its_count_and_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("corpus x: reading") as counter:
        for _ in range(1234):
            counter.advance()
        counter.advance(100)
    assert counter.done == 1334
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "corpus x: reading: 1,334 in 0.0 s\n"


def test_a_stage_that_fails_does_not_claim_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), stage("x", 3) as counter:
        counter.advance()
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_time_left_is_in_proportion(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Progress("index x: embedding", 4000)
    counter.started -= 10
    counter._last -= progress.PLAIN_INTERVAL_S
    counter.advance(1000)  # 10 s for 1,000, so 30 s for the other 3,000
    assert capsys.readouterr().err == (
        "index x: embedding: 1,000 of 4,000 in 10 s, about 30 s left\n"
    )
    counter.advance(1000)  # too soon after the last line
    assert capsys.readouterr().err == ""


def test_an_unknown_total_shows_no_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Progress("x", None)
    counter.started -= 7
    counter._last -= progress.PLAIN_INTERVAL_S
    counter.advance(2)
    assert capsys.readouterr().err == "x: 2 in 7 s\n"


def test_on_a_terminal_a_bar_is_drawn_and_taken_away() -> None:
    code = (
        "from ragbench.base.progress import stage\n"
        "with stage('index x: embedding', 4) as counter:\n"
        "    for _ in range(4): counter.advance()\n"
    )
    terminal, inner = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=inner,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        timeout=600,
        check=True,
    )
    os.close(inner)
    shown = os.read(terminal, 100_000).decode("utf-8")
    os.close(terminal)
    assert done.stdout == b""
    assert "4/4" in shown
    assert (
        shown.rstrip().split("\n")[-1].split("\x1b[2K")[-1].startswith("index x: embedding: 4 in")
    )

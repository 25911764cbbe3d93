"""``ragbench watch`` prints the last look, and changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.cli.plan import plan
from ragbench.cli.run import watch
from tests.experiment.answering.stopping_home import N


def test_watch_prints_the_last_look(stopped_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(stopped_home))
    shown = CliRunner().invoke(watch, ["stops"])
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.output.splitlines()]
    assert [row[-2:] for row in rows if "reads" in row] == [["shown", "20"]]
    assert [row[-3:] for row in rows if "guesses" in row] == [["not", "shown", str(N)]]
    found = json.loads(CliRunner().invoke(watch, ["stops", "--json"]).output)
    assert [effect["verdict"] for effect in found] == ["shown", "exhausted"]


def test_plan_names_the_questions_that_stopping_saves(
    stopped_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(stopped_home))
    shown = CliRunner().invoke(plan, [str(stopped_home / "stops.yaml"), "--json"])
    (note,) = (line for line in json.loads(shown.output)["notes"] if "until it is decided" in line)
    assert note.startswith(f"facts: instead of {N} questions")
    means = [int(found) for found in re.findall(r"(\d+) for a true difference", note)]
    assert len(means) == 4
    assert N >= means[0] >= means[-1] >= 20

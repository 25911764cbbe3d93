"""``ragbench watch`` prints the last look, and changes nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.cli.plan import plan
from ragbench.cli.run import watch
from tests.experiment.answering.stopping_home import N, make_stopping_home


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
    assert shown.exit_code == 0, repr(shown.exception)
    (note,) = (line for line in json.loads(shown.output)["notes"] if "until it is decided" in line)
    assert note.startswith(f"facts: instead of {N} questions")
    found = re.findall(r"(\d+) \((\d+) %\) for a true difference", note)
    assert len(found) == 4
    assert N >= int(found[0][0]) >= int(found[-1][0]) >= 20
    for mean, percent in found:
        assert abs(int(percent) - 100 * int(mean) / N) <= 1
    # 16 of the 20 questions of one primary effect changed, and 13 + 9 of the 60 of the other
    table = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    table = table[table.family == "primary"]
    assert (table.n.sum(), table.helped.sum() + table.hurt.sum()) == (80, 38)
    assert "if 47.5 % of the questions are discordant (as in the run stops)" in note


def test_plan_names_the_discordant_share_that_it_assumes(home: Path, stopped_home: Path) -> None:
    for name in ("corpora", "indexes"):
        shutil.copytree(stopped_home / name, home / name)
    make_stopping_home(home)
    command = [str(home / "stops.yaml"), "--json"]
    cases: list[tuple[list[str], str, int]] = [
        ([], "30 % of the questions are discordant (assumed)", 4),
        (["--discordant", "0.1"], "10 % of the questions are discordant (stated)", 3),
    ]
    for more, share, n in cases:
        shown = CliRunner().invoke(plan, [*command, *more])
        (note,) = (line for line in json.loads(shown.output)["notes"] if "until it" in line)
        assert share in note
        assert note.count("true difference") == n  # a difference of 20 points needs 20 % discordant

"""``ragbench power``: tables of what so many questions see."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.analysis.statistics.power import mid_p_power, questions_needed, smallest_difference
from ragbench.base.errors import UsageError
from ragbench.cli.main import cli


def rows(*command: str) -> list[dict[str, float]]:
    result = CliRunner().invoke(cli, ["power", *command, "--json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, float]] = json.loads(result.stdout)
    return found


def test_each_question_that_it_answers() -> None:
    (needed,) = rows("--difference", "0.1", "--discordant", "0.2")
    assert needed["questions"] == questions_needed(0.1, 0.2)
    seen = rows("--questions", "140")
    assert [row["discordant"] for row in seen] == [0.05, 0.1, 0.2, 0.3, 0.4]
    assert seen[2]["difference"] == smallest_difference(140, 0.2)
    (both,) = rows("-n", "140", "-d", "0.014", "--discordant", "0.2")
    assert both["power"] == pytest.approx(mid_p_power(140, 0.014, 0.2), abs=1e-4)


def test_a_table_for_people() -> None:
    result = CliRunner().invoke(cli, ["power", "--questions", "3"])
    assert result.stdout.splitlines()[0].split() == [
        *("discordant", "difference", "questions", "power", "alpha")
    ]
    assert " - " in result.stdout  # three questions cannot be enough


def test_of_a_run(mixed_copy: Path) -> None:
    found = rows("mixed", "--difference", "0.05")
    assert {"effect", "model", "task", "arm", "n", "level", "sees", "questions"} <= set(found[0])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "give --difference, --questions, or both"),
        (["mixed", "--questions", "5"], "RUN needs --difference"),
        (["--difference", "5"], "5.0 is not in the range"),
    ],
)
def test_what_is_refused(command: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["power", *command])
    assert result.exit_code == 2
    assert message in result.output


def test_sequential_against_a_fixed_number() -> None:
    command = ("--difference", "0.1", "--discordant", "0.2", "--sequential", "--tokens", "900")
    (row,) = rows(*command)
    needed = questions_needed(0.1, 0.2)
    assert row["questions"] == needed
    assert row["median"] <= row["most"] <= needed
    assert 50 <= row["mean"] < needed
    assert row["tokens"] == 900 * needed
    assert row["tokens_expected"] == pytest.approx(900 * row["mean"], rel=0.01)
    assert 0.7 < row["shown"] < 0.85  # the test of all of them has four fifths of alpha
    assert rows(*command) == [row]
    (other,) = rows(*command, "--seed", "1")
    assert other["mean"] != row["mean"]
    (late,) = rows(*command, "--min-questions", "100")
    assert late["mean"] > row["mean"]


def test_sequential_by_the_changes_of_a_run(mixed_copy: Path) -> None:
    late = ("--min-questions", "60")  # one look, which costs little
    found = rows("mixed", "-d", "0.2", "--sequential", "--questions", "60", *late)
    effects = pd.read_csv(mixed_copy / "effects.csv")
    effects = effects[effects.stratum.isna() & ~effects.task.str.startswith("(")]
    known = {
        (row["effect"], row["model"], row["task"], row["arm"]): (row["helped"] + row["hurt"]) / 6
        for row in effects.to_dict(orient="records")
        if row["n"] == 6
    }
    assert len(found) >= len(known) > 0
    for row in found:
        names = str(row["effect"]), str(row["model"]), str(row["task"]), str(row["arm"])
        if names in known:
            assert row["discordant"] == pytest.approx(max(known[names], 0.2))
        assert row["questions"] == 60
        assert row["mean"] == 60


def test_no_difference_at_all_is_equivalent_in_time() -> None:
    command = ("-d", "0", "-n", "1000", "--discordant", "0.02", "--sequential")
    (row,) = rows(*command)
    assert row["equivalent"] > 0.95
    assert row["mean"] < 800
    (wide,) = rows(*command, "--margin", "0.1")
    assert wide["mean"] < row["mean"] / 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["--questions", "100", "--sequential"], "--sequential needs --difference"),
        (["mixed", "--sequential"], "RUN needs --difference"),
        (["mixed", "-d", "0.1", "--discordant", "0.2"], "does not accept --discordant"),
    ],
)
def test_what_sequential_refuses(command: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["power", *command])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_no_number_of_questions_finds_no_difference() -> None:
    result = CliRunner().invoke(cli, ["power", "-d", "0", "--sequential"])
    assert isinstance(result.exception, UsageError)
    assert "a difference of zero is never found" in str(result.exception)

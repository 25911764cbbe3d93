"""``ragbench power``: tables of what so many questions see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.analysis.statistics.power import mid_p_power, questions_needed, smallest_difference
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

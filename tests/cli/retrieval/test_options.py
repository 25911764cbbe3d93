"""Options that the commands over indexes share."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ragbench.cli.main import cli


@pytest.mark.parametrize("command", ["search", "eval"])
def test_commands_over_queries_have_the_same_options(command: str) -> None:
    said = " ".join(CliRunner().invoke(cli, ["index", command, "--help"]).stdout.split())
    assert "--id-field FIELD Field of the query ids (default: id, _id or qid)." in said
    assert "--query-field FIELD Field of the text to search with" in said


def test_a_device_is_one_of_three() -> None:
    done = CliRunner().invoke(cli, ["index", "search", "x", "y", "--device", "tpu"])
    assert done.exit_code == 2
    assert "'tpu' is not one of 'auto', 'cpu', 'cuda'" in done.stderr

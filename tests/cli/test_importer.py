"""``ragbench import`` on the command line."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ragbench.cli.main import cli
from tests.experiment.importing.test_import_mirage import lines, written


def test_mirage_replies_become_a_run_with_its_report(home: Path) -> None:
    predictions, benchmark = written(home, lines())
    arguments = ["import", "mirage", str(predictions), "--benchmark", str(benchmark)]
    result = CliRunner().invoke(cli, [*arguments, "--name", "gpt", "--mode", "mirage"])
    assert result.exit_code == 0, result.output
    assert "medrag-32" in result.output
    assert "5 of 8 answers (62.5 %) are assumed, most in gpt on pubmedqa" in result.output
    page = (home / "runs" / "gpt" / "report.md").read_text(encoding="utf-8")
    assert "5 of 8 answers (62.5 %) are assumed" in page
    assert "The answers were made elsewhere and imported, in the format of MIRAGE's" in page
    assert "differ only" not in page
    assert (home / "runs" / "gpt" / "report.html").is_file()
    result = CliRunner().invoke(cli, [*arguments, "--name", "gpt"])
    assert result.exit_code != 0


def test_a_file_that_is_not_there(home: Path) -> None:
    result = CliRunner().invoke(
        cli, ["import", "mirage", "no.jsonl", "--benchmark", "no.json", "--name", "x"]
    )
    assert "no such file" in str(result.exception)

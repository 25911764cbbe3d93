"""``ragbench run`` and ``ragbench score``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo

if TYPE_CHECKING:
    from pathlib import Path

    from ragbench.report.write import Written


@click.command()
@click.argument("config")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the config; repeatable.",
)
@click.option(
    "--extend", is_flag=True, help="Add models, tasks, arms or questions to an existing run."
)
@click.option("--all", "every", is_flag=True, help="Print every table after the verdict.")
def run(config: str, overrides: tuple[str, ...], extend: bool, every: bool) -> None:
    """Run CONFIG (a path or the name of a bundled config), or resume its run."""
    from ragbench.api import check_complete, run_to_report

    finished, written = run_to_report(config, overrides, extend=extend)
    print_report(written, every=every)
    check_complete(finished)


@click.command()
@click.argument("run_folder", metavar="RUN")
def score(run_folder: str) -> None:
    """Score the records of RUN (a folder or a name) again."""
    from ragbench.experiment.stages.score import score_cells
    from ragbench.runfolder.paths import find_run
    from ragbench.runfolder.runfile import read_run_file

    folder = find_run(run_folder)
    scored = score_cells(folder)
    mode = read_run_file(folder.run).config.mode
    echo(f"wrote {folder.scores(mode)}; {scored.errors} without answer")
    for cell in scored.unmeasured:
        echo(f"measured nothing: {cell}", err=True)


def print_summary(path: Path) -> None:
    """Write the report of a run; print the verdict and the paths."""
    from ragbench.report.write import write_report

    print_report(write_report(path))


def print_report(written: Written, *, every: bool = False) -> None:
    """Print the verdict of a report, where its files are, and what to try next."""
    from ragbench.cli.analyze import emit_results

    emit_results(written.run, written.results, written.effects, every=every)
    table = written.path.with_name("results.csv")
    echo(f"\nreport: {written.page}\n        {written.path}\ntable:  {table}")
    name = shlex.quote(written.path.parent.name)
    echo(f"next:   ragbench report {name} --open\n        ragbench analyze {name} --all")

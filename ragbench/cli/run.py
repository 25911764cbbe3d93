"""``ragbench run``, its parts ``prepare``, ``answer`` and ``finish``, ``score`` and ``watch``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from ragbench.base.errors import masked
from ragbench.cli.engine import cluster_of, with_engine
from ragbench.cli.output import echo, emit_json, emit_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ragbench.api import UntilWhen
    from ragbench.report.write import Written
    from ragbench.runfolder.looks.stopped import EffectDecision


def _with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Add the config and its overrides to the arguments of a command."""
    override = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the config; repeatable.",
    )
    return click.argument("config")(override(command))


_extend = click.option(
    "--extend", is_flag=True, help="Add models, tasks, arms or questions to an existing run."
)


@click.command()
@_with_config
@_extend
@click.option(
    "--until",
    type=click.Choice(["decided", "all"]),
    help="Stop when the primary effects are decided, or ask all questions.  [default: decided "
    "where the config has analysis.stop]",
)
@click.option("--all", "every", is_flag=True, help="Print every table after the verdict.")
@with_engine
def run(
    config: str,
    overrides: tuple[str, ...],
    extend: bool,
    until: UntilWhen | None,
    every: bool,
    engine: str,
    workers: int | None,
    ray_address: str | None,
) -> None:
    """Run CONFIG (a path or the name of a bundled config), or resume its run."""
    from ragbench.api import check_complete, run_to_report

    with cluster_of(engine, workers, ray_address) as cluster:
        finished, written = run_to_report(
            config, overrides, extend=extend, cluster=cluster, until=until
        )
    print_report(written, every=every)
    check_complete(finished)


@click.command()
@_with_config
@_extend
def prepare(config: str, overrides: tuple[str, ...], extend: bool) -> None:
    """Do everything of `run` before the first answer, for `answer` on many machines."""
    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.run import prepare_experiment

    prepared = prepare_experiment(*load_config(config, overrides), extend=extend)
    echo(f"prepared {prepared.folder.path}: {prepared.left:,} answers to come")
    named = _arguments(config, overrides)
    echo(f"next:   ragbench answer {named} --shard 1/N   (to N/N, of at most {prepared.units:,})")
    echo(f"        ragbench finish {named}")


@click.command()
@_with_config
@click.option("--shard", required=True, metavar="NUMBER/OF", help="Such as 3/16; 1 is the first.")
def answer(config: str, overrides: tuple[str, ...], shard: str) -> None:
    """Ask the questions of one shard of a prepared run; the same command resumes it."""
    from ragbench.api import check_answered
    from ragbench.experiment.answering.units import Shard
    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.sharded import answer_shard

    answered = answer_shard(*load_config(config, overrides), Shard.parse(shard))
    echo(f"shard {shard}: {answered.asked:,} questions asked, in {answered.folder.path}")
    check_answered(answered)


@click.command()
@_with_config
@click.option("--all", "every", is_flag=True, help="Print every table after the verdict.")
def finish(config: str, overrides: tuple[str, ...], every: bool) -> None:
    """Merge the shards of a run, score it and write its report."""
    from ragbench.api import check_complete
    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.sharded import finish_experiment
    from ragbench.report.write import write_report

    command = _arguments(config, overrides)
    finished = finish_experiment(*load_config(config, overrides), command=command)
    print_report(write_report(finished.folder.path), every=every)
    check_complete(finished)


def _arguments(config: str, overrides: tuple[str, ...]) -> str:
    """Return the config and its overrides as a shell reads them; no key is repeated."""
    shown = (part for text in overrides for part in ("--set", text))
    return masked(shlex.join([config, *shown]))


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


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print stopped.json's effects as a list.")
def watch(run_folder: str, as_json: bool) -> None:
    """Print what the last look at RUN (a folder or a name) decided; the run may be under way.

    Only a run whose config has `analysis: stop` is looked at. Its p values and sequences remain
    valid however often they are printed.
    """
    from ragbench.base.errors import DataError
    from ragbench.runfolder.looks.stopped import read_stopped
    from ragbench.runfolder.paths import find_run
    from ragbench.runfolder.schema import to_json

    folder = find_run(run_folder)
    stopped = read_stopped(folder)
    if stopped is None or not stopped.looks:
        raise DataError(
            f"no look was taken at the run {folder.name!r} yet",
            where=str(folder.stopped),
            fix="wait for the first look; a run without `analysis: stop` has none",
        )
    if as_json:
        emit_json([to_json(effect) for effect in stopped.effects])
        return
    header = ["effect", "model", "task", "arm", "n", "points", "sequence", "p", "verdict", "at"]
    emit_table(header, [_row(effect) for effect in stopped.effects])
    share = 100 * (1 - stopped.alpha * stopped.share)
    echo()
    echo(
        f"look {len(stopped.looks)}; p is adjusted by Holm's procedure over these effects; the "
        f"sequences cover {share:g} % at all looks together"
    )


def _row(effect: EffectDecision) -> list[str]:
    last = effect.looks[-1]
    points = "-" if last.estimate is None else f"{100 * last.estimate:+.1f}"
    p = effect.p_equivalence_adjusted if effect.verdict == "equivalent" else effect.p_adjusted
    return [
        *(effect.effect, effect.model, effect.task, effect.arm, f"{last.n:,}", points),
        f"{100 * last.low:+.1f} to {100 * last.high:+.1f}",
        f"{p:.3g}",
        "not shown" if effect.verdict == "exhausted" else effect.verdict,
        "-" if effect.decided_at is None else f"{effect.decided_at:,}",
    ]

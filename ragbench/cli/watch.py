"""``ragbench watch``: what is known of a run that is under way, valid at any look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json, emit_table

if TYPE_CHECKING:
    from ragbench.runfolder.stopped import EffectDecision


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print stopped.json's effects as a list.")
def watch(run_folder: str, as_json: bool) -> None:
    """Print what the last look at RUN (a folder or a name) decided; the run may be under way.

    Only a run whose config has `analysis: stop` is looked at. Its p values and sequences remain
    valid however often they are printed.
    """
    from ragbench.base.errors import DataError
    from ragbench.runfolder.paths import find_run
    from ragbench.runfolder.schema import to_json
    from ragbench.runfolder.stopped import read_stopped

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

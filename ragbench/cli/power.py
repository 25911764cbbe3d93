"""``ragbench power``: the number of questions for a difference, and the reverse."""

from __future__ import annotations

import math
from typing import Any

import click

from ragbench.cli.output import emit_json, emit_table

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)
SHARE = click.FloatRange(0, 1, min_open=True)
OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.argument("run_folder", metavar="[RUN]", required=False)
@click.option(
    "--difference", "-d", type=SHARE, help="Difference of two accuracies (5 points: 0.05)."
)
@click.option("--questions", "-n", type=click.IntRange(1), help="Number of questions.")
@click.option(
    "--discordant",
    multiple=True,
    type=SHARE,
    help="Share of questions that only one of the arms answers right; repeatable.",
)
@click.option(
    "--alpha",
    type=OPEN,
    help="Level of the test (default: 0.05; with RUN, the one that its verdict uses).",
)
@click.option(
    "--power", "chance", type=OPEN, default=0.8, show_default=True, help="Power to reach."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def power(
    run_folder: str | None,
    difference: float | None,
    questions: int | None,
    discordant: tuple[float, ...],
    alpha: float | None,
    chance: float,
    as_json: bool,
) -> None:
    """Compute the power of a paired comparison by McNemar's mid-p test.

    With --difference: the number of questions it takes. With --questions: the smallest detectable
    difference. With both: the power. With RUN: the smallest detectable difference of each effect
    of the run, and the number of questions that --difference takes at the observed spread.
    """
    if run_folder is not None:
        if difference is None or questions is not None or discordant:
            raise click.UsageError(
                "RUN needs --difference and does not accept --questions or --discordant"
            )
        found = _needed_by_run(run_folder, difference, alpha, chance)
    elif difference is None and questions is None:
        raise click.UsageError("give --difference, --questions, or both")
    else:
        shares = discordant or tuple(s for s in SHARES if s >= (difference or 0))
        found = [
            _of_share(s, difference, questions, alpha or 0.05, chance) for s in shares or (1.0,)
        ]
    if as_json:
        emit_json(found)
    else:
        emit_table(list(found[0]) if found else [], [[_text(v) for v in r.values()] for r in found])


def _of_share(
    share: float, difference: float | None, n: int | None, alpha: float, chance: float
) -> dict[str, Any]:
    from ragbench.analysis.statistics.power import (
        mid_p_power,
        questions_needed,
        smallest_difference,
    )

    if n is None and difference is not None:
        n, known = questions_needed(difference, share, alpha=alpha, power=chance), difference
        at = mid_p_power(n, known, share, alpha=alpha)
    elif n is not None and difference is None:
        known = smallest_difference(n, share, alpha=alpha, power=chance)
        at = chance
    else:
        known = difference or 0.0
        at = mid_p_power(n or 0, known, share, alpha=alpha)
    return {
        "discordant": share,
        "difference": None if math.isnan(known) else known,
        "questions": n,
        "power": round(at, 4),
        "alpha": alpha,
    }


def _needed_by_run(
    name: str, difference: float, alpha: float | None, chance: float
) -> list[dict[str, Any]]:
    from ragbench.analysis.load import load_run
    from ragbench.analysis.needed import needed_by_run
    from ragbench.analysis.results import json_rows
    from ragbench.runfolder.paths import find_run

    run = load_run(find_run(name).path)
    return json_rows(needed_by_run(run, difference, alpha=alpha, power=chance))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

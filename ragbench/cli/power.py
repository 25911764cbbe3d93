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
    "--difference",
    "-d",
    type=click.FloatRange(0, 1),
    help="Difference of two accuracies (5 points: 0.05).",
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
@click.option(
    "--sequential",
    is_flag=True,
    help="Also compute how many questions it takes if the run stops when the effect is decided.",
)
@click.option(
    "--margin",
    type=OPEN,
    default=0.03,
    show_default=True,
    help="With --sequential: largest difference that does not matter.",
)
@click.option(
    "--min-questions",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="With --sequential: number of questions before which nothing is decided.",
)
@click.option(
    "--tokens",
    type=click.IntRange(1),
    help="With --sequential: tokens that one question costs in both arms together.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="With --sequential: seed for every random draw.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def power(
    run_folder: str | None,
    difference: float | None,
    questions: int | None,
    discordant: tuple[float, ...],
    alpha: float | None,
    chance: float,
    sequential: bool,
    margin: float,
    min_questions: int,
    tokens: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compute the power of a paired comparison by McNemar's mid-p test.

    With --difference: the number of questions it takes. With --questions: the smallest detectable
    difference. With both: the power. With RUN: the smallest detectable difference of each effect
    of the run, and the number of questions that --difference takes at the observed spread.

    With --sequential and --difference: also the mean and the median number of questions until the
    effect is decided, the number that nine of ten runs do not exceed (most), and the shares of
    runs that show the effect and that show equivalence, from 1,000 imagined runs. The set has
    --questions, or as many as the test of a fixed number needs. With RUN, too, the share of
    discordant questions is the one that the run observed for each effect.
    """
    if run_folder is not None:
        if difference is None or discordant or not (sequential or (difference and not questions)):
            raise click.UsageError(
                "RUN needs --difference and does not accept --discordant, or --questions without "
                "--sequential"
            )
        if sequential:
            observed = _observed(run_folder, difference, questions, alpha or 0.05, chance)
            found = [
                row | _until_decided(row, margin, min_questions, seed, tokens) for row in observed
            ]
        else:
            found = _needed_by_run(run_folder, difference, alpha, chance)
    elif difference is None and questions is None:
        raise click.UsageError("give --difference, --questions, or both")
    elif sequential and difference is None:
        raise click.UsageError("--sequential needs --difference")
    else:
        shares = discordant or tuple(s for s in SHARES if s >= (difference or 0))
        found = [
            _of_share(s, difference, questions, alpha or 0.05, chance) for s in shares or (1.0,)
        ]
        if sequential:
            found = [
                row | _until_decided(row, margin, min_questions, seed, tokens) for row in found
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


def _until_decided(
    row: dict[str, Any], margin: float, least: int, seed: int, tokens: int | None
) -> dict[str, Any]:
    from ragbench.analysis.statistics.sequential.decide import Rules
    from ragbench.analysis.statistics.sequential.foreseen import questions_until_decided

    rules = Rules(alpha=row["alpha"], margin=margin, least=least)
    n = row["questions"]
    found = questions_until_decided(row["difference"], row["discordant"], n, rules, seed=seed)
    figures: dict[str, Any] = {
        "mean": round(found.mean, 1),
        "median": found.median,
        "most": found.most,
        "shown": round(found.shown, 3),
        "equivalent": round(found.equivalent, 3),
    }
    if tokens is not None:
        figures |= {"tokens": n * tokens, "tokens_expected": round(found.mean * tokens)}
    return figures


def _observed(
    name: str, difference: float, questions: int | None, alpha: float, chance: float
) -> list[dict[str, Any]]:
    """Return the rows of the effects of a run, by the share of its questions that changed."""
    from ragbench.analysis.load import load_run
    from ragbench.analysis.needed import discordant_by_run
    from ragbench.runfolder.paths import find_run

    table = discordant_by_run(load_run(find_run(name).path))
    found = []
    for row in table.to_dict(orient="records"):
        # A difference takes at least as many changes.
        if share := max(float(row["discordant"]), difference):
            names = {key: str(row[key]) for key in ("effect", "model", "task", "arm")}
            found.append(names | _of_share(share, difference, questions, alpha, chance))
    return found


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

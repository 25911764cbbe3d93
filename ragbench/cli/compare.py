"""``ragbench compare``: compares the cells of two runs."""

from __future__ import annotations

import math
from typing import Any

import click

from ragbench.cli.output import emit_json, emit_table, mapping


@click.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="OTHER")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="A=B",
    help="Pair model A of RUN with model B of OTHER.",
)
@click.option(
    "--arm", "arms", multiple=True, metavar="A=B", help="Pair arm A of RUN with arm B of OTHER."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as a JSON list.")
def compare(
    first: str, second: str, models: tuple[str, ...], arms: tuple[str, ...], as_json: bool
) -> None:
    """Compare OTHER with RUN, question by question, in each cell that both have.

    The runs must have the same questions and the same mode. RUN and OTHER may be the same run:
    --arm bm25-5=dense-5 then compares two of its arms.
    """
    from ragbench.analysis.compare import Names
    from ragbench.analysis.compare import compare as compared
    from ragbench.analysis.load import load_run
    from ragbench.analysis.results import json_rows
    from ragbench.runfolder.paths import find_run

    names = Names(mapping(models, "--model"), mapping(arms, "--arm"))
    one, other = (load_run(find_run(name).path) for name in (first, second))
    table = compared(one, other, names)
    if as_json:
        emit_json(json_rows(table))
        return
    emit_table(*rows(table))


def rows(table: Any) -> tuple[list[str], list[list[str]]]:
    """Return the header and the formatted rows of a comparison."""
    from ragbench.report.tables import NONE, between, p_value, percent, points

    found = []
    for row in table.to_dict(orient="records"):
        whole = row["status"] == "complete"
        least = row["smallest_detectable"]
        found.append(
            [
                row["task"],
                _both(row["model"], row["other_model"]),
                _both(row["arm"], row["other_arm"]),
                str(row["n"]),
                percent(row["value"]) if whole else NONE,
                percent(row["other_value"]) if whole else NONE,
                points(row["estimate"]),
                between(row["ci_low"], row["ci_high"], points),
                f"{row['helped']} / {row['hurt']}" if whole else "incomplete",
                *(p_value(row[key], is_bound=row["p_is_bound"]) for key in ("p", "p_adjusted")),
                NONE if math.isnan(least) else f"{100 * least:.1f}",
            ]
        )
    header = ["task", "model", "arm", "n", "first", "second", "points", "interval"]
    return [*header, "helped / hurt", "p", "adjusted p", "smallest detectable"], found


def _both(mine: str, theirs: str) -> str:
    return mine if mine == theirs else f"{mine}, {theirs}"

"""``ragbench import``: turns replies from other tools into runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ragbench.base.records import DataUse
from ragbench.cli.output import mapping

DATA_USE = click.option(
    "--data-use",
    type=click.Choice(["open", "restricted", "bring-your-own"]),
    default="bring-your-own",
    show_default=True,
    help="Terms of the questions; the report of a restricted run has no texts.",
)
REPLACE = click.option("--replace", is_flag=True, help="Replace an existing imported run.")


@click.group(name="import")
def import_() -> None:
    """Turn replies from other tools into a run for score, analyze and report."""


@import_.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    required=True,
    type=click.Path(path_type=Path),
    help="The file benchmark.json of MIRAGE.",
)
@click.option("--name", required=True, help="Name of the run.")
@click.option(
    "--mode",
    type=click.Choice(["correct", "mirage"]),
    default="correct",
    show_default=True,
    help="Rules that read the replies.",
)
@click.option(
    "--missing",
    type=click.Choice(["refuse", "error"]),
    default="refuse",
    show_default=True,
    help="Treatment of a question without a reply: stop, or record an error.",
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="BIOMEDICAL=GENERAL",
    help="Biomedical model of the replies and its general base; repeatable.",
)
@DATA_USE
@REPLACE
def mirage(
    predictions: Path,
    benchmark: Path,
    name: str,
    mode: Literal["correct", "mirage"],
    missing: Literal["refuse", "error"],
    pairs: tuple[str, ...],
    data_use: DataUse,
    replace: bool,
) -> None:
    """Import replies to the questions of MIRAGE.

    PREDICTIONS are JSON lines with dataset, id, model, arm and replies.
    """
    from ragbench.base.errors import DataError
    from ragbench.cli.run import print_summary
    from ragbench.experiment.importing.import_mirage import read_mirage_run
    from ragbench.experiment.importing.imported import write_run

    for path in (predictions, benchmark):
        if not path.is_file():
            raise DataError("there is no such file", where=str(path))
    run = read_mirage_run(
        predictions,
        benchmark,
        name=name,
        mode=mode,
        missing=missing,
        data_use=data_use,
        bases=mapping(pairs, "--pair"),
    )
    print_summary(write_run(run, replace=replace))


@import_.command(name="lm-eval")
@click.argument("samples", nargs=-1, required=True, metavar="[ARM=]SAMPLES...")
@click.option("--name", required=True, help="Name of the run.")
@click.option("--model", required=True, help="Name of the model.")
@click.option(
    "--filter", "filter_", metavar="NAME", help="lm-eval filter whose replies are scored."
)
@DATA_USE
@REPLACE
def lm_eval(
    samples: tuple[str, ...],
    name: str,
    model: str,
    filter_: str | None,
    data_use: DataUse,
    replace: bool,
) -> None:
    """Import lm-eval logs (samples_TASK_DATE.jsonl).

    ARM=PATH assigns a log to an arm.
    """
    from ragbench.cli.run import print_summary
    from ragbench.experiment.importing.import_lm_eval import read_lm_eval_run
    from ragbench.experiment.importing.imported import write_run

    run = read_lm_eval_run(samples, name=name, model=model, filter_=filter_, data_use=data_use)
    print_summary(write_run(run, replace=replace))

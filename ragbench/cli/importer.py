"""``ragbench import``: runs made elsewhere."""

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
    help="Who may see the questions; a restricted run's page has no texts.",
)
REPLACE = click.option("--replace", is_flag=True, help="Replace an imported run of this name.")


@click.group(name="import")
def import_() -> None:
    """Turn published replies into a run that score, analyze and report take as their own."""


@import_.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    required=True,
    type=click.Path(path_type=Path),
    help="MIRAGE's benchmark.json.",
)
@click.option("--name", required=True, help="The run's name.")
@click.option(
    "--mode",
    type=click.Choice(["correct", "mirage"]),
    default="correct",
    show_default=True,
    help="How replies are read.",
)
@click.option(
    "--missing",
    type=click.Choice(["refuse", "error"]),
    default="refuse",
    show_default=True,
    help="What a question without a line is: a mistake, or not answered.",
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="BIOMEDICAL=GENERAL",
    help="A biomedical model of the replies and the general one it was made from.",
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
    """Import PREDICTIONS: JSON lines {dataset, id, model, arm, replies}."""
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
@click.option("--name", required=True, help="The run's name.")
@click.option("--model", required=True, help="What the model is called.")
@click.option("--filter", "filter_", metavar="NAME", help="Which filter's replies are scored.")
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
    """Import logs samples_TASK_DATE.jsonl of lm-eval; ARM=PATH is of another arm."""
    from ragbench.cli.run import print_summary
    from ragbench.experiment.importing.import_lm_eval import read_lm_eval_run
    from ragbench.experiment.importing.imported import write_run

    run = read_lm_eval_run(samples, name=name, model=model, filter_=filter_, data_use=data_use)
    print_summary(write_run(run, replace=replace))

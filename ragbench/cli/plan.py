"""``ragbench plan``: what a run would do."""

from __future__ import annotations

import click

from ragbench.cli.output import emit_json, emit_table, size


@click.command()
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the grid of CONFIG, what must be built, prompts and costs; nothing runs."""
    from dataclasses import asdict

    from ragbench.experiment.config import load_config
    from ragbench.experiment.grid import Grid
    from ragbench.experiment.plan import make_plan

    made = make_plan(Grid(*load_config(config, overrides)))
    if as_json:
        emit_json(asdict(made))
        return
    emit_table(["model", "task", "arm", "questions"], made.cells)
    click.echo("\nto be built first:" if made.to_build else "\neverything is built")
    for line in made.to_build:
        click.echo(f"  {line}")
    for line in made.notes:
        click.echo(f"note: {line}")
    for sample in made.samples:
        note = f" ({sample.note})" if sample.note else ""
        click.echo(
            f"\n== {sample.model}, {sample.task}, {sample.arm}, {sample.question_id}: "
            f"{sample.prompt_tokens} tokens{note} ==\n{sample.prompt}"
        )
    click.echo()
    emit_table(
        ["model", "prompts", "prompt tokens, about", "memory of weights", "time, about"],
        [
            [
                e.model,
                f"{e.prompts:,}",
                f"{e.prompt_tokens:,}",
                "unknown" if e.weight_bytes is None else size(e.weight_bytes),
                "unknown" if e.seconds is None else f"{e.seconds / 60:.1f} min",
            ]
            for e in made.estimates
        ],
    )

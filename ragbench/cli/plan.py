"""``ragbench plan``: shows what a run would do."""

from __future__ import annotations

import click

from ragbench.cli.output import echo, emit_json, emit_table, size


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
    "--tokenizer", help="Tokenizer that counts tokens for models that are not on this machine."
)
@click.option(
    "--device",
    default="",
    help="Device of the time estimates, such as h100 (default: this machine).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    config: str, overrides: tuple[str, ...], tokenizer: str | None, device: str, as_json: bool
) -> None:
    """Show the grid of CONFIG, missing parts, sample prompts and costs, without running it."""
    from dataclasses import asdict

    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.planning.offline import OfflineGrid
    from ragbench.experiment.planning.plan import make_plan

    grid = OfflineGrid(*load_config(config, overrides), tokenizer=tokenizer)
    made = make_plan(grid, device=device)
    if as_json:
        emit_json(asdict(made))
        return
    emit_table(["model", "task", "arm", "questions"], made.cells)
    for chosen in made.primary:
        echo(f"primary arm of {chosen.task}: {chosen.arm} ({chosen.why})")
    if made.lacking:
        echo("\nmissing:")
        for lack in made.lacking:
            echo(f"  {lack.what}: {lack.reason}\n    {lack.fix}")
    if made.not_built:
        echo("\nnot available in ragbench yet:")
        for line in made.not_built:
            echo(f"  {line}")
    echo("\nto be built first:" if made.to_build else "\neverything is built")
    for line in made.to_build:
        echo(f"  {line}")
    for line in made.notes:
        echo(f"note: {line}")
    for sample in made.samples:
        note = f" ({sample.note})" if sample.note else ""
        echo(
            f"\n== {sample.model}, {sample.task}, {sample.arm}, {sample.question_id}: "
            f"{sample.prompt_tokens} tokens{note} ==\n{sample.prompt}"
        )
    echo()
    emit_table(
        [
            *("model", "prompts", "prompt tokens, about", "reply tokens, at most"),
            *("memory of weights", "time, about", "on"),
        ],
        [
            [
                e.model,
                f"{e.prompts:,}",
                f"{e.prompt_tokens:,}",
                f"{e.reply_tokens:,}",
                "unknown" if e.weight_bytes is None else size(e.weight_bytes),
                "unknown" if e.seconds is None else duration(e.seconds),
                f"{e.devices} x {e.device}" if e.devices else e.device,
            ]
            for e in made.estimates
        ],
    )


def duration(seconds: float) -> str:
    """Return a time in minutes, or from two hours on in hours."""
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

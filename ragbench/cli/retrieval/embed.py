"""``ragbench embed``: one shard of the vectors of a corpus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json
from ragbench.cli.retrieval.options import DEVICE

if TYPE_CHECKING:
    from ragbench.base.devices import Device


def _share(context: click.Context, option: click.Parameter, text: str) -> tuple[int, int]:
    """Return the part and the number of parts of such as ``3/16``; parts count from 1."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if found and 1 <= int(found[1]) <= int(found[2]):
        return int(found[1]), int(found[2])
    raise click.BadParameter(f"{text!r} is not a part such as 1/16 or 16/16", context, option)


@click.command()
@click.argument("recipe")
@click.option("--corpus", required=True, help="Name of a built corpus.")
@click.option(
    "--shard",
    metavar="I/N",
    callback=_share,
    default="1/1",
    show_default=True,
    help="Which share, such as 3/16.",
)
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def embed(recipe: str, corpus: str, shard: tuple[int, int], device: Device, as_json: bool) -> None:
    """Encode a share of a corpus's passages for RECIPE.

    The shares of one corpus may be made at the same time, on machines with one RAGBENCH_HOME or
    with copies of it, and each may be repeated. `ragbench index build` then uses the vectors.
    """
    from dataclasses import asdict

    from ragbench.indexes.embed import embed as embedded

    number, count = shard
    made = embedded(recipe, corpus, shard=number, shards=count, device=device)
    if as_json:
        emit_json([asdict(one) for one in made])
        return
    for one in made:
        echo(
            f"shard {number}/{count} of {corpus} by {one.encoder}: {one.n_passages:,} passages, "
            f"{one.n_encoded:,} encoded now, in {one.folder}"
        )

"""``ragbench index``: the commands check and clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json, emit_table, size
from ragbench.cli.retrieval.options import DEVICE

if TYPE_CHECKING:
    from ragbench.base.devices import Device


@click.command()
@click.argument("name")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, device: Device, as_json: bool) -> None:
    """Check the files and the search results of the index NAME."""
    from dataclasses import asdict

    from ragbench.base.errors import DataError
    from ragbench.indexes.built import folder_of
    from ragbench.indexes.check import check_index

    findings = check_index(name, device=device)
    if as_json:
        emit_json({"name": name, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [["ok" if f.is_ok else "WRONG", f.what, f.value] for f in findings]
        emit_table(["", "what", "value"], rows)
    wrong = [f"{finding.what}: {finding.value}" for finding in findings if not finding.is_ok]
    if wrong:
        raise DataError(
            f"the index {name!r} is not sound: {'; '.join(wrong)}",
            where=str(folder_of(name)),
            fix="build it again with --replace",
        )


@click.command()
@click.option("--dry-run", is_flag=True, help="List the embeddings without removing them.")
def clean(dry_run: bool) -> None:
    """Remove stored embeddings; built indexes still work."""
    from ragbench.indexes.storage import kept, remove

    total = 0
    for found in kept():
        total += found.size_bytes
        if not dry_run:
            remove(found)
        verb = "would remove" if dry_run else "removed"
        echo(
            f"{verb} the embeddings of {found.corpus} by {found.encoder}: {size(found.size_bytes)}"
        )
    echo(f"{size(total)} in total")

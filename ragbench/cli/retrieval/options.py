"""Options that the commands over indexes share."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)
OUT = click.Path(path_type=Path, dir_okay=False)  # a folder is refused before the search
DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device of the encoder.",
)
ID_FIELD = click.option(
    "--id-field", metavar="FIELD", help="Field of the query ids (default: id, _id or qid)."
)
QUERY_FIELD = click.option(
    "--query-field",
    metavar="FIELD",
    help="Field of the text to search with (default: query, question or text).",
)

"""``ragbench corpus``: the commands add, build, show and check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragbench.cli.output import echo, emit_json, emit_table, size

if TYPE_CHECKING:
    from ragbench.corpora.chunking.chunking import Chunking


@click.group()
def corpus() -> None:
    """Add, build, show and check corpora."""


@corpus.command()
@click.argument("path")
@click.option("--name", required=True, help="Name of the corpus.")
@click.option(
    "--reader",
    help="Reader of the files (ragbench list readers; default: by the name of the files).",
)
@click.option("--id-field", help="Field of the document id (jsonl, tabular).")
@click.option("--text-field", help="Field of the text (jsonl, tabular).")
@click.option("--title-field", help="Field of the title (jsonl, tabular).")
@click.option(
    "--option",
    "extra",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the reader; repeatable.",
)
@click.option("--chunk", metavar="CHUNKER", help="Split documents by tokens or sentences.")
@click.option(
    "--chunk-size",
    type=click.IntRange(1),
    help="Maximum tokens per chunk, or characters without --chunk-tokenizer (256).",
)
@click.option(
    "--chunk-overlap",
    type=click.IntRange(0),
    help="Tokens that two chunks share, or characters without --chunk-tokenizer (0).",
)
@click.option(
    "--chunk-tokenizer",
    metavar="REF",
    help="Tokenizer that counts the sizes: a folder, package:NAME/FOLDER or a hub id.",
)
@click.option("--licence", default="not stated", help="Licence of the texts.")
@click.option("--source", default="", help="Origin of the texts, with their edition.")
@click.option("--restricted", is_flag=True, help="Mark the texts as under a data-use agreement.")
@click.option("--replace", is_flag=True, help="Replace an existing card.")
def add(
    path: str,
    name: str,
    reader: str | None,
    id_field: str | None,
    text_field: str | None,
    title_field: str | None,
    extra: tuple[str, ...],
    chunk: str | None,
    chunk_size: int | None,
    chunk_overlap: int | None,
    chunk_tokenizer: str | None,
    licence: str,
    source: str,
    restricted: bool,
    replace: bool,
) -> None:
    """Write a card: the description of a corpus with its texts at PATH."""
    from ragbench.base.errors import DataError
    from ragbench.base.home import expand
    from ragbench.cli.init.corpora import reader_of, usual_columns
    from ragbench.corpora.card import Card, add_card

    if not expand(path).exists():
        raise DataError(
            "the file or folder is not there",
            where=str(expand(path)),
            fix=f"give the path of the texts; the current folder is {Path.cwd()}",
        )
    given = {"id_field": id_field, "text_field": text_field, "title_field": title_field}
    reader = reader or reader_of(expand(path))
    usual = usual_columns(reader, expand(path))
    fields = usual | {key: value for key, value in given.items() if value is not None}
    options = _reader_options(reader, fields, extra)
    sizes = {"size": chunk_size, "overlap": chunk_overlap, "tokenizer": chunk_tokenizer}
    card = Card(
        reader=reader,
        path=str(expand(path).resolve()),
        options=options,
        chunking=_chunking(chunk, sizes),
        licence=licence,
        source=source,
        data_use="restricted" if restricted else "open",
    )
    written = add_card(name, card, replace=replace)
    chosen = [f"{key}: {value}" for key, value in usual.items() if options.get(key) == value]
    if card.chunking and (warning := card.chunking.warning()):
        echo(warning, err=True)
    if chosen:
        echo(f"found {', '.join(chosen)}")
    echo(f"wrote {written}; next: ragbench corpus build {name}")


def _reader_options(
    reader: str, fields: dict[str, str | None], extra: tuple[str, ...]
) -> dict[str, Any]:
    """Return the validated reader options from the command line."""
    from pydantic import ValidationError

    from ragbench.base.errors import UsageError, near
    from ragbench.base.yamlfile import parse_value
    from ragbench.corpora.readers import readers

    options: dict[str, Any] = {key: value for key, value in fields.items() if value is not None}
    for text in extra:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--option {text!r} is not KEY=VALUE")
        options[key] = parse_value(value)
    kind = readers.get(reader)
    unknown = sorted(options.keys() - kind.Options.model_fields.keys())
    if unknown:
        raise UsageError(
            f"the reader {reader!r} has no option {unknown[0]!r}",
            fix=near(unknown[0], kind.Options.model_fields),
        )
    try:
        kind.Options.model_validate(options)
    except ValidationError as error:
        detail = error.errors()[0]
        raise UsageError(
            f"the reader's option {detail['loc'][0]!r} is wrong: {detail['msg']}"
        ) from None
    return options


def _chunking(chunker: str | None, sizes: dict[str, int | str | None]) -> Chunking | None:
    """Return the card's chunking, or None without ``--chunk``."""
    from pydantic import ValidationError

    from ragbench.base.errors import UsageError
    from ragbench.corpora.chunking.chunking import Chunking

    given = {key: value for key, value in sizes.items() if value is not None}
    if chunker is None:
        if given:
            raise UsageError(
                f"--chunk-{next(iter(given))} is given without --chunk",
                fix="add --chunk tokens or --chunk sentences",
            )
        return None
    try:
        return Chunking.model_validate({"chunker": chunker} | given)
    except ValidationError as error:
        raise UsageError(
            f"the chunking is wrong: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None


@corpus.command()
@click.argument("name")
@click.option("--replace", is_flag=True, help="Replace a corpus that has different content.")
def build(name: str, replace: bool) -> None:
    """Read the corpus NAME and store its passages."""
    from ragbench.corpora.build import build_corpus

    built = build_corpus(name, replace=replace)
    facts = built.manifest
    echo(f"{name}: {facts.n_passages:,} passages, digest {facts.digest[:16]}")
    for reason, count in facts.skipped.items():
        echo(f"{name}: skipped {count:,} with {reason}")
    for reason, count in facts.noted.items():
        echo(f"{name}: kept {count:,} with {reason}")
    for kind, count in facts.changed.items():
        echo(f"{name}: texts: {count:,} {kind}")


@corpus.command()
@click.argument("name")
@click.option(
    "--sample",
    default=0,
    type=click.IntRange(0),
    metavar="N",
    help="Also show N evenly spaced passages.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, sample: int, as_json: bool) -> None:
    """Show the manifest of the built corpus NAME."""
    from dataclasses import asdict

    from ragbench.corpora.open import open_corpus

    opened = open_corpus(name)
    facts = asdict(opened.manifest) | {
        "size_bytes": sum(p.stat().st_size for p in opened.folder.iterdir())
    }
    step = max(1, len(opened) // sample) if sample else 1
    passages = [asdict(opened[row]) for row in range(0, len(opened), step)[:sample]]
    if as_json:
        emit_json(facts | ({"sample": passages} if sample else {}))
        return
    shown = ("title", "description", "n_passages", "n_docs", "n_characters", "digest", "licence")
    rows = [[key, facts[key]] for key in (*shown, "data_use", "source", "reader", "built_at")]
    rows += [["size", size(facts["size_bytes"])]]
    rows += [[f"skipped: {reason}", count] for reason, count in facts["skipped"].items()]
    rows += [[f"kept: {reason}", count] for reason, count in facts["noted"].items()]
    rows += [[f"texts: {kind}", count] for kind, count in facts["changed"].items()]
    emit_table(["what", "value"], rows)
    for passage in passages:
        echo(f"\n{passage['id']}  {passage['title']}\n{passage['text']}")


@corpus.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, as_json: bool) -> None:
    """Report damage and changed sources of the built corpus NAME."""
    from dataclasses import asdict

    from ragbench.base.errors import DataError
    from ragbench.corpora.check import check_corpus

    found = check_corpus(name)
    facts = asdict(found)
    if as_json:
        emit_json(facts)
    else:
        emit_table(
            ["what", "value"],
            [[k, v] for k, v in facts.items() if k not in ("problems", "rebuild")],
        )
    if found.problems:
        more = f" ({len(found.problems) - 1} more problems)" if found.problems[1:] else ""
        raise DataError(
            found.problems[0] + more,
            where=f"the corpus {name!r}",
            fix=", then ".join(f"ragbench corpus build {n} --replace" for n in found.rebuild),
        )

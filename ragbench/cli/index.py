"""``ragbench index``: the commands build, estimate, search and show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragbench.cli.engine import cluster_of, with_engine
from ragbench.cli.index_quality import check, clean
from ragbench.cli.output import echo, emit_json, emit_table, size, terminal_width
from ragbench.cli.retrieval.evaluate import evaluate
from ragbench.cli.retrieval.options import DEVICE, FILE, ID_FIELD, OUT, QUERY_FIELD
from ragbench.report.terminal.columns import wrapped

SHOWN = 160  # characters of a hit's text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragbench.base.devices import Device
    from ragbench.base.records import Query
    from ragbench.indexes.retriever import IndexKind


@click.group()
def index() -> None:
    """Build, search, evaluate and check indexes."""


index.add_command(evaluate)
index.add_command(check)
index.add_command(clean)


@index.command()
@click.argument("recipe")
@click.option("--corpus", required=True, help="Name of a built corpus.")
@click.option("--name", help="Name of the index (default: RECIPE-CORPUS).")
@DEVICE
@click.option("--replace", is_flag=True, help="Replace an index that has different content.")
@click.option("--anyway", is_flag=True, help="Build even if memory or disk seems too small.")
@click.option("--embedded", is_flag=True, help="Encode nothing: refuse missing vectors.")
@with_engine
def build(
    recipe: str,
    corpus: str,
    name: str | None,
    device: Device,
    replace: bool,
    anyway: bool,
    embedded: bool,
    engine: str,
    workers: int | None,
    ray_address: str | None,
) -> None:
    """Build the index of RECIPE over a corpus.

    Vectors that `ragbench embed` made are used; missing ones are made now, or with --embedded
    named in an error.
    """
    from ragbench.indexes.build import build_index
    from ragbench.indexes.dense.cluster.encoding import encoding_on

    with cluster_of(engine, workers, ray_address) as cluster, encoding_on(cluster):
        made = build_index(
            recipe,
            corpus,
            name=name,
            replace=replace,
            device=device,
            anyway=anyway,
            embedded=embedded,
        )
    parts = f", searches {', '.join(part.name for part in made.parts)}" if made.parts else ""
    echo(
        f"{made.name}: {made.corpus.n:,} passages, {size(made.size_bytes)}, "
        f"digest {made.digest[:16]}, built {made.built_at}{parts}"
    )


@index.command()
@click.argument("recipes", nargs=-1)
@click.option("--corpus", required=True, help="Name of a built corpus.")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def estimate(recipes: tuple[str, ...], corpus: str, device: Device, as_json: bool) -> None:
    """Estimate the size and build time of RECIPES over a corpus.

    Parts that are built already take nothing. For a FAISS recipe, the table also has other index
    types with the same encoder. Without RECIPES, it has every recipe whose encoder is on this
    machine.
    """
    from ragbench.base.errors import RagbenchError
    from ragbench.base.home import yaml_names
    from ragbench.corpora.open import open_corpus
    from ragbench.indexes.estimate import estimate as estimated
    from ragbench.indexes.loading import load_recipe

    opened = open_corpus(corpus)
    found, unknown = [], []
    for name in recipes or [name for name, _ in yaml_names("indexes")]:
        try:
            recipe = load_recipe(name)
            found += estimated(name, recipe, opened, measure=True, device=device)
            found += recipe.alternatives(name, opened, device) if name in recipes else []
        except RagbenchError as error:
            if recipes:
                raise
            unknown.append(f"{name}: {error.what}")
    if as_json:
        emit_json([one.to_json() for one in found])
        return
    header = ["recipe", "type", "disk", "vectors", "to build", "to search", "GPU", "hours"]
    rows = [
        [
            *(one.name, one.what, size(one.disk), size(one.embeddings), size(one.build_memory)),
            size(one.search_memory),
            "-" if one.gpu_memory is None else size(one.gpu_memory),
            "-" if one.hours is None else f"{one.hours:.2f}",
        ]
        for one in found
    ]
    emit_table(header, rows)
    for line in unknown:
        echo(line)


@index.command()
@click.argument("name")
@click.argument("query", required=False)
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Hits per query.")
@click.option("--queries", type=FILE, help="Queries: JSON lines or a table.")
@ID_FIELD
@QUERY_FIELD
@click.option("--run", "out", type=OUT, help="TREC run file to write.")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(
    name: str,
    query: str | None,
    k: int,
    queries: Path | None,
    id_field: str | None,
    query_field: str | None,
    out: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Search the index NAME for QUERY or for a file of queries."""
    from ragbench.base.errors import UsageError

    if (query is None) == (queries is None) or (queries is None) != (out is None):
        raise UsageError(
            "give either a query, or both --queries FILE and --run FILE",
            fix=f'ragbench index search {name} "your words" -k 5',
        )
    if queries is None and (id_field or query_field):
        raise UsageError(
            "--id-field and --query-field name fields of a file of queries",
            fix="give --queries FILE and --run FILE",
        )
    from ragbench.indexes.built import open_index
    from ragbench.indexes.evaluation.runfile import read_queries

    if queries is not None and out is not None:
        asked = read_queries(queries, id_field=id_field, text_field=query_field)
        _search_all(name, asked, k, out, device)
        return

    opened = open_index(name, device=device)
    rows = _hits(opened, query or "", k)
    if as_json:
        emit_json(rows)
        return
    if not rows:
        echo("no hits")
    for row in rows:
        echo(f"{row['rank']:>3}  {row['score']:.4f}  {row['id']}  {row['title']}")
        text = " ".join(str(row["text"]).split())
        start = text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
        for line in wrapped(start, terminal_width() or len(start) + 5, " " * 5):
            echo(line, dim=True)


def _hits(opened: IndexKind, query: str, k: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for rank, hit in enumerate(opened.search([query], k)[0], 1):
        passage = opened.corpus[hit.row]
        rows.append(
            {
                "rank": rank,
                "id": hit.id,
                "doc_id": hit.doc_id,
                "score": hit.score,
                "title": passage.title,
                "text": passage.text,
            }
        )
    return rows


def _search_all(name: str, asked: Sequence[Query], k: int, out: Path, device: Device) -> None:
    from ragbench.indexes.built import open_index
    from ragbench.indexes.evaluation.runfile import write_run
    from ragbench.indexes.retriever import search_all

    opened = open_index(name, device=device)
    hits = search_all(opened, [query.text for query in asked], k, label=f"search {name}")
    write_run(out, asked, hits, tag=name)
    empty = sum(not found for found in hits)
    note = f"; {empty:,} queries have no hit" if empty else ""
    echo(f"wrote {out}: {len(asked):,} queries, {sum(map(len, hits)):,} hits{note}")


@index.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show the manifest of the index NAME."""
    from dataclasses import asdict

    from ragbench.indexes.built import read_manifest

    manifest = asdict(read_manifest(name))
    if as_json:
        emit_json(manifest)
        return
    emit_table(["what", "value"], [[k, v] for k, v in manifest.items() if k != "versions"])

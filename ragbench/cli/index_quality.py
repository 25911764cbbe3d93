"""``ragbench index``: the commands eval, check and clean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json, emit_table, size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ragbench.base.devices import Device
    from ragbench.base.records import Query
    from ragbench.corpora.corpus import Corpus
    from ragbench.indexes.evaluation.qrels import Missing

DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device of the encoder.",
)
MEASURES = ("nDCG@10", "R@5", "R@10", "RR@10")
FILE = click.Path(path_type=Path)
OUT = click.Path(path_type=Path, dir_okay=False)  # a folder is refused before the search


@click.command("eval")
@click.argument("name")
@click.option("--qrels", required=True, type=FILE, help="Qrels: TREC (4 columns) or BEIR (3).")
@click.option("--queries", type=FILE, help="JSON lines file of queries to search.")
@click.option(
    "-m",
    "--measure",
    "measures",
    multiple=True,
    help=f"Measure of ir-measures; repeatable (default: {', '.join(MEASURES)}).",
)
@click.option("-k", default=100, show_default=True, type=click.IntRange(1), help="Hits per query.")
@click.option(
    "--missing",
    type=click.Choice(["error", "count"]),
    default="error",
    show_default=True,
    help="Relevant ids that are not in the corpus: stop, or count them as never found.",
)
@click.option("--run", "out", type=OUT, help="TREC run file to write.")
@click.option("--run-file", type=FILE, help="Evaluate this TREC run; do not search.")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    name: str,
    qrels: Path,
    queries: Path | None,
    measures: tuple[str, ...],
    k: int,
    missing: Missing,
    out: Path | None,
    run_file: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Evaluate the index NAME against relevance judgements (qrels)."""
    from ragbench.base.errors import UsageError

    if (queries is None and run_file is None) or (out is not None and run_file is not None):
        raise UsageError(
            "give --queries FILE to search (and --run FILE to keep the run), or --run-file FILE",
            fix=f"ragbench index eval {name} --queries q.jsonl --qrels qrels.tsv",
        )
    source = Source(name, queries, run_file, out, k, device)
    means, counts = _evaluate(source, qrels, measures or MEASURES, missing)
    if as_json:
        emit_json({**means, **counts})
        return
    emit_table(["measure", "value"], [[m, f"{value:.4f}"] for m, value in means.items()])
    echo(
        f"{counts['n_queries']:,} queries, {counts['n_without_hits']:,} of them without hits; "
        f"{counts['n_missing']:,} without qrels and {counts['n_not_asked']:,} judged but not asked "
        f"are excluded; qrels match {counts['qrels_match']} ids"
    )
    if counts["n_absent"]:
        echo(f"{counts['n_absent']:,} relevant ids are not in the corpus and count as never found")


@dataclass(frozen=True)
class Source:
    """The source of the rankings: an index to search, or a run file."""

    name: str
    queries: Path | None
    run_file: Path | None
    out: Path | None
    k: int
    device: Device


def _evaluate(
    source: Source, qrels: Path, measures: Sequence[str], missing: Missing
) -> tuple[dict[str, float], dict[str, int | str]]:
    """Return the mean of each measure, and the counts of queries."""
    from ragbench.indexes.evaluation.qrels import (
        absent,
        best_first,
        in_corpus,
        level_of,
        read_qrels,
    )
    from ragbench.indexes.evaluation.runfile import read_queries
    from ragbench.metrics.retrieval import depth_of, parse, per_query

    names = [str(parse(measure)) for measure in measures]
    grades = read_qrels(qrels)
    corpus = _corpus_of(source.name)
    level = level_of(grades, corpus, missing=missing)
    outside = absent(grades, corpus, level)
    grades = in_corpus(grades, corpus, level)
    asked = read_queries(source.queries) if source.queries is not None else None
    if source.run_file is not None:
        ids = _read_ids(source.run_file, corpus)
        every = [query.id for query in asked] if asked is not None else list(ids)
        judged = _judged(grades, every, qrels)
        if asked is None:
            judged = list(grades)  # a run has no lines for a query without hits
    else:
        every = [query.id for query in asked or ()]
        judged = _judged(grades, every, qrels)
        depth = max(source.k, *map(depth_of, names))
        ids = _search(source, asked or [], depth)
    ranked = {query: best_first(corpus, ids.get(query, []), level) for query in judged}
    values = per_query(names, {query: grades[query] for query in judged}, ranked)
    means = {measure: sum(found.values()) / len(found) for measure, found in values.items()}
    return means, {
        "n_queries": len(judged),
        "n_missing": len(set(every) - set(grades)),
        "n_without_hits": sum(not found for found in ranked.values()),
        "n_not_asked": len(set(grades) - set(judged)),
        "n_absent": len(outside),
        "qrels_match": level,
    }


def _read_ids(run_file: Path, corpus: Corpus) -> dict[str, list[str]]:
    from ragbench.indexes.evaluation.runfile import check_run_ids, read_run

    run = read_run(run_file)
    check_run_ids(run, corpus)
    return {query: [passage for passage, _ in found] for query, found in run.items()}


def _corpus_of(name: str) -> Corpus:
    """Return the corpus of a built index without loading its encoder."""
    from ragbench.base.errors import DataError
    from ragbench.corpora.open import open_corpus
    from ragbench.indexes.built import folder_of, read_manifest

    about = read_manifest(name).corpus
    corpus = open_corpus(about["name"])
    if corpus.digest != about["digest"]:
        raise DataError(
            f"the corpus {corpus.name!r} has changed since the index {name!r} was built",
            where=str(folder_of(name)),
            fix="build the index again with --replace",
        )
    return corpus


def _judged(grades: Mapping[str, object], asked: Sequence[str], qrels: Path) -> list[str]:
    from ragbench.base.errors import DataError

    judged = [query for query in asked if query in grades]
    if not judged:
        raise DataError(
            f"none of the {len(asked):,} queries ({', '.join(asked[:3])}, ...) has judgements; "
            f"the judged queries are {', '.join(list(grades)[:3])}, ...",
            where=str(qrels),
            fix="use the same query ids in the queries and the qrels",
        )
    return judged


def _search(source: Source, queries: Sequence[Query], k: int) -> dict[str, list[str]]:
    from ragbench.indexes.built import open_index
    from ragbench.indexes.evaluation.runfile import write_run
    from ragbench.indexes.retriever import search_all

    index = open_index(source.name, device=source.device)
    hits = search_all(index, [query.text for query in queries], k, label=f"search {source.name}")
    if source.out is not None:
        write_run(source.out, queries, hits, tag=source.name)
    return {query.id: [hit.id for hit in found] for query, found in zip(queries, hits, strict=True)}


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
    from ragbench.indexes.dense.embeddings import kept, remove

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

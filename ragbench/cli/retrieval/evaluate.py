"""``ragbench index eval``: an index against judgements, alone or beside another one."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json, emit_json_lines, emit_table
from ragbench.cli.retrieval.options import DEVICE, FILE, ID_FIELD, OUT, QUERY_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ragbench.analysis.quality import Difference, Mean
    from ragbench.base.devices import Device
    from ragbench.cli.retrieval.judged import Judged
    from ragbench.indexes.evaluation.qrels import Missing

MEASURES = ("nDCG@10", "R@5", "R@10", "RR@10")


@click.command("eval")
@click.argument("name")
@click.option("--qrels", required=True, type=FILE, help="Qrels: TREC (4 columns) or BEIR (3).")
@click.option("--queries", type=FILE, help="Queries to search: JSON lines or a table.")
@ID_FIELD
@QUERY_FIELD
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
@click.option("--against", metavar="OTHER", help="Compare with the index OTHER, query by query.")
@click.option("--against-run", type=FILE, help="Compare with a TREC run over the same corpus.")
@click.option("--per-query", is_flag=True, help="Print each query's value of each measure.")
@click.option("--run", "out", type=OUT, help="TREC run file to write.")
@click.option("--run-file", type=FILE, help="Evaluate this TREC run; do not search.")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON; JSON lines with --per-query.")
def evaluate(
    name: str,
    qrels: Path,
    queries: Path | None,
    id_field: str | None,
    query_field: str | None,
    measures: tuple[str, ...],
    k: int,
    missing: Missing,
    against: str | None,
    against_run: Path | None,
    per_query: bool,
    out: Path | None,
    run_file: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Evaluate the index NAME against relevance judgements (qrels).

    Means come with 95 % intervals. With --against, the same queries are searched in both indexes,
    and the difference of each measure has an interval and a p value, paired over the queries.
    """
    from ragbench.analysis.quality import differences, means, query_clusters
    from ragbench.base.errors import UsageError
    from ragbench.cli.retrieval.judged import Source, judge
    from ragbench.indexes.evaluation.runfile import read_queries

    if (queries is None and run_file is None) or (out is not None and run_file is not None):
        raise UsageError(
            "give --queries FILE to search (and --run FILE to keep the run), or --run-file FILE",
            fix=f"ragbench index eval {name} --queries q.jsonl --qrels qrels.tsv",
        )
    _check(queries, against, against_run, fields=(id_field, query_field))
    asked = (
        None
        if queries is None
        else read_queries(queries, id_field=id_field, text_field=query_field)
    )
    chosen = measures or MEASURES
    sources = [Source(name, run_file, out, k, device)]
    if against is not None:
        sources.append(Source(against, None, None, k, device))
    elif against_run is not None:
        sources.append(Source(name, against_run, None, k, device))
    judged = [judge(source, asked, qrels, chosen, missing) for source in sources]
    _check_pair(judged)
    by_id = {query.id: query for query in asked or ()}
    mine = [by_id[query] for query in judged[0].queries if by_id]
    clusters = query_clusters(mine) if mine else None
    n_clusters = None if clusters is None else len(set(clusters.tolist()))
    found = [means(one.values, clusters) for one in judged]
    parts = differences(judged[0].values, judged[1].values, clusters) if judged[1:] else {}
    if per_query and as_json:
        emit_json_lines(_by_query(judged))
    elif as_json:
        emit_json(_as_json(judged, found, parts, n_clusters))
    else:
        _print(judged, found, parts, n_clusters, per_query=per_query)


def _check(
    queries: Path | None,
    against: str | None,
    against_run: Path | None,
    *,
    fields: tuple[str | None, ...],
) -> None:
    from ragbench.base.errors import UsageError

    if against is not None and against_run is not None:
        raise UsageError("--against and --against-run exclude each other", fix="give one of them")
    if queries is None and against is not None:
        raise UsageError(
            f"the index {against!r} has no queries to search",
            fix="give --queries FILE, or --against-run FILE to compare two runs",
        )
    if queries is None and any(fields):
        raise UsageError(
            "--id-field and --query-field name fields of a file of queries",
            fix="give --queries FILE",
        )


def _check_pair(judged: list[Judged]) -> None:
    """Refuse two sources that were judged by different kinds of ids."""
    from ragbench.base.errors import DataError

    if not judged[1:]:
        return
    first, second = judged
    if first.level != second.level:
        raise DataError(
            f"the qrels match {first.level} ids in {first.source} and {second.level} ids in "
            f"{second.source}, so that their measures are not of the same thing",
            where="the qrels",
            fix="compare indexes over corpora with the same passages, or give qrels of documents",
        )


def _by_query(judged: list[Judged]) -> Iterator[dict[str, object]]:
    """Yield an object per query and measure; with the other source's value and the difference."""
    for query in judged[0].queries:
        for measure, values in judged[0].values.items():
            row: dict[str, object] = {"query": query, "measure": measure, "value": values[query]}
            if judged[1:]:
                other = judged[1].values[measure][query]
                row |= {"other": other, "difference": values[query] - other}
            yield row


def _as_json(
    judged: list[Judged],
    found: list[dict[str, Mean]],
    parts: dict[str, Difference],
    n_clusters: int | None,
) -> dict[str, object]:
    sides: list[dict[str, object]] = [
        {
            **{measure: mean.value for measure, mean in summary.items()},
            "n_queries": len(one.queries),
            "n_missing": one.n_missing,
            "n_without_hits": one.n_without_hits,
            "n_not_asked": one.n_not_asked,
            "n_absent": one.n_absent,
            "n_unreachable": one.n_unreachable,
            "n_irrelevant": one.n_irrelevant,
            "n_clusters": n_clusters,
            "qrels_match": one.level,
            "intervals": {
                m: [_number(mean.low), _number(mean.high)] for m, mean in summary.items()
            },
        }
        for one, summary in zip(judged, found, strict=True)
    ]
    if not parts:
        return sides[0]
    return {
        **sides[0],
        "against": {"name": judged[1].source, **sides[1]},
        "differences": {
            measure: {key: _number(value) for key, value in asdict(part).items()}
            for measure, part in parts.items()
        },
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _print(
    judged: list[Judged],
    found: list[dict[str, Mean]],
    parts: dict[str, Difference],
    n_clusters: int | None,
    *,
    per_query: bool,
) -> None:
    from ragbench.analysis.statistics.clustered import FEWEST_CLUSTERS
    from ragbench.report.tables import between, p_value

    if per_query:
        rows = list(_by_query(judged))
        emit_table(
            list(rows[0]),
            [[f"{v:.4f}" if isinstance(v, float) else v for v in row.values()] for row in rows],
        )
        echo()
    interval = "95 % interval"
    table = [
        [
            measure,
            *(
                cell
                for summary in found
                for cell in (
                    f"{summary[measure].value:.4f}",
                    between(summary[measure].low, summary[measure].high, "{:.4f}".format),
                )
            ),
        ]
        for measure in found[0]
    ]
    if not parts:
        emit_table(["measure", "value", interval], table)
    else:
        echo(f"first: {judged[0].source}; second: {judged[1].source}")
        emit_table(["measure", "first", interval, "second", interval], table)
        echo()
        signed = "{:+.4f}".format
        emit_table(
            ["measure", "first - second", interval, "better / worse", "p", "adjusted p"],
            [
                [
                    measure,
                    signed(part.estimate),
                    between(part.low, part.high, signed),
                    f"{part.better} / {part.worse}",
                    p_value(part.p),
                    p_value(part.p_adjusted),
                ]
                for measure, part in parts.items()
            ],
        )
        echo()
    for one in judged:
        _print_counts(one, f"{one.source}: " if parts else "")
    if n_clusters is not None:
        few = f"; fewer than {FEWEST_CLUSTERS} give neither" * (n_clusters < FEWEST_CLUSTERS)
        echo(
            f"{len(judged[0].queries):,} queries in {n_clusters:,} clusters (of one field cluster "
            f"or the same words), the\nunits of intervals and tests{few}"
        )


def _print_counts(one: Judged, who: str) -> None:
    echo(
        f"{who}{len(one.queries):,} queries, {one.n_without_hits:,} of them without hits; "
        f"qrels match {one.level} ids"
    )
    if one.n_missing or one.n_not_asked:
        echo(
            f"{who}excluded: {one.n_missing:,} queries without qrels, {one.n_not_asked:,} judged "
            "but not asked"
        )
    if one.n_absent:
        echo(f"{who}{one.n_absent:,} relevant ids are not in the corpus and count as never found")
    if none := one.n_unreachable + one.n_irrelevant:
        echo(
            f"{who}{none:,} queries have no relevant {one.level} in the corpus (for "
            f"{one.n_irrelevant:,} of them\nthe qrels name none); they score 0 in every mean, as "
            "in trec_eval"
        )

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

INTERVAL = "95 % interval"
MEASURES = ("nDCG@10", "R@5", "R@10", "RR@10")


@click.command("eval")
@click.argument("name")
@click.option(
    "--qrels",
    type=FILE,
    help="Qrels: TREC (4 columns), BEIR (3), or questions (JSON lines with gold_doc_ids). By "
    "default those of the run given by --queries.",
)
@click.option(
    "--queries",
    type=FILE,
    help="Queries to search: JSON lines or a table; or a run, whose written queries are compared "
    "with its questions.",
)
@click.option("--arm", metavar="ARM", help="Compare only the queries written for this arm.")
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
@click.option(
    "--against-run",
    "against_runs",
    type=FILE,
    multiple=True,
    help="Compare with a TREC run over the same corpus; repeatable.",
)
@click.option("--per-query", is_flag=True, help="Print each query's value of each measure.")
@click.option("--run", "out", type=OUT, help="TREC run file to write.")
@click.option("--run-file", type=FILE, help="Evaluate this TREC run; do not search.")
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON; JSON lines with --per-query.")
def evaluate(
    name: str,
    qrels: Path | None,
    queries: Path | None,
    arm: str | None,
    id_field: str | None,
    query_field: str | None,
    measures: tuple[str, ...],
    k: int,
    missing: Missing,
    against: str | None,
    against_runs: tuple[Path, ...],
    per_query: bool,
    out: Path | None,
    run_file: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Evaluate the index NAME against relevance judgements (qrels).

    Means come with 95 % intervals. With --against, the same queries are searched in both indexes,
    and the difference of each measure has an interval and a p value, paired over the queries.
    Several TREC runs are each compared with the first; p is then adjusted over all of them.

    With --queries RUN, the index is searched with the questions of a run and with each kind of
    query that models wrote for it, and each kind is compared with the questions.
    """
    from ragbench.analysis.quality import differences, holm_over, means, query_clusters
    from ragbench.base.errors import UsageError
    from ragbench.cli.retrieval.judged import Source, judge
    from ragbench.cli.retrieval.written import Asked, check_alone, evaluate_written, named_run
    from ragbench.indexes.evaluation.runfile import read_queries

    chosen = measures or MEASURES
    if queries is not None and (run := named_run(queries, is_wanted=qrels is None)) is not None:
        check_alone(
            against=against,
            against_run=against_runs,
            run=out,
            run_file=run_file,
            id_field=id_field,
            query_field=query_field,
            per_query=per_query,
        )
        asked_of = Asked(name, arm, qrels, chosen, k, missing, device)
        evaluate_written(run, asked_of, as_json=as_json)
        return
    if arm is not None:
        raise UsageError("--arm names an arm of a run", fix="give --queries RUN")
    if qrels is None:
        raise UsageError(
            "there are no judgements",
            fix="give --qrels FILE, or --queries RUN to take those of a run",
        )
    if (queries is None and run_file is None) or (out is not None and run_file is not None):
        raise UsageError(
            "give --queries FILE to search (and --run FILE to keep the run), or --run-file FILE",
            fix=f"ragbench index eval {name} --queries q.jsonl --qrels qrels.tsv",
        )
    _check(queries, against, against_runs, fields=(id_field, query_field))
    asked = (
        None
        if queries is None
        else read_queries(queries, id_field=id_field, text_field=query_field)
    )
    sources = [Source(name, run_file, out, k, device)]
    if against is not None:
        sources.append(Source(against, None, None, k, device))
    sources += [Source(name, path, None, k, device) for path in against_runs]
    judged = [judge(source, asked, qrels, chosen, missing) for source in sources]
    _check_pair(judged)
    by_id = {query.id: query for query in asked or ()}
    mine = [by_id[query] for query in judged[0].queries if by_id]
    clusters = query_clusters(mine) if mine else None
    n_clusters = None if clusters is None else len(set(clusters.tolist()))
    found = [means(one.values, clusters) for one in judged]
    parts = holm_over([differences(judged[0].values, one.values, clusters) for one in judged[1:]])
    if per_query and as_json:
        emit_json_lines(_by_query(judged))
    elif as_json:
        emit_json(_as_json(judged, found, parts, n_clusters))
    else:
        _print(judged, found, parts, n_clusters, per_query=per_query)


def _check(
    queries: Path | None,
    against: str | None,
    against_runs: tuple[Path, ...],
    *,
    fields: tuple[str | None, ...],
) -> None:
    from ragbench.base.errors import UsageError

    if against is not None and against_runs:
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
    """Refuse sources that were judged by different kinds of ids."""
    from ragbench.base.errors import DataError

    first = judged[0]
    for other in judged[1:]:
        if first.level != other.level:
            raise DataError(
                f"the qrels match {first.level} ids in {first.source} and {other.level} ids in "
                f"{other.source}, so that their measures are not of the same thing",
                where="the qrels",
                fix="compare indexes over corpora with the same passages, or give qrels of "
                "documents",
            )


def _by_query(judged: list[Judged]) -> Iterator[dict[str, object]]:
    """Yield an object per query and measure; with another source's value and the difference.

    Of several others, each has an object, which names it.
    """
    for query in judged[0].queries:
        for measure, values in judged[0].values.items():
            row: dict[str, object] = {"query": query, "measure": measure, "value": values[query]}
            if not judged[1:]:
                yield row
            for other in judged[1:]:
                value = other.values[measure][query]
                named = {"against": other.source} if judged[2:] else {}
                yield row | named | {"other": value, "difference": values[query] - value}


def _as_json(
    judged: list[Judged],
    found: list[dict[str, Mean]],
    parts: list[dict[str, Difference]],
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
    others: list[tuple[dict[str, object], dict[str, object]]] = [
        (
            {"name": one.source, **side},
            {
                measure: {key: _number(value) for key, value in asdict(part).items()}
                for measure, part in compared.items()
            },
        )
        for one, side, compared in zip(judged[1:], sides[1:], parts, strict=True)
    ]
    if len(others) == 1:
        ((other, compared),) = others
        return {**sides[0], "against": other, "differences": compared}
    if others:
        each = [{**other, "differences": compared} for other, compared in others]
        return {**sides[0], "against": each}
    return sides[0]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _print(
    judged: list[Judged],
    found: list[dict[str, Mean]],
    parts: list[dict[str, Difference]],
    n_clusters: int | None,
    *,
    per_query: bool,
) -> None:
    from ragbench.analysis.statistics.clustered import FEWEST_CLUSTERS

    if per_query:
        rows = list(_by_query(judged))
        emit_table(
            list(rows[0]),
            [[f"{v:.4f}" if isinstance(v, float) else v for v in row.values()] for row in rows],
        )
        echo()
    if judged[2:]:
        _print_several(judged, found, parts)
    else:
        _print_values(judged, found, parts)
    for one in judged:
        _print_counts(one, f"{one.source}: " if parts else "")
    if n_clusters is not None:
        few = f"; fewer than {FEWEST_CLUSTERS} give neither" * (n_clusters < FEWEST_CLUSTERS)
        echo(
            f"{len(judged[0].queries):,} queries in {n_clusters:,} clusters (of one field cluster "
            f"or the same words), the\nunits of intervals and tests{few}"
        )


def _print_values(
    judged: list[Judged], found: list[dict[str, Mean]], parts: list[dict[str, Difference]]
) -> None:
    """Print the measures of one source, or of two beside each other."""
    from ragbench.report.tables import between, p_value

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
        emit_table(["measure", "value", INTERVAL], table)
        return
    echo(f"first: {judged[0].source}; second: {judged[1].source}")
    emit_table(["measure", "first", INTERVAL, "second", INTERVAL], table)
    echo()
    signed = "{:+.4f}".format
    emit_table(
        ["measure", "first - second", INTERVAL, "better / worse", "p", "adjusted p"],
        [
            [
                measure,
                signed(part.estimate),
                between(part.low, part.high, signed),
                f"{part.better} / {part.worse}",
                p_value(part.p),
                p_value(part.p_adjusted),
            ]
            for measure, part in parts[0].items()
        ],
    )
    echo()


def _print_several(
    judged: list[Judged], found: list[dict[str, Mean]], parts: list[dict[str, Difference]]
) -> None:
    """Print the measures of the first source, and below it those of each other one."""
    from ragbench.report.tables import between, p_value

    signed = "{:+.4f}".format
    rows = []
    for measure, mean in found[0].items():
        rows.append([measure, judged[0].source, f"{mean.value:.4f}", "", "", "", ""])
        for one, summary, compared in zip(judged[1:], found[1:], parts, strict=True):
            part = compared[measure]
            rows.append(
                [
                    *("", one.source, f"{summary[measure].value:.4f}", signed(part.estimate)),
                    *(between(part.low, part.high, signed), f"{part.better} / {part.worse}"),
                    p_value(part.p_adjusted),
                ]
            )
    emit_table(
        [
            *("measure", "run", "value", "first - it", INTERVAL, "better / worse"),
            "adjusted p",
        ],
        rows,
    )
    echo()


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

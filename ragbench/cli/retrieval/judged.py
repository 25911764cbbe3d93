"""Rankings against judgements: each query's measures, and what was counted how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragbench.base.devices import Device
    from ragbench.base.records import Query
    from ragbench.corpora.corpus import Corpus
    from ragbench.indexes.evaluation.qrels import Level, Missing, Qrels


@dataclass(frozen=True, slots=True)
class Source:
    """The source of rankings: an index to search, or a run file over its corpus."""

    index: str
    run_file: Path | None
    out: Path | None
    k: int
    device: Device

    @property
    def name(self) -> str:
        """What the rankings are called."""
        return self.index if self.run_file is None else self.run_file.name


@dataclass(frozen=True, slots=True)
class Judged:
    """The measures of each query of one source.

    Attributes:
        source: Its name.
        values: Value by measure and query.
        level: What the judged ids are.
        n_missing: Queries without judgements, which are excluded.
        n_not_asked: Judged queries that were not asked, which are excluded.
        n_without_hits: Queries without hits, which score 0.
        n_absent: Relevant ids outside the corpus, which count as never found.
        n_unreachable: Queries all of whose relevant ids are outside the corpus; they score 0.
        n_irrelevant: Queries for which no judged id is relevant; they score 0.
    """

    source: str
    values: dict[str, dict[str, float]]
    level: Level
    n_missing: int
    n_not_asked: int
    n_without_hits: int
    n_absent: int
    n_unreachable: int
    n_irrelevant: int

    @property
    def queries(self) -> list[str]:
        """The judged queries, in the order of every measure's values."""
        return list(next(iter(self.values.values())))


def judge(
    source: Source,
    queries: Sequence[Query] | None,
    qrels: Path,
    measures: Sequence[str],
    missing: Missing,
) -> Judged:
    """Return the measures of each judged query of a source.

    Without ``queries``, a run file is judged on every query of the qrels, as by ``trec_eval -c``:
    a run has no lines for a query without hits.

    Raises:
        DataError: No query has judgements, or judgements or run belong to another corpus.
        UsageError: A measure is unknown.
    """
    from ragbench.indexes.evaluation.qrels import (
        absent,
        best_first,
        in_corpus,
        level_of,
        read_qrels,
    )
    from ragbench.metrics.retrieval import depth_of, parse, per_query

    names = list(dict.fromkeys(str(parse(measure)) for measure in measures))
    grades = read_qrels(qrels)
    corpus = corpus_of_index(source.index)
    level = level_of(grades, corpus, missing=missing)
    outside = set(absent(grades, corpus, level))
    unreachable, irrelevant = _without_relevant(grades, outside)
    grades = in_corpus(grades, corpus, level)
    if source.run_file is not None:
        ids = _read_ids(source.run_file, corpus)
        every = [query.id for query in queries] if queries is not None else list(ids)
        judged = _judged(grades, every, qrels)
        if queries is None:
            judged = list(grades)
    else:
        every = [query.id for query in queries or ()]
        judged = _judged(grades, every, qrels)
        ids = _search(source, queries or [], max(source.k, *map(depth_of, names)))
    ranked = {query: best_first(corpus, ids.get(query, []), level) for query in judged}
    return Judged(
        source=source.name,
        values=per_query(names, {query: grades[query] for query in judged}, ranked),
        level=level,
        n_missing=len(set(every) - set(grades)),
        n_not_asked=len(set(grades) - set(judged)),
        n_without_hits=sum(not found for found in ranked.values()),
        n_absent=len(outside),
        n_unreachable=len(unreachable.intersection(judged)),
        n_irrelevant=len(irrelevant.intersection(judged)),
    )


def _without_relevant(grades: Qrels, outside: set[str]) -> tuple[set[str], set[str]]:
    """Return the queries whose relevant ids are all outside, and those without a relevant id."""
    unreachable, irrelevant = set(), set()
    for query, by_id in grades.items():
        relevant = {identifier for identifier, grade in by_id.items() if grade > 0}
        if not relevant:
            irrelevant.add(query)
        elif relevant <= outside:
            unreachable.add(query)
    return unreachable, irrelevant


def _read_ids(run_file: Path, corpus: Corpus) -> dict[str, list[str]]:
    from ragbench.indexes.evaluation.runfile import check_run_ids, read_run

    run = read_run(run_file)
    check_run_ids(run, corpus)
    return {query: [passage for passage, _ in found] for query, found in run.items()}


def corpus_of_index(name: str) -> Corpus:
    """Return the corpus of a built index without loading its encoder."""
    from ragbench.base.errors import DataError
    from ragbench.corpora.open import open_corpus
    from ragbench.indexes.built import folder_of, read_manifest

    about = read_manifest(name).corpus
    corpus = open_corpus(about.name)
    if corpus.digest != about.digest:
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
            fix="use the same query ids in the queries and the qrels (--id-field NAME chooses "
            "the ids of the queries)",
        )
    return judged


def _search(source: Source, queries: Sequence[Query], k: int) -> dict[str, list[str]]:
    from ragbench.indexes.built import open_index
    from ragbench.indexes.evaluation.runfile import write_run
    from ragbench.indexes.retriever import search_all

    index = open_index(source.index, device=source.device)
    hits = search_all(index, [query.text for query in queries], k, label=f"search {source.index}")
    if source.out is not None:
        write_run(source.out, queries, hits, tag=source.index)
    return {query.id: [hit.id for hit in found] for query, found in zip(queries, hits, strict=True)}

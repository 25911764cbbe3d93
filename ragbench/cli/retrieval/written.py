"""``ragbench index eval --queries RUN``: an index with the queries that models wrote for a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragbench.cli.output import echo, emit_json, emit_table

if TYPE_CHECKING:
    from ragbench.analysis.quality import Difference, Mean
    from ragbench.base.devices import Device
    from ragbench.base.records import Question
    from ragbench.corpora.corpus import Corpus
    from ragbench.experiment.writing.kinds import QueryKind
    from ragbench.indexes.evaluation.qrels import Level, Missing, Qrels
    from ragbench.indexes.retriever import Retriever
    from ragbench.runfolder.paths import RunPaths

QUESTION = "the question"
INTERVAL = "95 % interval"
ByQuery = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched and judged.

    Attributes:
        index: The index.
        arm: The only arm whose queries are searched; None for all arms.
        qrels: Judgements; None for the gold passages of the run's questions.
        measures: Measures of ir-measures.
        k: Hits per query.
        missing: What relevant ids outside the corpus are.
        device: Device of the encoder.
    """

    index: str
    arm: str | None
    qrels: Path | None
    measures: tuple[str, ...]
    k: int
    missing: Missing
    device: Device


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """One task of a run: its questions as queries, and each kind of written query.

    Attributes:
        task: The task.
        level: What the judged ids are.
        queries: Number of judged questions.
        n_missing: Questions without judgements, which are excluded.
        n_absent: Relevant ids outside the corpus, which count as never found.
        n_clusters: Number of clusters of the questions; None if each is one of its own.
        kinds: The kinds of written query.
        values: By name, value by measure and question; the first is the question itself.
        means: By name, mean by measure.
        differences: By name of a kind, it less the question by measure.
    """

    task: str
    level: Level
    queries: int
    n_missing: int
    n_absent: int
    n_clusters: int | None
    kinds: tuple[QueryKind, ...]
    values: Mapping[str, ByQuery]
    means: Mapping[str, Mapping[str, Mean]]
    differences: Mapping[str, Mapping[str, Difference]]


def named_run(queries: Path, *, is_wanted: bool) -> RunPaths | None:
    """Return the run that ``--queries`` names; None where it names no run.

    Raises:
        DataError: There is no such run, and it is wanted or a folder has its name.
    """
    from ragbench.base import home
    from ragbench.runfolder.paths import RUN, find_run

    if queries.is_file():
        return None
    places = (home.expand(str(queries)), home.home() / "runs" / queries)
    if is_wanted or queries.is_dir() or any((place / RUN).is_file() for place in places):
        return find_run(str(queries))
    return None


def check_alone(**given: object) -> None:
    """Refuse options that have no effect with the queries of a run."""
    from ragbench.base.errors import UsageError

    if option := next((name for name, value in given.items() if value), None):
        raise UsageError(
            f"--{option.replace('_', '-')} has no effect with the queries of a run",
            fix="remove it, or give a file of queries",
        )


def evaluate_written(folder: RunPaths, asked: Asked, *, as_json: bool) -> None:
    """Print the quality of an index with each kind of query of a run, beside the question's own.

    Raises:
        DataError: The run has changed, or the index has no relevant passage of any of its tasks.
        UsageError: No arm has written queries, or a measure is unknown.
    """
    found = judge_written(folder, asked)
    if as_json:
        emit_json(_as_json(folder, asked, found))
    else:
        for one in found:
            _print(one, asked.index)


def judge_written(folder: RunPaths, asked: Asked) -> list[JudgedTask]:
    """Return every task of a run that has relevant passages in the index's corpus.

    Raises:
        RagbenchError: As ``evaluate_written``.
    """
    from ragbench.analysis.quality import holm_over
    from ragbench.base.errors import DataError
    from ragbench.base.progress import say
    from ragbench.cli.retrieval.judged import corpus_of_index
    from ragbench.experiment.writing.kinds import arms_with_queries, written_kinds
    from ragbench.indexes.built import open_index
    from ragbench.indexes.evaluation.qrels import read_qrels
    from ragbench.runfolder.questions import read_questions
    from ragbench.runfolder.runfile import read_run_file
    from ragbench.runfolder.sums import check_inputs

    run = read_run_file(folder.run)
    arms = arms_with_queries(run.config, asked.arm)
    check_inputs(folder, run.format)
    corpus = corpus_of_index(asked.index)
    given = None if asked.qrels is None else read_qrels(asked.qrels)
    planned = []
    for task, facts in run.identity.tasks.items():
        questions = read_questions(folder.questions(task))
        grades = _grades(questions, given)
        searched = [arm for arm in facts.arms if arm in arms]
        if not searched or not _has_some(corpus, grades):
            say(f"note: {task} is left out: {_why(searched, corpus)}")
            continue
        kinds = written_kinds(folder, run.config, task, searched, questions)
        planned.append((task, questions, grades, kinds))
    if not planned:
        raise DataError(
            f"no task of the run has a relevant passage in the corpus {corpus.name!r}",
            where=f"the index {asked.index!r}",
            fix="give an index over the corpus of a task, or judgements with --qrels",
        )
    index = open_index(asked.index, device=asked.device)
    every = [_judge(index, corpus, asked, *one) for one in planned]
    adjusted = iter(holm_over([d for one in every for d in one.differences.values()]))
    return [_with(one, {name: next(adjusted) for name in one.differences}) for one in every]


def _why(arms: Sequence[str], corpus: Corpus) -> str:
    if not arms:
        return "none of its arms searches with written queries"
    return f"it has no relevant passage in the corpus {corpus.name!r}"


def _with(one: JudgedTask, differences: Mapping[str, Mapping[str, Difference]]) -> JudgedTask:
    return replace(one, differences=differences)


def _grades(questions: Sequence[Question], given: Qrels | None) -> Qrels:
    """Return the judgements of questions: those of a file, or their gold ids."""
    if given is None:
        return {q.id: dict.fromkeys(q.gold_doc_ids, 1) for q in questions if q.gold_doc_ids}
    return {q.id: given[q.id] for q in questions if q.id in given}


def _has_some(corpus: Corpus, grades: Qrels) -> bool:
    relevant = (name for found in grades.values() for name, grade in found.items() if grade > 0)
    return any(corpus.match(name) is not None or corpus.match_doc(name) for name in relevant)


def _judge(
    index: Retriever,
    corpus: Corpus,
    asked: Asked,
    task: str,
    questions: Sequence[Question],
    grades: Qrels,
    kinds: Sequence[QueryKind],
) -> JudgedTask:
    import numpy as np

    from ragbench.analysis.quality import differences, means
    from ragbench.indexes.evaluation.qrels import absent, best_first, in_corpus, level_of
    from ragbench.metrics.retrieval import depth_of, parse, per_query
    from ragbench.runfolder.looks.clusters import clusters_of

    names = list(dict.fromkeys(str(parse(measure)) for measure in asked.measures))
    level = level_of(grades, corpus, missing=asked.missing)
    outside, grades = absent(grades, corpus, level), in_corpus(grades, corpus, level)
    judged = [question for question in questions if question.id in grades]
    depth = max(asked.k, *map(depth_of, names))
    own = {question.id: (question.query,) for question in judged}
    values: dict[str, ByQuery] = {}
    for name, texts in ((QUESTION, own), *((kind.name, kind.texts) for kind in kinds)):
        found = _search(index, judged, texts, depth, label=f"search {task} with {name}")
        ranked = {query: best_first(corpus, ids, level) for query, ids in found.items()}
        values[name] = per_query(names, grades, ranked)
    codes = clusters_of(judged)
    n_clusters = len(set(codes)) if len(set(codes)) < len(codes) else None
    clusters = None if n_clusters is None else np.asarray(codes, dtype=np.int64)
    return JudgedTask(
        task=task,
        level=level,
        queries=len(judged),
        n_missing=len(questions) - len(judged),
        n_absent=len(outside),
        n_clusters=n_clusters,
        kinds=tuple(kinds),
        values=values,
        means={name: means(found, clusters) for name, found in values.items()},
        differences={
            kind.name: differences(values[kind.name], values[QUESTION], clusters) for kind in kinds
        },
    )


def _search(
    index: Retriever,
    questions: Sequence[Question],
    texts: Mapping[str, tuple[str, ...]],
    depth: int,
    *,
    label: str,
) -> dict[str, list[str]]:
    """Return the ids that each question's texts find, fused where there are several."""
    from ragbench.corpora.cleaned import clean_query
    from ragbench.indexes.composite.fusion import rrf
    from ragbench.indexes.retriever import search_all

    flat = [clean_query(text) for question in questions for text in texts[question.id]]
    hits = iter(search_all(index, flat, depth, label=label))
    found = {}
    for question in questions:
        rankings = [[hit.id for hit in next(hits)] for _ in texts[question.id]]
        fused = rrf(rankings) if len(rankings) > 1 else [(name, 0.0) for name in rankings[0]]
        found[question.id] = [name for name, _ in fused[:depth]]
    return found


def _as_json(folder: RunPaths, asked: Asked, found: Sequence[JudgedTask]) -> dict[str, object]:
    tasks = {}
    for one in found:
        kinds = {kind.name: kind for kind in one.kinds}
        tasks[one.task] = {
            "n_queries": one.queries,
            "n_missing": one.n_missing,
            "n_absent": one.n_absent,
            "n_clusters": one.n_clusters,
            "qrels_match": one.level,
            "queries": [
                {
                    "name": name,
                    "kind": kinds[name].kind if name in kinds else "question",
                    "written_by": kinds[name].writer if name in kinds else None,
                    "n_empty": kinds[name].empty if name in kinds else None,
                    **{measure: mean.value for measure, mean in summary.items()},
                    "intervals": {m: [_number(v.low), _number(v.high)] for m, v in summary.items()},
                    "differences": {
                        measure: {key: _number(value) for key, value in asdict(part).items()}
                        for measure, part in one.differences.get(name, {}).items()
                    },
                }
                for name, summary in one.means.items()
            ],
        }
    return {"run": folder.name, "index": asked.index, "tasks": tasks}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _print(one: JudgedTask, index: str) -> None:
    from ragbench.report.tables import between, p_value

    plain, signed = "{:.4f}".format, "{:+.4f}".format
    echo(
        f"{one.task}: {one.queries:,} questions, searched in {index}; judgements match "
        f"{one.level} ids"
    )
    rows = []
    for measure in one.means[QUESTION]:
        for name, summary in one.means.items():
            mean = summary[measure]
            cells = [measure if name == QUESTION else "", name, plain(mean.value)]
            cells.append(between(mean.low, mean.high, plain))
            part = one.differences.get(name, {}).get(measure)
            if part is not None:
                cells += [signed(part.estimate), between(part.low, part.high, signed)]
                cells += [f"{part.better} / {part.worse}", p_value(part.p_adjusted)]
            rows.append(cells + [""] * (8 - len(cells)))
    header = ["measure", "queries", "value", INTERVAL, "it - the question", INTERVAL]
    emit_table([*header, "better / worse", "adjusted p"], rows)
    for kind in one.kinds:
        also = (
            f"; {kind.empty:,} of {len(kind.texts):,} questions have no written query, so that the "
            "question itself is searched"
        )
        echo(f"{kind.name}: {kind.kind}, written by {kind.writer}{also * bool(kind.empty)}")
    if one.n_missing:
        echo(f"{one.n_missing:,} questions without judgements are excluded")
    if one.n_absent:
        echo(f"{one.n_absent:,} relevant ids are not in the corpus and count as never found")
    if one.n_clusters is not None:
        echo(f"{one.queries:,} questions in {one.n_clusters:,} clusters, the units of intervals")
    echo()

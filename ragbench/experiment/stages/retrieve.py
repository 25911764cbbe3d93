"""Stage 1: one ranking per source and task, saved as a TREC run with its quality.

An index is searched once per task and kind of query, at the largest k that any arm needs. Fusions
are made from the saved runs. A run file is checked and copied, and a runnable is called.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, sha256_file, sha256_json
from ragbench.base.progress import say, stage
from ragbench.base.records import Hit, Query, Question
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.grid.gold import Gold, find_gold
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import IndexPart, Source, TaskPart
from ragbench.experiment.grid.sources import (
    arms_of,
    imitated,
    readers_of,
    searches,
    source_of,
    sources,
)
from ragbench.experiment.grid.written import Queries
from ragbench.experiment.runnables.calling import call_all, calls_note
from ragbench.indexes.built import IndexManifest, open_index
from ragbench.indexes.composite.fusion import rrf
from ragbench.indexes.evaluation.runfile import check_run_ids, ranking_lines, read_run, write_run
from ragbench.indexes.retriever import IndexKind
from ragbench.metrics.retrieval import per_query
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import write_questions
from ragbench.runfolder.retrieval import (
    QualityLine,
    RetrievalNote,
    check_saved,
    read_note,
    sealed,
    write_note,
    write_quality,
)

BATCH_QUERIES = 1024
MAX_HITS = 4_000_000  # in memory at once
Ranked = dict[str, list[str]]


def retrieve_all(
    grid: Grid,
    folder: RunPaths,
    manifests: Mapping[str, IndexManifest],
    written: Queries | None = None,
) -> None:
    """Save a ranking of every source of every task in ``folder``; saved rankings are kept.

    Args:
        grid: Tasks and arms.
        folder: The run.
        manifests: The indexes by name.
        written: Queries that models have written.
    """
    for task in grid.tasks:
        write_questions(folder.questions(task.spec.name), task.questions)
        for part, k in searches(grid.config, task).items():
            asked = _Asked(task, part, written or {})
            _search(task, part, k, manifests[part.name], folder, asked)
        found = list(sources(grid.config, task))
        for source in found:
            if len(source.parts) > 1:
                _fuse(task, source, folder)
            elif source.run_file is not None:
                _copy_run_file(task, source, folder)
            elif source.runnable is not None:
                _call(task, source, folder)
        fused = [source for source in found if len(source.parts) > 1]
        parts = [Source(p.key, p.corpus, (p,)) for source in fused for p in source.parts]
        for source in dict.fromkeys([*found, *parts]):
            _judge(grid, task, source, folder)


def ranking(folder: RunPaths, task: TaskPart, source: Source) -> Ranked:
    """Return the saved ranking of a source: passage ids by question id, best first."""
    run = read_run(folder.retrieval(task.spec.name, source.key, "trec"))
    return {query: [passage for passage, _ in found] for query, found in run.items()}


def measures(grid: Grid, task: TaskPart, source: Source) -> list[str]:
    """Return the retrieval measures: recall at every k of an arm, and RR at the largest.

    A retriever that is only part of a fusion has the measures of the fusion.
    """
    asked = set()
    for arm in arms_of(grid.config, task):
        for model in readers_of(grid.config, arm):
            of = source_of(grid.config, arm, task, model)
            is_part = bool(source.parts) and of is not None and set(source.parts) < set(of.parts)
            if of is not None and (of == source or is_part):
                asked.add(imitated(grid.config, arm).asked)
    return [f"R@{depth}" for depth in sorted(asked)] + [f"RR@{max(asked)}"]


def _note(folder: RunPaths, task: TaskPart, key: str) -> RetrievalNote:
    return read_note(folder.retrieval(task.spec.name, key, "json"))


def _is_saved(folder: RunPaths, task: TaskPart, key: str, asked: RetrievalNote) -> bool:
    """Say whether a ranking was saved before; DataError if its file has changed since."""
    note = _note(folder, task, key)
    if not note.says(asked):
        return False
    check_saved(folder.retrieval(task.spec.name, key, "trec"), note.ranking_sum)
    return True


def _save_note(folder: RunPaths, task: TaskPart, key: str, note: RetrievalNote) -> None:
    """Write the note of a ranking that has just been saved."""
    name = task.spec.name
    digest = sha256_file(folder.retrieval(name, key, "trec"))
    note = replace(note, ranking_sum=digest)
    write_note(folder.retrieval(name, key, "json"), sealed(note))


def _queries(task: TaskPart, *, within: bool = False) -> str:
    """Return the digest of the queries; within documents, of the documents as well."""
    if within:
        return sha256_json([[q.id, q.query, q.documents] for q in task.questions])
    return sha256_json([[q.id, q.query] for q in task.questions])


class _Asked:
    """The queries that an index is searched with; those of a question are one text or several."""

    def __init__(self, task: TaskPart, part: IndexPart, written: Queries) -> None:
        self._task, self._part = task, part
        found = written[task.spec.name, part.queries, part.writer] if part.queries else {}
        own = [(q.query,) if part.rounds else () for q in task.questions]
        self.texts = [
            (*first, *found.get(q.id, ())) or (q.query,)
            for q, first in zip(task.questions, own, strict=True)
        ]
        self.empty = sum(not texts for texts in found.values()) if part.queries else None

    def digest(self) -> str:
        """Return the digest of the queries, and within documents of the documents."""
        own = _queries(self._task, within=self._part.within)
        return sha256_json([own, self.texts]) if self._part.queries else own

    def search(self, index: IndexKind, start: int, end: int, depth: int) -> list[list[Hit]]:
        """Return the hits of some questions, fused where a question has several queries."""
        some = self.texts[start:end]
        flat = iter(index.search([clean_query(t) for texts in some for t in texts], depth))
        return [_fused([next(flat) for _ in texts]) for texts in some]


def search_once(
    task: TaskPart, part: IndexPart, k: int, manifest: IndexManifest, folder: RunPaths
) -> Ranked:
    """Return the ranking of an index for the questions of a task, saved in ``folder``."""
    _search(task, part, k, manifest, folder, _Asked(task, part, {}))
    return ranking(folder, task, Source(part.key, part.corpus, (part,)))


def _fused(rankings: Sequence[list[Hit]]) -> list[Hit]:
    """Return the hits of several queries of one question, by reciprocal ranks."""
    if len(rankings) == 1:
        return rankings[0]
    hits = {hit.id: hit for ranking in rankings for hit in ranking}
    scores = rrf([[hit.id for hit in ranking] for ranking in rankings])
    return [hits[identifier]._replace(score=score) for identifier, score in scores]


def _search(
    task: TaskPart,
    part: IndexPart,
    k: int,
    manifest: IndexManifest,
    folder: RunPaths,
    searched: _Asked,
) -> None:
    asked = RetrievalNote(index=manifest.digest, queries=searched.digest(), depth=k)
    if _is_saved(folder, task, part.key, asked):
        return
    index = open_index(part.name)
    queries = [Query(q.id, clean_query(q.query)) for q in task.questions]
    hits: list[list[Hit]] = []
    # The question's own documents may have any rank in the corpus.
    depth = len(index.corpus) if part.within else k
    most = max(map(len, searched.texts), default=1)
    size = max(1, min(BATCH_QUERIES, MAX_HITS // depth) // most)
    with stage(f"retrieve {task.spec.name} with {part.key}", len(queries)) as progress:
        for start in range(0, len(queries), size):
            batch = queries[start : start + size]
            found = searched.search(index, start, start + size, depth)
            if part.within:
                asked_of = task.questions[start : start + size]
                own = [_own(q, index.corpus, task.info.default_corpus) for q in asked_of]
                found = [
                    [hit for hit in some if hit.doc_id in documents][:k]
                    for documents, some in zip(own, found, strict=True)
                ]
            hits += [some[:k] for some in found] if part.is_fused else found
            progress.advance(len(batch))
    write_run(folder.retrieval(task.spec.name, part.key, "trec"), queries, hits, tag=part.name)
    note = replace(asked, kind="index", index_name=part.name, corpus=part.corpus)
    if part.queries:
        note = replace(note, written_by=part.writer, empty_queries=searched.empty)
    _save_note(folder, task, part.key, note)


def _own(question: Question, corpus: Corpus, prefer: str) -> set[str]:
    """Return the question's own documents by their ids in the corpus."""
    rows = (corpus.match_doc(document, prefer=prefer) for document in question.documents)
    return {doc for found in rows for _, doc in corpus.ids_of(found[:1])}


def _fuse(task: TaskPart, source: Source, folder: RunPaths) -> None:
    """Fuse the saved runs of the parts, each cut at the fusion's depth."""
    notes = [_note(folder, task, part.key) for part in source.parts]
    queries = _queries(task, within=any(part.within for part in source.parts))
    if source.parts[0].queries:
        queries = sha256_json([note.queries for note in notes])
    asked = RetrievalNote(
        parts=tuple(note.index for note in notes if note.index is not None),
        queries=queries,
        depth=source.depth,
        k0=source.k0,
    )
    if _is_saved(folder, task, source.key, asked):
        return
    runs = [read_run(folder.retrieval(task.spec.name, part.key, "trec")) for part in source.parts]
    path = folder.retrieval(task.spec.name, source.key, "trec")
    with atomic_file(path) as handle:
        for question in task.questions:
            ranked = [[i for i, _ in run.get(question.id, [])[: source.depth]] for run in runs]
            lines = ranking_lines(question.id, rrf(ranked, k0=source.k0), tag="rrf")
            handle.write(lines.encode("utf-8"))
    note = replace(asked, kind="fusion", index_name=source.key, corpus=source.corpus)
    note = replace(note, written_by=notes[0].written_by, empty_queries=notes[0].empty_queries)
    _save_note(folder, task, source.key, note)


def _copy_run_file(task: TaskPart, source: Source, folder: RunPaths) -> None:
    """Check and copy a run that was made elsewhere."""
    path = source.run_file
    if path is None or not path.is_file():
        raise DataError("the TREC run does not exist", where=f"{path} (arm {source.key})")
    corpus = open_corpus(source.corpus)
    asked = RetrievalNote(
        run_file=sha256_file(path), queries=_queries(task), corpus_digest=corpus.digest
    )
    if _is_saved(folder, task, source.key, asked):
        return
    run = read_run(path)
    check_run_ids(run, corpus)
    known = {question.id for question in task.questions}
    if not known & run.keys():
        raise DataError(
            f"the run has hits for none of the {len(known):,} questions of {task.spec.name!r}",
            where=f"{path}: its first query is {next(iter(run), '(none)')!r}",
            fix=f"the first column holds question ids, such as {next(iter(known))!r}",
        )
    if missing := len(known - run.keys()):
        say(f"note: the run {path.name} has no hits for {missing:,} of {len(known):,} questions")
    copy = folder.retrieval(task.spec.name, source.key, "trec")
    plain = gzip.open if path.suffix == ".gz" else open
    with atomic_file(copy) as handle, plain(path, "rb") as original:
        shutil.copyfileobj(original, handle)
    note = replace(asked, kind="run file", index_name=path.name, corpus=source.corpus)
    _save_note(folder, task, source.key, note)


def _call(task: TaskPart, source: Source, folder: RunPaths) -> None:
    """Rank what the user's pipeline returns for each question."""
    asked = calls_note(task, source)
    if _is_saved(folder, task, source.key, asked):
        return
    ranked = call_all(task, source, folder)
    with atomic_file(folder.retrieval(task.spec.name, source.key, "trec")) as handle:
        for question, ids in ranked.items():
            scored = ((identifier, 1 / rank) for rank, identifier in enumerate(ids, 1))
            handle.write(ranking_lines(question, scored, tag="runnable").encode("utf-8"))
    name = source.runnable.factory if source.runnable is not None else None
    note = replace(asked, kind="runnable", index_name=name, corpus=source.corpus or None)
    _save_note(folder, task, source.key, note)


def _judge(grid: Grid, task: TaskPart, source: Source, folder: RunPaths) -> None:
    """Compare a saved ranking with the gold passages, if the corpus has any."""
    name = task.spec.name
    wanted = measures(grid, task, source)
    asked = RetrievalNote(
        gold=sha256_json([[q.gold_doc_ids, q.gold_spans] for q in task.questions]),
        measures=tuple(wanted),
    )
    note = _note(folder, task, source.key)
    path = folder.retrieval(name, source.key, "quality.jsonl")
    if note.says(asked):
        check_saved(path, note.quality_sum)
        return
    corpus = open_corpus(source.corpus) if source.corpus else None
    gold = Gold("no corpus", {}, {}) if corpus is None else gold_of(task, corpus)
    ranked = ranking(folder, task, source)
    values: dict[str, dict[str, float]] = {}
    for measure in wanted if gold.ids else ():
        # An arm delivers k passages, which may come from fewer documents.
        k = int(measure.partition("@")[2])
        found = {query: ids[:k] for query, ids in ranked.items()}
        if gold.level == "document" and corpus is not None:
            found = {query: _documents(corpus, ids) for query, ids in found.items()}
        values |= per_query([measure], gold.ids, found)
    write_quality(
        path,
        [
            QualityLine(question_id=query, measure=measure, value=value)
            for measure, per in values.items()
            for query, value in per.items()
        ],
    )
    note = replace(note, gold=asked.gold, measures=asked.measures, gold_matches=gold.level)
    note = replace(note, quality_sum=sha256_file(path))
    write_note(folder.retrieval(name, source.key, "json"), sealed(note))


def gold_of(task: TaskPart, corpus: Corpus) -> Gold:
    """Return the gold passages of a task; its own corpus must contain all of them."""
    default = task.info.default_corpus
    return find_gold(
        task.questions,
        corpus,
        task=task.spec.name,
        own=corpus.name == default,
        only=not default,
        prefer=default,
    )


def _documents(corpus: Corpus, ids: list[str]) -> list[str]:
    rows = [row for row in map(corpus.find, ids) if row is not None]
    return list(dict.fromkeys(doc for _, doc in corpus.ids_of(rows)))

"""Stage 1: one retrieval a retriever and task, saved as a TREC run; then one packing an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragbench.corpora.store import Corpus, open_corpus
from ragbench.errors import DataError
from ragbench.experiment.arms import Context, Delivery, arms
from ragbench.experiment.config import ArmSpec
from ragbench.experiment.folder import RunFolder, question_to_json
from ragbench.experiment.grid import Grid, IndexPart, TaskPart
from ragbench.files import read_json, sha256_json, write_json, write_jsonl
from ragbench.indexes.build import Manifest, open_index
from ragbench.indexes.runfile import read_run, write_run
from ragbench.metrics.retrieval import per_query
from ragbench.progress import stage
from ragbench.records import Hit, Passage, Query, Question

BATCH_QUERIES = 1024


def retrieve_all(grid: Grid, folder: RunFolder, manifests: Mapping[str, Manifest]) -> None:
    """Search every index for every task that needs it; what is saved already is kept.

    Args:
        grid: The experiment.
        folder: Where the runs go.
        manifests: The indexes by name.
    """
    for task in grid.tasks:
        write_jsonl(folder.questions(task.spec.name), [question_to_json(q) for q in task.questions])
    for task, index, k in grid.retrievals():
        asked = {
            "index": manifests[index.name].digest,
            "queries": sha256_json([[q.id, q.query] for q in task.questions]),
            "gold": sha256_json([list(q.gold_doc_ids) for q in task.questions]),
            "k": k,
            "measures": measures(grid, task, index, k),
        }
        about = folder.retrieval(task.spec.name, index.key, "json")
        if about.is_file():
            was = read_json(about, what="the note of a retrieval")
            if all(was.get(key) == value for key, value in asked.items()):
                continue
        _retrieve(task, index, k, asked, folder)


def measures(grid: Grid, task: TaskPart, index: IndexPart, k: int) -> list[str]:
    """Return the retrieval measures: recall at every k that an arm asks, and at the deepest."""
    asked = {
        arm.k for arm in grid.config.arms if arm.k is not None and grid.index_of(arm, task) == index
    }
    return [f"R@{depth}" for depth in sorted(asked | {k})] + [f"RR@{k}"]


def _retrieve(
    task: TaskPart, part: IndexPart, k: int, asked: Mapping[str, Any], folder: RunFolder
) -> None:
    index = open_index(part.name)
    queries = [Query(q.id, q.query) for q in task.questions]
    hits: list[list[Hit]] = []
    with stage(f"retrieve {task.spec.name} with {part.key}", len(queries)) as progress:
        for start in range(0, len(queries), BATCH_QUERIES):
            batch = queries[start : start + BATCH_QUERIES]
            hits += index.search([query.text for query in batch], k)
            progress.advance(len(batch))
    name = task.spec.name
    write_run(folder.retrieval(name, part.key, "trec"), queries, hits, tag=part.name)
    level, values = _quality(task, index.corpus, hits, asked["measures"])
    write_jsonl(
        folder.retrieval(name, part.key, "quality.jsonl"),
        [
            {"question_id": query, "measure": measure, "value": value}
            for measure, per in values.items()
            for query, value in per.items()
        ],
    )
    write_json(
        folder.retrieval(name, part.key, "json"),
        {**asked, "index_name": part.name, "corpus": part.corpus, "gold_matches": level},
    )


def _quality(
    task: TaskPart, corpus: Corpus, hits: list[list[Hit]], names: list[str]
) -> tuple[str, dict[str, dict[str, float]]]:
    """Return what gold ids match (passages or documents) and the values by measure."""
    gold = {q.id: q.gold_doc_ids for q in task.questions if q.gold_doc_ids}
    if not gold:
        return "no gold", {}
    every = {identifier for ids in gold.values() for identifier in ids}
    level = "passage" if any(corpus.find(i) is not None for i in every) else "document"
    lacking = sorted(i for i in every if not _is_in(corpus, i, level))
    if lacking:
        raise DataError(
            f"{len(lacking):,} of {len(every):,} gold ids of the task {task.spec.name!r} are not "
            f"in the corpus {corpus.name!r}: {', '.join(lacking[:5])}",
            where=str(corpus.folder),
            fix="give the task a corpus that holds its gold documents, from the same edition",
        )
    ranked = {
        question.id: [hit.id if level == "passage" else hit.doc_id for hit in found]
        for question, found in zip(task.questions, hits, strict=True)
    }
    return level, per_query(names, gold, ranked)


def _is_in(corpus: Corpus, identifier: str, level: str) -> bool:
    if level == "passage":
        return corpus.find(identifier) is not None
    return bool(corpus.rows_of_doc(identifier))


Packed = dict[tuple[str, str], dict[str, Delivery]]


def pack_all(grid: Grid, folder: RunFolder) -> Packed:
    """Decide what every question gets in every arm, and save it.

    Args:
        grid: The experiment.
        folder: Holds the TREC runs; gets the packings and the passages' texts.

    Returns:
        Deliveries by (task, arm) and question id; the same for every model.
    """
    packed: Packed = {}
    texts: dict[tuple[str, str], Passage] = {}
    order = sorted(grid.config.arms, key=lambda arm: arm.like is not None)
    total = sum(len(task.questions) for task in grid.tasks) * len(order)
    with stage("pack passages", total) as progress:
        for task in grid.tasks:
            for arm in order:
                context = _context(grid, folder, task, arm, packed)
                carrier = arms.get(arm.kind)(arm)
                found = {q.id: carrier.deliver(q, context) for q in task.questions}
                packed[task.spec.name, arm.name] = found
                corpus = context.corpus.name if context.corpus else ""
                for delivery in found.values():
                    texts.update({(corpus, p.id): p for p in delivery.passages})
                write_jsonl(
                    folder.packed(task.spec.name, arm.name),
                    [_line(question, found[question.id]) for question in task.questions],
                )
                progress.advance(len(found))
    write_jsonl(
        folder.passages,
        [
            {"corpus": corpus, "id": p.id, "doc_id": p.doc_id, "title": p.title, "text": p.text}
            for (corpus, _), p in sorted(texts.items())
        ],
    )
    return packed


def _context(
    grid: Grid, folder: RunFolder, task: TaskPart, spec: ArmSpec, packed: Packed
) -> Context:
    index = grid.index_of(spec, task)
    ranked: dict[str, list[str]] = {}
    if index is not None and spec.retriever is not None:
        run = read_run(folder.retrieval(task.spec.name, index.key, "trec"))
        ranked = {query: [passage for passage, _ in found] for query, found in run.items()}
    return Context(
        task=task.spec.name,
        corpus=open_corpus(index.corpus) if index else None,
        ranked=ranked,
        like=packed[task.spec.name, spec.like] if spec.like else {},
        count_tokens=grid.reference_model.count_tokens,
        budget_tokens=grid.config.packing.budget_tokens,
        seed=grid.config.seed,
    )


def _line(question: Question, delivery: Delivery) -> dict[str, object]:
    return {
        "question_id": question.id,
        "passages": [passage.id for passage in delivery.passages],
        "requested": delivery.requested,
        "tokens": delivery.tokens,
        "shortfall_tokens": delivery.shortfall_tokens,
    }

"""Passages of every question in every arm, chosen once and saved.

They are the same for all models, unless each writes its own queries, passages or judgements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ragbench.base.errors import UsageError
from ragbench.base.progress import say, stage
from ragbench.base.records import Passage, Question
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.spec import DOCUMENTS, ArmSpec
from ragbench.experiment.grid.gold import Gold
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, imitated, readers_of, source_of
from ragbench.experiment.grid.written import Kept, Written
from ragbench.experiment.runnables.calling import given_passages
from ragbench.experiment.stages.arms import Context, Delivery, arms
from ragbench.experiment.stages.documents import whole
from ragbench.experiment.stages.retrieve import Ranked, gold_of, ranking
from ragbench.runfolder.packed import (
    Counts,
    PackedLine,
    check_packed,
    fewer,
    read_packed,
    reports_fewer,
    write_packed,
)
from ragbench.runfolder.passages import read_passages, write_passages
from ragbench.runfolder.paths import RunPaths

NEEDS_GOLD = ("oracle", "oracle-removed", "moved", "misled")
# By task and arm, and by model where each gets its own passages.
Packed = dict[tuple[str, ...], dict[str, Delivery]]


def pack_all(grid: Grid, folder: RunPaths, written: Written | None = None) -> Packed:
    """Choose and save the passages of every question in every arm.

    Args:
        grid: Tasks and arms.
        folder: The run, which has the rankings and gets the packings and the texts of passages.
        written: What models have written for the arms.

    Returns:
        Deliveries by question id, by (task, arm) if they are the same for every model, else by
        (task, arm, model).

    Raises:
        UsageError: An arm needs gold passages, and the arm's corpus has none for the task.
    """
    packed: Packed = {}
    texts: dict[tuple[str, str], Passage] = {}
    total = sum(
        len(task.questions) * len(readers_of(grid.config, arm))
        for task in grid.tasks
        for arm in arms_of(grid.config, task)
    )
    with stage("pack passages", total) as progress:
        for task in grid.tasks:
            contexts = _Contexts(grid, folder, task, written or Written())
            arms = sorted(arms_of(grid.config, task), key=lambda arm: arm.like is not None)
            for arm, model in ((a, m) for a in arms for m in readers_of(grid.config, a)):
                context = contexts.context(arm, model, packed)
                found = _deliver(arm, task, context)
                packed[key_of(task.spec.name, arm.name, model)] = found
                corpus = context.corpus.name if context.corpus else ""
                for name, delivery in found.items():  # equal passages are in memory once
                    shared = (texts.setdefault((corpus, p.id), p) for p in delivery.passages)
                    found[name] = replace(delivery, passages=tuple(shared))
                lines = [_line(q, found[q.id], context) for q in task.questions]
                write_packed(folder.packed(task.spec.name, arm.name, model), lines)
                progress.advance(len(found))
    for task in grid.tasks:
        for line in shortfalls(grid, task, packed):
            say(f"note: {line}")
    write_passages(folder.passages, texts)
    return packed


def key_of(task: str, arm: str, model: str) -> tuple[str, ...]:
    """Return the key of deliveries; the model is empty if all models get the same."""
    return (task, arm, model) if model else (task, arm)


def stored_packing(grid: Grid, folder: RunPaths, wanted: Mapping[str, Collection[str]]) -> Packed:
    """Return the saved passages of some questions in every arm, without a corpus.

    Args:
        grid: Tasks and arms.
        folder: A run that is packed.
        wanted: Ids of the questions by task.

    Raises:
        DataError: A question is not packed, or a passage's text is missing.
    """
    lines: dict[tuple[str, ...], tuple[str, dict[str, PackedLine]]] = {}
    for task in grid.tasks:
        name = task.spec.name
        for arm in arms_of(grid.config, task):
            source = source_of(grid.config, arm, task)
            for model in readers_of(grid.config, arm):
                path = folder.packed(name, arm.name, model)
                packed = read_packed(path)
                check_packed(path, packed, wanted[name])
                held = {key: packed[key] for key in wanted[name]}
                lines[key_of(name, arm.name, model)] = source.corpus if source else "", held
    texts = read_passages(
        folder.passages,
        {(corpus, p) for corpus, held in lines.values() for x in held.values() for p in x.passages},
    )
    return {
        key: {
            name: Delivery(tuple(texts[corpus, passage] for passage in line.passages))
            for name, line in held.items()
        }
        for key, (corpus, held) in lines.items()
    }


def _deliver(arm: ArmSpec, task: TaskPart, context: Context) -> dict[str, Delivery]:
    if arm.control in NEEDS_GOLD and not context.gold:
        corpus = context.corpus.name if context.corpus else ""
        raise UsageError(
            f"the arm {arm.name!r} needs gold passages, and the task {task.spec.name!r} has "
            f"none in the corpus {corpus!r}",
            where=f"arms: {arm.name}",
            fix=f"remove the arm, or limit it with `tasks:` to tasks other than {task.spec.name}",
        )
    if arm.control == "misled" and not any(q.options for q in task.questions):
        raise UsageError(
            f"the arm {arm.name!r} plants a wrong option, and the questions of "
            f"{task.spec.name!r} have no options",
            where=f"arms: {arm.name}",
            fix=f"limit it with `tasks:` to tasks other than {task.spec.name}",
        )
    if DOCUMENTS in (arm.kind, arm.within) and not any(q.documents for q in task.questions):
        raise UsageError(
            f"the arm {arm.name!r} delivers the question's own documents, and the questions of "
            f"{task.spec.name!r} have none",
            where=f"arms: {arm.name}",
            fix=f"limit it with `tasks:` to tasks other than {task.spec.name}",
        )
    kind = arms.get(arm.kind)(arm)
    found: dict[str, Delivery] = {}
    for question in task.questions:
        delivery = kind.deliver(question, context)
        gold = set(context.gold.get(question.id, ()))
        held = 0
        if gold and context.corpus is not None:
            found_rows = (context.corpus.find(whole(p.id)) for p in delivery.passages)
            held = sum(row in gold for row in found_rows)
        found[question.id] = replace(delivery, gold=held)
    return found


class _Contexts:
    """Contexts of a task's arms; corpora, gold and rankings are read once."""

    def __init__(self, grid: Grid, folder: RunPaths, task: TaskPart, written: Written) -> None:
        self._written = written
        self._grid = grid
        self._folder = folder
        self._task = task
        self._corpora: dict[str, tuple[Corpus, Gold]] = {}
        self._ranked: dict[str, Ranked] = {}

    def context(self, arm: ArmSpec, model: str, packed: Packed) -> Context:
        name, like = self._task.spec.name, imitated(self._grid.config, arm)
        source = source_of(self._grid.config, arm, self._task, model)
        corpus, gold, ranked = None, Gold("no gold", {}, {}), Ranked()
        given: dict[str, Passage] = {}
        if source is not None and source.corpus:
            if source.corpus not in self._corpora:
                opened = open_corpus(source.corpus)
                self._corpora[source.corpus] = opened, gold_of(self._task, opened)
            corpus, gold = self._corpora[source.corpus]
        if source is not None:
            if source.runnable is not None:
                given = given_passages(self._task, source, self._folder)
            if source.key and source.key not in self._ranked:
                self._ranked[source.key] = ranking(self._folder, self._task, source)
            ranked = self._ranked.get(source.key, Ranked())
        kept = self._written.kept.get((name, like.name, model))
        if kept is not None:
            ranked = {q.id: list(kept.get(q.id, Kept()).ids) for q in self._task.questions}
        return Context(
            task=name,
            corpus=corpus,
            ranked=ranked,
            gold=gold.rows,
            like=packed[key_of(name, arm.like, model)] if arm.like else {},
            like_spec=imitated(self._grid.config, arm) if arm.like else None,
            count_tokens=self._grid.reference_model.count_tokens,
            budget_tokens=self._grid.config.budget(arm),
            seed=self._grid.config.seed,
            written=self._written.passages.get((name, like.name, model), {}),
            dropped={question: one.dropped for question, one in (kept or {}).items()},
            given=given,
        )


def shortfalls(grid: Grid, task: TaskPart, packed: Packed) -> Iterator[str]:
    """Yield the arms of a task that deliver less than they request, and those that are the same."""
    name, config = task.spec.name, grid.config
    kept: dict[tuple[tuple[str, ...], ...], str] = {}
    every = ((arm, model) for arm in arms_of(config, task) for model in readers_of(config, arm))
    for arm, model in every:
        found, label = packed[key_of(name, arm.name, model)], _label(arm.name, model)
        ids = tuple(tuple(p.id for p in found[q.id].passages) for q in task.questions)
        same = kept.setdefault(ids, label)
        same = "" if same == label else same
        counts = [
            Counts(d.requested, len(d.passages), d.left_out, d.answer_truncated, d.dropped or 0)
            for d in found.values()
        ]
        if arm.control == "misled":
            n = sum(delivery.planted is not None for delivery in found.values())
            yield f"{arm.name} on {name} changed the passages of {n:,} of {len(found):,} questions"
        less = fewer(counts) if reports_fewer(arm.control) else None
        if less is not None:
            is_written = arm.write is not None
            said = less.sentence(name, label, config.budget(arm), same, is_written=is_written)
            yield f"{said}; {_advice(arm)}" if less.by_budget or less.truncated else said
        elif same:
            yield f"{label} on {name} delivers the same passages as {same}"


def _label(arm: str, model: str) -> str:
    return f"{arm} for {model}" if model else arm


def _advice(arm: ArmSpec) -> str:
    """Return what makes room for an arm's passages."""
    if arm.kind == DOCUMENTS or arm.budget_tokens is not None:
        return "raise the arm's budget_tokens"
    return "chunk the corpus or raise packing.budget_tokens"


def _line(question: Question, delivery: Delivery, context: Context) -> PackedLine:
    return PackedLine(
        question_id=question.id,
        passages=tuple(passage.id for passage in delivery.passages),
        requested=delivery.requested,
        delivered=len(delivery.passages),
        tokens=delivery.tokens,
        shortfall_tokens=delivery.shortfall_tokens,
        left_out=delivery.left_out,
        gold=delivery.gold,
        gold_known=len(context.gold.get(question.id, ())),
        answer_truncated=delivery.answer_truncated,
        dropped=delivery.dropped,
        planted=delivery.planted,
    )

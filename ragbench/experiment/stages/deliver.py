"""Passages of every question in every arm, chosen once for all models and saved."""

from __future__ import annotations

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
from ragbench.experiment.grid.sources import arms_of, imitated, source_of
from ragbench.experiment.stages.arms import Context, Delivery, arms
from ragbench.experiment.stages.documents import whole
from ragbench.experiment.stages.retrieve import Ranked, gold_of, ranking
from ragbench.runfolder.packed import PackedLine, write_packed
from ragbench.runfolder.passages import write_passages
from ragbench.runfolder.paths import RunPaths

NEEDS_GOLD = ("oracle", "oracle-removed", "moved")
Packed = dict[tuple[str, str], dict[str, Delivery]]


def pack_all(grid: Grid, folder: RunPaths) -> Packed:
    """Choose and save the passages of every question in every arm.

    ``folder`` has the TREC runs and gets the packings and the texts of passages.

    Returns:
        Deliveries by (task, arm) and question id, the same for every model.

    Raises:
        UsageError: An arm needs gold passages, and the arm's corpus has none for the task.
    """
    packed: Packed = {}
    texts: dict[tuple[str, str], Passage] = {}
    total = sum(len(task.questions) * len(arms_of(grid.config, task)) for task in grid.tasks)
    with stage("pack passages", total) as progress:
        for task in grid.tasks:
            contexts = _Contexts(grid, folder, task)
            for arm in sorted(arms_of(grid.config, task), key=lambda arm: arm.like is not None):
                context = contexts.context(arm, packed)
                found = _deliver(arm, task, context)
                packed[task.spec.name, arm.name] = found
                corpus = context.corpus.name if context.corpus else ""
                for delivery in found.values():
                    texts.update({(corpus, p.id): p for p in delivery.passages})
                lines = [_line(q, found[q.id], context) for q in task.questions]
                write_packed(folder.packed(task.spec.name, arm.name), lines)
                progress.advance(len(found))
    arms_by_name = {arm.name: arm for arm in grid.config.arms}
    for (name, arm_name), found in packed.items():
        _report_budget(name, arms_by_name[arm_name], found, grid.config.packing.budget_tokens)
    write_passages(folder.passages, texts)
    return packed


def _deliver(arm: ArmSpec, task: TaskPart, context: Context) -> dict[str, Delivery]:
    if arm.control in NEEDS_GOLD and not context.gold:
        corpus = context.corpus.name if context.corpus else ""
        raise UsageError(
            f"the arm {arm.name!r} needs gold passages, and the task {task.spec.name!r} has "
            f"none in the corpus {corpus!r}",
            where=f"arms: {arm.name}",
            fix=f"remove the arm, or limit it with `tasks:` to tasks other than {task.spec.name}",
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

    def __init__(self, grid: Grid, folder: RunPaths, task: TaskPart) -> None:
        self._grid = grid
        self._folder = folder
        self._task = task
        self._corpora: dict[str, tuple[Corpus, Gold]] = {}
        self._ranked: dict[str, Ranked] = {}

    def context(self, arm: ArmSpec, packed: Packed) -> Context:
        source = source_of(self._grid.config, arm, self._task)
        corpus, gold, ranked = None, Gold("no gold", {}, {}), Ranked()
        if source is not None:
            if source.corpus not in self._corpora:
                opened = open_corpus(source.corpus)
                self._corpora[source.corpus] = opened, gold_of(self._task, opened)
            corpus, gold = self._corpora[source.corpus]
            if source.key and source.key not in self._ranked:
                self._ranked[source.key] = ranking(self._folder, self._task, source)
            ranked = self._ranked.get(source.key, Ranked())
        return Context(
            task=self._task.spec.name,
            corpus=corpus,
            ranked=ranked,
            gold=gold.rows,
            like=packed[self._task.spec.name, arm.like] if arm.like else {},
            like_spec=imitated(self._grid.config, arm) if arm.like else None,
            count_tokens=self._grid.reference_model.count_tokens,
            budget_tokens=arm.budget_tokens or self._grid.config.packing.budget_tokens,
            seed=self._grid.config.seed,
        )


def _report_budget(task: str, arm: ArmSpec, found: dict[str, Delivery], common: int) -> None:
    """Report passages that the budget kept out of prompts."""
    short = [d for d in found.values() if d.left_out]
    lost = sum(d.answer_truncated for d in found.values())
    if not short and not lost:
        return
    empty = sum(not d.passages for d in short)
    none = f", all of them from {empty:,}" if empty else ""
    lost_too = f", and cut or excluded the answer of {lost:,}" if lost else ""
    advice = "raise the arm's budget_tokens"
    if arm.kind != DOCUMENTS:
        advice = "chunk the corpus or raise packing.budget_tokens"
    say(
        f"note: {task}, {arm.name}: the budget of {arm.budget_tokens or common:,} tokens kept "
        f"passages from {len(short):,} of {len(found):,} questions{none}{lost_too}; {advice}"
    )


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
    )

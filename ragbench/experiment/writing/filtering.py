"""Evidence filter: which passages of a ranking may be delivered, by a model or a cross-encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragbench.base.errors import BackendError
from ragbench.base.progress import stage
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.written import FilterSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, readers_of, source_of
from ragbench.experiment.grid.written import Kept, Written
from ragbench.experiment.stages.arms import Delivery, fetch
from ragbench.experiment.stages.retrieve import Ranked, ranking
from ragbench.experiment.writing.asking import Session, Writing, ask, records_of, writing_parts
from ragbench.experiment.writing.instructions import JUDGEMENT, user_text
from ragbench.experiment.writing.texts import shown_options
from ragbench.indexes.composite.cross_encoder import CrossEncoder, RerankerCard
from ragbench.indexes.retriever import passage_text
from ragbench.metrics.likelihood import probabilities
from ragbench.runfolder.config import CROSS_ENCODER, EACH, filter_name
from ragbench.runfolder.packed import FilteredLine, write_filtered
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import Record, pair_id

Scores = Mapping[str, tuple[float, ...]]  # of the judged passages, by question


@dataclass(frozen=True, slots=True)
class _Judged:
    """A ranking that a filter judges for one model, or for all of them.

    Attributes:
        task: The task.
        arm: The name of the arm.
        spec: Its filter.
        reader: The model that gets the passages; empty if all do.
        name: Name of the judgements; arms that differ only in k or threshold share them.
        ranked: The judged passages by question, best first.
        corpus: Their corpus.
    """

    task: TaskPart
    arm: str
    spec: FilterSpec
    reader: str
    name: str
    ranked: Ranked
    corpus: Corpus

    @property
    def judge(self) -> str:
        """The model that judges; empty if a cross-encoder does."""
        if self.spec.by == CROSS_ENCODER:
            return ""
        return self.reader if self.spec.by == EACH else self.spec.by


def filter_passages(grid: Grid, session: Session, written: Written) -> None:
    """Judge the passages of every arm with a filter; ``written`` gets what is kept.

    The scores are saved in ``filtered/``.

    Raises:
        RagbenchError: As ``asking.ask``; a judge refused, or a cross-encoder cannot be loaded.
    """
    every = list(_judged(grid, session.folder))
    writings = _writings(every)
    ask(grid, session, list(writings.values()))
    for one in every:
        task = one.task.spec.name
        scores = (
            _probabilities(one, session, writings[task, one.name]) if one.judge else _encoded(one)
        )
        lines = [
            FilteredLine(
                question_id=q.id,
                passages=tuple(one.ranked[q.id]),
                scores=scores[q.id],
                keep=one.spec.keep,
                by=one.judge or one.spec.model or "",
            )
            for q in one.task.questions
        ]
        write_filtered(session.folder.filtered(task, one.arm, one.reader), lines)
        kept = {
            line.question_id: Kept(line.kept, len(line.passages) - len(line.kept)) for line in lines
        }
        written.kept[task, one.arm, one.reader] = kept


def encoder_digests(grid: Grid) -> dict[str, str]:
    """Return the digest of the cross-encoder of each arm that filters by one."""
    return {
        arm.name: _card(arm.filter).digest()
        for arm in grid.config.arms
        if arm.filter is not None and arm.filter.model is not None
    }


def _judged(grid: Grid, folder: RunPaths) -> Iterator[_Judged]:
    for task in grid.tasks:
        rankings: dict[str, Ranked] = {}
        for arm in arms_of(grid.config, task):
            if arm.filter is None or arm.control is not None:
                continue
            for reader in readers_of(grid.config, arm):
                source = source_of(grid.config, arm, task, reader)
                if source is None:
                    continue
                if source.key not in rankings:
                    rankings[source.key] = ranking(folder, task, source)
                found = rankings[source.key]
                yield _Judged(
                    task=task,
                    arm=arm.name,
                    spec=arm.filter,
                    reader=reader,
                    name=filter_name(source.key, arm.depth, arm.filter.options),
                    ranked={q.id: found.get(q.id, [])[: arm.depth] for q in task.questions},
                    corpus=open_corpus(source.corpus),
                )


def _writings(every: Sequence[_Judged]) -> dict[tuple[str, str], Writing]:
    """Return the judgements by models, by task and name."""
    judges: dict[tuple[str, str], dict[str, _Judged]] = {}
    for one in every:
        if one.judge:
            judges.setdefault((one.task.spec.name, one.name), {})[one.judge] = one
    return {
        key: _writing(next(iter(found.values())), tuple(found)) for key, found in judges.items()
    }


def _writing(one: _Judged, judges: tuple[str, ...]) -> Writing:
    """Return the judgements of all pairs of a question and one of its passages."""
    prompts: list[tuple[str, str]] = []
    shown: dict[str, Delivery] = {}
    for question in one.task.questions:
        text = user_text(JUDGEMENT, question.text, shown_options(question, one.spec))
        for rank, identifier in enumerate(one.ranked[question.id], 1):
            prompts.append((pair_id(question.id, rank), text))
            shown[pair_id(question.id, rank)] = Delivery((fetch(one.corpus, identifier),))
    parts = writing_parts(one.task, "judgements", JUDGEMENT, prompts, scoring="letters")
    return Writing(one.name, *parts, judges, shown)


def _probabilities(one: _Judged, session: Session, writing: Writing) -> Scores:
    """Return the probability of a yes for each judged passage."""
    records = records_of(session, writing, one.judge)
    return {
        question: tuple(
            _yes(records[pair_id(question, rank)], one) for rank in range(1, len(ranked) + 1)
        )
        for question, ranked in one.ranked.items()
    }


def _yes(record: Record, one: _Judged) -> float:
    values = record.log_likelihoods
    if values is None or any(map(math.isnan, values)):
        raise BackendError(
            f"the model {one.judge!r} gave no judgement of a passage",
            where=f"{one.task.spec.name}, {one.name}, {record.question_id}",
            fix="let another model judge: change `by` of the filter",
        )
    return probabilities(values)[0]


def _card(spec: FilterSpec) -> RerankerCard:
    return RerankerCard(model=spec.model or "", revision=spec.revision)


def _encoded(one: _Judged) -> Scores:
    """Return the sigmoid of a cross-encoder's output for each judged passage."""
    card = _card(one.spec)
    encoder, template = CrossEncoder(card, "auto"), card.template
    found: dict[str, tuple[float, ...]] = {}
    with stage(f"filter {one.arm}", len(one.task.questions)) as progress:
        for question in one.task.questions:
            passages = [fetch(one.corpus, name) for name in one.ranked[question.id]]
            query = clean_query(question.query)
            pairs = [(query, passage_text(template, p.title, p.text)) for p in passages]
            found[question.id] = tuple(map(_sigmoid, encoder.scores(pairs).tolist()))
            progress.advance(1)
    return found


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))

"""The arms of a task, and the source that ranks the passages of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragbench.base import home
from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import is_built
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import TASK_CORPUS, ArmSpec
from ragbench.experiment.grid.gold import find_gold
from ragbench.experiment.grid.parts import IndexPart, Source, TaskPart
from ragbench.runfolder.config import EACH

WITHIN = "~documents"
DEPTH, K0 = ArmSpec.model_fields["depth"].default, ArmSpec.model_fields["k0"].default


def arms_of(config: Config, task: TaskPart) -> list[ArmSpec]:
    """Return the arms that a task has, in the config's order."""
    named = {arm.name: arm for arm in config.arms}

    def applies(arm: ArmSpec) -> bool:
        if arm.tasks and task.spec.name not in arm.tasks:
            return False
        return arm.like is None or applies(named[arm.like])

    return [arm for arm in config.arms if applies(arm)]


def imitated(config: Config, arm: ArmSpec) -> ArmSpec:
    """Return the arm that a control imitates, or the arm itself."""
    if arm.like is None:
        return arm
    return next(other for other in config.arms if other.name == arm.like)


def readers_of(config: Config, arm: ArmSpec) -> tuple[str, ...]:
    """Return the models that each get their own passages in an arm; ``("",)`` if all get the same.

    A control imitates what the same model gets.
    """
    arm = imitated(config, arm)
    by = [spec.by for spec in (arm.write, arm.filter, arm.rounds) if spec is not None]
    if arm.queries is not None:
        by.append(config.queries[arm.queries].by)
    return tuple(model.name for model in config.models) if EACH in by else ("",)


def source_of(config: Config, arm: ArmSpec, task: TaskPart, model: str = "") -> Source | None:
    """Return the source of an arm's ranking; None for closed-book.

    Args:
        config: The config.
        arm: One of its arms.
        task: One of its tasks.
        model: The model that gets the passages. It matters where each model writes queries; by
            default it is the first. All models have the same corpus.
    """
    control, arm = arm.control, imitated(config, arm)
    if arm.write is not None and (control != "random" or arm.corpus is None):
        return None
    if arm.documents is not None or arm.write is not None:
        return Source("", _corpus(arm.corpus or TASK_CORPUS, task, f"arm {arm.name}"))
    if arm.run_file is not None:
        corpus = _corpus(arm.corpus or TASK_CORPUS, task, f"arm {arm.name}")
        return Source(arm.name, corpus, run_file=home.home() / home.expand(arm.run_file))
    if arm.runnable is not None:
        corpus = _corpus(arm.corpus, task, f"arm {arm.name}") if arm.corpus else ""
        return Source(arm.runnable.name, corpus, runnable=arm.runnable)
    if arm.retriever is None and not arm.fuse:
        return None
    within = arm.within == "documents"
    keys = arm.fuse or (arm.retriever or "",)
    parts = tuple(_index(config, key, task, within=within) for key in keys)
    if arm.queries is not None:
        parts = tuple(_searched_with(config, part, arm.queries, model) for part in parts)
    if arm.rounds is not None:
        parts = tuple(_in_rounds(config, part, arm, model) for part in parts)
    if not arm.fuse:
        return Source(parts[0].key, parts[0].corpus, parts)
    changed = (arm.depth, arm.k0) != (DEPTH, K0)
    key = "+".join(part.key for part in parts) + (f"~{arm.depth}~{arm.k0}" if changed else "")
    return Source(key, parts[0].corpus, parts, depth=arm.depth, k0=arm.k0)


def _index(config: Config, key: str, task: TaskPart, *, within: bool) -> IndexPart:
    spec = config.indexes[key]
    corpus = _corpus(spec.corpus, task, f"indexes: {key}")
    return IndexPart(key + WITHIN if within else key, spec.recipe, corpus, within)


def _searched_with(config: Config, part: IndexPart, name: str, model: str) -> IndexPart:
    """Return an index that is searched with written queries."""
    spec = config.queries[name]
    writer, key = spec.by, f"{part.key}~{name}"
    if spec.by == EACH:
        writer = model or config.models[0].name
        key += f"@{writer}"
    return replace(part, key=key, queries=name, writer=writer, is_fused=spec.texts > 1)


def _in_rounds(config: Config, part: IndexPart, arm: ArmSpec, model: str) -> IndexPart:
    """Return an index that is searched with a question and all follow-up queries of an arm."""
    writer, key = arm.rounds.by if arm.rounds else "", f"{part.key}~{arm.name}"
    if writer == EACH:
        writer = model or config.models[0].name
        key += f"@{writer}"
    return replace(part, key=key, queries=arm.name, writer=writer, is_fused=True, rounds=True)


def _corpus(name: str, task: TaskPart, where: str) -> str:
    if name != TASK_CORPUS:
        return name
    if not task.info.default_corpus:
        raise UsageError(
            f"the task {task.spec.name!r} has no corpus of its own",
            where=where,
            fix="write `corpus: NAME` there, or set the task's option corpus",
        )
    return task.info.default_corpus


def sources(config: Config, task: TaskPart) -> dict[Source, int]:
    """Return every source of a task's arms with the depth that it must rank."""
    deepest: dict[Source, int] = {}
    for arm in arms_of(config, task):
        like = imitated(config, arm)
        for model in readers_of(config, arm):
            source = source_of(config, arm, task, model)
            if source is None or not source.key:
                continue
            # Removed gold is replaced from further down the ranking.
            removes = arm.control == "oracle-removed"
            extra = _most_gold(task, source.corpus) if removes else 0
            asked = like.asked + extra if like.filter is None else max(like.asked, like.depth)
            deepest[source] = max(deepest.get(source, 0), asked)
    return deepest


def _most_gold(task: TaskPart, corpus: str) -> int:
    """Return the maximum gold passages per question; documents before the corpus is built."""
    documents = max((len(question.gold_doc_ids) for question in task.questions), default=0)
    if not documents or not is_built(corpus):
        return documents
    if corpus not in task.most_gold:
        own, opened = task.info.default_corpus, open_corpus(corpus)
        rows = find_gold(task.questions, opened, task=task.spec.name, prefer=own).rows
        task.most_gold[corpus] = max((len(found) for found in rows.values()), default=0)
    return task.most_gold[corpus]


def source_keys(config: Config, task: TaskPart) -> set[str]:
    """Return the names of a task's rankings in the run folder, including parts of fusions."""
    found = sources(config, task)
    return {source.key for source in found} | {part.key for s in found for part in s.parts}


def searches(config: Config, task: TaskPart) -> dict[IndexPart, int]:
    """Return every index to be searched for a task, with the largest k needed."""
    deepest: dict[IndexPart, int] = {}
    for source, k in sources(config, task).items():
        for part in source.parts:
            fused = DEPTH if part.is_fused else 0
            deepest[part] = max(deepest.get(part, 0), k, source.depth, fused)
    return deepest


def searched(config: Config, task: TaskPart) -> list[IndexPart]:
    """Return every index of a task's arms, each once; no corpus is opened."""
    found = (
        source_of(config, arm, task, model)
        for arm in arms_of(config, task)
        for model in readers_of(config, arm)
    )
    return list(dict.fromkeys(part for source in found if source for part in source.parts))


def index_parts(config: Config, tasks: Sequence[TaskPart]) -> list[IndexPart]:
    """Return the indexes that the run searches, each once."""
    return list(dict.fromkeys(part for task in tasks for part in searches(config, task)))


def corpora_of(config: Config, tasks: Sequence[TaskPart]) -> dict[str, str]:
    """Return the corpora of the arms, each with its first arm."""
    found: dict[str, str] = {}
    for task in tasks:
        for arm in arms_of(config, task):
            source = source_of(config, arm, task)
            if source and source.corpus:
                found.setdefault(source.corpus, arm.name)
    return found


def corpora(config: Config, tasks: Sequence[TaskPart]) -> list[str]:
    """Return the corpora of the config and of its arms, each once."""
    return list(dict.fromkeys([*config.corpora, *corpora_of(config, tasks)]))

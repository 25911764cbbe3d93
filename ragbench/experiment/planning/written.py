"""What models write before the answers, in a plan: calls and tokens at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ragbench.base.errors import UsageError
from ragbench.base.records import Passage, Question
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.config.written import RoundsSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, readers_of, source_of
from ragbench.experiment.planning.cost import Load, asking_of
from ragbench.experiment.stages.prompts import messages
from ragbench.experiment.writing.asking import Writing, writing_parts
from ragbench.experiment.writing.instructions import (
    FOLLOW_UP,
    JUDGEMENT,
    ROUND,
    VERDICTS,
    user_text,
)
from ragbench.experiment.writing.rounds import round_text, rounds_key
from ragbench.experiment.writing.texts import (
    passage_writings,
    query_writings,
    shown_options,
    writers_of,
)
from ragbench.models.model import Model
from ragbench.runfolder.config import CROSS_ENCODER, EACH, round_name

SAMPLE = 20  # prompts that are counted
PASSAGE = 200  # tokens of a passage of unknown length
QUERY = 24  # tokens of a follow-up question


@dataclass(frozen=True, slots=True)
class PlannedTexts:
    """What a model writes for a task.

    Attributes:
        what: In words.
        model: The model.
        n: Number of prompts, at most.
        unit: What they are.
    """

    what: str
    model: str
    n: int
    unit: str


def writing_notes(planned: Iterable[PlannedTexts]) -> Iterator[str]:
    """Yield a sentence on each writing, over all tasks and models."""
    found: dict[tuple[str, str], list[PlannedTexts]] = {}
    for one in planned:
        found.setdefault((one.what, one.unit), []).append(one)
    for (what, unit), every in found.items():
        models = ", ".join(dict.fromkeys(one.model for one in every))
        n = sum(one.n for one in every)
        yield f"{what}, by {models}: {n:,} {unit}, before the first answer"


def add_writings(
    grid: Grid, name: str, task: TaskPart, load: Load, length_of: Callable[[str], int | None]
) -> Iterator[PlannedTexts]:
    """Add what a model writes for a task to its load, and yield it.

    Args:
        grid: The experiment.
        name: The model.
        task: A task with its questions; nothing is known without them.
        load: The model's prompts.
        length_of: Mean tokens of a corpus's passages, as far as they are known.
    """
    model = grid.models[name]
    found = [(f"the queries {key!r}", w) for t, key, w in query_writings(grid) if t is task]
    found += [(f"the passages of {a.name}", w) for t, a, w in passage_writings(grid) if t is task]
    for what, writing in found:
        if name not in writing.writers or not writing.size:
            continue
        tokens, limit = _mean(model, writing.part), writing.part.reply_limit
        _check_room(name, model, writing)
        load.longest = max(load.longest, tokens + limit)
        asked = asking_of(model, "generate", 0.0)
        load.add(writing.size, writing.size * tokens, asked, limit, "generate")
        yield PlannedTexts(what, name, writing.size, f"replies of at most {limit:,} tokens")
    for arm in arms_of(grid.config, task) if task.questions else ():
        if arm.rounds is not None and name in writers_of(grid.config, arm.rounds):
            yield from _add_rounds(grid, name, task, arm, arm.rounds, load, length_of)
    for (key, depth, _), (arm, corpus) in _judged(grid.config, name, task).items():
        if not task.questions:
            continue
        part = _judgements(task, arm)
        n = len(task.questions) * depth
        tokens = _mean(model, part) + (length_of(corpus) or PASSAGE)
        added = sum(model.count_tokens(model.continuation(letter)) for letter in ("A", "B"))
        asked = asking_of(model, "letters", len(VERDICTS), float(added))
        load.longest = max(load.longest, tokens)
        load.add(n, n * tokens, asked, 0, "letters")
        ranking = key.replace(f"@{name}", "")
        yield PlannedTexts(
            f"judgements of the first {depth:,} passages of {ranking}", name, n, "prompts at most"
        )


def who_gets_what(config: Config) -> Iterator[str]:
    """Yield, for each arm that a model writes for, whether all models get the same passages."""
    for arm in config.arms:
        if arm.control is not None or not (arm.queries or arm.write or arm.rounds or arm.filter):
            continue
        if len(readers_of(config, arm)) > 1:
            yield (
                f"{arm.name}: each model has its own queries, passages or judgements, so the "
                "models get different passages"
            )
        elif len(config.models) > 1:
            yield f"{arm.name}: all models get the same passages"


def _add_rounds(
    grid: Grid,
    name: str,
    task: TaskPart,
    arm: ArmSpec,
    spec: RoundsSpec,
    load: Load,
    length_of: Callable[[str], int | None],
) -> Iterator[PlannedTexts]:
    """Add all rounds of an arm, and the answers to their queries, as if none ended early."""
    model, source = grid.models[name], source_of(grid.config, arm, task, name)
    length = (length_of(source.corpus) if source else None) or PASSAGE
    passages = min(grid.config.budget(arm), arm.asked * length)
    some = task.questions[:: max(1, len(task.questions) // SAMPLE)]
    limit = spec.reply_limit or ROUND.limit * spec.queries
    prompts = [(q.id, round_text(q, spec)) for q in some]
    parts = writing_parts(task, "rounds", ROUND, prompts, n=spec.queries, limit=limit)
    first = Writing(round_name(arm.name, 1), *parts, (name,), limit_key=rounds_key(arm.name))
    _check_room(name, model, first)
    part = first.part
    # A round sees the queries and answers of all rounds before, or passages.
    most = (spec.n - 1) * spec.queries * (FOLLOW_UP.limit + QUERY) if spec.answers else passages
    seen = most // 2 if spec.answers else passages
    tokens, n = _mean(model, part) + seen, spec.n * len(task.questions)
    asked = asking_of(model, "generate", 0.0)
    load.longest = max(load.longest, tokens - seen + most + limit)
    load.add(n, n * tokens, asked, limit, "generate")
    yield PlannedTexts(
        f"the rounds of {arm.name}", name, n, f"replies at most, of at most {limit:,} tokens"
    )
    if not spec.answers or spec.n == 1:
        return
    prompts = [(q.id, user_text(FOLLOW_UP, q.query, ())) for q in some]
    part = writing_parts(task, "answers", FOLLOW_UP, prompts)[0]
    tokens, n = _mean(model, part) + passages, (spec.n - 1) * spec.queries * len(task.questions)
    load.longest = max(load.longest, tokens + FOLLOW_UP.limit)
    load.add(n, n * tokens, asked, FOLLOW_UP.limit, "generate")
    yield PlannedTexts(
        f"the answers between the rounds of {arm.name}",
        name,
        n,
        f"replies at most, of at most {FOLLOW_UP.limit:,} tokens",
    )


def _judged(
    config: Config, name: str, task: TaskPart
) -> dict[tuple[str, int, str], tuple[ArmSpec, str]]:
    """Return what a model judges: ranking, depth and options, with an arm and the corpus."""
    found: dict[tuple[str, int, str], tuple[ArmSpec, str]] = {}
    for arm in arms_of(config, task):
        if arm.filter is None or arm.filter.by == CROSS_ENCODER:
            continue
        for reader in readers_of(config, arm):
            source = source_of(config, arm, task, reader)
            if source is not None and name == (reader if arm.filter.by == EACH else arm.filter.by):
                key = (source.key, arm.depth, arm.filter.options)
                found.setdefault(key, (arm, source.corpus))
    return found


def _judgements(task: TaskPart, arm: ArmSpec) -> TaskPart:
    spec = arm.filter
    some = task.questions[:: max(1, len(task.questions) // SAMPLE)]
    prompts = [
        (q.id, user_text(JUDGEMENT, q.text, shown_options(q, spec) if spec else ())) for q in some
    ]
    return writing_parts(task, "judgements", JUDGEMENT, prompts, scoring="letters")[0]


def _check_room(name: str, model: Model, writing: Writing) -> None:
    """Refuse a writing whose longest reply has no room after some prompt of a sample."""
    part = writing.part
    some = part.questions[:: max(1, len(part.questions) // SAMPLE)]
    tokens, question = max((model.count_tokens(_prompt(model, part, q)), q.id) for q in some)
    excess = tokens + part.reply_limit - model.context_tokens
    if excess > 0:
        raise UsageError(
            f"a prompt of {tokens:,} tokens with a reply of {part.reply_limit:,} does not fit the "
            f"{model.context_tokens:,} tokens of {name!r}",
            where=f"task {part.spec.name}, {writing.name}, question {question}",
            fix=writing.shortened(excess),
        )


def _mean(model: Model, part: TaskPart) -> int:
    """Return the mean tokens of a prompt, without any passage."""
    some = part.questions[:: max(1, len(part.questions) // SAMPLE)]
    return sum(model.count_tokens(_prompt(model, part, q)) for q in some) // len(some)


def _prompt(model: Model, part: TaskPart, question: Question) -> str:
    nothing: list[Passage] = []
    return model.render(messages(part.info, question, nothing, part.scoring))

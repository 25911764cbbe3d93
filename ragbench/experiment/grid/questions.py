"""An entry of a config's ``tasks`` -> a task with its questions."""

from __future__ import annotations

from typing import get_args

from ragbench.base.errors import DataError, UsageError, near
from ragbench.base.records import Scoring
from ragbench.base.yamlfile import Document, check
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.additions import with_additions
from ragbench.experiment.grid.order import in_random_order
from ragbench.experiment.grid.parts import TaskPart
from ragbench.metrics import metrics
from ragbench.tasks import tasks
from ragbench.tasks.replies import reply_readers
from ragbench.tasks.task import Answers, Task, TaskInfo, TaskOptions, about


def task_part(config: Config, document: Document, index: int) -> TaskPart:
    """Return one task of the config with its questions.

    Raises:
        DataError: Its file is missing or wrong, it has no question, or an id is repeated.
        UsageError: Its options are wrong, the mode or scoring is unknown to it, or its reply reader
            or a metric is not registered.
    """
    spec = config.tasks[index]
    kind, options = checked_options(config, document, index)
    task = kind(options) if about(kind).modes == ("correct",) else kind(options, mode=config.mode)  # type: ignore[call-arg]
    questions = task.questions(limit=spec.limit, seed=config.seed)
    ids = [question.id for question in questions]
    if len(set(ids)) < len(ids) or not ids:
        raise DataError(
            f"the task {spec.name!r} has no questions, or two with one id",
            where=document.where(("tasks", index)),
        )
    info = task.info
    _check_known(info, kind, spec, document, index)
    limit = spec.reply_limit or config.reply_limit or info.reply_limit
    part = TaskPart(spec, info, questions, _scoring(config, spec, info), limit)
    part = with_additions(part, document.where(("tasks", index)))
    stop = config.analysis.stop
    return part if stop is None else in_random_order(part, config.seed, stop.min_questions)


def checked_options(
    config: Config, document: Document, index: int
) -> tuple[type[Task], TaskOptions]:
    """Return the class of a task of the config and its options, before any file is read.

    Raises:
        UsageError: An option is wrong, or the mode or an added metric is unknown.
    """
    spec = config.tasks[index]
    kind = tasks.get(spec.task, where=document.where(("tasks", index)))
    lines = _lines(document, ("tasks", index, "options"))
    options = check(kind.Options, Document(spec.options, document.path, lines))
    mode, known = config.mode, about(kind).modes
    if mode not in known:
        raise UsageError(
            f"the task {spec.name!r} has no mode {mode!r}",
            where=document.where(("mode",)),
            fix=near(mode, known),
        )
    for name in spec.metrics:
        if name not in metrics:
            raise UsageError(
                f"there is no {name!r} among the metrics",
                where=document.where(("tasks", index, "metrics")),
                fix=near(name, metrics.names()),
            )
    return kind, options


def _check_known(
    info: TaskInfo, kind: type[Task], spec: TaskSpec, document: Document, index: int
) -> None:
    """Refuse a task that declares unknown names."""
    where = f"{document.where(('tasks', index))}: {kind.__module__}:{kind.__qualname__}"
    for what, value, known in (
        ("scoring", info.scoring, get_args(Scoring)),
        ("kind of answers", info.answers, get_args(Answers)),
    ):
        if value not in known:
            raise UsageError(
                f"the task {spec.name!r} declares the unknown {what} {value!r}",
                where=where,
                fix=near(value, known),
            )
    reply_readers.get(info.reads, where=where)
    for name in info.metrics:
        metrics.get(name, where=where)


def _scoring(config: Config, spec: TaskSpec, info: TaskInfo) -> Scoring:
    """Return how a task's answers are taken; texts can only be generated."""
    asked = spec.scoring or config.scoring
    if config.mode != "correct" and asked not in (None, info.scoring):
        raise UsageError(
            f"the mode {config.mode!r} takes the answers to {spec.name!r} by "
            f"{info.scoring!r}, not by {asked!r}",
            where=f"tasks: {spec.name}: scoring",
            fix="leave scoring out, or write `mode: correct`",
        )
    if info.answers != "text":
        return asked or info.scoring
    if spec.scoring not in (None, "generate"):
        raise UsageError(
            f"the answers to {spec.name!r} are texts, which cannot be scored by {spec.scoring!r}",
            where=f"tasks: {spec.name}: scoring",
            fix="write `scoring: generate`, or leave it out",
        )
    return "generate"


def _lines(document: Document, prefix: tuple[str | int, ...]) -> dict[tuple[str | int, ...], int]:
    size = len(prefix)
    lines = {k[size:]: v for k, v in document.lines.items() if k[:size] == prefix}
    return lines or {(): 1}

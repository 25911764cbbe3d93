"""Queries and passages that models write for the arms of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ragbench.base.progress import say
from ragbench.base.records import Question
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.config.written import QuerySpec, WritingSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, readers_of
from ragbench.experiment.grid.written import Written
from ragbench.experiment.writing.asking import Session, Writing, ask, records_of, writing_parts
from ragbench.experiment.writing.instructions import PASSAGES, QUERIES, user_text
from ragbench.experiment.writing.parsing import passages_of, queries_of, texts_of
from ragbench.runfolder.config import EACH, passages_name, query_name


def writes(config: Config) -> bool:
    """Say whether models write anything for the arms of a config."""
    specs = [s for a in config.arms for s in (a.queries, a.write, a.filter, a.rounds)]
    return any(spec is not None for spec in specs)


def write_texts(grid: Grid, session: Session) -> Written:
    """Let models write queries and passages; what is written is kept.

    Raises:
        RagbenchError: As ``asking.ask``.
    """
    queries = {(task.spec.name, name): w for task, name, w in query_writings(grid)}
    passages = {(task.spec.name, arm.name): w for task, arm, w in passage_writings(grid)}
    ask(grid, session, [*queries.values(), *passages.values()])
    found = Written()
    for (task, name), writing in queries.items():
        spec = grid.config.queries[name]
        for writer in writing.writers:
            texts = texts_of(records_of(session, writing, writer).values())
            found.queries[task, name, writer] = {
                q.id: queries_of(spec.write, texts[q.id], spec.texts)
                for q in writing.part.questions
            }
            _report(task, f"the queries {name!r}", writer, found.queries[task, name, writer])
    arms = {arm.name: arm for arm in grid.config.arms}
    for (task, name), writing in passages.items():
        write = arms[name].write
        for reader in readers_of(grid.config, arms[name]):
            writer = reader or writing.writers[0]
            texts = texts_of(records_of(session, writing, writer).values())
            found.passages[task, name, reader] = {
                q.id: passages_of(texts[q.id], write.n if write else 1)
                for q in writing.part.questions
            }
            _report(task, f"the passages of {name}", writer, found.passages[task, name, reader])
    return found


def query_writings(grid: Grid) -> Iterator[tuple[TaskPart, str, Writing]]:
    """Yield what models write to search with: task, entry of ``queries`` and writing.

    Entries with the same prompts follow one another and share a part, so that a model that writes
    for both is asked once.
    """
    for task in grid.tasks:
        alike: dict[QuerySpec, list[str]] = {}
        for arm in arms_of(grid.config, task):
            if arm.queries is not None:
                asked = grid.config.queries[arm.queries].model_copy(update={"by": ""})
                alike.setdefault(asked, []).append(arm.queries)
        for asked, names in alike.items():
            part, plain = _query_parts(task, asked)
            for name in dict.fromkeys(names):
                writers = writers_of(grid.config, grid.config.queries[name])
                key = f"queries.{name}.reply_limit"
                yield task, name, Writing(query_name(name), part, plain, writers, limit_key=key)


def passage_writings(grid: Grid) -> Iterator[tuple[TaskPart, ArmSpec, Writing]]:
    """Yield what models write from memory: task, arm and writing."""
    for task in grid.tasks:
        for arm in arms_of(grid.config, task):
            if (spec := arm.write) is None:
                continue
            texts = [(q.id, _user_text(q, spec, spec.n)) for q in task.questions]
            limit = spec.reply_limit or PASSAGES.limit * spec.n
            parts = writing_parts(task, "passages", PASSAGES, texts, n=spec.n, limit=limit)
            writers = writers_of(grid.config, spec)
            key = f"write.reply_limit of the arm {arm.name}"
            yield task, arm, Writing(passages_name(arm.name), *parts, writers, limit_key=key)


def writers_of(config: Config, spec: WritingSpec) -> tuple[str, ...]:
    """Return the models that write something."""
    return tuple(m.name for m in config.models) if spec.by == EACH else (spec.by,)


def shown_options(question: Question, spec: WritingSpec) -> tuple[str, ...]:
    """Return the options that a writer sees."""
    return question.options if spec.options == "shown" else ()


def _query_parts(task: TaskPart, spec: QuerySpec) -> tuple[TaskPart, TaskPart]:
    asked = QUERIES[spec.write]
    texts = [
        (q.id, user_text(asked, q.text, shown_options(q, spec), spec.texts)) for q in task.questions
    ]
    return writing_parts(task, spec.write, asked, texts, n=spec.texts, limit=spec.reply_limit)


def _user_text(question: Question, spec: WritingSpec, n: int) -> str:
    return user_text(PASSAGES, question.text, shown_options(question, spec), n)


def _report(task: str, what: str, writer: str, found: Mapping[str, tuple[object, ...]]) -> None:
    """Report replies without any text."""
    empty = sum(not texts for texts in found.values())
    if empty:
        instead = "the question itself is the query" if "queries" in what else "no passage is given"
        say(
            f"note: {what} by {writer} on {task}: {empty:,} of {len(found):,} replies were empty, "
            f"for which {instead}"
        )

"""Queries that models wrote for a run, as they are saved in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import Question
from ragbench.experiment.config.written import SUBQUESTIONS
from ragbench.experiment.writing.parsing import queries_of, texts_of
from ragbench.runfolder.config import EACH, ArmEntry, RunConfig, WritingEntry, query_name
from ragbench.runfolder.packed import read_rounds
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import last_records


@dataclass(frozen=True, slots=True)
class QueryKind:
    """The queries of one kind for the questions of a task.

    Attributes:
        name: The entry of ``queries`` or the arm with ``rounds``, with ``@MODEL`` if every model
            writes its own; as in the names of rankings.
        kind: ``rationale``, ``passage``, ``rewrite``, ``subquestions`` or ``rounds``.
        writer: The model that wrote them.
        texts: Texts to search with by question; several are fused by reciprocal ranks.
        empty: Number of questions for which nothing was written, so that the question is the query.
    """

    name: str
    kind: str
    writer: str
    texts: Mapping[str, tuple[str, ...]]
    empty: int


def written_kinds(
    folder: RunPaths,
    config: RunConfig,
    task: str,
    arms: Sequence[str],
    questions: Sequence[Question],
) -> list[QueryKind]:
    """Return the queries that models wrote for some arms of a task, each once.

    Raises:
        DataError: A text is missing or unreadable.
    """
    found: dict[str, QueryKind] = {}
    for arm in map(config.arm, arms):
        for kind in _of_arm(folder, config, task, arm, questions):
            found.setdefault(kind.name, kind)
    return list(found.values())


def arms_with_queries(config: RunConfig, arm: str | None = None) -> list[str]:
    """Return the arms that search with written queries: one of them, or all.

    Raises:
        UsageError: There is none, or the given one is not among them.
    """
    own = [one for one in config.arms if one.control is None]
    known = [one.name for one in own if one.queries is not None or one.rounds is not None]
    if not known:
        raise UsageError(
            "no arm of the run searches with queries that a model wrote",
            fix="give a run whose arms have `queries` or `rounds`, or a file of queries",
        )
    if arm is not None and arm not in known:
        raise UsageError(
            f"the run has no arm {arm!r} that searches with queries that a model wrote",
            fix=f"it has {', '.join(known)}",
        )
    return known if arm is None else [arm]


def _of_arm(
    folder: RunPaths, config: RunConfig, task: str, arm: ArmEntry, questions: Sequence[Question]
) -> Iterator[QueryKind]:
    queries = config.queries.get(arm.queries or "")
    if queries is not None and arm.queries is not None:
        for writer in _writers(config, queries):
            path = folder.written.records(writer, task, query_name(arm.queries))
            replies = texts_of(last_records(path).values())
            n = (queries.n or SUBQUESTIONS) if queries.write == "subquestions" else 1
            texts = {name: queries_of(queries.write, text, n) for name, text in replies.items()}
            name = f"{arm.queries}@{writer}" if queries.by == EACH else arm.queries
            yield _kind(folder, (name, queries.write, writer), texts, questions)
    if arm.rounds is not None:
        for writer in _writers(config, arm.rounds):
            own = arm.rounds.by == EACH
            lines = read_rounds(folder.rounds(task, arm.name, writer if own else ""))
            texts = {name: line.queries for name, line in lines.items()}
            name = f"{arm.name}@{writer}" if own else arm.name
            yield _kind(folder, (name, "rounds", writer), texts, questions)


def _writers(config: RunConfig, spec: WritingEntry) -> list[str]:
    return list(dict.fromkeys(spec.writer(model.name) for model in config.models))


def _kind(
    folder: RunPaths,
    names: tuple[str, str, str],
    texts: Mapping[str, tuple[str, ...]],
    questions: Sequence[Question],
) -> QueryKind:
    name, kind, writer = names
    if missing := next((q.id for q in questions if q.id not in texts), None):
        raise DataError(
            f"the run has no {name} for question {missing!r}",
            where=str(folder.path),
            fix="run the same `ragbench prepare` or `ragbench run` command again",
        )
    searched = {
        q.id: (q.query, *texts[q.id]) if kind == "rounds" else texts[q.id] or (q.query,)
        for q in questions
    }
    return QueryKind(name, kind, writer, searched, sum(not texts[q.id] for q in questions))

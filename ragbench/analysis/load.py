"""A scored run: its tables as pandas frames, and what run.json says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec
from weakref import WeakKeyDictionary

import pandas as pd

from ragbench.analysis.merged import same_prompts
from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import CorpusFacts, TaskFacts
from ragbench.runfolder.looks.stopped import StopFile, read_stopped
from ragbench.runfolder.packed import delivered_ids
from ragbench.runfolder.passages import read_passages
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import read_questions
from ragbench.runfolder.records import check_records
from ragbench.runfolder.retrieval import RetrievalNote, read_note, read_quality
from ragbench.runfolder.runfile import RunFile, read_run_file
from ragbench.runfolder.schema import to_json
from ragbench.runfolder.scores import read_scores
from ragbench.runfolder.sums import verify

P = ParamSpec("P")
OPEN = ("open", "bring-your-own")


@dataclass(frozen=True, eq=False)
class Run:
    """A scored run, equal to itself alone.

    Attributes:
        path: The folder.
        about: What ``run.json`` says.
        scores: One row per question and cell; its columns are documented in docs/formats.md.
        quality: Retrieval measures: task, retriever, question_id, measure, value.
        retrievals: The note of each ranking, by its task and source.
    """

    path: Path
    about: RunFile
    scores: pd.DataFrame
    quality: pd.DataFrame
    retrievals: Mapping[tuple[str, str], RetrievalNote]

    @property
    def files(self) -> RunPaths:
        """Where the run's files are."""
        return RunPaths(self.path)

    @property
    def config(self) -> RunConfig:
        """The resolved config."""
        return self.about.config

    @cached_property
    def same(self) -> Mapping[str, Mapping[str, str]]:
        """By task, each arm whose prompts are those of another arm, with that other arm."""
        return same_prompts(self.files, self.about)

    @cached_property
    def stopped(self) -> StopFile | None:
        """The looks at a run that may stop early; None for one that asks every question."""
        return read_stopped(self.files)

    @property
    def is_stopped(self) -> bool:
        """Whether a cell was not asked all questions of its task."""
        asked = () if self.stopped is None else self.stopped.asked
        return any(cell.n < self.facts(cell.task).n for cell in asked)

    def facts(self, task: str) -> TaskFacts:
        """Return what is recorded of a task."""
        return self.about.identity.tasks[task]

    def metrics(self, task: str) -> list[str]:
        """Return the metrics of a task."""
        return list(self.facts(task).metrics)

    def arms(self, task: str) -> list[str]:
        """Return the arms of a task, in the config's order."""
        return list(self.facts(task).arms)

    def questions(self, task: str) -> Sequence[Question]:
        """Return the questions of a task in the order asked; their file is read once."""
        if task not in self._questions:
            self._questions[task] = read_questions(self.files.questions(task))
        return self._questions[task]

    def shared(self, task: str) -> Sequence[Question]:
        """Return the first questions of a task, those that every cell was asked."""
        asked = () if self.stopped is None else self.stopped.asked
        ns = [cell.n for cell in asked if cell.task == task]
        return self.questions(task)[: min(ns, default=None)]

    @cached_property
    def _questions(self) -> dict[str, list[Question]]:
        return {}

    def readers(self, arm: str) -> list[str]:
        """Return the models that each get their own passages; an empty name if all get the same."""
        return self.members("models") if self.config.has_own(arm) else [""]

    def cell(self, model: str, task: str, arm: str) -> pd.DataFrame:
        """Return the scores of one cell, one row per question."""
        found = self._cells.get((model, task, arm))
        return self.scores.iloc[:0] if found is None else found

    @cached_property
    def _cells(self) -> dict[tuple[str, ...], pd.DataFrame]:
        return {
            tuple(str(name) for name in names): cell
            for names, cell in self.scores.groupby(["model", "task", "arm"], sort=False)
        }

    def ids_in(self, corpus: str, gold: Sequence[str]) -> set[str]:
        """Return gold ids as a corpus has them: over a union also after each member's name."""
        facts = (self.about.identity.corpora or {}).get(corpus, CorpusFacts())
        return {*gold, *(f"{name}/{i}" for name in facts.members or () for i in gold)}

    def members(self, kind: str) -> list[str]:
        """Return the names of ``models``, ``tasks`` or ``arms``, in the config's order."""
        config = self.config
        names = {
            "models": [model.name for model in config.models],
            "tasks": [task.name for task in config.tasks],
            "arms": [arm.name for arm in config.arms],
        }
        return names[kind]

    def corpus_of(self, task: str, arm: str) -> str:
        """Return the corpus that an arm's passages come from; empty for an arm without any.

        Where no retrieval names it, it is the first that holds all of them.
        """
        spec = self.config.imitated(arm)
        is_random = self.config.arm(arm).control == "random"
        if spec.documents is not None or (spec.write is not None and is_random):
            return self._holding(task, arm)  # the config may say `task`, and no retrieval names it
        if spec.write is not None:
            return ""
        sources = spec.fuse or (spec.retriever or "",)  # what is fused shares one corpus
        key = spec.name if spec.run_file else sources[0]
        if spec.runnable is not None:
            key = spec.runnable.name
        if key and spec.within == "documents":
            key += "~documents"  # as its retrieval's files are named
        key = self.config.ranking(arm, key, self.members("models")[0])
        named = self.retrievals.get((task, key), RetrievalNote()).corpus
        return named or self._holding(task, arm)

    def _holding(self, task: str, arm: str) -> str:
        """Return the first corpus whose delivered passages are all those of an arm."""
        paths = [self.files.packed(task, arm, model) for model in self.readers(arm)]
        every = (delivered_ids(path).values() for path in paths if path.exists())
        ids = {passage for lists in every for found in lists for passage in found}
        held = (corpus for corpus, names in sorted(self._delivered.items()) if ids <= names)
        return next(held, "") if ids else ""

    @cached_property
    def _delivered(self) -> dict[str, set[str]]:
        """Ids of all delivered passages by corpus."""
        found: dict[str, set[str]] = {}
        for corpus, passage in read_passages(self.files.passages):
            found.setdefault(corpus, set()).add(passage)
        return found

    def shown_classes(self, task: str) -> tuple[str, ...] | None:
        """Return the options that all questions of a task share, where they may be shown.

        None if the questions differ. Options of restricted data are texts, except those of a task
        whose answers are labels that the task itself defines.
        """
        facts = self.facts(task)
        is_open = facts.data_use in OPEN or facts.answers == "label"
        return facts.classes if is_open else None

    def restricted_data(self) -> list[str]:
        """Return the tasks and corpora whose text must not be shown; unknown data use counts.

        Returns:
            Each as ``task NAME`` or ``corpus NAME``.
        """
        identity = self.about.identity
        corpora = identity.corpora or {}
        names = {
            *corpora,
            *(index.corpus.name for index in (identity.indexes or {}).values()),
            *(note.corpus for note in self.retrievals.values() if note.corpus),
        }
        closed = {n for n in names if corpora.get(n, CorpusFacts()).data_use not in OPEN}
        tasks = [name for name in self.members("tasks") if self.facts(name).data_use not in OPEN]
        return [*(f"task {name}" for name in tasks), *(f"corpus {name}" for name in sorted(closed))]


def load_run(path: Path, *, was_checked: bool = False) -> Run:
    """Read a run that has been scored.

    Args:
        path: The run folder.
        was_checked: Whether its files were compared with their digests just before, as a scoring
            does; reading every record again would double the time of a look at a run under way.

    Returns:
        Its tables.

    Raises:
        DataError: The run has not been scored, or not since it was extended, or a file of it has
            changed since.
    """
    files = RunPaths(path)
    files.check_inside()
    about = read_run_file(files.run)
    if files.scores(about.config.mode).is_file() and not was_checked:
        verify(files, about.format)
        check_records(files, about)
    metrics = [metric for facts in about.identity.tasks.values() for metric in facts.metrics]
    scores = read_scores(files.scores(about.config.mode), metrics=metrics)
    _check_whole(path, about, scores)
    quality, retrievals = _retrieval(files, about)
    return Run(path, about, scores, quality, retrievals)


def _check_whole(path: Path, about: RunFile, scores: pd.DataFrame) -> None:
    """Refuse scores that an interrupted extension of the run has left behind its config."""
    cells: dict[tuple[str, ...], int] = {
        (model.name, task.name, arm): about.identity.tasks[task.name].n
        for model in about.config.models
        for task in about.config.tasks
        for arm in about.identity.tasks[task.name].arms
    }
    if (stopped := read_stopped(RunPaths(path))) is not None:
        cells |= {cell: n for cell, n in stopped.n.items() if cell in cells}
    if scores.groupby(["model", "task", "arm"]).size().to_dict() != cells:
        raise DataError(
            "the scores are not those of the run's models, tasks, arms and questions",
            where=str(path),
            fix="an extension was interrupted: give the same `ragbench run` again",
        )
    for name, facts in about.identity.tasks.items():
        options = scores.loc[scores.task == name, ["answer", "pick"]].max().max()
        if facts.classes is not None and options >= len(facts.classes):
            raise DataError(
                f"the scores of {name!r} have an option beyond the task's {len(facts.classes)}",
                where=str(path),
                fix=f"ragbench score {path.name}",
            )


def _retrieval(
    files: RunPaths, about: RunFile
) -> tuple[pd.DataFrame, dict[tuple[str, str], RetrievalNote]]:
    rows: list[dict[str, object]] = []
    notes: dict[tuple[str, str], RetrievalNote] = {}
    for path in sorted((files.path / "retrieval").glob("*.json")):
        task, _, source = path.name.removesuffix(".json").partition("+")
        facts = about.identity.tasks.get(task)
        if facts is not None and facts.sources is not None and source not in facts.sources:
            continue  # left by an earlier config of the same name
        notes[task, source] = read_note(path)
        for line in read_quality(files.retrieval(task, source, "quality.jsonl")):
            rows.append({"task": task, "retriever": source} | to_json(line))
    columns = ["task", "retriever", "question_id", "measure", "value"]
    return pd.DataFrame(rows, columns=columns), notes


def once(
    compute: Callable[Concatenate[Run, P], pd.DataFrame],
) -> Callable[Concatenate[Run, P], pd.DataFrame]:
    """Return a table's function that computes once per run and further arguments.

    Tables, figures and the page of a report all show it. Each caller gets a copy.
    """
    found: WeakKeyDictionary[Run, tuple[tuple[object, ...], pd.DataFrame]] = WeakKeyDictionary()

    @wraps(compute)
    def computed(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        given = (*args, *kwargs.values())
        known = found.get(run)
        if known is None or not all(a is b for a, b in zip(known[0], given, strict=True)):
            known = (given, compute(run, *args, **kwargs))
            found[run] = known
        return known[1].copy()

    return computed

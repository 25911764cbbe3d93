"""Runs made elsewhere as run folders, with questions and replies that ``score_run`` can score.

Facts that an imported run does not have (prompts, passages, tokens, seconds) are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.endpoint import RESTRICTED
from ragbench.base.errors import UsageError
from ragbench.base.files import (
    atomic_folder,
    check_replaceable,
    locked,
    private,
    sha256_json,
    write_jsonl,
)
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.progress import say, stage
from ragbench.base.records import DataUse, Mode, Question, Scoring
from ragbench.experiment.config.spec import CLOSED_BOOK, AnalysisSpec, ArmSpec
from ragbench.experiment.stages.score import score_run
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import TaskFacts, shared_options
from ragbench.runfolder.packed import PackedLine, write_packed
from ragbench.runfolder.passages import write_passages, write_prompts
from ragbench.runfolder.paths import RUN, RunPaths
from ragbench.runfolder.questions import question_digest, write_questions
from ragbench.runfolder.records import Record, imported_key, sealed, write_imported_records
from ragbench.runfolder.runfile import (
    Identity,
    RunFile,
    Session,
    read_run_file,
    write_run_file,
)
from ragbench.runfolder.schema import parse, to_json
from ragbench.runfolder.sums import INPUTS, measure, write_sums
from ragbench.tasks.replies.failures import is_failure
from ragbench.tasks.task import Answers

BACKEND = "imported"
NEWER = {"queries", "write", "filter", "rounds", "runnable"}  # keys of no arm of an imported run


@dataclass(frozen=True)
class ImportedTask:
    """Questions of one task, and how their answers were taken.

    Attributes:
        reader: Registered reader of replies.
        licence: Terms of the questions.
        excluded: (question id, reason) of each question that is not scored.
        note: Caveat for readers of the results.
    """

    name: str
    questions: Sequence[Question]
    scoring: Scoring = "generate"
    answers: Answers = "option"
    reader: str = "option"
    metrics: tuple[str, ...] = ("accuracy",)
    licence: str = "not stated"
    excluded: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class ImportedArm:
    """An arm and the number of passages that it requested, if known."""

    name: str
    k: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedAnswer:
    """Known facts of one answer; the fields are those of ``Record``."""

    prompt: str = ""
    log_likelihoods: tuple[float, ...] | None = None
    reply: str | None = None
    finish: str = "unknown"
    error: str | None = None
    reply_before_filter: str | None = None


NO_ANSWER = ImportedAnswer(finish="error", error="the imported file has no answer")
NULL = ImportedAnswer(finish="error", error="the imported file has null in place of the reply")
SHOWN = 500  # characters of an error message that are kept
Cell = Mapping[str, ImportedAnswer]  # by question id


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """The contents of an imported run folder.

    Attributes:
        mode: How replies are read.
        format: Name of the format of the files: the command under ``ragbench import``.
        sources: Digest by name of each source file.
        answers: Answers by (model, task, arm) and question id.
        seed: Seed of the analysis.
        arms_of: Arms by task; all arms for a task that is absent.
        prompts: Known prompts by their digest.
        data_use: Who may see the questions; the report of a restricted run has no texts.
        bases: The general model that each biomedical one was made from, by name.
    """

    name: str
    mode: Mode
    sources: Mapping[str, str]
    tasks: Sequence[ImportedTask]
    arms: Sequence[ImportedArm]
    models: Sequence[str]
    answers: Mapping[tuple[str, str, str], Cell]
    description: str = ""
    seed: int = 17
    arms_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    data_use: DataUse = "bring-your-own"
    bases: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None


def write_run(run: ImportedRun, *, replace: bool = False) -> Path:
    """Write and score a run folder, and return its path.

    Raises:
        UsageError: The run exists and ``replace`` is not set, or it was not imported.
    """
    home.check_name(run.name, what="a run")
    path = home.home() / "runs" / run.name
    is_private = run.data_use == RESTRICTED
    with private(is_private, path), locked(path, what=f"the run {run.name!r}"):
        _check_place(path, replace=replace)
        with atomic_folder(path) as work:
            folder = RunPaths(work)
            _write(run, folder)
            write_sums(folder, measure(folder, INPUTS))
            score_run(folder)
    return path


def _check_place(path: Path, *, replace: bool) -> None:
    """Refuse to overwrite anything but an imported run, and that only with ``replace``."""
    check_replaceable(path, RUN, what="run")
    if not (path / RUN).exists():
        return
    if not replace:
        raise UsageError(
            f"there is a run {path.name!r} already",
            where=str(path),
            fix="choose another --name, or add --replace",
        )
    if not read_run_file(path / RUN).is_imported:
        raise UsageError(
            f"the run {path.name!r} was not imported: its answers were computed",
            where=str(path),
            fix="choose another --name, or remove the folder yourself",
        )


def _write(run: ImportedRun, folder: RunPaths) -> None:
    answers = {key: _failed(run, ", ".join(key), cell) for key, cell in run.answers.items()}
    total = sum(len(cell) for cell in answers.values())
    with stage(f"import {run.name}", total) as progress:
        for task in run.tasks:
            write_questions(folder.questions(task.name), task.questions)
            for arm in _arms_of(run, task.name):
                lines = [_packed(question, arm) for question in task.questions]
                write_packed(folder.packed(task.name, arm), lines, imported=True)
                for model in run.models:
                    cell = answers[model, task.name, arm]
                    write_imported_records(
                        folder.records(model, task.name, arm),
                        [_record(run, model, task, arm, q, cell.get(q.id)) for q in task.questions],
                    )
                    progress.advance(len(task.questions))
    write_passages(folder.passages, {})
    write_prompts(folder.prompts, run.prompts)
    session = Session.begin()
    config = parse(RunConfig, _config(run), str(folder.run))
    about = RunFile(started=session, name=run.name, config=config, identity=_identity(run))
    write_run_file(folder.run, about)
    write_jsonl(folder.sessions, [to_json(session)])


def _failed(run: ImportedRun, name: str, cell: Cell) -> Cell:
    """Return a cell whose error messages in place of replies are errors, and report their number.

    A published mode keeps them as replies, for its harness scored them as such.
    """
    found = {
        identifier: text
        for identifier, answer in cell.items()
        if (text := answer.reply_before_filter or answer.reply) and is_failure(text)
    }
    if not found:
        return cell
    shown = " ".join(next(iter(found.values())).split())[:80]
    what = f"note: {name}: {len(found):,} of {len(cell):,} replies are error messages ({shown})"
    if run.mode != "correct":
        say(f"{what}; the mode {run.mode!r} scores them as replies, and they count as assumed")
        return cell
    say(f"{what}; they count as errors, so the cell is incomplete")
    errors = {
        identifier: replace(
            cell[identifier],
            reply=None,
            reply_before_filter=None,
            finish="error",
            error=f"in place of a reply: {' '.join(text.split())[:SHOWN]}",
        )
        for identifier, text in found.items()
    }
    return {**cell, **errors}


def _arms_of(run: ImportedRun, task: str) -> Sequence[str]:
    return run.arms_of.get(task) or [arm.name for arm in run.arms]


def _packed(question: Question, arm: str) -> PackedLine:
    """Return the line of a packing: empty for closed-book, unknown for other arms."""
    known = 0 if arm == CLOSED_BOOK else None
    return PackedLine(
        question_id=question.id,
        passages=(),
        requested=known,
        delivered=known,
        tokens=known,
        shortfall_tokens=known,
        left_out=known,
    )


def _record(
    run: ImportedRun,
    model: str,
    task: ImportedTask,
    arm: str,
    question: Question,
    answer: ImportedAnswer | None,
) -> Record:
    record = Record(
        key="",
        model=model,
        task=task.name,
        arm=arm,
        seed=run.seed,
        scoring=task.scoring,
        question_id=question.id,
        **to_json(NO_ANSWER if answer is None else answer),
    )
    record = replace(record, question=question_digest(question))
    return sealed(replace(record, key=imported_key(record)))


def _config(run: ImportedRun) -> dict[str, Any]:
    models = [
        ModelSpec.model_construct(
            name=name,
            backend=BACKEND,
            kind="biomedical" if name in run.bases else "general",
            base=run.bases.get(name),
        )
        for name in run.models
    ]
    arms = [ArmSpec.model_construct(name=arm.name, k=arm.k) for arm in run.arms]
    return {
        "name": run.name,
        "description": run.description,
        "seed": run.seed,
        "indexes": {},
        "models": [model.model_dump(mode="json") for model in models],
        "tasks": [{"name": task.name, "task": task.name, "limit": None} for task in run.tasks],
        "arms": [arm.model_dump(mode="json", exclude=NEWER) for arm in arms],
        "mode": run.mode,
        "metrics": {},
        "analysis": AnalysisSpec().model_dump(mode="json", exclude={"stop"}),
    }


def _identity(run: ImportedRun) -> Identity:
    return Identity(
        imported_from=run.sources,
        imported_format=run.format,
        tasks={task.name: _task_facts(run, task) for task in run.tasks},
        models=dict.fromkeys(run.models, ModelFacts(BACKEND)),
        indexes={},
        corpora={},
        run_files={},
    )


def _task_facts(run: ImportedRun, task: ImportedTask) -> TaskFacts:
    return TaskFacts(
        digest=sha256_json([question_digest(question) for question in task.questions]),
        n=len(task.questions),
        arms=tuple(_arms_of(run, task.name)),
        sources=(),
        scoring=task.scoring,
        metrics=task.metrics,
        answers=task.answers,
        classes=shared_options(task.questions),
        reader=task.reader,
        excluded=task.excluded,
        sources_of_questions=run.sources,
        note=task.note,
        licence=task.licence,
        data_use=run.data_use,
    )

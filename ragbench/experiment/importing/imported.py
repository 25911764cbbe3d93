"""Runs made elsewhere as run folders: questions and replies that ``score`` takes as its own.

What an imported run does not know (prompts, passages, tokens, seconds) is left empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.errors import UsageError
from ragbench.base.files import (
    atomic_folder,
    check_replaceable,
    locked,
    sha256_json,
    write_json,
    write_jsonl,
    write_text,
)
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.progress import stage
from ragbench.base.provenance import git_state, machine, now, versions
from ragbench.base.records import DataUse, Mode, Question, Scoring
from ragbench.experiment.config.spec import CLOSED_BOOK, AnalysisSpec, ArmSpec
from ragbench.experiment.folder import FORMAT, RUN, RunFolder, question_to_json
from ragbench.experiment.stages.score import score_run
from ragbench.models.spec import ModelSpec
from ragbench.tasks.task import Answers, question_digest

BACKEND = "imported"
IMPORTED = "imported_from"  # the key of an imported run's identity


@dataclass(frozen=True)
class ImportedTask:
    """Questions of one task, and how their answers were taken.

    Attributes:
        name: The task.
        questions: In the order of the file.
        scoring: How answers were taken.
        answers: What answers are.
        reader: The reader of replies.
        metrics: The metrics.
        licence: Terms of the questions.
        excluded: (question id, reason) of what is not scored.
        note: What a reader must know.
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
    """An arm by its name, with how many passages it asked for, if that is known."""

    name: str
    k: int | None = None


@dataclass
class ImportedRun:
    """Everything that becomes a run folder.

    Attributes:
        name: The run's name.
        mode: How replies are read.
        sources: Digest by name of the files that it was made from.
        tasks: The tasks.
        arms: The arms.
        models: The models' names.
        records: By (model, task, arm) and question id, the fields of a record that are known.
        description: For people.
        seed: Of the analysis.
        arms_of: The arms of each task; all of them by default.
        prompts: Prompts by their digest, where they are known.
        data_use: Who may see the questions; the report of a restricted run has no texts.
        bases: The general model that each biomedical one was made from, by name.
    """

    name: str
    mode: Mode
    sources: Mapping[str, str]
    tasks: Sequence[ImportedTask]
    arms: Sequence[ImportedArm]
    models: Sequence[str]
    records: Mapping[tuple[str, str, str], Mapping[str, Mapping[str, Any]]]
    description: str = ""
    seed: int = 17
    arms_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    data_use: DataUse = "bring-your-own"
    bases: Mapping[str, str] = field(default_factory=dict)


def write_run(run: ImportedRun, *, replace: bool = False) -> Path:
    """Write a run folder and score it.

    Args:
        run: What was read.
        replace: Whether a run of this name may be replaced.

    Returns:
        The run folder.

    Raises:
        UsageError: There is a run of this name already.
    """
    home.check_name(run.name, what="a run")
    path = home.home() / "runs" / run.name
    with locked(path, what=f"the run {run.name!r}"):
        _check_place(path, replace=replace)
        with atomic_folder(path) as work:
            folder = RunFolder(work)
            _write(run, folder)
            score_run(folder)
    return path


def _check_place(path: Path, *, replace: bool) -> None:
    """Refuse to write over what lies there, but for an imported run where that was asked for."""
    check_replaceable(path, RUN, what="run")
    if not (path / RUN).exists():
        return
    if not replace:
        raise UsageError(
            f"there is a run {path.name!r} already",
            where=str(path),
            fix="choose another --name, or add --replace",
        )
    if IMPORTED not in RunFolder(path).read()["identity"]:
        raise UsageError(
            f"the run {path.name!r} was not imported: its answers were computed",
            where=str(path),
            fix="choose another --name, or remove the folder yourself",
        )


def _write(run: ImportedRun, folder: RunFolder) -> None:
    total = sum(len(cell) for cell in run.records.values())
    with stage(f"import {run.name}", total) as progress:
        for task in run.tasks:
            write_jsonl(folder.questions(task.name), map(question_to_json, task.questions))
            for arm in _arms_of(run, task.name):
                write_jsonl(
                    folder.packed(task.name, arm), [_packed(q, arm) for q in task.questions]
                )
                for model in run.models:
                    cell = run.records[model, task.name, arm]
                    write_jsonl(
                        folder.records(model, task.name, arm),
                        [_record(run, model, task, arm, q, cell.get(q.id)) for q in task.questions],
                    )
                    progress.advance(len(task.questions))
    write_text(folder.passages, "")
    write_jsonl(folder.prompts, [{"digest": d, "text": t} for d, t in run.prompts.items()])
    session = {"at": now(), "versions": versions(), "machine": machine(), "git": git_state()}
    about = {"format": FORMAT, "name": run.name, "config": _config(run), "identity": _identity(run)}
    write_json(folder.path / RUN, {"started": session, **about})
    write_jsonl(folder.path / "sessions.jsonl", [session])


def _arms_of(run: ImportedRun, task: str) -> Sequence[str]:
    return run.arms_of.get(task) or [arm.name for arm in run.arms]


def _packed(question: Question, arm: str) -> dict[str, Any]:
    """Return the line of a packing: closed-book has nothing, of other arms nothing is known."""
    known = 0 if arm == CLOSED_BOOK else None
    return {
        "question_id": question.id,
        "passages": [],
        "requested": known,
        "delivered": known,
        "tokens": known,
        "shortfall_tokens": known,
        "left_out": known,
        "gold": 0,
        "gold_known": 0,
        "answer_truncated": False,
    }


def _record(
    run: ImportedRun,
    model: str,
    task: ImportedTask,
    arm: str,
    question: Question,
    facts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    lacking = {"finish": "error", "error": "the imported file has no answer"}
    fields = {
        "model": model,
        "task": task.name,
        "arm": arm,
        "seed": run.seed,
        "scoring": task.scoring,
        "question_id": question.id,
        "passages": [],
        "prompt": "",
        "log_likelihoods": None,
        "option_tokens": None,
        "reply": None,
        "reply_tokens": None,
        "prompt_tokens": None,
        "elapsed_s": None,
        "finish": "unknown",
        "error": None,
        **(lacking if facts is None else facts),
    }
    return {"key": sha256_json([fields, question_digest(question)]), **fields}


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
        "arms": [arm.model_dump(mode="json") for arm in arms],
        "mode": run.mode,
        "metrics": {},
        "analysis": AnalysisSpec().model_dump(mode="json"),
    }


def _identity(run: ImportedRun) -> dict[str, Any]:
    model = ModelFacts(BACKEND, dtype=None, format=None, context_tokens=None)
    return {
        IMPORTED: dict(run.sources),
        "tasks": {task.name: _task_identity(run, task) for task in run.tasks},
        "models": {name: model.to_json() for name in run.models},
        "indexes": {},
        "corpora": {},
        "run_files": {},
    }


def _task_identity(run: ImportedRun, task: ImportedTask) -> dict[str, Any]:
    shared = {question.options for question in task.questions}
    return {
        "digest": sha256_json([question_digest(question) for question in task.questions]),
        "n": len(task.questions),
        "arms": list(_arms_of(run, task.name)),
        "sources": [],
        "scoring": task.scoring,
        "reply_limit": None,
        "metrics": list(task.metrics),
        "answers": task.answers,
        "classes": list(shared.pop()) or None if len(shared) == 1 else None,
        "reader": task.reader,
        "examples": [],
        "excluded": [list(pair) for pair in task.excluded],
        "double_first": False,
        "sources_of_questions": dict(run.sources),
        "cluster_unit": None,
        "note": task.note,
        "licence": task.licence,
        "data_use": run.data_use,
    }

"""All stages of a run, in order; every one keeps what an earlier session has finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ragbench.base import home
from ragbench.base.errors import DataError
from ragbench.base.files import locked, sha256_file, write_text
from ragbench.base.yamlfile import Document
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import Config
from ragbench.experiment.folder import RunFolder
from ragbench.experiment.grid import Grid, TaskPart
from ragbench.experiment.stages.answer import answer_all, check_lengths
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.experiment.stages.score import score_run
from ragbench.indexes.build import Manifest

PROMPT_TEMPLATE = 2  # counts changes of experiment/prompts.py that change prompts


@dataclass(frozen=True)
class Finished:
    """A run that went through: its folder, and how many answers are lacking."""

    folder: RunFolder
    errors: int


def run_experiment(config: Config, document: Document, *, extend: bool = False) -> Finished:
    """Build what is missing, retrieve, pack, answer and score.

    Args:
        config: The checked config.
        document: Where it was read from.
        extend: Whether the run folder may get more models, tasks, arms or questions.

    Returns:
        The folder and the number of errors.
    """
    grid = Grid(config, document)
    folder = RunFolder(home.home() / "runs" / config.name)
    resolved = config.model_dump(mode="json")
    with locked(folder.path, what=f"the run {config.name!r}"):
        known = {
            "tasks": task_identity(grid),
            "models": model_identity(grid),
            "packing": {"tokenizer": config.reference_model().name},
            "run_files": run_file_identity(grid),
        }
        grid.check_supported()
        folder.check(resolved, known, extend=extend)  # before anything is built
        manifests = grid.build_missing()
        identity = known | {
            "indexes": index_identity(manifests),
            "corpora": corpus_identity(grid),
            "prompts": {"template": PROMPT_TEMPLATE},
        }
        folder.start(resolved, identity, extend=extend)
        write_text(folder.path / "config.yaml", document.text)
        retrieve_all(grid, folder, manifests)
        packed = pack_all(grid, folder)
        check_lengths(grid, packed)
        answer_all(grid, folder, packed)
        errors = score_run(folder)
    return Finished(folder, errors)


def task_identity(grid: Grid) -> dict[str, Any]:
    """Return what is recorded of each task."""
    return {
        task.spec.name: {
            "digest": task.digest,
            "n": len(task.questions),
            "arms": [arm.name for arm in grid.arms_of(task)],
            "sources": sorted(grid.source_keys(task)),
            "scoring": task.scoring,
            "reply_limit": task.reply_limit if task.scoring == "generate" else None,
            "metrics": list(task.metrics),
            "answers": task.info.answers,
            "classes": classes(task),
            "reader": task.info.reads,
            "examples": [example.id for example in task.info.examples],
            "excluded": [list(pair) for pair in task.info.excluded],
            "double_first": task.info.double_first,
            "sources_of_questions": dict(task.info.sources),
            "cluster_unit": task.info.cluster_unit,
            "note": task.info.note,
            "licence": task.info.licence,
            "data_use": task.info.data_use,
        }
        for task in grid.tasks
    }


def classes(task: TaskPart) -> list[str] | None:
    """Return the options that all questions of a task share; None where they differ."""
    shared = {question.options for question in task.questions}
    return list(shared.pop()) or None if len(shared) == 1 else None


def run_file_identity(grid: Grid) -> dict[str, str]:
    """Return the digest of every arm's run file.

    Args:
        grid: The experiment.

    Returns:
        SHA-256 by arm.

    Raises:
        DataError: A run file is not there.
    """
    found = {}
    for task in grid.tasks:
        for source in grid.sources(task):
            if source.run_file is not None:
                if not source.run_file.is_file():
                    where = f"{source.run_file} (arm {source.key})"
                    raise DataError("the TREC run is not there", where=where)
                found[source.key] = sha256_file(source.run_file)
    return found


def model_identity(grid: Grid) -> dict[str, Any]:
    """Return what is recorded of each model."""
    return {name: model.facts() for name, model in grid.models.items()}


def index_identity(manifests: dict[str, Manifest]) -> dict[str, Any]:
    """Return what is recorded of each index and its corpus."""
    return {
        name: {
            "digest": m.digest,
            "corpus": m.corpus,
            "dtype": m.facts.get("dtype"),
        }
        for name, m in manifests.items()
    }


def corpus_identity(grid: Grid) -> dict[str, Any]:
    """Return what is recorded of each corpus that passages come from."""
    found: dict[str, Any] = {}
    for name in grid.corpora():
        facts = open_corpus(name).manifest
        found[name] = {
            "digest": facts.digest,
            "n": facts.n_passages,
            "licence": facts.licence,
            "data_use": facts.data_use,
        }
        if facts.members:
            found[name]["members"] = {m["name"]: m["digest"] for m in facts.members}
    return found

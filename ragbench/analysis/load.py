"""The tables of a run folder, as pandas frames with checked columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.base.errors import DataError
from ragbench.base.files import read_json, read_jsonl

FORMAT = 3  # of run.json
CELL = ["model", "task", "arm", "mode", "scoring", "seed", "k"]


@dataclass(frozen=True)
class Run:
    """A scored run.

    Attributes:
        path: The folder.
        about: What ``run.json`` says.
        scores: One row a question and cell; its columns are documented in docs/formats.md.
        quality: Retrieval measures: task, retriever, question_id, measure, value.
        retrievals: What is known of each retrieval: task, retriever, index_name, corpus, k.
    """

    path: Path
    about: dict[str, Any]
    scores: pd.DataFrame
    quality: pd.DataFrame
    retrievals: list[dict[str, Any]]

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        return dict(self.about["config"])

    def metrics(self, task: str) -> list[str]:
        """Return the metrics of a task."""
        return list(self.about["identity"]["tasks"][task]["metrics"])

    def arms(self, task: str) -> list[str]:
        """Return the arms of a task, in the config's order."""
        return list(self.about["identity"]["tasks"][task]["arms"])

    def scoring(self, task: str) -> str:
        """Return how the answers to a task were taken."""
        return str(self.about["identity"]["tasks"][task]["scoring"])

    def cell(self, model: str, task: str, arm: str) -> pd.DataFrame:
        """Return the scores of one cell, a row a question."""
        scores = self.scores
        return scores[(scores.model == model) & (scores.task == task) & (scores.arm == arm)]

    def ids_in(self, corpus: str, gold: Sequence[str]) -> set[str]:
        """Return gold ids as a corpus has them: over a union also after each member's name."""
        about = self.about["identity"].get("corpora", {}).get(corpus, {})
        return {*gold, *(f"{name}/{i}" for name in about.get("members", ()) for i in gold)}

    def members(self, kind: str) -> list[str]:
        """Return the names of models, tasks or arms, in the config's order."""
        return [member["name"] for member in self.config[kind]]


def load_run(path: Path) -> Run:
    """Read a run that has been scored.

    Args:
        path: The run folder.

    Returns:
        Its tables.

    Raises:
        DataError: The run has not been scored, or not since it was extended.
    """
    about = read_json(path / "run.json", what="the file run.json of the run")
    if about.get("format") != FORMAT:
        raise DataError(
            f"the run has format {about.get('format')!r}, not {FORMAT}", where=str(path)
        )
    table = path / "scores" / f"{about['config']['mode']}.parquet"
    if not table.is_file():
        raise DataError("the run has no scores", where=str(path), fix=f"ragbench score {path.name}")
    try:
        scores = pd.read_parquet(table)
    except (OSError, ValueError) as error:
        raise DataError(f"the scores cannot be read: {error}", where=str(table)) from None
    _check_whole(path, about, scores)
    quality, retrievals = _retrieval(path, about)
    return Run(path, about, scores, quality, retrievals)


def _check_whole(path: Path, about: dict[str, Any], scores: pd.DataFrame) -> None:
    """Refuse scores that an interrupted extension of the run has left behind its config."""
    config, tasks = about["config"], about["identity"]["tasks"]
    cells = {
        (model["name"], task["name"], arm): tasks[task["name"]]["n"]
        for model in config["models"]
        for task in config["tasks"]
        for arm in tasks[task["name"]]["arms"]
    }
    if scores.groupby(["model", "task", "arm"]).size().to_dict() != cells:
        raise DataError(
            "the scores are not those of the run's models, tasks, arms and questions",
            where=str(path),
            fix="an extension was interrupted: give the same `ragbench run` again",
        )


def _retrieval(path: Path, run: dict[str, Any]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    retrievals: list[dict[str, Any]] = []
    for about in sorted((path / "retrieval").glob("*.json")):
        task, _, retriever = about.name.removesuffix(".json").partition("+")
        sources = run["identity"]["tasks"].get(task, {}).get("sources")
        if sources is not None and retriever not in sources:
            continue  # left by an earlier config of the same name
        note = read_json(about, what="the note of a retrieval")
        retrievals.append({"task": task, "retriever": retriever, **note})
        for _, line in read_jsonl(about.with_name(f"{task}+{retriever}.quality.jsonl")):
            rows.append({"task": task, "retriever": retriever, **line})
    columns = ["task", "retriever", "question_id", "measure", "value"]
    return pd.DataFrame(rows, columns=columns), retrievals

"""A run as pandas tables for a notebook: ``ragbench.load_run("runs/quickstart").effects``."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.analysis.load import load_run as load
from ragbench.analysis.results import results
from ragbench.base.errors import DataError
from ragbench.runfolder.paths import find_run
from ragbench.runfolder.schema import to_json

CATEGORIES = ("model", "task", "arm", "mode", "scoring", "outcome", "stratum", "baseline", "effect")
INTEGERS = ("seed", "k", "delivered_k", "passage_tokens", "prompt_tokens", "reply_tokens")


class RunTables:
    """The tables of one run; each is read or computed when it is first asked for.

    Args:
        run: The run.

    Attributes:
        path: The folder.
        config: The resolved config.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.path: Path = run.path
        self.config: dict[str, Any] = to_json(run.config)

    def __repr__(self) -> str:
        sizes = (len(self._run.members(kind)) for kind in ("models", "tasks", "arms"))
        kinds = ("model", "task", "arm")
        counts = (f"{n} {kind}{'s' * (n != 1)}" for n, kind in zip(sizes, kinds, strict=True))
        return f"<ragbench run {self.path.name}: {', '.join(counts)}>"

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row a question and cell: outcome, pick, metrics, tokens, seconds."""
        return typed(self._run.scores)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row a model, task, arm and metric, with intervals; rates from 0 to 1."""
        return typed(results(self._run))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row an effect: estimate, interval, p, adjusted p, counts, smallest detectable."""
        return typed(effects(self._run))

    @cached_property
    def retrieval(self) -> pd.DataFrame:
        """One row a task, retriever, question and measure."""
        return typed(self._run.quality)

    @cached_property
    def questions(self) -> pd.DataFrame:
        """One row a question: task, id, text, options, answer (an index), reference, stratum."""
        rows = [
            {
                "task": task,
                "question_id": question.id,
                "text": question.text,
                "options": list(question.options),
                "answer": question.answer,
                "reference": question.reference,
                "stratum": question.stratum,
                "cluster": question.cluster,
            }
            for task in self._run.members("tasks")
            for question in self._run.questions(task)
        ]
        return typed(pd.DataFrame(rows))

    def wide(self, metric: str = "accuracy") -> pd.DataFrame:
        """Return one metric with a row a task and question and a column a model and arm.

        Args:
            metric: A metric of the run.

        Returns:
            The table; what a task lacks is missing.

        Raises:
            DataError: The run has no such metric.
        """
        if metric not in self._run.scores:
            known = {m for task in self._run.members("tasks") for m in self._run.metrics(task)}
            raise DataError(
                f"the run has no metric {metric!r}",
                where=str(self.path),
                fix=f"it has {', '.join(sorted(known))}",
            )
        return self._run.scores.pivot_table(
            index=["task", "question_id"], columns=["model", "arm"], values=metric, sort=False
        )


def load_run(path: str | os.PathLike[str]) -> RunTables:
    """Return the tables of a run.

    Args:
        path: The run's folder, or its name under ``runs/`` of RAGBENCH_HOME.

    Returns:
        Its tables.

    Raises:
        DataError: There is no such run, or it was not scored.
    """
    return RunTables(load(find_run(os.fspath(path)).path))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose names are categories and whose counts are whole numbers or missing."""
    types: dict[str, str] = {name: "category" for name in CATEGORIES if name in table}
    for name in INTEGERS:
        if name in table and (table[name].dropna() % 1 == 0).all():
            types[name] = "Int64"
    return table.astype(types).reset_index(drop=True)

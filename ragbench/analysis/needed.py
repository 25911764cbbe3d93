"""How many questions the effects of a run need, by the changes that it or a former run observed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from ragbench.analysis.effects import effects, effects_and_spreads
from ragbench.analysis.family import INTERACTION, OVER_TASKS, PRIMARY
from ragbench.analysis.load import Run
from ragbench.analysis.stopping import check_whole
from ragbench.base import home
from ragbench.base.errors import UsageError


def needed_by_run(
    run: Run, difference: float, *, alpha: float | None = None, power: float = 0.8
) -> pd.DataFrame:
    """Return ``effect, model, task, arm, n, level, sees, difference, questions`` of each effect.

    ``sees`` is the difference that this n finds, ``questions`` the n that finds ``difference``, by
    the test that the verdict uses and at its ``level``: that of the first step of Holm's procedure
    for a primary effect, unless ``alpha`` is given. Both follow from the changes that were
    observed, as if half of them were for the better. Where questions come in clusters, or effects
    are over tasks, ``questions`` means as many more of the same kind; it is missing where nothing
    changed, and where ten million are not enough. Effects on strata have no row.

    Raises:
        UsageError: The run was stopped by its answers.
    """
    check_whole(run)
    table, spreads = effects_and_spreads(run)
    rows = []
    for row, spread in zip(table.to_dict(orient="records"), spreads, strict=True):
        if row["status"] != "complete" or row["stratum"] or spread is None:
            continue
        level = float(row["level"]) if alpha is None else alpha
        try:
            questions = spread.questions(difference, level, power)
        except UsageError:
            questions = None
        rows.append(
            {key: row[key] for key in ("effect", "model", "task", "arm", "n")}
            | {"level": level, "sees": spread.smallest(level, power)}
            | {"difference": difference, "questions": questions}
        )
    columns = ["effect", "model", "task", "arm", "n", "level", "sees", "difference", "questions"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "questions": "Int64"})


def discordant_by_run(run: Run) -> pd.DataFrame:
    """Return ``effect, model, task, arm, n, discordant`` of each effect of two cells of a task.

    ``discordant`` is the share of questions that only one cell answers right. Effects of other
    metrics than accuracy, and on strata, have no row.

    Raises:
        UsageError: The run was stopped by its answers.
    """
    check_whole(run)
    return _discordant(effects(run))


def _discordant(table: pd.DataFrame) -> pd.DataFrame:
    columns = ["effect", "model", "task", "arm", "n"]
    kept = (table.status == "complete") & (table.metric == "accuracy") & (table.n > 0)
    kept &= (table.stratum.isna() | table.stratum.eq("")) & ~table.task.isin(OVER_TASKS)
    kept &= table.effect != INTERACTION  # a sum of four cells
    table = table[kept]
    changed = table.helped.astype(float) + table.hurt.astype(float)
    return table[columns].assign(discordant=changed / table.n.astype(float)).reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Former:
    """The share of discordant questions that a former run observed, over its primary effects."""

    discordant: float
    run: str


def former_share(task: str, models: Collection[str]) -> Former | None:
    """Return what the latest run with a task and some of the models observed; None without one.

    Tasks and models are matched by their names. A run that stopped counts: its answers decided its
    number of questions, which moves the share little.
    """
    files = [path for path in (home.home() / "runs").glob("*/effects.csv") if path.is_file()]
    for path in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        try:
            table = pd.read_csv(path)
            found = _discordant(table[table.family == PRIMARY])
        except (AttributeError, ValueError, OSError):  # of another version, or damaged
            continue
        found = found[(found.task == task) & found.model.isin(list(models))]
        if len(found):
            share = float((found.discordant * found.n).sum() / found.n.sum())
            return Former(share, path.parent.name)
    return None

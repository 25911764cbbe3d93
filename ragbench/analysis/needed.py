"""How many questions the effects of a run need, by the changes that the run observed."""

from __future__ import annotations

import pandas as pd

from ragbench.analysis.effects import effects_and_spreads
from ragbench.analysis.load import Run
from ragbench.analysis.stopping import check_whole
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

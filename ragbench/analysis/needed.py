"""How many questions the effects of a run need, by the spread that the run observed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run


def needed_by_run(
    run: Run, difference: float, *, alpha: float = 0.05, power: float = 0.8
) -> pd.DataFrame:
    """Return ``effect, model, task, arm, n, se, sees, difference, questions`` of complete effects.

    ``sees`` is the difference that this n finds, ``questions`` the n that finds ``difference``.
    Both follow from the observed standard error by the normal approximation, so they hold for
    interactions, averages and metrics that are no rates as well: ``questions`` is n times the
    square of (z(1 - alpha/2) + z(power)) standard errors by the difference. Where questions come
    in clusters, or effects are over tasks, it means as many more of the same kind. Effects on
    strata have no row.
    """
    from scipy.stats import norm

    z = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    table = effects(run)
    table = table[(table.status == "complete") & (table.stratum == "") & table.se.notna()]
    sees = z * table.se
    needed = np.ceil(table.n.astype(float) * (sees / difference) ** 2)
    columns = ["effect", "model", "task", "arm", "n", "se"]
    return pd.DataFrame(
        table[columns].assign(sees=sees, difference=difference, questions=needed.astype("Int64"))
    ).reset_index(drop=True)

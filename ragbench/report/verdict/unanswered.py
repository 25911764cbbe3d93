"""Sentences on replies without an answer, and what they leave in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import POLICIES, UNREAD, policies, tasks_of, unread_rates
from ragbench.report.tables import p_is, percent, points

MANY = 0.05  # a share of replies without an answer that is worth a sentence
Key = tuple[str, str, str]


class Unanswered:
    """How many replies of each cell have no answer, and what the gains are without them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rates: dict[Key, float] = {}
        for task in tasks_of(run):
            scores = run.scores[run.scores.task == task]
            for (model, arm), cell in scores.groupby(["model", "arm"], sort=False):
                self._rates[str(model), task, str(arm)] = float(cell.outcome.isin(UNREAD).mean())
        self._gains: dict[Key, dict[str, float]] = {}
        found = policies(run)
        for keys, rows in found[found["gain"].notna()].groupby(["model", "task", "arm"]):
            key = (str(keys[0]), str(keys[1]), str(keys[2]))
            self._gains[key] = dict(zip(rows["policy"], rows["gain"].astype(float), strict=True))

    def leaves_in_doubt(self, row: Mapping[str, Any]) -> bool:
        """Return whether an effect could be another if replies without an answer counted otherwise.

        It could where one of its cells has many of them, and for a gain where it is outside the
        margin of equivalence by one of the policies.
        """
        models = {row["model"], row["base"]} - {""}
        arms = {row["arm"], row["baseline"], BASELINE}
        cells = [(model, row["task"], arm) for model in models for arm in arms]
        if any(self._rates.get(cell, 0.0) > MANY for cell in cells):
            return True
        gains = self._gains.get((row["model"], row["task"], row["arm"]), {})
        margin = self._run.config.analysis.equivalence_margin
        return row["effect"] == GAIN and any(abs(gain) >= margin for gain in gains.values())

    def sentences(self) -> Iterator[str]:
        """Yield the cells with many of them, the arms that change that, and signs that depend."""
        yield from self._many()
        rates = unread_rates(self._run)
        alpha = self._run.config.analysis.alpha
        changed: set[Key] = set()
        for row in rates[rates.p_adjusted < alpha].to_dict(orient="records"):
            key = (row["model"], row["task"], row["arm"])
            changed.add(key)
            p = p_is(row["p_adjusted"], is_bound=bool(row["p_is_bound"]))
            yield (
                f"{row['model']} on {row['task']}: replies without an answer are "
                f"{percent(row['baseline_rate'])} closed-book and {percent(row['rate'])} with "
                f"{row['arm']} ({p}, exploratory). {self._by_policy(key)}"
            )
        for key, gains in self._gains.items():
            if key not in changed and _signs_differ(gains):
                yield f"{key[0]} on {key[1]}: {self._by_policy(key)}"

    def _many(self) -> Iterator[str]:
        cells: dict[tuple[str, str], list[str]] = {}
        for (model, task, arm), rate in self._rates.items():
            if rate > MANY:
                cells.setdefault((model, task), []).append(f"{percent(rate)} ({arm})")
        for (model, task), shares in cells.items():
            yield (
                f"{model} on {task}: {', '.join(shares)} of the replies have no answer and count "
                "as wrong, so that its figures say as much of the form of its replies as of their "
                "content."
            )

    def _by_policy(self, key: Key) -> str:
        gains = self._gains.get(key, {})
        wrong, chance, both = (points(gains.get(name, math.nan)) for name in POLICIES)
        text = (
            f"The gain of {key[2]} is {wrong} points if they count as wrong, {chance} if as "
            f"chance, and {both} on the questions that have an answer in both arms"
        )
        if _signs_differ(gains):
            text += "; its sign depends on how they count, so it shows no gain and no loss"
        return text + "."


def _signs_differ(gains: Mapping[str, float]) -> bool:
    known = [gain for gain in gains.values() if not pd.isna(gain)]
    return min(known, default=0.0) < 0 < max(known, default=0.0)

"""Sentences on replies without an answer, and what they leave in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.effects import contrasts, values_of
from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    GAIN,
    HEADROOM,
    INTERACTION,
    OF_PAIR,
    OVER_TASKS,
    PLACEBO,
    PRIMARY,
    primary_arm,
)
from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import POLICIES, UNREAD, counted, tasks_of, unread_rates
from ragbench.report.tables import p_is, percent, points
from ragbench.report.verdict.clauses import Doubt, Row, is_shown
from ragbench.report.verdict.delivered import listed
from ragbench.report.verdict.limits import MANY

Key = tuple[str, ...]
KEYS = ("effect", "model", "base", "task", "arm", "baseline")


class Unanswered:
    """How many replies of each cell have no answer, and every effect by how they count."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rates: dict[Key, float] = {}
        self._effects: dict[Key, dict[str, float]] = {}
        for task in tasks_of(run):
            scores = run.scores[run.scores.task == task]
            for (model, arm), cell in scores.groupby(["model", "arm"], sort=False):
                self._rates[str(model), task, str(arm)] = float(cell.outcome.isin(UNREAD).mean())
        for policy in POLICIES if self._rates else ():
            self._count(policy)

    def _count(self, policy: str) -> None:
        """Take down every effect by a policy; it has none with failed questions, or without any."""
        run = counted(self._run, policy)
        for task in tasks_of(run):
            for model in run.config.models:
                for contrast in contrasts(self._run, task, model):
                    parts = values_of(run, task, contrast)
                    values = parts[""].differences if parts else np.empty(0)
                    if values.size and not np.isnan(values).any():
                        key = (contrast.effect, contrast.model, contrast.base, task)
                        found = self._effects.setdefault(
                            (*key, contrast.arm, contrast.baseline), {}
                        )
                        found[policy] = float(values.mean())

    def leaves_in_doubt(self, row: Mapping[str, Any]) -> Doubt:
        """Return what could be otherwise of an effect if replies without an answer counted so.

        Its size could where one of its cells has many of them, or where it is outside the margin of
        equivalence by one of the policies; its sign where it is another, or none, by one of them.
        """
        models = {row["model"], row["base"]} - {""}
        arms = {row["arm"], row["baseline"], BASELINE}
        cells = [(model, row["task"], arm) for model in models for arm in arms]
        margin = self._run.config.analysis.equivalence_margin
        found = self._effects.get(_key(row), {}).values()
        signs = {float(np.sign(value)) for value in found}
        return Doubt(
            size=any(self._rates.get(cell, 0.0) > MANY for cell in cells)
            or any(abs(value) >= margin for value in found),
            sign=len(signs) > 1,
        )

    def sentences(self, effects: pd.DataFrame) -> Iterator[str]:
        """Yield the cells with many of them, the arms that change that, and signs that depend."""
        yield from self._many()
        rates = unread_rates(self._run)
        alpha = self._run.config.analysis.alpha
        changed: set[Key] = set()
        for rate in rates[rates.p_adjusted < alpha].to_dict(orient="records"):
            key = (GAIN, rate["model"], "", rate["task"], rate["arm"], BASELINE)
            changed.add(key)
            p = p_is(rate["p_adjusted"], is_bound=bool(rate["p_is_bound"]))
            by_policy = self._by_policy(key, "they")
            yield (
                f"{rate['model']} on {rate['task']}: replies without an answer are "
                f"{percent(rate['baseline_rate'])} closed-book and {percent(rate['rate'])} with "
                f"{rate['arm']} ({p}, exploratory). {by_policy[0].upper()}{by_policy[1:]}"
            )
        mine = effects[(effects.stratum == "") & ~effects.task.isin(OVER_TASKS)]
        for record in mine[mine.status == "complete"].to_dict(orient="records"):
            row = {str(name): value for name, value in record.items()}
            found = self._effects.get(_key(row), {})
            both = min(found.values(), default=0.0) < 0 < max(found.values(), default=0.0)
            shown = is_shown(self._run, row) and self.leaves_in_doubt(row).sign
            if _key(row) not in changed and self._is_said(row) and (shown or both):
                name = f"{row['model']} against {row['base']}" if row["base"] else row["model"]
                by_policy = self._by_policy(_key(row), "replies without an answer")
                yield f"{name} on {row['task']}: {by_policy}"

    def _is_said(self, row: Row) -> bool:
        """Return whether the verdict has a clause on an effect."""
        task, effect = row["task"], row["effect"]
        of_arm = row["arm"] == primary_arm(self._run, task)
        alone = effect == BOTH and BASELINE not in self._run.arms(task)
        control = effect in (PLACEBO, *HEADROOM)
        return row["family"] == PRIMARY or effect == GAIN or (of_arm and (control or alone))

    def _many(self) -> Iterator[str]:
        cells: dict[tuple[str, str], dict[str, float]] = {}
        for (model, task, arm), rate in self._rates.items():
            cells.setdefault((model, task), {})[arm] = rate
        for (model, task), rates in cells.items():
            shares = [f"{percent(rate)} ({arm})" for arm, rate in rates.items() if rate > MANY]
            if shares and min(rates.values()) < 1:
                yield (
                    f"{model} on {task}: {listed(shares)} of the replies have no answer and count "
                    "as wrong, so its figures depend on the form of its replies as well as on "
                    "their content."
                )

    def _by_policy(self, key: Key, they: str) -> str:
        effect, arm, found = key[0], key[4], self._effects.get(key, {})
        wrong, chance, left = (found.get(name, math.nan) for name in POLICIES)
        name = f"gain of {arm}" if effect == GAIN else f"{OF_PAIR[effect]} ({arm})"
        arms = {GAIN: "in both arms", INTERACTION: "in both arms of both models"}
        where = arms.get(effect, "on both sides")
        text = (
            f"the {name} is {points(wrong)} points if {they} count as wrong, and {points(chance)} "
            "if as chance; "
        )
        if math.isnan(left):
            text += f"no question has an answer {where}"
        else:
            text += f"it is {points(left)} on the questions that have an answer {where}"
        values = [value for value in (wrong, chance, left) if not math.isnan(value)]
        nothing = "no gain and no loss" if effect == GAIN else "no difference"
        if min(values, default=0.0) < 0 < max(values, default=0.0):
            text += f". Its sign depends on how they count, so it shows {nothing}"
        elif wrong and 0.0 in values:
            text += f". It vanishes if they count otherwise, so it shows {nothing}"
        return f"{text}."


def _key(row: Row) -> Key:
    return tuple(str(row[name]) for name in KEYS)

"""One small table per question of a paper: 2 x 2, effects, controls, retrieval quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    GOLD_DELIVERED,
    GOLD_MISSING,
    INTERACTION,
    MACRO,
    OF_PAIR,
    PLACEBO,
    RETRIEVAL_OR_FINE_TUNING,
    primary_arm,
)
from ragbench.analysis.load import Run
from ragbench.analysis.results import NO_MODEL
from ragbench.report.paper.latex import Cell, Group, Small, split
from ragbench.report.tables import coverage, measured, task_label
from ragbench.runfolder.pairs import Pair, pairs_of

# Columns with intervals, of which more do not fit a column of the paper.
SIDE_BY_SIDE = MEASURES = 3
NOTHING = Cell("\N{EN DASH}")
Row = Mapping[Any, Any]


def small_tables(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> Iterator[Small]:
    """Yield the tables that have rows; each has at most seven columns and fits a column's width.

    They are of all questions of a task: the 2 x 2 and the effects of each pair and the scores of
    models without a pair, with the task's primary arm; every arm; that arm against its controls;
    and the retrievers.
    """
    found = effects[effects.stratum == ""]
    pairs = pairs_of(run.config.bases())
    paired = {name for pair in pairs for name in (pair.biomedical, pair.general)}
    alone = [name for name in run.members("models") if name not in paired]
    maker = _Maker(run, results, found)
    for number, pair in enumerate(pairs, 1):
        more = f"-{number}" if len(pairs) > 1 else ""
        yield from _kept(maker.two_by_two(pair, f"two-by-two{more}"))
        yield from _kept(maker.effects(pair, f"effects{more}"))
    if alone:
        yield from _kept(maker.scores(alone, "scores"))
    yield from maker.arms("arms")
    yield from _kept(maker.controls("controls"))
    yield from maker.retrieval("retrieval-quality")


def _kept(table: Small) -> Iterator[Small]:
    if table.groups:
        yield from split(table)


def _lettered(key: str, number: int) -> str:
    """Return the key of a table that goes on to the right: ``arms``, ``arms-b``, ``arms-c``."""
    return f"{key}-{chr(ord('a') + number)}" if number else key


class _Maker:
    """Makes the tables of a run."""

    def __init__(self, run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> None:
        self.run, self.effects_of = run, effects
        self.of_cells = results
        self.level = coverage(run)
        self.score = measured(run)

    def two_by_two(self, pair: Pair, key: str) -> Small:
        """Return both models of a pair closed-book and with retrieval, and all differences."""
        groups = []
        for task, arm in self._tasks():
            rows = [
                ("general", self._scores(pair.general, task, arm)),
                ("biomedical", self._scores(pair.biomedical, task, arm)),
                (
                    "fine-tuning gain",
                    (
                        self._effect(FINE_TUNING, pair, task, BASELINE),
                        self._effect(BOTH, pair, task, arm),
                        self._effect(INTERACTION, pair, task, arm),
                    ),
                ),
            ]
            groups.append(Group(self._heading(task, arm), tuple(rows)))
        caption = (
            f"{self.score.capitalize()} (%) of {pair.general} (general) and {pair.biomedical} "
            f"(biomedical), closed-book and with retrieval, with {self.level} intervals. Gains are "
            "in points; the gain of the gains is the interaction."
        )
        columns = ("closed-book", "with retrieval", "retrieval gain")
        return Small(key, caption, columns, tuple(groups))

    def scores(self, models: Sequence[str], key: str) -> Small:
        """Return models without a pair, closed-book and with retrieval."""
        groups = tuple(
            Group(
                self._heading(task, arm),
                tuple((model, self._scores(model, task, arm)) for model in models),
            )
            for task, arm in self._tasks()
        )
        caption = (
            f"{self.score.capitalize()} (%) closed-book and with retrieval, and the gain in "
            f"points, with {self.level} intervals."
        )
        return Small(key, caption, ("closed-book", "with retrieval", "retrieval gain"), groups)

    def effects(self, pair: Pair, key: str) -> Small:
        """Return the effects of a pair on each task and on average, with their tests."""
        named = {
            GAIN: OF_PAIR[GAIN],
            FINE_TUNING: FINE_TUNING,
            RETRIEVAL_OR_FINE_TUNING: RETRIEVAL_OR_FINE_TUNING,
            BOTH: BOTH,
            INTERACTION: INTERACTION,
        }
        groups = []
        averaged = primary_arm(self.run, MACRO) if len(self.run.members("tasks")) > 1 else None
        mean = [(MACRO, averaged)] if averaged is not None else []
        for task, arm in [*self._tasks(), *mean]:
            rows = [
                (name, self._tested(row))
                for kind, name in named.items()
                if (row := self._row(kind, pair, task, BASELINE if kind == FINE_TUNING else arm))
            ]
            if rows:
                heading = f"mean over tasks, {arm}" if task == MACRO else self._heading(task, arm)
                groups.append(Group(heading, tuple(rows)))
        caption = (
            f"Effects of retrieval ({pair.general}) and of fine-tuning ({pair.biomedical}) in "
            f"points of {self.score}, with {self.level} intervals, the numbers of questions helped "
            "and hurt, and p adjusted within its family."
        )
        return Small(key, caption, ("points", "helped / hurt", "adj. p"), tuple(groups))

    def arms(self, key: str) -> Iterator[Small]:
        """Yield every arm of each task, SIDE_BY_SIDE models to a table."""
        models = self.run.members("models")
        for number, start in enumerate(range(0, len(models), SIDE_BY_SIDE)):
            shown = models[start : start + SIDE_BY_SIDE]
            groups = tuple(
                Group(
                    self._heading(task),
                    tuple(
                        (arm, tuple(self._score(model, task, arm) for model in shown))
                        for arm in self.run.arms(task)
                    ),
                )
                for task in self.run.members("tasks")
            )
            caption = f"{self.score.capitalize()} (%) by arm, with {self.level} intervals."
            yield from _kept(Small(_lettered(key, number), caption, tuple(shown), groups))

    def controls(self, key: str) -> Small:
        """Return the primary arm of each task against its controls, by model."""
        named = {
            PLACEBO: "{arm} less {baseline}",
            GOLD_MISSING: "{baseline} less {arm}, gold missing",
            GOLD_DELIVERED: "{baseline} less {arm}, gold delivered",
        }
        groups = []
        for task, arm in self._tasks():
            for model in self.run.members("models"):
                mine = self.effects_of
                mine = mine[(mine.model == model) & (mine.base == "") & (mine.task == task)]
                mine = mine[(mine.arm == arm) & mine.effect.isin(list(named))]
                rows = [
                    (
                        named[row["effect"]].format(arm=row["arm"], baseline=row["baseline"]),
                        (Cell(str(row["n"])), *self._tested(row)),
                    )
                    for row in mine.to_dict(orient="records")
                ]
                if rows:
                    groups.append(Group(f"{task_label(self.run, task)}, {model}", tuple(rows)))
        caption = (
            "Retrieval against its controls: random passages of the same length, and the gold "
            f"passages. Differences in points, with {self.level} intervals, on n questions."
        )
        return Small(key, caption, ("n", "points", "helped / hurt", "adj. p"), tuple(groups))

    def retrieval(self, key: str) -> Iterator[Small]:
        """Yield the retrievers by task, MEASURES measures to a table."""
        found = self.of_cells
        found = found[(found.model == NO_MODEL) & (found.arm != NO_MODEL)]
        names = list(dict.fromkeys(found.metric))
        tables = [names[start : start + MEASURES] for start in range(0, len(names), MEASURES)]
        for number, measures in enumerate(tables):
            groups = []
            for task in self.run.members("tasks"):
                mine = found[(found.task == task) & found.metric.isin(measures)]
                cells = {(row["arm"], row["metric"]): row for row in mine.to_dict(orient="records")}
                rows = []
                for arm in dict.fromkeys(mine.arm):
                    n = {cells[arm, m]["n"] for m in measures if (arm, m) in cells}
                    shown = [
                        _interval(cells[arm, m], "value", _share) if (arm, m) in cells else NOTHING
                        for m in measures
                    ]
                    rows.append((str(arm), (Cell("/".join(map(str, sorted(n)))), *shown)))
                if rows:
                    groups.append(Group(task, tuple(rows)))
            caption = (
                f"Retrieval quality: means over the n questions with a known gold passage, with "
                f"{self.level} intervals."
            )
            yield from _kept(
                Small(_lettered(key, number), caption, ("n", *measures), tuple(groups))
            )

    def _tasks(self) -> list[tuple[str, str]]:
        """Return each task that has a closed-book and a retrieval arm, with its primary arm."""
        found = [(task, primary_arm(self.run, task)) for task in self.run.members("tasks")]
        return [
            (task, arm)
            for task, arm in found
            if arm is not None and BASELINE in self.run.arms(task)
        ]

    def _heading(self, task: str, *arms: str) -> str:
        """Return a task with its number of scored questions, of some arms or of all."""
        found = self.of_cells
        found = found[(found.task == task) & (found.metric == self.run.metrics(task)[0])]
        found = found[found.arm.isin([BASELINE, *arms] if arms else self.run.arms(task))]
        n = sorted(set(found.n))
        count = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
        return ", ".join([task_label(self.run, task), *arms, f"n = {count}"])

    def _scores(self, model: str, task: str, arm: str) -> tuple[Cell, ...]:
        gain = self._row(GAIN, model, task, arm)
        cells = (self._score(model, task, BASELINE), self._score(model, task, arm))
        return (*cells, _interval(gain, "estimate", _points) if gain else NOTHING)

    def _score(self, model: str, task: str, arm: str) -> Cell:
        found = self.of_cells
        found = found[(found.model == model) & (found.task == task) & (found.arm == arm)]
        found = found[found.metric == self.run.metrics(task)[0]]
        return NOTHING if found.empty else _interval(_first(found), "value", _percent)

    def _effect(self, kind: str, of: Pair | str, task: str, arm: str) -> Cell:
        row = self._row(kind, of, task, arm)
        return NOTHING if row is None else _interval(row, "estimate", _points)

    def _row(self, kind: str, of: Pair | str, task: str, arm: str) -> Row | None:
        """Return the row of an effect: of a pair, or of a model alone; a gain is the general's."""
        found = self.effects_of
        found = found[(found.effect == kind) & (found.task == task) & (found.arm == arm)]
        if isinstance(of, str):
            found = found[(found.model == of) & (found.base == "")]
        elif kind == GAIN:
            found = found[(found.model == of.general) & (found.base == "")]
        else:
            found = found[(found.model == of.biomedical) & (found.base == of.general)]
        return None if found.empty else _first(found)

    def _tested(self, row: Row) -> tuple[Cell, Cell, Cell]:
        known = not pd.isna(row["helped"])
        counts = f"{row['helped']} / {row['hurt']}" if known else NOTHING.text
        p = _p(row["p_adjusted"], is_bound=bool(row["p_is_bound"]))
        return _interval(row, "estimate", _points), Cell(counts), Cell(p)


def _first(frame: pd.DataFrame) -> Row:
    found: Row = frame.iloc[0].to_dict()
    return found


def _interval(row: Row, key: str, shown: Callable[[float], str]) -> Cell:
    """Return an estimate above its interval; bounds of an incomplete cell have no estimate."""
    value, low, high = row[key], row["ci_low"], row["ci_high"]
    below = "" if math.isnan(low) or math.isnan(high) else f"[{shown(low)}, {shown(high)}]"
    if row["status"] == "incomplete":
        return Cell(NOTHING.text, f"bounds {below}" if below else "")
    return Cell(NOTHING.text if math.isnan(value) else shown(value), below)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _share(value: float) -> str:
    return f"{value:.2f}"


def _p(p: float, *, is_bound: bool) -> str:
    if math.isnan(p):
        return NOTHING.text
    if p < 0.001:
        return "< 0.001"
    return ("\N{LESS-THAN OR EQUAL TO} " if is_bound else "") + f"{p:.3f}"

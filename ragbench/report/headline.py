"""What a run found, for a reader with 20 seconds: a sentence, a card per pair and task, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    MACRO,
    OF_PAIR,
    PRIMARY,
    RETRIEVAL_OR_FINE_TUNING,
    primary_arm,
)
from ragbench.analysis.load import Run
from ragbench.report.tables import coverage
from ragbench.report.verdict.card import (
    BIOMEDICAL,
    BOUNDS,
    DOUBTFUL,
    EQUIVALENT,
    GENERAL,
    NOT_SHOWN,
    SHOWN,
    UNTESTED,
    Card,
    Cell,
    Number,
)
from ragbench.report.verdict.clauses import is_shown
from ragbench.report.verdict.limits import NO_PAIR, limits
from ragbench.report.verdict.notes import notes
from ragbench.report.verdict.takeaways import lines_of, sentence_of
from ragbench.report.verdict.unanswered import Unanswered
from ragbench.runfolder.pairs import pairs_of

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Headline:
    """What the run found.

    Attributes:
        sentence: The answer in one sentence.
        lines: The verdict in at most four plain lines, the sentence not among them.
        limits: What cannot be said, most important first.
        cards: By pair or model: the average over tasks first, then each task.
    """

    sentence: str
    lines: tuple[str, ...]
    limits: tuple[str, ...]
    cards: tuple[Card, ...]


def headline(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> Headline:
    """Return what a run found; nothing in it is stronger than the verdict."""
    pairs = pairs_of(run.config.bases())
    paired = {name for pair in pairs for name in (pair.biomedical, pair.general)}
    alone = [name for name in run.members("models") if name not in paired]
    asked: list[tuple[str, str | None]] = [(pair.general, pair.biomedical) for pair in pairs]
    asked += [(name, None) for name in alone]
    maker = _Cards(run, results, effects)
    cards = tuple(card for names in asked for card in maker.of(*names))
    design = sorted(
        limits(run, pairs), key=lambda line: line == NO_PAIR
    )  # what else there is first
    unsaid = (*design, *notes(run))
    margin = run.config.analysis.equivalence_margin
    lines = tuple(lines_of(cards, unsaid, coverage(run)))
    return Headline(sentence_of(cards, margin), lines, unsaid, cards)


class _Cards:
    """Makes the cards of a run."""

    def __init__(self, run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> None:
        self._run, self._results, self._effects = run, results, effects
        self._unanswered = Unanswered(run)

    def of(self, general: str, biomedical: str | None) -> Iterator[Card]:
        """Yield the average over tasks, where there is one, then the card of each task."""
        tasks = [self._card(general, biomedical, task) for task in self._run.members("tasks")]
        if len(tasks) > 1 and (self._effects.task == MACRO).any():
            yield self._card(general, biomedical, MACRO, tasks)
        yield from tasks

    def _card(
        self, general: str, biomedical: str | None, task: str, over: list[Card] | None = None
    ) -> Card:
        arm = primary_arm(self._run, task)
        found = self._effects[self._effects.task == task]
        mine = found[(found.model == general) & (found.base == "") & (found.effect == GAIN)]
        if biomedical is not None:
            both = found[(found.model == biomedical) & (found.base == general)]
            mine = pd.concat([mine, both])
        wanted: tuple[str, ...] = (GAIN, FINE_TUNING, RETRIEVAL_OR_FINE_TUNING)
        if task != MACRO and BASELINE not in self._run.arms(task):
            wanted = (BOTH,)
        mine = mine[mine.effect.isin(wanted) & mine.arm.isin([BASELINE, arm])]
        rows = [{str(k): v for k, v in row.items()} for row in mine.to_dict(orient="records")]
        rows.sort(key=lambda row: wanted.index(row["effect"]))
        return Card(
            general=general,
            biomedical=biomedical,
            task=task,
            metric=self._run.metrics(self._run.members("tasks")[0] if over else task)[0],
            arm=arm,
            cells=tuple(self._cells(general, biomedical, task, arm, over)),
            numbers=tuple(self._number(row) for row in rows if not row["stratum"]),
            strata=tuple(
                self._number(row)
                for row in rows
                if row["stratum"] and row["effect"] in (FINE_TUNING, BOTH)
            ),
        )

    def _cells(
        self,
        general: str,
        biomedical: str | None,
        task: str,
        arm: str | None,
        over: list[Card] | None,
    ) -> Iterator[Cell]:
        for kind, model in ((GENERAL, general), (BIOMEDICAL, biomedical)):
            for name in (BASELINE, arm):
                if model is None or name is None:
                    continue
                cell = (
                    _average([card.cell(kind, name) for card in over])
                    if over
                    else self._cell(kind, model, task, name)
                )
                if cell is not None:
                    yield cell

    def _cell(self, kind: str, model: str, task: str, arm: str) -> Cell | None:
        table = self._results
        found = table[(table.model == model) & (table.task == task) & (table.arm == arm)]
        found = found[found.metric == self._run.metrics(task)[0]]
        if found.empty:
            return None
        row = found.iloc[0]
        value, low, high = (float(row[key]) for key in ("value", "ci_low", "ci_high"))
        complete = row["status"] == "complete"
        return Cell(kind, model, arm, value, low, high, int(row["n"]), complete)

    def _number(self, row: Row) -> Number:
        doubt = self._unanswered.leaves_in_doubt(row)
        settings = self._run.config.analysis
        is_equivalent = row["p_equivalence_adjusted"] < settings.alpha <= row["p"]
        if row["status"] != "complete":
            state = BOUNDS
        elif math.isnan(row["ci_low"]) or row["n"] <= 1:
            state = UNTESTED
        elif is_shown(self._run, row):
            state = DOUBTFUL if doubt.sign else SHOWN
        elif is_equivalent and not (doubt.size or doubt.sign):
            state = EQUIVALENT
        else:
            state = NOT_SHOWN
        estimate, low, high = (float(row[key]) for key in ("estimate", "ci_low", "ci_high"))
        return Number(
            effect=OF_PAIR[row["effect"]],
            arm=str(row["arm"]),
            stratum=str(row["stratum"]),
            estimate=estimate,
            low=low,
            high=high,
            n=int(row["n"]),
            state=state,
            is_small=state == SHOWN and max(-low, high) < settings.equivalence_margin,
            is_primary=row["family"] == PRIMARY,
            p=float(row["p_adjusted"]),
            detectable=float(row["smallest_detectable"]),
        )


def _average(cells: list[Cell | None]) -> Cell | None:
    """Return the mean of cells, every task counting the same; None where one is not complete.

    Its interval combines those of the tasks (Zou and Donner 2008, Statistics in Medicine 27:1693),
    as the averages of effects do; NaN where a task has none.
    """
    found = [cell for cell in cells if cell is not None and cell.is_complete]
    if len(found) < len(cells):
        return None
    value = sum(cell.value for cell in found) / len(found)
    low = value - math.hypot(*(cell.value - cell.low for cell in found)) / len(found)
    high = value + math.hypot(*(cell.high - cell.value for cell in found)) / len(found)
    n = sum(cell.n for cell in found)
    return Cell(found[0].kind, found[0].model, found[0].arm, value, low, high, n)

"""The first screen of the page: a card per pair, with its 2 x 2 and the numbers that matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ragbench.analysis.family import BASELINE, BOTH, FINE_TUNING, GAIN, RETRIEVAL_OR_FINE_TUNING
from ragbench.analysis.family import OF_PAIR as CALLED
from ragbench.analysis.load import Run
from ragbench.report.charts.square import Score, Square, square
from ragbench.report.tables import between, coverage, points
from ragbench.report.verdict.card import AVERAGE, BIOMEDICAL, GENERAL, SHOWN, Card, Number


@dataclass(frozen=True)
class Figure:
    """A number of a card.

    Attributes:
        name: What it is the effect of.
        compared: What is compared with what.
        value: Points with their sign.
        interval: The interval in points.
        state: What may be concluded: a state of ``card.Number``.
        is_shown: Whether the effect is shown.
        by_task: Name, points and state of each task, where the number is an average.
    """

    name: str
    compared: str
    value: str
    interval: str
    state: str
    is_shown: bool
    by_task: list[tuple[str, str, str]]


@dataclass(frozen=True)
class View:
    """A card as the page shows it: that of the average, or of the only task, leads.

    Attributes:
        title: The pair or the model.
        about: Task, metric and number of questions.
        drawing: The 2 x 2 of the lead.
        figures: At most three.
        tasks: Name and 2 x 2 of each task, where there are several.
    """

    title: str
    about: str
    drawing: Square
    figures: list[Figure]
    tasks: list[tuple[str, Square]]


def views(run: Run, cards: Sequence[Card]) -> list[View]:
    """Return a view per pair, and per task of it where the run has no average over tasks."""
    made: list[View] = []
    for name in dict.fromkeys(card.name for card in cards):
        mine = [card for card in cards if card.name == name]
        if mine[0].is_average:
            made.append(_view(run, mine[0], mine[1:], len(made)))
        else:
            made += [_view(run, card, [], len(made) + n) for n, card in enumerate(mine)]
    return made


def label(card: Card) -> str:
    """Return the task of a card, or that it is an average over tasks."""
    return AVERAGE if card.is_average else card.task


def _view(run: Run, lead: Card, tasks: Sequence[Card], number: int) -> View:
    counts = [cell.n for cell in lead.cells] or [0]
    n, least = max(counts), min(counts)  # a run that stopped early asked more of some cells
    where = AVERAGE.capitalize() if lead.is_average else lead.task
    asked = f"{n:,}" if n == least else f"{least:,} to {n:,}"
    about = f"{where}, {lead.metric}, {asked} question{'s' if n != 1 else ''}"
    return View(
        title=lead.name,
        about=about,
        drawing=_drawn(run, lead, f"card-{number}"),
        figures=[_figure(found, lead, tasks) for found in lead.numbers],
        tasks=[(c.task, _drawn(run, c, f"card-{number}-{i}")) for i, c in enumerate(tasks)],
    )


def _drawn(run: Run, card: Card, key: str) -> Square:
    models = {GENERAL: card.general, BIOMEDICAL: card.biomedical}
    scores = {
        (f"{kind.capitalize()}: {model}" if card.biomedical else card.general): [
            Score(
                label=cell.arm if cell.arm == BASELINE else f"with {cell.arm}",
                value=cell.value if cell.is_complete else math.nan,
                low=cell.low,
                high=cell.high,
                filled=cell.arm != BASELINE,
            )
            for cell in card.cells
            if cell.kind == kind
        ]
        for kind, model in models.items()
        if model is not None
    }
    description = (
        f"A bar per model and arm from 0 to 100 %, hollow for {BASELINE} and filled for retrieval; "
        f"the line across its end is the {coverage(run)} interval."
    )
    return square(key, f"{card.name}: {label(card)}, {card.metric}", description, scores)


def _figure(number: Number, lead: Card, tasks: Sequence[Card]) -> Figure:
    general, biomedical, arm = lead.general, lead.biomedical, lead.arm or number.arm
    names = {
        CALLED[GAIN]: ("Retrieval", f"{arm} less {BASELINE}, {general}"),
        CALLED[FINE_TUNING]: ("Fine-tuning", f"{biomedical} less {general}, {BASELINE}"),
        CALLED[RETRIEVAL_OR_FINE_TUNING]: (
            "Their difference",
            f"{general} with {arm}, less {biomedical} {BASELINE}",
        ),
        CALLED[BOTH]: ("Fine-tuning, with retrieval", f"{biomedical} less {general}, {arm}"),
    }
    name, compared = names[number.effect]
    return Figure(
        name=name,
        compared=compared,
        value=points(number.estimate),
        interval=between(number.low, number.high, points),
        state=f"{number.state}, but small" if number.is_small else number.state,
        is_shown=number.state == SHOWN,
        by_task=[
            (card.task, points(found.estimate), found.state)
            for card in tasks
            if (found := card.number(number.effect)) is not None
        ],
    )

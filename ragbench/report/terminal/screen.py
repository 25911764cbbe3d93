"""The first screen of a run: the verdict in plain lines, then cells as a table and as bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ragbench.analysis.family import BASELINE
from ragbench.report.headline import Headline
from ragbench.report.tables import between, percent
from ragbench.report.terminal.columns import ASCII, BLOCKS, table_lines, wrapped
from ragbench.report.verdict.card import BIOMEDICAL, GENERAL, Card, Cell

LONGEST_BAR = 40
MOST_TASKS, MOST_BARS = 8, 3  # per pair: tasks in the table, and tasks with bars
MOST_SUBJECTS = 4  # pairs and models


def screen(
    found: Headline, coverage: str, width: int | None = None, *, is_ascii: bool = False
) -> list[str]:
    """Return the lines of the screen; what it leaves out, it names.

    Args:
        found: What the run found.
        coverage: Coverage of the intervals, such as ``95 %``.
        width: Columns of the terminal; None for lines of any width.
        is_ascii: Whether bars are drawn in ASCII.
    """
    room = width or 10_000
    lines = [*wrapped(found.sentence, room), ""]
    for line in found.lines:
        lines += wrapped(line, room, "- ")
    subjects = list(dict.fromkeys(card.name for card in found.cards))
    for name in subjects[:MOST_SUBJECTS]:
        tasks = [card for card in found.cards if card.name == name and not card.is_average]
        lines += ["", *wrapped(_models(tasks[0]), room)]
        lines += [f"{_metric(tasks)} and {coverage} interval:", *_table(tasks[:MOST_TASKS], width)]
        if bars := list(_bars(tasks[:MOST_BARS], coverage, width, ASCII if is_ascii else BLOCKS)):
            lines += ["", *bars]
        if hidden := len(tasks) - MOST_TASKS:
            lines += [f"{hidden} more tasks: see --all"] if hidden > 0 else []
    if hidden := len(subjects[MOST_SUBJECTS:]):
        lines += ["", f"{hidden} more {'pair' if hidden == 1 else 'pairs'} or models: see --all"]
    return lines


def _metric(cards: Sequence[Card]) -> str:
    named = {card.metric for card in cards}
    return named.pop() if len(named) == 1 else "score"


def _models(card: Card) -> str:
    if card.biomedical is None:
        return f"model: {card.general}"
    return f"{GENERAL}: {card.general}; {BIOMEDICAL}: {card.biomedical}"


def _table(cards: Sequence[Card], width: int | None) -> list[str]:
    """Return a row per task and model: closed-book and with the primary retrieval arm."""
    named = {card.arm for card in cards}
    arm = named.pop() if len(named) == 1 else "retrieval"
    rows = []
    for card in cards:
        task = card.task if arm in (card.arm, None) else f"{card.task} ({card.arm})"
        task += f": {card.metric}" if _metric(cards) == "score" else ""
        for kind in (GENERAL, BIOMEDICAL):
            mine = [cell for cell in card.cells if cell.kind == kind]
            if mine:
                shown = [card.cell(kind, name) if name else None for name in (BASELINE, card.arm)]
                counts = sorted({cell.n for cell in shown if cell is not None})
                n = " to ".join(f"{count:,}" for count in counts)
                rows.append([task, n, kind, *(_figures(cell) for cell in shown)])
    header = ["task", "n", "model", BASELINE, arm or "retrieval"]
    return table_lines(header, rows, width)


def _figures(cell: Cell | None) -> str:
    """Return a rate with its interval, or the bounds of an incomplete cell."""
    if cell is None:
        return "-"
    ends = between(cell.low, cell.high, lambda value: f"{100 * value:.1f}")
    return f"{percent(cell.value)} ({ends})" if cell.is_complete else f"{ends} % (bounds)"


def _bars(
    cards: Sequence[Card], coverage: str, width: int | None, marks: Sequence[str]
) -> Iterator[str]:
    """Yield a bar per cell with its interval, from 0 to 100 %; none for an incomplete cell."""
    cells = [cell for card in cards for cell in card.cells if cell.is_complete]
    if not cells or any(not 0 <= cell.value <= 1 for cell in cells):
        return
    names = [
        (cell.kind if any(card.biomedical for card in cards) else "", cell.arm) for cell in cells
    ]
    kind, arm = (max(len(pair[i]) for pair in names) for i in range(2))
    label = kind + 2 * bool(kind) + arm + 2
    bar = min(LONGEST_BAR, (width or 80) - label - len("| 100.0 %") - 1)
    if bar < 10:
        return  # the table has the same figures
    solid, inside, _, end = marks
    legend = f"bars: {solid}{inside} the value, from {inside} to {end} its {coverage} interval"
    yield from wrapped(legend, width or 80)
    for card in cards:
        if len(cards) > 1:
            yield card.task
        for cell in card.cells:
            if cell.is_complete:
                first = (
                    f"{cell.kind:<{kind}}  "
                    if kind and card.biomedical
                    else " " * (kind + 2 * bool(kind))
                )
                yield f"{first}{cell.arm:<{arm}}  {_bar(cell, bar, marks)} {percent(cell.value):>7}"


def _bar(cell: Cell, size: int, marks: Sequence[str]) -> str:
    solid, inside, beyond, end = marks
    place = [0 if math.isnan(v) else round(v * size) for v in (cell.low, cell.value, cell.high)]
    low, value, high = place
    if math.isnan(cell.low):
        low = high = value
    text = solid * low + inside * (value - low) + beyond * (high - value)
    return f"{text}{end if high > low else ''}".ljust(size + 1)

"""The report in Markdown, and the texts on methods that the page shows too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from ragbench.analysis.clusters import cluster_name, has_clusters, repeats
from ragbench.analysis.family import BASELINE, chosen_arm, primary_of
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Settings
from ragbench.report import stopping
from ragbench.report.headline import Headline
from ragbench.report.imported import imported_methods
from ragbench.report.sections import Section
from ragbench.report.tables import (
    NONE,
    Rows,
    between,
    coverage,
    measured,
    percent,
    points,
    provenance_rows,
)
from ragbench.report.verdict.card import AVERAGE, BIOMEDICAL, GENERAL, Card, Cell
from ragbench.report.verdict.verdict import verdict

ESCAPES = str.maketrans({"<": "&lt;", ">": "&gt;", **{c: f"\\{c}" for c in "\\|*_`[]"}})
ANSWERS = {
    "options": "An answer is the option with the highest log-likelihood per character as the "
    "reply to the prompt, which does not list the options; ties go to the first.",
    "letters": "An answer is the letter with the highest log-likelihood as the reply to the "
    "prompt, which lists the options; ties go to the first.",
    "generate": "An answer is read from the model's own reply to the prompt, decoded greedily "
    "unless the model is a runnable; a reply without an answer is counted as unparsed, refused or "
    "truncated.",
}


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; bars and line breaks in cells are escaped."""
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(' --- ' for _ in header)}|"]
    for row in rows:
        cells = (escape(str(cell)) for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text that neither breaks a Markdown table nor acts as markup in it."""
    return " ".join(text.translate(ESCAPES).split())


def report(
    run: Run, head: Headline, effects: pd.DataFrame, parts: Sequence[Section], figure: str
) -> str:
    """Return the whole report; ``figure`` is the name of the file of accuracy beside it."""
    found = [f"# {escape(run.path.name)}\n"]
    if run.config.description:
        found.append(escape(run.config.description) + "\n")
    found.append(f"**{escape(head.sentence)}**\n")
    found += [
        table(*rows) for rows in (square_rows(head.cards), number_rows(run, head.cards)) if rows[1]
    ]
    if head.limits:
        found.append("## What cannot be said\n")
        found.append("\n".join(f"- {escape(line)}" for line in head.limits) + "\n")
    found.append("## What came out\n")
    shown = (line for line in verdict(run, effects) if line not in head.limits)
    found.append("\n".join(f"- {escape(line)}" for line in shown) + "\n")
    found.append(f"![{measured(run).capitalize()} by arm with its interval]({figure})\n")
    for part in parts:
        found.append(f"## {part.title}\n")
        if part.note:
            found.append(escape(part.note) + "\n")
        found.append(table(part.table.header, part.table.rows))
    found += ["## Methods\n", escape(methods(run)) + "\n", "## Provenance\n", provenance(run)]
    return "\n".join(found)


def square_rows(cards: Sequence[Card]) -> Rows:
    """Return the 2 x 2 of each card: a row per model, closed-book and with its retrieval arm."""
    rows = []
    for card in cards:
        for kind, model in ((GENERAL, card.general), (BIOMEDICAL, card.biomedical)):
            if model is not None and card.cells:
                cells = [card.cell(kind, arm) for arm in (BASELINE, card.arm or "")]
                task = AVERAGE if card.is_average else card.task
                rows.append([task, model, *map(_rate, cells), card.arm or NONE])
    return ["task", "model", BASELINE, "with retrieval", "arm"], rows


def _rate(cell: Cell | None) -> str:
    if cell is None:
        return NONE
    ends = between(cell.low, cell.high, percent)
    if not cell.is_complete:
        return f"bounds {ends}"
    return percent(cell.value) if ends == NONE else f"{percent(cell.value)} ({ends})"


def number_rows(run: Run, cards: Sequence[Card]) -> Rows:
    """Return the numbers of each card in points with interval and state, a row per effect."""
    rows = [
        [
            card.name,
            AVERAGE if card.is_average else card.task,
            number.effect,
            points(number.estimate),
            between(number.low, number.high, points),
            number.state,
        ]
        for card in cards
        for number in card.numbers
    ]
    header = ["pair or model", "task", "effect", "points", f"{coverage(run)} interval", "state"]
    return header, rows


def methods(run: Run) -> str:
    """Return the methods as a paragraph for a paper."""
    settings, declared = Settings.of(run.config), primary_of(run)
    asked = imported_methods(run) if run.about.is_imported else _asked(run)
    return (
        f"{asked} Rates are over all questions, and a reply without an answer counts as wrong. "
        f"Intervals cover {coverage(run)}: Wilson's for rates, Student's t with Hall's correction "
        f"for skewness for other means. {_clusters(run)}"
        "Effects are paired by question. Two cells of right and wrong answers are compared by "
        "McNemar's mid-p test with Tango's score interval; interactions and metrics other than "
        "rates by Student's t with Hall's correction, with two questions added that changed in "
        "opposite directions. Averages give every task the same weight; their intervals combine "
        "those of the tasks (Zou and Donner). The interval and the p of an effect belong to one "
        f"method, so that they agree at {settings.alpha:g}; {settings.resamples:,} random signs at "
        f"most are drawn, with the seed {settings.seed}. The primary effects are "
        f"{', '.join(declared.effects)}, {_arms(run, declared.tasks)}: their p values are adjusted "
        "together by Holm's procedure; all other effects are exploratory, adjusted by the "
        "procedure of Benjamini and Hochberg. An effect is called equivalent to zero where the "
        f"interval at 1 - 2 x {settings.alpha:g} is within {100 * settings.margin:g} points, "
        "adjusted by Holm's procedure. Of several averages over tasks only the one that weights "
        "every task equally, (macro), counts as a comparison. (items) weights every question "
        "equally, and (random effects) is the DerSimonian-Laird mean over tasks with Hartung and "
        "Knapp's interval, for five tasks or more. The detectable difference of an effect is the "
        "true one that its test would find with a power of 0.8 at the level of the first step of "
        f"Holm's procedure, given the changes that were observed. {stopping.methods(run)}"
        f"{_retrieved(run)}"
        "A cell with unanswered questions shows bounds instead of an interval, and is not tested. "
        "Headroom is the oracle control less the arm, on the questions for which the arm delivered "
        "no gold passage and on those for which it did; every other effect is the arm less its "
        "control.\n"
    )


def _arms(run: Run, tasks: Sequence[str]) -> str:
    """Return the primary arm of tasks with the reason, and the tasks that share both."""
    shared: dict[str, list[str]] = {}
    for task in tasks:
        found = chosen_arm(run, task)
        said = "without a retrieval arm" if found is None else f"with {found[0]} ({found[1]})"
        shared.setdefault(said, []).append(task)
    return "; ".join(f"{said} on {', '.join(names)}" for said, names in shared.items())


def _asked(run: Run) -> str:
    """Return the sentences on prompts and answers of a run that ragbench made itself."""
    ways = {run.facts(task).scoring for task in run.members("tasks")}
    answers = [text for way, text in ANSWERS.items() if way in ways]
    asked = (
        "Every question is asked in every arm of its task; the arms differ only in the passages in "
        "the prompt."
    )
    if any(run.facts(task).reader == "mirage" for task in run.members("tasks")):
        answers.append(
            "The rules of the mode mirage assume the answer A where they find none; assumed "
            "answers are counted apart."
        )
    return " ".join([asked, *answers])


def _retrieved(run: Run) -> str:
    """Return the sentence on retrieval quality; empty if the run has none."""
    if run.about.is_imported:
        return ""
    return "Retrieval quality is computed by ir-measures; a question without hits counts as 0. "


def _clusters(run: Run) -> str:
    """Return the sentences on tasks with clusters or repeated questions; empty without any."""
    tasks = run.members("tasks")
    named = [f"{task} (by {cluster_name(run, task)})" for task in tasks if has_clusters(run, task)]
    again = [task for task in tasks if repeats(run, task)]
    if not named and not again:
        return ""
    text = f"The questions of {', '.join(named)} come in clusters. " if named else ""
    if again:
        text += (
            f"Questions of {', '.join(again)} with the same words, options and documents are one "
            "cluster. "
        )
    return (
        f"{text}Clusters are the units of every interval and test: Student's t on clusters where "
        "they say as much as 30 of one size, else random signs of whole clusters; fewer than eight "
        "have no interval. "
    )


def provenance(run: Run) -> str:
    """Return versions, digests and the machine, as a table."""
    return table(*provenance_rows(run))

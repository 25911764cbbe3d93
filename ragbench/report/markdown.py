"""The report in Markdown, and the texts on methods that the page shows too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from ragbench.analysis.clusters import cluster_name, has_clusters, repeats
from ragbench.analysis.family import primary_of
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Settings
from ragbench.base.pairs import differences, pairs_of
from ragbench.report.sections import Section
from ragbench.report.tables import coverage, measured, provenance_rows
from ragbench.report.verdict import verdict

ESCAPES = str.maketrans({"<": "&lt;", ">": "&gt;", **{c: f"\\{c}" for c in "\\|*_`[]"}})
ANSWERS = {
    "options": "An answer is the option with the highest log-likelihood per character as the "
    "reply to the prompt, which does not list the options; ties go to the first.",
    "letters": "An answer is the letter with the highest log-likelihood as the reply to the "
    "prompt, which lists the options; ties go to the first.",
    "generate": "An answer is read from the model's own reply, decoded greedily, to the prompt; a "
    "reply without an answer is counted as unparsed, refused or truncated.",
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


def notes(run: Run) -> list[str]:
    """Return the notes of the tasks, and the differences between the members of each pair."""
    identity = run.about.identity
    shared: dict[str, list[str]] = {}
    for name, task in identity.tasks.items():
        if task.note:
            shared.setdefault(task.note.rstrip("."), []).append(name)
    found = [f"Note on {', '.join(names)}: {note}." for note, names in shared.items()]
    for name, task in identity.tasks.items():
        reasons = Counter(reason for _, reason in task.excluded)
        shown = ", ".join(f"{n:,} ({reason})" for reason, n in reasons.items())
        if shown:
            found.append(f"Note on {name}: not asked: {shown}.")
    for pair in pairs_of(run.config.bases()):
        found += [f"Note on {pair}: {x}." for x in differences(pair, identity.models)]
    return found


def report(run: Run, effects: pd.DataFrame, parts: Sequence[Section], figure: str) -> str:
    """Return the whole report; ``figure`` is the name of the file of accuracy beside it."""
    found = [f"# {escape(run.path.name)}\n"]
    if run.config.description:
        found.append(escape(run.config.description) + "\n")
    found.append("## What came out\n")
    found.append("\n".join(f"- {escape(line)}" for line in verdict(run, effects)) + "\n")
    found += [f"{escape(note)}\n" for note in notes(run)]
    found.append(f"![{measured(run).capitalize()} by arm with its interval]({figure})\n")
    for part in parts:
        found.append(f"## {part.title}\n")
        if part.note:
            found.append(escape(part.note) + "\n")
        found.append(table(part.table.header, part.table.rows))
    found += ["## Methods\n", methods(run), "## Provenance\n", provenance(run)]
    return "\n".join(found)


def methods(run: Run) -> str:
    """Return the methods as a paragraph for a paper."""
    settings = Settings.of(run.config)
    declared = primary_of(run)
    ways = {run.facts(task).scoring for task in run.members("tasks")}
    answers = " ".join(text for way, text in ANSWERS.items() if way in ways)
    arm = f"the arm {declared.arm}" if declared.arm else "the first retrieval arm of each task"
    return (
        "Every question is asked in every arm of its task; the arms differ only in the passages "
        f"in the prompt. {answers} Rates are over all questions, a reply without an answer counts "
        f"as wrong, and intervals of rates are Wilson's at {coverage(run)}; other means have a "
        f"bootstrap interval. {_clusters(run)}Effects are paired by "
        f"question: {coverage(run)} percentile bootstrap over questions "
        f"({settings.resamples:,} resamples, seed {settings.seed}), counts of "
        "questions helped and hurt, and McNemar's exact two-sided p. Interactions, averages, "
        "clustered tasks and metrics other than rates have the p of a sign-flip permutation test. "
        f"The primary effects are {', '.join(declared.effects)}, with {arm}, on "
        f"{', '.join(declared.tasks)}: their p values are adjusted together by Holm's procedure; "
        "all other effects are exploratory, adjusted by the procedure of Benjamini and Hochberg. "
        "An effect is called equivalent to zero where two one-sided tests place it within "
        f"{100 * settings.margin:g} points at the level {settings.alpha:g}. "
        "The row (macro) weights every task equally, (items) every question; (pooled) is the "
        "marginal model of all questions with fixed effects of the tasks (GEE, identity link, "
        "robust errors), (random effects) the DerSimonian-Laird mean over tasks with Hartung and "
        "Knapp's interval, for five tasks or more. The smallest detectable difference is the one "
        f"that this n finds with a power of 0.8 at the unadjusted level {settings.alpha:g}, given "
        "the observed spread. Retrieval quality is computed by ir-measures; a question without "
        "hits counts as 0. A cell with unanswered questions shows bounds instead of an interval, "
        "and is not tested. Headroom is the oracle control less the arm; every other effect is "
        "the arm less its control.\n"
    )


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
        f"{text}Where questions share a cluster, the bootstrap draws whole "
        "clusters, the permutation test flips whole clusters, and under 30 of them intervals are "
        "by t. "
    )


def provenance(run: Run) -> str:
    """Return versions, digests and the machine, as a table."""
    return table(*provenance_rows(run))

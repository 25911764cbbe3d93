"""The report in Markdown: what was asked, what came out, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from ragbench.analysis.effects import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.report.tables import (
    accuracy_rows,
    coverage,
    delivered_rows,
    effect_rows,
    outcome_rows,
    p_value,
    points,
    provenance_rows,
    retrieval_rows,
    stratum_rows,
)

ESCAPES = str.maketrans({"<": "&lt;", ">": "&gt;", **{c: f"\\{c}" for c in "\\|*_`[]"}})
ANSWERS = {
    "options": "An answer is the option with the highest log-likelihood per character as the "
    "reply to the prompt, which does not list the options; ties go to the first.",
    "letters": "An answer is the letter with the highest log-likelihood as the reply to the "
    "prompt, which lists the options; ties go to the first.",
    "generate": "An answer is read from the model's own reply, decoded greedily, to the prompt, "
    "which lists the options; a reply without an answer is counted as unparsed, refused or "
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
    """Return text that neither breaks a Markdown table nor becomes markup in it."""
    return " ".join(text.translate(ESCAPES).split())


def summary(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> list[str]:
    """Return one plain sentence a model, task and arm, no stronger than its figures."""
    lines = []
    gains = effects[(effects.stratum == "") & (effects.effect == GAIN)]
    for gain in gains.to_dict(orient="records"):
        cell = f"{gain['arm']} on {gain['task']} with {gain['model']}"
        if gain["status"] == "incomplete":
            lines.append(f"{cell}: some questions have no answer yet, so nothing is tested.")
            continue
        low, high = gain["ci_low"], gain["ci_high"]
        verb = "gained" if gain["estimate"] >= 0 else "lost"
        sure = "" if low > 0 or high < 0 else "; the interval holds zero"
        lines.append(
            f"{cell} {verb} {abs(100 * gain['estimate']):.1f} points over {BASELINE} "
            f"({coverage(run)} interval {points(low)} to {points(high)}, n = {gain['n']}): "
            f"{gain['helped']} questions helped, {gain['hurt']} hurt, "
            f"McNemar's exact p = {p_value(gain['p'])}{sure}."
        )
    return lines


def report(run: Run, results: pd.DataFrame, effects: pd.DataFrame, figure: str | None) -> str:
    """Return the whole report.

    Args:
        run: The run.
        results: Its results table.
        effects: Its gains.
        figure: The name of the figure beside the report, if there is one.

    Returns:
        Markdown.
    """
    about = run.about
    parts = [f"# {escape(run.path.name)}\n"]
    if run.config["description"]:
        parts.append(escape(run.config["description"]) + "\n")
    parts.append("## What came out\n")
    parts.append("\n".join(f"- {escape(line)}" for line in summary(run, results, effects)) + "\n")
    for name, task in about["identity"]["tasks"].items():
        if task["note"]:
            parts.append(f"Note on {escape(name)}: {escape(task['note'])}.\n")
    parts.append("## Accuracy, and the gain over closed-book\n")
    parts.append(table(*accuracy_rows(run, results, effects)))
    if figure:
        parts.append(f"![Accuracy by arm with its interval]({figure})\n")
    for title, (header, rows) in (
        ("Against the controls", effect_rows(run, effects)),
        ("By stratum", stratum_rows(run, results)),
        ("Retrieval quality", retrieval_rows(run, results)),
        ("What was delivered", delivered_rows(run)),
        ("Outcomes", outcome_rows(run, results)),
    ):
        if rows:
            parts += [f"## {title}\n", table(header, rows)]
    parts += ["## Methods\n", methods(run), "## Provenance\n", provenance(run)]
    return "\n".join(parts)


def methods(run: Run) -> str:
    """Return how the figures were made, in a paragraph."""
    analysis = run.config["analysis"]
    ways = {run.scoring(task) for task in run.members("tasks")}
    answers = " ".join(text for way, text in ANSWERS.items() if way in ways)
    return (
        "Every question is asked in every arm of its task; the arms differ in the passages in "
        f"the prompt and in nothing else. {answers} Accuracy has Wilson's {coverage(run)} "
        "interval, over all questions: a reply without an answer is wrong. Gains are paired by "
        f"question: {coverage(run)} percentile bootstrap over questions "
        f"({analysis['resamples']:,} resamples, seed {run.config['seed']}), counts of "
        "questions helped and hurt, and McNemar's exact "
        "two-sided p, not corrected for the number of comparisons. Retrieval quality is "
        "computed by ir-measures; a question without hits counts as 0. A cell with unanswered "
        "questions shows bounds instead of an interval, and is not tested. Headroom is the "
        "oracle control less the arm; every other effect is the arm less its control.\n"
    )


def provenance(run: Run) -> str:
    """Return versions, digests and the machine, as a table."""
    return table(*provenance_rows(run))

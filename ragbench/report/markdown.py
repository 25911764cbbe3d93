"""The report in Markdown: what was asked, what came out, and how far it can be trusted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.effects import (
    BASELINE,
    FINE_TUNING,
    GAIN,
    ITEMS,
    MACRO,
    RETRIEVAL_OR_FINE_TUNING,
)
from ragbench.analysis.load import Run
from ragbench.pairs import Pair, differences, pairs_of
from ragbench.report.published import beside_rows
from ragbench.report.tables import (
    accuracy_rows,
    coverage,
    delivered_rows,
    effect_rows,
    measured,
    metric_rows,
    outcome_rows,
    p_value,
    pair_rows,
    points,
    provenance_rows,
    retrieval_arms,
    retrieval_rows,
    stratum_rows,
)

LEAST = "smallest_detectable"
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
    """Return text that neither breaks a Markdown table nor becomes markup in it."""
    return " ".join(text.translate(ESCAPES).split())


def summary(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> list[str]:
    """Return one plain sentence a model, task and arm, no stronger than its figures."""
    lines = [
        line
        for pair in pairs_of((model["name"], model["base"]) for model in run.config["models"])
        for task in run.members("tasks")
        for line in _verdicts(run, effects, pair, task)
    ]
    gains = effects[(effects.stratum == "") & (effects.effect == GAIN)]
    gains = gains[~gains.task.isin([MACRO, ITEMS])]
    for gain in gains.to_dict(orient="records"):
        cell = f"{gain['arm']} on {gain['task']} with {gain['model']}"
        if gain["status"] == "incomplete":
            lines.append(f"{cell}: some questions have no answer yet, so nothing is tested.")
            continue
        low, high = gain["ci_low"], gain["ci_high"]
        verb = "gained" if gain["estimate"] >= 0 else "lost"
        sure = "" if math.isnan(low) or low > 0 or high < 0 else "; the interval holds zero"
        lines.append(
            f"{cell} {verb} {abs(100 * gain['estimate']):.1f} points over {BASELINE} "
            f"({interval(run, low, high)}, n = {gain['n']}): "
            f"{gain['helped']} questions helped, {gain['hurt']} hurt, "
            f"{_test(gain)} p = {p_value(gain['p'])}{sure}."
        )
    return lines


def interval(run: Run, low: float, high: float) -> str:
    """Return an interval of points in words; a single cluster gives none."""
    if math.isnan(low):
        return "one cluster, so no interval"
    return f"{coverage(run)} interval {points(low)} to {points(high)}"


def _test(gain: Mapping[Hashable, Any]) -> str:
    alone = gain["metric"] == "accuracy" and pd.isna(gain["n_clusters"])
    return "McNemar's exact" if alone else "sign-flip"


def _verdicts(run: Run, effects: pd.DataFrame, pair: Pair, task: str) -> Iterator[str]:
    """Yield what a task's first retrieval arm and fine-tuning bought, and which bought more."""
    found = effects[(effects.task == task) & (effects.stratum == "")]
    mine = found[(found.model == pair.biomedical) & (found.base == pair.general)]
    base = found[(found.model == pair.general) & (found.base == "")]
    for arm in retrieval_arms(run, task)[:1]:
        rows = {
            f"retrieval ({arm})": base[(base.effect == GAIN) & (base.arm == arm)],
            "fine-tuning": mine[mine.effect == FINE_TUNING],
            "retrieval less fine-tuning": mine[
                (mine.effect == RETRIEVAL_OR_FINE_TUNING) & (mine.arm == arm)
            ],
        }
        records = {name: part.to_dict(orient="records") for name, part in rows.items()}
        if not all(records.values()):
            return
        if any(part[0]["status"] == "incomplete" for part in records.values()):
            yield f"{pair} on {task}: some questions have no answer yet, so nothing is tested."
            return
        parts = [_bought(run, name, part[0]) for name, part in records.items()]
        yield f"{pair} on {task}, n = {records['fine-tuning'][0]['n']}: {'; '.join(parts)}."


def _bought(run: Run, name: str, effect: Mapping[Hashable, Any]) -> str:
    low, high = effect["ci_low"], effect["ci_high"]
    text = f"{name} {points(effect['estimate'])} points ({interval(run, low, high)})"
    if math.isnan(low) or low > 0 or high < 0:
        return text
    return f"{text}, and this n could not have seen less than {points(effect[LEAST])[1:]}"


def notes(run: Run) -> list[str]:
    """Return what a reader must know of the tasks, and in what the members of a pair differ."""
    identity = run.about["identity"]
    found = []
    for name, task in identity["tasks"].items():
        if task["note"]:
            found.append(f"Note on {name}: {task['note'].rstrip('.')}.")
        reasons = Counter(reason for _, reason in task["excluded"])
        shown = ", ".join(f"{n:,} ({reason})" for reason, n in reasons.items())
        if shown:
            found.append(f"Note on {name}: not asked: {shown}.")
    for pair in pairs_of((model["name"], model["base"]) for model in run.config["models"]):
        found += [f"Note on {pair}: {x}." for x in differences(pair, identity["models"])]
    return found


def report(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    figure: str | None,
    *,
    beside: bool = False,
) -> str:
    """Return the whole report.

    Args:
        run: The run.
        results: Its results table.
        effects: Its gains.
        figure: The name of the figure beside the report, if there is one.
        beside: Whether published figures stand beside the run's own.

    Returns:
        Markdown.
    """
    parts = [f"# {escape(run.path.name)}\n"]
    if run.config["description"]:
        parts.append(escape(run.config["description"]) + "\n")
    parts.append("## What came out\n")
    parts.append("\n".join(f"- {escape(line)}" for line in summary(run, results, effects)) + "\n")
    parts += [f"{escape(note)}\n" for note in notes(run)]
    header, rows = pair_rows(run, effects)
    if rows:
        parts += ["## Retrieval or fine-tuning\n", table(header, rows)]
    title = measured(run).capitalize()
    parts.append(f"## {title}, and the gain over closed-book\n")
    parts.append(table(*accuracy_rows(run, results, effects)))
    if figure:
        parts.append(f"![{title} by arm with its interval]({figure})\n")
    for title, (header, rows) in (
        ("Further metrics", metric_rows(run, results)),
        ("Against the controls", effect_rows(run, effects)),
        ("By stratum", stratum_rows(run, results)),
        ("Retrieval quality", retrieval_rows(run, results)),
        ("What was delivered", delivered_rows(run)),
        ("Outcomes", outcome_rows(run, results)),
        (
            "Beside published figures, which were scored by their own rules",
            beside_rows(run, results) if beside else ([], []),
        ),
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
        f"the prompt and in nothing else. {answers} Rates have Wilson's {coverage(run)} "
        "interval, over all questions: a reply without an answer is wrong; other means have that "
        f"of the bootstrap. {_clusters(run)}Gains are paired by "
        f"question: {coverage(run)} percentile bootstrap over questions "
        f"({analysis['resamples']:,} resamples, seed {run.config['seed']}), counts of "
        "questions helped and hurt, and McNemar's exact "
        "two-sided p, not corrected for the number of comparisons. Interactions, averages, "
        "clustered tasks and metrics other than rates have the p of a sign-flip permutation. "
        "The row (macro) counts every task the same, (items) every question. The smallest "
        "detectable difference is the one that this n finds with a power of 0.8 at the "
        "uncorrected level, by the spread that was seen. Retrieval quality is "
        "computed by ir-measures; a question without hits counts as 0. A cell with unanswered "
        "questions shows bounds instead of an interval, and is not tested. Headroom is the "
        "oracle control less the arm; every other effect is the arm less its control.\n"
    )


def _clusters(run: Run) -> str:
    """Return what holds for tasks whose questions come in clusters; empty where none does."""
    about = run.about["identity"]["tasks"]
    found = [
        f"{task} (by {unit})"
        for task in run.members("tasks")
        if (unit := about[task]["cluster_unit"]) is not None
    ]
    if not found:
        return ""
    return (
        f"The questions of {', '.join(found)} come in clusters: there whole clusters are drawn, "
        "and given a sign, and under 30 of them intervals are by t. "
    )


def provenance(run: Run) -> str:
    """Return versions, digests and the machine, as a table."""
    return table(*provenance_rows(run))

"""The report in Markdown: what was asked, what came out, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.effects import BASELINE, GAIN
from ragbench.analysis.load import Run
from ragbench.analysis.results import NO_MODEL

ESCAPES = str.maketrans({"<": "&lt;", ">": "&gt;", **{c: f"\\{c}" for c in "\\|*_`[]"}})


NONE = "-"
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


def percent(value: float) -> str:
    """Return a rate as a percentage with one decimal, or a dash."""
    return NONE if math.isnan(value) else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Return a difference of rates in points, with its sign."""
    return NONE if math.isnan(value) else f"{100 * value:+.1f}"


def p_value(p: float) -> str:
    """Return a p value in two significant digits, never as zero."""
    if math.isnan(p):
        return NONE
    return f"{p:.1e}" if p < 0.001 else f"{p:.2g}"


Rows = tuple[list[str], list[list[str]]]


def accuracy_rows(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> Rows:
    """Return header and rows of the main table: one row a model, task and arm."""
    rows: list[list[str]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            metric = run.metrics(task)[0]
            for arm in run.arms(task):
                cell = _only(results, model=model, task=task, arm=arm, metric=metric)
                tokens = _only(
                    results, model=model, task=task, arm=arm, metric="mean_passage_tokens"
                )
                gain = _only(effects, effect=GAIN, model=model, task=task, arm=arm, stratum="")
                rows.append(
                    [
                        model,
                        task,
                        arm,
                        str(cell["n"]),
                        percent(cell["value"]),
                        f"{percent(cell['ci_low'])} to {percent(cell['ci_high'])}"
                        + (" (bounds)" if cell["status"] == "incomplete" else ""),
                        *_gain_cells(gain),
                        f"{tokens['value']:.0f}",
                    ]
                )
    interval = f"{coverage(run)} interval"
    header = ["model", "task", "arm", "n", "accuracy", interval, "gain (points)", interval]
    return [*header, "helped / hurt", "p", "passage tokens"], rows


def coverage(run: Run) -> str:
    """Return the coverage of the run's intervals, such as ``95 %``."""
    return f"{100 * (1 - run.config['analysis']['alpha']):g} %"


def _gain_cells(gain: dict[str, Any] | None) -> list[str]:
    if gain is None:
        return ["", "", "", ""]
    counts = NONE if pd.isna(gain["helped"]) else f"{gain['helped']} / {gain['hurt']}"
    interval = f"{points(gain['ci_low'])} to {points(gain['ci_high'])}"
    return [points(gain["estimate"]), interval, counts, p_value(gain["p"])]


def _only(frame: pd.DataFrame, **wanted: str) -> Any:
    for key, value in wanted.items():
        frame = frame[frame[key] == value]
    return None if frame.empty else frame.iloc[0].to_dict()


def stratum_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return accuracy by stratum; no rows where no task has strata."""
    rows = []
    for row in results[results.metric.str.contains("/")].to_dict(orient="records"):
        _, _, stratum = str(row["metric"]).partition("/")
        rows.append(
            [
                row["model"],
                row["task"],
                stratum,
                row["arm"],
                str(row["n"]),
                percent(row["value"]),
                f"{percent(row['ci_low'])} to {percent(row['ci_high'])}",
            ]
        )
    header = ["model", "task", "stratum", "arm", "n", "accuracy", f"{coverage(run)} interval"]
    return header, rows


def retrieval_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return retrieval quality against gold passages; no rows where no task knows them."""
    gold = {(r["task"], r["retriever"]): r["gold_matches"] for r in run.retrievals}
    rows = [
        [
            row["task"],
            row["arm"],
            row["metric"],
            gold[row["task"], row["arm"]],
            str(row["n"]),
            f"{row['value']:.3f}",
            f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
        ]
        for row in results[results.model == NO_MODEL].to_dict(orient="records")
    ]
    header = [
        "task",
        "retriever",
        "measure",
        "gold matched by",
        "n",
        "mean",
        f"{coverage(run)} interval",
    ]
    return header, rows


def outcome_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return the shares of outcomes and ties by cell."""
    names = ["parsed", "unparsed", "refused", "truncated", "error", "tied"]
    rows = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for arm in run.arms(task):
                cell = {"model": model, "task": task, "arm": arm}
                shares = [_only(results, **cell, metric=f"{name}_rate") for name in names]
                rows.append(
                    [model, task, arm, *(percent(s["value"]) if s else NONE for s in shares)]
                )
    return ["model", "task", "arm", *names], rows


def effect_rows(run: Run, effects: pd.DataFrame) -> Rows:
    """Return the effects of arms against their controls; no rows where there are no controls."""
    found = effects[(effects.effect != GAIN) & (effects.stratum == "")]
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "effect", "arm", "baseline", "n")),
            *_gain_cells({str(key): value for key, value in row.items()}),
        ]
        for row in found.to_dict(orient="records")
    ]
    header = ["model", "task", "effect", "arm", "control", "n", "points"]
    return [*header, f"{coverage(run)} interval", "helped / hurt", "p"], rows


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
    """Return versions, digests and the machine, as tables."""
    identity, started = run.about["identity"], run.about["started"]
    rows = [["started", started["at"]], ["seed", run.config["seed"]]]
    rows += [["machine", f"{started['machine']['processor']}, {started['machine']['platform']}"]]
    if started["git"]:
        rows += [["ragbench commit", f"{started['git']['commit']} ({started['git']['state']})"]]
    rows += [
        [f"model {name}", f"{facts['digest'][:16]}, {facts['dtype']}, {facts['format']}"]
        for name, facts in identity["models"].items()
    ]
    for name, index in identity["indexes"].items():
        corpus = index["corpus"]
        rows += [
            [f"index {name}", index["digest"][:16]],
            [
                f"corpus {corpus['name']}",
                f"{corpus['digest'][:16]}, {corpus['n']:,} passages",
            ],
        ]
    rows += [[f"questions {name}", t["digest"][:16]] for name, t in identity["tasks"].items()]
    rows += [[name, version] for name, version in started["versions"].items()]
    unique = list(dict.fromkeys((str(a), str(b)) for a, b in rows))
    return table(["what", "value"], unique)

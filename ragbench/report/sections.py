"""The parts of a report, the same for the page, Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragbench.analysis.effects import NEAR_GAIN
from ragbench.analysis.family import HEADROOM, PLACEBO
from ragbench.analysis.load import Run
from ragbench.analysis.panels.abstaining import abstaining
from ragbench.analysis.panels.citations import citations
from ragbench.analysis.panels.curves import curves, places
from ragbench.analysis.panels.evidence import evidence
from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.panels.misled import misled
from ragbench.analysis.panels.policies import policies, unread_rates
from ragbench.report.baselines import constant_rows
from ragbench.report.charts.drawing import Drawing
from ragbench.report.charts.forest import pair_plots, plots
from ragbench.report.charts.kcurve import (
    curve_charts,
    curve_rows,
    place_charts,
    place_rows,
    trend_rows,
)
from ragbench.report.charts.shares import evidence_bars, share_bars
from ragbench.report.charts.slope import slope_charts
from ragbench.report.charts.spent import frontier_charts, spent_plots
from ragbench.report.charts.trajectory import trajectory_charts
from ragbench.report.cost import (
    cost_rows,
    frontier_note,
    frontier_rows,
    runnable_rows,
    writing_rows,
)
from ragbench.report.evidence import (
    ABSTAINING_NOTE,
    CHANGED_NOTE,
    CITATIONS_NOTE,
    QUADRANTS_NOTE,
    SHARES_NOTE,
    abstaining_rows,
    changed_rows,
    citation_rows,
    misled_note,
    misled_rows,
    quadrant_rows,
    share_rows,
)
from ragbench.report.leakage import Leaks, find_leaks, panels
from ragbench.report.policies import policy_rows, unread_rows
from ragbench.report.published import beside_rows
from ragbench.report.stopping import decision_rows, saved_rows
from ragbench.report.tables import (
    Rows,
    accuracy_rows,
    delivered_rows,
    effect_table,
    measured,
    metric_rows,
    outcome_rows,
    pair_rows,
    query_kind_rows,
    retrieval_rows,
    stratum_rows,
)

EFFECTS, ACCURACY, CONTROLS, RETRIEVAL = (
    "Effects",
    "Accuracy by arm",
    "Controls",
    "Retrieval quality",
)
EVIDENCE, LEAKAGE, COST, OUTCOMES = "Evidence use", "Leakage", "Cost against accuracy", "Outcomes"
# Groups of parts, in the order in which a reader meets them.
GROUPS = (EFFECTS, ACCURACY, CONTROLS, RETRIEVAL, EVIDENCE, LEAKAGE, COST, OUTCOMES)
PUBLISHED = "Beside published figures, which were scored by their own rules"
NOT_DRAWN = (
    "Within a retrieval arm the places are not random: where the gold passage comes first, the "
    "question was easy to retrieve for. Controls that move the gold passage show the same "
    "questions and passages with it at each place; a shuffled control draws its place at random."
)
COST_NOTE = (
    "Means over the questions that were answered. Seconds count from sending a prompt to its "
    "answer, including the wait for other prompts in flight, and depend on the machine. The "
    "reference tokenizer counts passages, the model's own counts prompts. Points per 1,000 more "
    "tokens are the gain over closed-book, and its interval, divided by the additional length of "
    "the prompts. Money follows from the prices of the config and the tokens that servers report, "
    "or from its price of an hour and the seconds; without a price it is unknown, unless nothing "
    "leaves the own machine."
)
QUERIES_NOTE = (
    "The same index searched with the text that a model wrote, and with the question itself. The "
    "difference and its interval are paired over the questions with a known gold passage. p is "
    "adjusted by Holm's procedure over the rows of this table."
)
WRITING_NOTE = (
    "What models wrote before the answers, or judged, each counted once whoever uses it. Money is "
    "that of the model that wrote."
)
CALLS_NOTE = (
    "A runnable is called once per question, for all models together: what it takes is in addition "
    "to the cost of the arms above. Calls of language models are those that LangChain announced, "
    "and tokens are those of the calls that reported them; what a pipeline asks of servers in "
    "other ways is not counted."
)
# Columns that name a row when they lead; all others hold figures.
NAMING = {"model", "task", "arm", "control", "stratum", "what", "pair", "effect", "part"}
NAMING |= {"retriever", "against", "measure", "metric", "gold matched by", "if unread", "answer"}


@dataclass(frozen=True)
class Table:
    """A table, the same for the page, Markdown, CSV and LaTeX."""

    caption: str
    header: list[str]
    rows: list[list[str]]

    @property
    def naming(self) -> int:
        """Number of leading columns that name the row."""
        others = (i for i, name in enumerate(self.header) if name not in NAMING)
        return next(others, len(self.header))


@dataclass(frozen=True)
class Section:
    """A part of the report: heading, charts, table, and a note on how to read them.

    ``group`` is a member of GROUPS.
    """

    key: str
    title: str
    table: Table
    group: str
    drawings: Sequence[Drawing] = ()
    note: str = ""


def sections(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    *,
    beside: bool = False,
    leaks: Leaks | None = None,
) -> Iterator[Section]:
    """Yield the parts that have rows, group by group in the order of GROUPS.

    ``beside`` adds published figures; ``leaks`` saves looking for leakage again.
    """
    found = list(_parts(run, results, effects, beside=beside, leaks=leaks))
    yield from sorted(found, key=lambda part: GROUPS.index(part.group))


def _parts(
    run: Run, results: pd.DataFrame, effects: pd.DataFrame, *, beside: bool, leaks: Leaks | None
) -> Iterator[Section]:
    score = measured(run).capitalize()
    found, placed = curves(run), places(run)
    used, planted, spent = evidence(run), misled(run), frontier(run, results)
    parts: list[tuple[str, str, Rows, dict[str, Any]]] = [
        (
            EFFECTS,
            "Retrieval or fine-tuning",
            pair_rows(run, effects),
            {"drawings": [*slope_charts(run, results), *pair_plots(run, effects)]},
        ),
        (
            EFFECTS,
            "What was decided, and when",
            decision_rows(run),
            {"drawings": trajectory_charts(run)},
        ),
        (
            ACCURACY,
            f"{score}, and the gain over closed-book",
            accuracy_rows(run, results, effects),
            {},
        ),
        (ACCURACY, "Further metrics", metric_rows(run, results), {}),
    ]
    for kind in effects.effect[effects.base == ""].unique():
        title = kind[:1].upper() + kind[1:]
        drawn = {"drawings": plots(run, effects, kind)}
        group = CONTROLS if kind in (PLACEBO, NEAR_GAIN, *HEADROOM) else EFFECTS
        parts.append((group, title, effect_table(run, effects, kind), drawn))
    parts += [
        (ACCURACY, f"{score} by stratum", stratum_rows(run, results), {}),
        (
            ACCURACY,
            "By the number of passages",
            curve_rows(run, found),
            {"drawings": curve_charts(run, found)},
        ),
        (ACCURACY, "What twice the passages bring", trend_rows(run, found), {}),
        (
            EVIDENCE,
            "What the gold passages did",
            share_rows(used),
            {"drawings": evidence_bars(run, used), "note": SHARES_NOTE},
        ),
        (
            EVIDENCE,
            "Wrong closed-book, then right",
            changed_rows(run, used),
            {"note": CHANGED_NOTE},
        ),
        (
            EVIDENCE,
            "Gold delivered or missing, right or wrong",
            quadrant_rows(used),
            {"note": QUADRANTS_NOTE},
        ),
        (
            EVIDENCE,
            "Planted errors",
            misled_rows(run, planted),
            {"note": misled_note(run, planted)},
        ),
        (EVIDENCE, "Citations", citation_rows(run, citations(run)), {"note": CITATIONS_NOTE}),
        (
            EVIDENCE,
            "Risk against coverage",
            abstaining_rows(run, abstaining(run)),
            {"note": ABSTAINING_NOTE},
        ),
        (
            EVIDENCE,
            "By the place of the gold passage",
            place_rows(run, placed),
            {"drawings": place_charts(run, placed), "note": NOT_DRAWN},
        ),
        (RETRIEVAL, "Retrieval quality", retrieval_rows(run, results), {}),
        (
            RETRIEVAL,
            "Written queries against the question",
            query_kind_rows(run),
            {"note": QUERIES_NOTE},
        ),
        (RETRIEVAL, "What was delivered, per question", delivered_rows(run), {}),
        (OUTCOMES, "Outcomes", outcome_rows(run, results), {"drawings": share_bars(run)}),
        (OUTCOMES, "Replies without an answer", unread_rows(unread_rates(run)), {}),
        (
            OUTCOMES,
            "Replies without an answer, counted in three ways",
            policy_rows(run, policies(run)),
            {},
        ),
        (CONTROLS, "The same answer to every question", constant_rows(results), {}),
        (
            COST,
            "Cost",
            cost_rows(run, effects),
            {"note": COST_NOTE},
        ),
        (
            COST,
            "Scores against all calls",
            frontier_rows(run, spent),
            {
                "note": frontier_note(run, spent),
                "drawings": [*spent_plots(run, spent), *frontier_charts(run, spent)],
            },
        ),
        (COST, "Calls before the answers", writing_rows(run), {"note": WRITING_NOTE}),
        (COST, "What stopping early saved", saved_rows(run), {}),
        (COST, "Calls of runnables", runnable_rows(run), {"note": CALLS_NOTE}),
        (ACCURACY, PUBLISHED, beside_rows(run, results) if beside else ([], []), {}),
    ]
    for number, (group, title, (header, rows), more) in enumerate(parts):
        if rows:
            yield Section(f"part-{number}", title, Table(title, header, rows), group, **more)
    for number, (title, (header, rows), note) in enumerate(panels(run, leaks or find_leaks(run))):
        if rows:
            table = Table(title, header, rows)
            yield Section(f"leakage-{number}", title, table, LEAKAGE, note=note)

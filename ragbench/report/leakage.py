"""The leakage panel: facts on each arm's passages, scores by part, duplicate questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragbench.analysis.csvfile import write_csv
from ragbench.analysis.load import Run
from ragbench.analysis.panels.duplicates import (
    ALIKE,
    NEAR,
    SAME,
    SHINGLE,
    contradictory,
    duplicates,
)
from ragbench.analysis.panels.leakage import CLEAN, MATCHED, NGRAM, leakage, parts, splits
from ragbench.analysis.panels.written import written_gains, written_leaks
from ragbench.report.tables import (
    NONE,
    Rows,
    between,
    coverage,
    measured,
    p_value,
    percent,
    points,
    scored,
)

LISTED = 20  # contradictory groups shown in the table; duplicates.csv has all
FACTS_NOTE = (
    "Shares of each arm's questions. Source delivered: the prompt has a passage of a gold "
    "document, among the questions that have one in the arm's corpus. Question matched: one "
    f"passage contains at least {100 * MATCHED:.0f} % of the question's sequences of {NGRAM} words "
    "(all words of a shorter question). Answer verbatim: a passage contains the words of the right "
    "answer, among the questions with an answer of two words or more. Clean: none of these three "
    "is known to hold. The search covers the passages in the prompts and exact words only: it "
    "finds neither a paraphrase nor what a model saw in training."
)
SPLIT_NOTE = (
    "Closed-book scores are over the same questions; parts without questions are left out. The "
    "parts are not random: questions whose source is found may be easier than others, so a "
    "difference between two parts is not the effect of leakage."
)
DUPLICATES_NOTE = (
    "The same questions have the same words and the same set of options; near ones have the same "
    f"options, and texts that share {100 * NEAR:.0f} % of their sequences of {SHINGLE} words. The "
    "same questions with different right answers contradict each other: no answer is right for all "
    "of them. The rates and intervals of this report count every question by itself."
)


WRITTEN_NOTE = (
    "Shares of questions whose right answer, or a wrong option, is in the queries or passages that "
    "a model wrote, word for word. Answers of fewer than four characters are not searched for, nor "
    "are tasks whose questions share their options. A written text with the answer gives the model "
    "what the writer guessed, whatever is retrieved. Follow-up questions may also have it from "
    "passages that an earlier round found."
)
GAINS_NOTE = (
    "The control has passages that the same writer wrote from memory. What an arm with written "
    "queries gains over it comes from the passages that were retrieved. The p values are not "
    "adjusted."
)


@dataclass(frozen=True)
class Leaks:
    """The tables of leakage, of its splits, of duplicates, and of what models wrote."""

    facts: pd.DataFrame
    splits: pd.DataFrame
    duplicates: pd.DataFrame
    written: pd.DataFrame
    gains: pd.DataFrame


def find_leaks(run: Run) -> Leaks:
    """Return the tables of a run's leakage."""
    facts = leakage(run)
    wrote = written_leaks(run), written_gains(run)
    return Leaks(facts, splits(run, facts), duplicates(run), *wrote)


def write_leaks(run: Run, leaks: Leaks) -> None:
    """Write the tables as CSV; they hold ids and numbers. Those on written texts may be missing."""
    for name, table in (
        ("leakage.csv", leaks.facts),
        ("leakage_splits.csv", leaks.splits),
        ("duplicates.csv", leaks.duplicates),
    ):
        write_csv(table, run.path / name)
    further = {"written_leaks.csv": leaks.written, "written_gains.csv": leaks.gains}
    for name, table in further.items():
        if len(table):
            write_csv(table, run.path / name)


def panels(run: Run, leaks: Leaks) -> list[tuple[str, Rows, str]]:
    """Return title, table and note of each part of the panel; a table may have no rows."""
    return [
        ("Leakage: what the passages give away", leakage_rows(leaks.facts), FACTS_NOTE),
        ("Leakage: scores by part", split_rows(run, leaks.splits), SPLIT_NOTE),
        (
            "Leak guard: the answer in what models wrote",
            written_rows(run, leaks.written),
            WRITTEN_NOTE,
        ),
        ("Leak guard: gain over passages from memory", gain_rows(run, leaks.gains), GAINS_NOTE),
        ("Duplicate questions", duplicate_rows(run, leaks.duplicates), DUPLICATES_NOTE),
    ]


def leakage_rows(facts: pd.DataFrame) -> Rows:
    """Return shares of questions by task and arm, and by model where passages differ."""
    rows = []
    for (task, arm, model), found in facts.groupby(["task", "arm", "model"], sort=False):
        held = parts(found)
        known = found["ngram_share"].notna()
        rows.append(
            [
                str(task),
                f"{arm} ({model})" if model else str(arm),
                str(len(found)),
                percent(float(found["source_known"].mean())),
                _share(found["source_delivered"]),
                _share(held["question matched"].astype("boolean").where(known)),
                f"{found['longest_run'].median():g}",
                _share(found["answer_verbatim"]),
                _share(found["wrong_verbatim"]),
                percent(float(held[CLEAN].mean())),
            ]
        )
    header = ["task", "arm", "n", "source in the corpus", "source delivered", "question matched"]
    header += ["longest run of words, median", "answer verbatim", "wrong option verbatim"]
    return [*header, CLEAN], rows


def written_rows(run: Run, found: pd.DataFrame) -> Rows:
    """Return how often what a model wrote has the right answer, or a wrong option."""
    rows = [
        [
            *(str(row[key]) for key in ("task", "writer", "kind", "name", "options", "n")),
            percent(row["right_share"]),
            between(row["right_low"], row["right_high"], percent),
            percent(row["wrong_share"]),
            between(row["wrong_low"], row["wrong_high"], percent),
        ]
        for row in found.to_dict(orient="records")
    ]
    interval = f"{coverage(run)} interval"
    header = ["task", "writer", "kind", "name", "options", "n", "right answer written", interval]
    return [*header, "wrong option written", interval], rows


def gain_rows(run: Run, found: pd.DataFrame) -> Rows:
    """Return the score of arms with written queries beside passages that the writer wrote."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "arm", "control", "n")),
            *(percent(row["accuracy"]), percent(row["control_accuracy"])),
            *(points(row["difference"]), between(row["ci_low"], row["ci_high"], points)),
            p_value(row["p"]),
        ]
        for row in found.to_dict(orient="records")
    ]
    header = ["model", "task", "arm", "from memory", "n", measured(run), "from memory alone"]
    return [*header, "difference (points)", f"{coverage(run)} interval", "p"], rows


def _share(fact: pd.Series[Any]) -> str:
    """Return the share of questions that a fact holds for, among those where it is known."""
    known = fact.dropna()
    if known.empty:
        return NONE
    shown = percent(float(known.astype(float).mean()))
    return shown if len(known) == len(fact) else f"{shown} of {len(known)}"


def split_rows(run: Run, found: pd.DataFrame) -> Rows:
    """Return scores and gains by part; parts without questions have no row."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "arm", "part", "n")),
            *scored(row),
            percent(row["closed_book"]),
            points(row["gain"]),
            between(row["gain_low"], row["gain_high"], points),
        ]
        for row in found[found["n"] > 0].to_dict(orient="records")
    ]
    interval = f"{coverage(run)} interval"
    header = ["model", "task", "arm", "part", "n", measured(run), interval]
    return [*header, "closed-book", "gain (points)", interval], rows


def duplicate_rows(run: Run, found: pd.DataFrame) -> Rows:
    """Return the counts of repeated questions by task, and the ids of contradictory ones."""
    rows = []
    for task in run.members("tasks"):
        mine = found[found["task"] == task]
        if mine.empty:
            continue
        against = contradictory(mine).groupby("group")["question_id"]
        groups = [", ".join(map(str, ids)) for _, ids in against]
        more = [f"and {len(groups) - LISTED:,} more"] if len(groups) > LISTED else []
        counts = []
        for kind in (SAME, ALIKE):
            of_kind = mine[mine["kind"] == kind]
            counts += [str(of_kind["group"].nunique()), str(len(of_kind))]
        shown = "; ".join([*groups[:LISTED], *more]) or NONE
        n = run.facts(task).n
        rows.append([task, str(n), *counts, str(len(groups)), shown])
    header = ["task", "n", "groups of the same", "questions in them", "groups of near ones"]
    return [*header, "questions in those", "contradictory groups", "their questions"], rows

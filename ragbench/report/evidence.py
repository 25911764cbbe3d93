"""Whether a model uses what it is given: the five shares, and what planted errors did."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.panels.evidence import (
    NOT_FOUND,
    OF_FOUND,
    OF_NOT_FOUND,
    QUADRANT,
    QUADRANTS,
    RIGHT_ANYWAY,
    SHARES,
)
from ragbench.report.tables import NONE, Rows, between, coverage, p_value, percent, points

KEYS = ["model", "task", "arm"]
SHARES_NOTE = (
    "Every question with known gold passages is in exactly one of five shares. Already known: "
    "right closed-book and with the passages. Broken by context: right closed-book, wrong with the "
    "passages. The other three are wrong closed-book: found and used (a gold passage was "
    "delivered, and the answer became right), found and not used (delivered, and still wrong), "
    "and not found (none was delivered), some of which are right anyway. The gain over closed-book "
    "on these questions is found and used, plus right anyway, less broken by context. Brackets "
    "hold the interval of each share. A right answer may be luck: a model that gives one answer to "
    "every question already knows, by this count, those with that answer."
)
QUADRANTS_NOTE = (
    "Over the questions with known gold passages; the four shares add up to one, and brackets hold "
    "the interval of each. An answer that is right with gold delivered may have been known before."
)
CHANGED_NOTE = (
    "Among the questions that are wrong closed-book: how many became right with a gold passage in "
    "the prompt, and how many without one. A model that guesses is sometimes right by chance in "
    "both. Questions for which gold was found may also be easier than the others."
)

MISLED_NOTE = (
    "In the passages of the imitated arm, every mention of the right answer in a gold passage was "
    "replaced by a wrong option of the question. Only questions whose passages could be changed "
    "count. A model follows the planted error if it picks exactly that option, though it did not "
    "pick it closed-book; beside it is how many of the same questions pick that option with the "
    "unchanged passages. The replacement is by string rules: some of the changed sentences make "
    "no sense, and other passages in the prompt may still give the right answer."
)

CITATIONS_NOTE = (
    "Replies were asked to name passages by their numbers. Each passage that a reply names counts "
    "once. Gold is counted among the citations of passages in prompts of which it is known which "
    "passages are gold. A gold passage that is cited was not necessarily used."
)
ABSTAINING_NOTE = (
    "Every question has one more option, that the passages do not say. Coverage is the share of "
    "questions that get another answer, and risk the share of wrong answers among these. Accuracy "
    "counts an abstention as wrong. A cell is better than another if its coverage is higher at no "
    "higher risk; two cells that differ in both show a choice, not a gain."
)


def share_rows(table: pd.DataFrame) -> Rows:
    """Return the five shares with their intervals, one row per cell."""
    rows = []
    for names, cell in _cells(table[table.kind != QUADRANT]):
        if SHARES[0] not in cell:
            continue
        anyway, first = cell.get(RIGHT_ANYWAY), cell[SHARES[0]]
        counts = NONE if anyway is None else f"{anyway['count']} of {anyway['n']}"
        shares = [_interval(cell[part]) for part in SHARES]
        rows.append([*names, str(first["n"]), *shares, counts, str(first["without_gold"])])
    anyway_name = f"{NOT_FOUND}, but right anyway"
    return [*KEYS, "n", *SHARES, anyway_name, "questions without known gold"], rows


def changed_rows(run: Run, table: pd.DataFrame) -> Rows:
    """Return how many answers that are wrong closed-book became right, one row per cell."""
    rows = []
    found = table[table.kind.isin([OF_FOUND, OF_NOT_FOUND])]
    for names, cell in _cells(found):
        parts = [[str(row["n"]), percent(row["value"]), _ends(row)] for row in cell.values()]
        rows.append([*names, *(text for part in parts for text in part)])
    interval = f"{coverage(run)} interval"
    header = [*KEYS, "gold delivered", "of these right", interval]
    return [*header, "gold missing", "of these right", interval], rows


def quadrant_rows(table: pd.DataFrame) -> Rows:
    """Return the shares of right and wrong answers by whether gold was delivered."""
    rows = []
    for names, cell in _cells(table[table.kind == QUADRANT]):
        shares = [_interval(cell[part]) for part in QUADRANTS]
        rows.append([*names, str(cell[QUADRANTS[0]]["n"]), *shares])
    return [*KEYS, "n", *(f"gold {part}" for part in QUADRANTS)], rows


def misled_rows(run: Run, table: pd.DataFrame) -> Rows:
    """Return what planted errors did, one row per model, task and arm."""
    rows = []
    for row in table.to_dict(orient="records"):
        known = row["status"] == "complete" and row["changed"] > 0
        rows.append(
            [
                *(str(row[key]) for key in (*KEYS, "like", "n", "gold_delivered", "changed")),
                percent(row["changed_share"]),
                f"{row['followed']} of {row['at_risk']}" if known else NONE,
                percent(row["followed_share"]),
                between(row["followed_low"], row["followed_high"], percent),
                str(row["picked_unplanted"]) if known else NONE,
                *(percent(row[key]) for key in ("accuracy", "like_accuracy")),
                points(row["difference"]),
                between(row["difference_low"], row["difference_high"], points),
                p_value(row["p"], is_bound=bool(row["p_is_bound"])),
            ]
        )
    interval = f"{coverage(run)} interval"
    header = [*KEYS, "arm imitated", "n", "gold delivered", "changed", "share changed"]
    header += ["followed", "share followed", interval, "picked it unchanged"]
    return [*header, "accuracy, changed", "unchanged", "points", interval, "p"], rows


def misled_note(run: Run, table: pd.DataFrame) -> str:
    """Return how to read the table of planted errors, after a sentence on each row."""
    return " ".join([*misled_sentences(run, table), MISLED_NOTE])


def misled_sentences(run: Run, table: pd.DataFrame) -> Iterator[str]:
    """Yield what planted errors did to each model, task and arm."""
    for row in table.to_dict(orient="records"):
        where = f"{row['model']} on {row['task']}, {row['arm']}"
        changed = f"{row['changed']:,} of {row['n']:,} questions"
        if row["changed"] == 0:
            yield (
                f"{where}: no delivered gold passage mentions the right answer, so no error was "
                "planted."
            )
        elif row["status"] == "incomplete":
            yield f"{where}: some of the {changed} with a planted error failed; no figures."
        elif row["at_risk"]:
            yield (
                f"{where}: the passages of {changed} could be changed, and the model followed the "
                f"planted error in {row['followed']:,} of the {row['at_risk']:,} that it answers "
                f"otherwise closed-book ({percent(row['followed_share'])}, {coverage(run)} "
                f"interval {between(row['followed_low'], row['followed_high'], percent)})."
            )


def citation_rows(run: Run, table: pd.DataFrame) -> Rows:
    """Return what replies cite, one row per cell."""
    rows = [
        [
            *(str(row[key]) for key in (*KEYS, "n")),
            percent(row["citing_share"]),
            between(row["citing_low"], row["citing_high"], percent),
            *(str(row["citations"]), percent(row["nonexistent_share"])),
            *(str(row["judged"]), percent(row["gold_share"])),
        ]
        for row in table.to_dict(orient="records")
    ]
    header = [*KEYS, "n", "replies that cite", f"{coverage(run)} interval", "citations"]
    return [*header, "of no passage", "of known passages", "of these gold"], rows


def abstaining_rows(run: Run, table: pd.DataFrame) -> Rows:
    """Return risk against coverage, one row per cell; none of a cell with failed questions."""
    rows = [
        [
            *(str(row[key]) for key in (*KEYS, "n")),
            percent(row["coverage"]),
            between(row["coverage_low"], row["coverage_high"], percent),
            percent(row["risk"]),
            between(row["risk_low"], row["risk_high"], percent),
            *(
                f"{row[f'abstained_{kind}']} of {row[of]}" if row[of] else NONE
                for kind, of in (("with_gold", "gold_delivered"), ("without_gold", "gold_missing"))
            ),
        ]
        for row in table[table.status == "complete"].to_dict(orient="records")
    ]
    interval = f"{coverage(run)} interval"
    header = [*KEYS, "n", "coverage", interval, "risk", interval]
    return [*header, "abstained with gold delivered", "with gold missing"], rows


def _cells(
    table: pd.DataFrame,
) -> Iterator[tuple[list[str], dict[str, Mapping[Hashable, Any]]]]:
    """Yield the names of each cell with its rows by their part."""
    for names, cell in table.groupby(KEYS, sort=False):
        rows = cell.to_dict(orient="records")
        yield [str(name) for name in names], {str(row["part"]): row for row in rows}


def _interval(row: Mapping[Hashable, Any]) -> str:
    """Return a share with its interval, or the bounds of one with failed questions."""
    if row["status"] == "incomplete":
        return f"bounds {_ends(row)}"
    ends = between(row["ci_low"], row["ci_high"], lambda end: f"{100 * end:.1f}")
    return percent(row["value"]) + ("" if ends == NONE else f" ({ends})")


def _ends(row: Mapping[Hashable, Any]) -> str:
    return between(row["ci_low"], row["ci_high"], percent)

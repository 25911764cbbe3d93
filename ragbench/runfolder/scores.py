"""``scores/MODE.parquet``: one row per question and cell; its columns and their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragbench.base.errors import DataError, first_line
from ragbench.base.files import atomic_file
from ragbench.base.records import OUTCOMES, Outcome

if TYPE_CHECKING:
    import pandas as pd

CELL = ["model", "task", "arm", "mode", "scoring", "seed", "k"]  # columns that identify a cell
NEEDED = {"model", "task", "arm", "question_id", "outcome"}
# Columns that runs scored by earlier versions do not have.
NEWER = {"likeliest", "sent_tokens", "cached_tokens", "ended_at"} | {
    *("written_calls", "written_sent_tokens", "written_reply_tokens", "written_seconds"),
    "model_calls",
}
# A column that is missing in every row has no type of its own.
TYPES: dict[str, str] = {
    **dict.fromkeys(
        ("k", "pick", "likeliest", "reply_tokens", "prompt_tokens", "delivered_k"), "Int64"
    ),
    **dict.fromkeys(("passage_tokens", "shortfall_tokens", "left_out"), "Int64"),
    **dict.fromkeys(("sent_tokens", "cached_tokens"), "Int64"),
    **dict.fromkeys(("cluster", "error", "rule", "reply", "reasoning", "finish"), "string"),
    "confidence": "float64",
    "option_mass": "float64",
    "ended_at": "float64",
}


# A cell that has measured nothing: all of its questions are errors with one of these.
EVERY_TIE = "every question ties between options"
EVERY_EMPTY = "every reply is empty"
EVERY_LENGTH = "every likelihood follows from the number of tokens alone"
UNMEASURED = (EVERY_TIE, EVERY_EMPTY, EVERY_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One question in one cell; the fields are the columns, and each metric adds one.

    Attributes:
        mode: How the run was asked and scored.
        scoring: How the answer was taken.
        k: Number of passages that the arm requests.
        pick: Index of the chosen option; None if there is none.
        tied: Whether another option was equally likely.
        rule: Rule that read the reply.
        reply: The reply without its reasoning.
        likeliest: Index of the option with the highest probability, if options were scored: the
            softmax of the raw log-likelihoods. It may not be the pick, for which length counts.
        confidence: That probability.
        option_mass: Probability that the reply starts with any of the options, if they were scored.
        outcome: How the answer was read.
        error: The backend's error.
        answer: Index of the right option.
        has_gold: Whether the corpus contains a gold passage.
        gold_delivered: Number of gold passages delivered.
        answer_truncated: Whether the budget cut a document that contains the answer.
        delivered_k: Number of passages delivered.
        passage_tokens: Their length by the reference tokenizer.
        shortfall_tokens: Tokens by which a control falls short of the arm that it imitates.
        left_out: Number of passages that did not fit the budget.
        sent_tokens: Tokens of all requests of the question.
        cached_tokens: Tokens of the prompt that a server had cached, if it reports them.
        finish: How the answer ended.
        elapsed_s: Seconds that the model took.
        ended_at: Unix time at which the answer arrived, if it is known.
        model_calls: Calls of language models for the answer: those that a runnable announced, and 1
            of any other model.
        written_calls: Calls of models before the answer, which wrote queries or passages for it, or
            judged its passages; those of a control are those of the arm that it imitates.
        written_sent_tokens: Tokens of all requests of these calls.
        written_reply_tokens: Tokens of their replies.
        written_seconds: Their seconds.
        metrics: Value by metric; NaN without an answer.
    """

    model: str
    task: str
    arm: str
    mode: str
    scoring: str
    seed: int
    k: int | None
    question_id: str
    stratum: str
    cluster: str | None
    pick: int | None
    tied: bool
    rule: str | None
    reply: str | None
    reasoning: str | None
    likeliest: int | None
    confidence: float | None
    option_mass: float | None
    outcome: Outcome
    error: str | None
    answer: int
    has_gold: bool
    gold_delivered: int
    answer_truncated: bool
    delivered_k: int | None
    passage_tokens: int | None
    shortfall_tokens: int | None
    left_out: int | None
    prompt_tokens: int | None
    reply_tokens: int | None
    sent_tokens: int | None
    cached_tokens: int | None
    finish: str | None
    elapsed_s: float | None
    ended_at: float | None = None
    model_calls: int = 1
    written_calls: int = 0
    written_sent_tokens: int = 0
    written_reply_tokens: int = 0
    written_seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


# Columns of text; all others are numbers.
KINDS: dict[str, type] = dict.fromkeys(
    (
        *("model", "task", "arm", "mode", "scoring", "question_id", "stratum", "cluster", "rule"),
        *("reply", "reasoning", "outcome", "error", "finish"),
    ),
    str,
)
COLUMNS = [column.name for column in fields(ScoreRow) if column.name != "metrics"]


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Write the table of scores; a metric that a row does not have is missing there."""
    import pandas as pd

    table = pd.DataFrame([_columns(row) for row in rows])
    with atomic_file(path) as handle:
        table.astype(TYPES).to_parquet(handle, index=False)


def _columns(row: ScoreRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS} | dict(row.metrics)


def read_scores(path: Path, *, metrics: Iterable[str] = ()) -> pd.DataFrame:
    """Return the table of scores, one row per question and cell.

    Args:
        path: The file.
        metrics: Metrics that must have a column.

    Raises:
        DataError: The file is missing or unreadable, is missing a column, or has values that scores
            cannot have.
    """
    import pandas as pd

    again = f"ragbench score {path.parent.parent.name}"
    if not path.is_file():
        raise DataError("the run has no scores", where=str(path.parent.parent), fix=again)
    try:
        table = pd.read_parquet(path)
    except Exception as error:
        what = f"the scores cannot be read: {first_line(error)}"
        raise DataError(what, where=str(path), fix=again) from None
    needed = {*COLUMNS, *metrics} - NEWER
    if missing := sorted(needed - set(table.columns), key=_rank):
        what = f"the scores are missing the column {missing[0]!r}"
        raise DataError(what, where=str(path), fix=again)
    for name in table.columns:
        if not _is_typed(table[name], KINDS.get(str(name), float)):
            what = f"the scores have an unreadable column {name!r}"
            raise DataError(what, where=str(path), fix=again)
    if unknown := set(table.outcome) - set(OUTCOMES):
        what = f"the scores have the outcome {unknown.pop()!r}"
        raise DataError(what, where=str(path), fix=again)
    if table.duplicated(["model", "task", "arm", "question_id"]).any():
        what = "the scores have two rows of one question in one cell"
        raise DataError(what, where=str(path), fix=again)
    return table


def _rank(name: str) -> tuple[bool, str]:
    return name not in NEEDED, name


def _is_typed(column: pd.Series[Any], kind: type) -> bool:
    """Say whether a column has the type of its values; one without any value has every type."""
    from pandas.api import types

    if kind is str:
        return types.is_string_dtype(column) or bool(column.isna().all())
    return types.is_numeric_dtype(column) or bool(column.isna().all())

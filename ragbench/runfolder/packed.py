"""``packed/TASK+ARM.jsonl``: passages of each question in an arm, ``filtered/`` and ``rounds/``.

All models get the same passages, unless each writes its own queries, passages or judgements: then
every model has a file ``packed/TASK+ARM+MODEL.jsonl``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl, write_jsonl
from ragbench.runfolder.schema import SPARSE, parse, parse_lines, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLine:
    """Passages of one question; counts that an imported run does not know are None.

    Attributes:
        passages: Ids in prompt order; ``DOC[:n]`` is a document cut after n characters.
        requested: Number of passages requested.
        delivered: Number of passages delivered; written only in imported runs.
        tokens: Their length by the reference tokenizer.
        shortfall_tokens: Tokens by which a control falls short of the arm that it imitates.
        left_out: Number of passages that did not fit the budget.
        gold: Number of gold passages delivered.
        gold_known: Number of gold passages in the corpus.
        answer_truncated: Whether the budget cut or excluded a document that contains the answer.
        dropped: Number of passages that a filter dropped; None in an arm without one.
        planted: Index of the wrong option that takes the place of the right answer; written only
            where a control planted one.
    """

    question_id: str
    passages: tuple[str, ...]
    requested: int | None = None
    delivered: int | None = None
    tokens: int | None = None
    shortfall_tokens: int | None = None
    left_out: int | None = None
    gold: int = 0
    gold_known: int = 0
    answer_truncated: bool = False
    dropped: int | None = field(default=None, metadata=SPARSE)
    planted: int | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredLine:
    """What a filter has judged of the ranking of one question.

    Attributes:
        passages: Ids of the judged passages, in the order of the ranking.
        scores: Probability of a yes, or sigmoid of a cross-encoder's output, of each.
        keep: Least score of a passage that is kept.
        by: The model or cross-encoder that judged.
    """

    question_id: str
    passages: tuple[str, ...]
    scores: tuple[float, ...]
    keep: float
    by: str

    @property
    def kept(self) -> tuple[str, ...]:
        """Ids of the passages that are kept, in the order of the ranking."""
        pairs = zip(self.passages, self.scores, strict=True)
        return tuple(passage for passage, score in pairs if score >= self.keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEntry:
    """One round of a question.

    Attributes:
        queries: Its new queries.
        passages: Ids of the first passages of each; empty in the last round.
        answers: The answer to each; empty in the last round, and without answers.
    """

    queries: tuple[str, ...]
    passages: tuple[tuple[str, ...], ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundsLine:
    """What a model asked in rounds before it answered a question.

    Attributes:
        by: The model that asked.
        rounds: The rounds with a new query, in their order.
        stopped: Why no further round was asked: ``empty`` reply, nothing more needed (``done``),
            or only queries that were asked before (``repeated``); empty after the last round.
    """

    question_id: str
    by: str
    rounds: tuple[RoundEntry, ...]
    stopped: str = ""

    @property
    def queries(self) -> tuple[str, ...]:
        """All queries in the order asked."""
        return tuple(query for one in self.rounds for query in one.queries)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of passages of one question in an arm."""

    requested: int
    delivered: int
    left_out: int
    answer_truncated: bool = False
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Fewer:
    """What an arm delivers that delivers fewer passages than it requests.

    Attributes:
        n: Number of questions.
        requested: Mean number of passages requested.
        delivered: Mean number of passages delivered.
        by_budget: Number of questions for which the budget left passages out.
        by_ranking: Number of questions whose ranking has fewer passages than requested.
        unfound: Number of those with no passage at all, which are asked closed-book.
        by_filter: Number of questions of which a filter kept fewer passages than requested.
        bare: Number of those that kept no passage, and are asked closed-book.
        truncated: Number of questions of which the budget cut or excluded the answer.
    """

    n: int
    requested: float
    delivered: float
    by_budget: int
    by_ranking: int
    truncated: int
    by_filter: int = 0
    bare: int = 0
    unfound: int = 0

    def sentence(
        self, task: str, arm: str, budget: int | None, same: str, *, is_written: bool = False
    ) -> str:
        """Return the sentence on the arm, without a full stop.

        Args:
            task: The task.
            arm: The arm.
            budget: Its maximum tokens of passages; None if unknown.
            same: Another arm that delivers the same passages; empty if none does.
            is_written: Whether a model wrote the passages.
        """
        ending = f": the same as {same}" if same else ""
        return (
            f"{arm} on {task} delivered {self.delivered:.1f} passages on average, not "
            f"{self.requested:.4g} ({self.reasons(budget, is_written=is_written)}){ending}"
        )

    def reasons(self, budget: int | None, *, is_written: bool = False) -> str:
        """Return why, with the number of questions; the arguments are those of ``sentence``."""
        why, of = [], f"of {self.n:,} questions"
        if self.by_budget:
            tokens = "the budget" if budget is None else f"the budget of {budget:,} tokens"
            why.append(f"{tokens} left passages out for {self.by_budget:,} {of}")
        if self.by_ranking:
            who = "the model wrote" if is_written else "the ranking has"
            why.append(f"{who} fewer for {self.by_ranking:,} {of}")
        if self.unfound:
            who = "it wrote" if is_written else "it has"
            why.append(f"{who} none for {self.unfound:,}, which were asked closed-book")
        if self.by_filter:
            why.append(f"the filter kept fewer for {self.by_filter:,} {of}")
        if self.bare:
            why.append(f"it kept none for {self.bare:,}, which were asked closed-book")
        if self.truncated:
            why.append(f"the answer of {self.truncated:,} was cut or excluded")
        return "; ".join(why)


def fewer(counts: Sequence[Counts]) -> Fewer | None:
    """Return what an arm delivers if it delivers fewer passages than it requests; else None."""
    if not any(c.delivered < c.requested or c.answer_truncated for c in counts):
        return None
    n = len(counts)
    return Fewer(
        n,
        sum(c.requested for c in counts) / n,
        sum(c.delivered for c in counts) / n,
        sum(c.left_out > 0 for c in counts),
        sum(c.delivered + c.left_out < c.requested and not c.dropped for c in counts),
        sum(c.answer_truncated for c in counts),
        sum(c.delivered + c.left_out < c.requested and c.dropped > 0 for c in counts),
        sum(c.delivered + c.left_out == 0 and c.dropped > 0 for c in counts),
        sum(c.delivered + c.left_out == 0 < c.requested and not c.dropped for c in counts),
    )


def reports_fewer(control: str | None) -> bool:
    """Say whether an arm is asked for a number of passages, and not for another arm's."""
    return control in (None, "oracle", "oracle-removed")


def read_packed(path: Path) -> dict[str, PackedLine]:
    """Return the line of each question by its id, in the order of the file.

    Raises:
        DataError: A field of a line is missing or unreadable.
    """
    found = {}
    for number, value in read_jsonl(path):
        line = parse(PackedLine, value, f"{path}:{number}")
        if "delivered" not in value:
            line = replace(line, delivered=len(line.passages))
        found[line.question_id] = line
    return found


def read_filtered(path: Path) -> dict[str, FilteredLine]:
    """Return what a filter has judged of each question by its id; empty if there is no file.

    Raises:
        DataError: A line is unreadable, or has not one score per passage.
    """
    found = {}
    for where, line in parse_lines(FilteredLine, path) if path.exists() else ():
        if len(line.scores) != len(line.passages):
            raise DataError("the line has not one score per passage", where=where)
        found[line.question_id] = line
    return found


def write_filtered(path: Path, lines: Iterable[FilteredLine]) -> None:
    """Write what a filter has judged."""
    write_jsonl(path, map(to_json, lines))


def read_rounds(path: Path) -> dict[str, RoundsLine]:
    """Return what was asked in rounds by the question's id; empty if there is no file.

    Raises:
        DataError: A field of a line is missing or unreadable.
    """
    lines = parse_lines(RoundsLine, path) if path.exists() else ()
    return {line.question_id: line for _, line in lines}


def write_rounds(path: Path, lines: Iterable[RoundsLine]) -> None:
    """Write what was asked in rounds."""
    write_jsonl(path, map(to_json, lines))


def delivered_ids(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of each question's passages, in prompt order, by its id."""
    return {name: line.passages for name, line in read_packed(path).items()}


def check_packed(path: Path, packed: Container[str], question_ids: Iterable[str]) -> None:
    """Refuse a packing without some question, as an interrupted extension leaves it."""
    if missing := next((name for name in question_ids if name not in packed), None):
        raise DataError(
            f"the run has no packing of question {missing!r}",
            where=str(path),
            fix="an extension was interrupted: run the same `ragbench run` command again",
        )


def write_packed(path: Path, lines: Iterable[PackedLine], *, imported: bool = False) -> None:
    """Write a packing; only an imported run says how many passages were delivered."""
    objects = [to_json(line) for line in lines]
    if not imported:
        for line in objects:
            del line["delivered"]
    write_jsonl(path, objects)

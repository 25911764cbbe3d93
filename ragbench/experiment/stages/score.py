"""Stage 3: raw records -> one row per question and cell; needs no model and can be repeated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import private
from ragbench.base.progress import say
from ragbench.base.records import NO_REPLY, REPEATED, Answered, Outcome, Question, Scoring
from ragbench.base.words import uncited
from ragbench.experiment.stages.prompts import continuations
from ragbench.metrics import metrics
from ragbench.metrics.choice import pick_option
from ragbench.metrics.likelihood import follows_length, option_mass, probabilities
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import TaskFacts
from ragbench.runfolder.looks.stopped import read_stopped
from ragbench.runfolder.packed import PackedLine, check_packed, read_packed
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import read_questions
from ragbench.runfolder.records import (
    ASK_AGAIN,
    Record,
    check_records,
    last_records,
    read_records,
    written_records,
)
from ragbench.runfolder.runfile import read_run_file
from ragbench.runfolder.scores import (
    EVERY_EMPTY,
    EVERY_LENGTH,
    EVERY_TIE,
    UNMEASURED,
    ScoreRow,
    write_scores,
)
from ragbench.runfolder.sums import check_inputs, measure, write_sums
from ragbench.tasks.replies import reply_readers
from ragbench.tasks.replies.patterns import MAX_PARSED
from ragbench.tasks.replies.traces import citing, opened_by_prompts, read_without_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """One answer as read; the fields are those of ``ScoreRow``."""

    outcome: Outcome
    pick: int | None = None
    tied: bool = False
    rule: str | None = None
    reply: str | None = None
    reasoning: str | None = None
    likeliest: int | None = None
    confidence: float | None = None
    option_mass: float | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """Counts of a scoring.

    Attributes:
        errors: Number of questions without an answer.
        unmeasured: Cells that have measured nothing, each with the reason.
    """

    errors: int
    unmeasured: tuple[str, ...]


def score_run(folder: RunPaths) -> int:
    """Score every question of every cell, and return the number of those without an answer."""
    return score_cells(folder).errors


def score_cells(folder: RunPaths, *, every_record: bool = True) -> Scored:
    """Score every question of every cell, and return what has no answer or measured nothing.

    A question without an answer is an error, not a wrong answer. So is every question of a cell in
    which all answers are ties or empty, or follow from the number of tokens alone: the first of
    tied options, or the shortest, would be right by chance.
    Nothing is scored that is not as the run has written it. ``every_record`` says whether the keys
    of all records are computed again; later rounds of a run leave that to its end.

    Raises:
        DataError: A file of the run has changed since it was written.
    """
    folder.check_inside()
    run = read_run_file(folder.run)
    sums = check_inputs(folder, run.format)
    if every_record:
        check_records(folder, run)
    rows = [
        row
        for task in run.config.tasks
        for row in _task_rows(folder, run.config, task.name, run.identity.tasks[task.name])
    ]
    with private(run.identity.is_restricted):
        write_scores(folder.scores(run.config.mode), rows)
        write_sums(folder, sums | measure(folder, [f"scores/{run.config.mode}.parquet"]))
    cells = {
        f"{row.model}, {row.task}, {row.arm}: {row.error}"
        for row in rows
        if row.error in UNMEASURED
    }
    return Scored(sum(row.outcome == "error" for row in rows), tuple(sorted(cells)))


def _task_rows(
    folder: RunPaths, config: RunConfig, task: str, facts: TaskFacts
) -> Iterator[ScoreRow]:
    every = read_questions(folder.questions(task))
    stopped = read_stopped(folder)
    asked = {} if stopped is None else stopped.n
    opened = {
        model.name: _opened(folder, model.name, task, facts)
        for model in config.models
        if facts.scoring == "generate"
    }
    for arm in facts.arms:
        held: dict[Path, dict[str, PackedLine]] = {}  # most arms have one file for all models
        for model in config.models:
            path = folder.delivered(task, arm, model.name)
            if path not in held:
                held[path] = read_packed(path)
                check_packed(path, held[path], (question.id for question in every))
            packed = held[path]
            questions = every[: asked.get((model.name, task, arm))]
            path = folder.records(model.name, task, arm)
            records = last_records(path)
            _report_long(facts, path, records)
            found = _readings(questions, records, facts, opened.get(model.name, ""))
            nothing = _nothing(found, records)
            if nothing is not None:
                found = [ReadAnswer(outcome="error", tied=reading.tied) for reading in found]
            values = _metrics(questions, found, records, facts, config.metrics)
            before = _written(folder, config, task, arm, model.name)
            for question, reading, value in zip(questions, found, values, strict=True):
                record, line = records.get(question.id), packed[question.id]
                cell = (config, model.name, task, arm)
                row = _row(cell, facts, question, record, line, reading, value, nothing)
                calls = before.get(question.id, ())
                yield replace(
                    row,
                    written_calls=len(calls),
                    written_sent_tokens=sum(call.sent_tokens for call in calls),
                    written_reply_tokens=sum(call.reply_tokens or 0 for call in calls),
                    written_seconds=sum(call.elapsed_s or 0.0 for call in calls),
                )


def _written(
    folder: RunPaths, config: RunConfig, task: str, arm: str, model: str
) -> dict[str, list[Record]]:
    """Return all that models wrote for an arm and a model before the answers, by question."""
    found: dict[str, list[Record]] = {}
    for question, _, record in written_records(folder, config, task, arm, model):
        found.setdefault(question, []).append(record)
    return found


def _nothing(found: Sequence[ReadAnswer], records: Mapping[str, Record]) -> str | None:
    """Return why the answers of a cell measure nothing; None if they do, or if there is none."""
    answered = [record for record in records.values() if record.error is None]
    if not answered:
        return None
    picked = [r for r in found if r.outcome not in ("error", "refused")]
    if all(r.tied for r in picked) and any(r.tied for r in picked):
        return EVERY_TIE
    replied = [record for record in answered if record.finish != "filtered"] or answered
    if all(record.reply is not None and not record.reply.strip() for record in replied):
        return EVERY_EMPTY
    likelihoods = [r.log_likelihoods or () for r in replied]
    if follows_length(likelihoods, [r.option_tokens or () for r in replied]):
        return EVERY_LENGTH
    return None


def _opened(folder: RunPaths, model: str, task: str, facts: TaskFacts) -> str:
    """Return the marker of a trace that a model's prompts opened, by its replies of all arms."""
    records = (r for arm in facts.arms for r in read_records(folder.records(model, task, arm)))
    return opened_by_prompts([r.reply for r in records if r.reply and not r.opened])


def _report_long(facts: TaskFacts, path: Path, records: Mapping[str, Record]) -> None:
    """Report the replies of which only the beginning and the end are searched for an answer."""
    long = [r for r in records.values() if r.reply and len(r.reply) > MAX_PARSED]
    if long and facts.reader == "option":
        say(
            f"note: {path.name}: {len(long):,} of {len(records):,} replies have more than "
            f"{MAX_PARSED:,} characters; their first and last {MAX_PARSED // 2:,} are read"
        )


def _readings(
    questions: Sequence[Question], records: Mapping[str, Record], facts: TaskFacts, opened: str
) -> list[ReadAnswer]:
    """Return the answers of a cell; ``opened`` is a trace that its prompts opened unrecorded."""
    held = [records.get(question.id) for question in questions]
    if facts.reader == "mirage":
        held = repeat_replies(held)
    return [
        read_answer(question, record, facts.scoring, facts.reader, opened, cites=bool(facts.cite))
        for question, record in zip(questions, held, strict=True)
    ]


def repeat_replies(records: Sequence[Record | None]) -> list[Record | None]:
    """Return one cell's records as MIRAGE's evaluation scores them, in the order of questions.

    Its loop keeps the last reply that it saw, so that a question without a reply is scored by the
    reply to the nearest question before it that has one. It walks the ids sorted as texts. If the
    first question has no reply, it stops with an error; here that question stays without one.
    """
    found: list[Record | None] = []
    before: str | None = None
    for record in records:
        if record is None or record.error is not None:
            found.append(record)
            continue
        if record.finish != NO_REPLY:
            before = record.reply
        repeated = record.finish == NO_REPLY and before is not None
        found.append(replace(record, reply=before, finish=REPEATED) if repeated else record)
    return found


def read_answer(
    question: Question,
    record: Record | None,
    scoring: Scoring,
    reader: str,
    opened: str,
    *,
    cites: bool = False,
) -> ReadAnswer:
    """Return the answer in a record.

    ``opened`` is a trace that its prompt opened unrecorded; ``cites`` says that the prompt asked
    for citations, which are no part of the answer.
    """
    if record is None or record.error is not None:
        return ReadAnswer(outcome="error")
    if record.finish == "filtered" and record.reply is not None:
        return ReadAnswer(outcome="refused", pick=None, reply=record.reply)
    if scoring == "generate":
        if record.reply is None:
            raise _without(question, record, "reply")
        read = reply_readers.get(reader, where=f"task {record.task}")
        read = citing(read) if cites else read
        opened = (record.opened or opened) if record.reply else ""
        finish = record.finish or ""
        found = read_without_trace(read, record.reply, question, finish, opened=opened)
        return ReadAnswer(
            outcome=found.outcome,
            pick=found.pick,
            rule=found.rule or None,
            reply=found.text,
            reasoning=found.reasoning or None,
        )
    if record.log_likelihoods is None:
        raise _without(question, record, "log-likelihoods")
    if len(record.log_likelihoods) != len(question.options):
        what = f"log-likelihood for each of its {len(question.options)} options"
        raise _without(question, record, what)
    if any(math.isnan(value) for value in record.log_likelihoods):
        raise _without(question, record, "number as one of its log-likelihoods")
    pick, tied = pick_option(record.log_likelihoods, continuations(question, scoring))
    shares = probabilities(record.log_likelihoods)
    sure = max(shares)
    return ReadAnswer(
        outcome="parsed",
        pick=pick,
        tied=tied,
        likeliest=shares.index(sure),
        confidence=sure,
        option_mass=option_mass(record.log_likelihoods),
    )


def _without(question: Question, record: Record, what: str) -> DataError:
    return DataError(
        f"the record of question {question.id!r} has no {what}",
        where=f"{record.model}, {record.task}, {record.arm}",
        fix=ASK_AGAIN,
    )


def _metrics(
    questions: Sequence[Question],
    found: Sequence[ReadAnswer],
    records: Mapping[str, Record],
    facts: TaskFacts,
    options: Mapping[str, Mapping[str, object]],
) -> list[dict[str, float]]:
    """Return the metrics of each question, without citations; NaN without an answer."""
    answered = {
        i: Answered(
            question,
            reading.outcome,
            reading.pick,
            uncited(reading.reply or "") if facts.cite else reading.reply or "",
            records[question.id].log_likelihoods or (),
        )
        for i, (question, reading) in enumerate(zip(questions, found, strict=True))
        if reading.outcome != "error"
    }
    values: list[dict[str, float]] = [dict.fromkeys(facts.metrics, float("nan")) for _ in questions]
    for name in facts.metrics:
        scored = metrics.get(name)(list(answered.values()), options.get(name, {}))
        for i, value in zip(answered, scored, strict=True):
            values[i][name] = float(value)
    return values


def _row(
    cell: tuple[RunConfig, str, str, str],
    facts: TaskFacts,
    question: Question,
    record: Record | None,
    packed: PackedLine,
    reading: ReadAnswer,
    values: Mapping[str, float],
    nothing: str | None,
) -> ScoreRow:
    config, model, task, arm = cell
    error = None
    if reading.outcome == "error":
        error = "not answered" if record is None else record.error or nothing
    return ScoreRow(
        model=model,
        task=task,
        arm=arm,
        mode=config.mode,
        scoring=facts.scoring,
        seed=config.seed,
        k=config.arm(arm).k,
        question_id=question.id,
        stratum=question.stratum,
        cluster=question.cluster,
        pick=reading.pick,
        tied=reading.tied,
        rule=reading.rule,
        reply=reading.reply,
        reasoning=reading.reasoning,
        likeliest=reading.likeliest,
        confidence=reading.confidence,
        option_mass=reading.option_mass,
        outcome=reading.outcome,
        error=error,
        answer=question.answer,
        has_gold=packed.gold_known > 0,
        gold_delivered=packed.gold,
        answer_truncated=packed.answer_truncated,
        delivered_k=packed.delivered,
        passage_tokens=packed.tokens,
        shortfall_tokens=packed.shortfall_tokens,
        left_out=packed.left_out,
        prompt_tokens=record.prompt_tokens if record else None,
        reply_tokens=record.reply_tokens if record else None,
        sent_tokens=record.sent_tokens if record and record.prompt_tokens is not None else None,
        cached_tokens=record.cached_tokens if record else None,
        finish=record.finish if record else None,
        elapsed_s=record.elapsed_s if record else None,
        ended_at=record.ended_at if record else None,
        model_calls=1 if record is None or record.model_calls is None else record.model_calls,
        metrics=values,
    )

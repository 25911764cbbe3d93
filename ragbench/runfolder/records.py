"""``records/MODEL+TASK+ARM.0.jsonl``: raw answers, appended and never rewritten."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl, sha256_json, write_jsonl
from ragbench.base.records import AnsweredBy
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import TaskFacts
from ragbench.runfolder.packed import PackedLine, read_filtered, read_packed
from ragbench.runfolder.passages import prompt_lines
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest, read_questions
from ragbench.runfolder.runfile import RunFile
from ragbench.runfolder.schema import SPARSE, parse, to_json

SUM = "sum"
Reused = Literal["run", "cache"]
# Fields of an answer, which are the same wherever its prompt is asked.
ANSWER = (
    *("log_likelihoods", "option_tokens", "reply", "reply_tokens", "prompt_tokens", "elapsed_s"),
    *("finish", "opened", "replaced", "cached_tokens", "reasoning_tokens", "requests", "texts"),
    *("unlisted", "answered_by", "fingerprint", "ended_at", "model_calls"),
)
SUFFIX = ".0.jsonl"
ASK_AGAIN = "remove the line; the question is then asked again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer, or the backend's error.

    Attributes:
        key: Digest of task, question, model, prompt, scoring, decoding and seed.
        passages: Ids of the delivered passages in prompt order.
        prompt: Digest of the rendered prompt; empty if unknown.
        log_likelihoods: One per option; None if the answer was generated or is missing.
        option_tokens: Number of tokens of each option.
        reply: The reply as the model wrote it; None if options were scored.
        elapsed_s: Seconds that the model took.
        error: The backend's error; None if it answered.
        finish: How the answer ended: ``scored``, ``stop``, ``length``, ``filtered``, ``error``, or
            as imported.
        opened: Marker of a reasoning trace that the prompt opened, if it did.
        reply_before_filter: An imported reply before lm-eval's filter, if that changed it.
        replaced: Halves of characters (lone surrogates) that are U+FFFD in the reply.
        question: Digest of the question as asked; empty in a record of format 4 or older.
        cached_tokens: Tokens of the prompt, or of all texts whose options were scored, that a
            server had cached, if it reports them.
        reasoning_tokens: Tokens of the reply that are of a reasoning trace, if a server reports
            them.
        requests: Requests in which a server scored the options; None if one for the prompt and one
            per option.
        texts: Texts that these requests held; None for one each.
        ended_at: Unix time at which the answer arrived; None in imported and earlier records.
        unlisted: Letters that the server did not list among its likeliest tokens.
        answered_by: The model that a server says has answered.
        fingerprint: The ``system_fingerprint`` of its answer.
        model_calls: Calls of language models that a runnable announced for its answer; None for any
            other model. Tokens are then theirs, and None unless all of them reported theirs.
        reused: Where the answer to the same prompt is from, if the model was not asked for it:
            ``run`` for another question or arm of the run, ``cache`` for an earlier run. Tokens,
            seconds and the time are those of that answer.
        sum: Digest of all other fields; None in a record of format 4 or older.
    """

    key: str
    model: str = ""
    task: str = ""
    arm: str = ""
    seed: int = 0
    scoring: str = ""
    question_id: str
    passages: tuple[str, ...] = ()
    prompt: str
    log_likelihoods: tuple[float, ...] | None
    option_tokens: tuple[int, ...] | None = None
    reply: str | None = None
    reply_tokens: int | None = None
    prompt_tokens: int | None = None
    elapsed_s: float | None = None
    error: str | None
    finish: str | None = None
    opened: str | None = field(default=None, metadata=SPARSE)
    reply_before_filter: str | None = field(default=None, metadata=SPARSE)
    replaced: int | None = field(default=None, metadata=SPARSE)
    question: str | None = field(default=None, metadata=SPARSE)
    cached_tokens: int | None = field(default=None, metadata=SPARSE)
    reasoning_tokens: int | None = field(default=None, metadata=SPARSE)
    requests: int | None = field(default=None, metadata=SPARSE)
    texts: int | None = field(default=None, metadata=SPARSE)
    unlisted: int | None = field(default=None, metadata=SPARSE)
    answered_by: str | None = field(default=None, metadata=SPARSE)
    fingerprint: str | None = field(default=None, metadata=SPARSE)
    ended_at: float | None = field(default=None, metadata=SPARSE)
    model_calls: int | None = field(default=None, metadata=SPARSE)
    reused: Reused | None = field(default=None, metadata=SPARSE)
    sum: str | None = field(default=None, metadata=SPARSE)

    @property
    def is_uncounted(self) -> bool:
        """Whether a runnable answered that did not report all its tokens."""
        return self.model_calls is not None and self.prompt_tokens is None

    @property
    def sent_tokens(self) -> int:
        """Tokens of all requests of the question; 0 if unknown, and where it has an error.

        A server scores options by the prompt alone and one text per option, and letters by fewer.
        """
        prompt, options = self.prompt_tokens or 0, self.option_tokens or ()
        texts = self.texts or self.requests
        if texts is not None and (self.unlisted or texts != len(options) + 1):
            return texts * prompt + (self.unlisted or 0) * (texts > 1)
        if self.reply is not None or not options:
            return prompt
        return (len(options) + 1) * prompt + sum(options)

    @property
    def by(self) -> AnsweredBy:
        """What the server said of the model that answered."""
        return AnsweredBy(self.answered_by or "", self.fingerprint or "")

    def file_name(self) -> str:
        """Return the name of the file that the record belongs to."""
        return f"{self.model}+{self.task}+{self.arm}{SUFFIX}"


class Covered:
    """The time that is covered by at least one of several intervals, in any order."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []

    def add(self, start: float, end: float) -> float:
        """Add an interval, and return the seconds that no interval before covered."""
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        starts, ends = self._starts[first:last], self._ends[first:last]
        low, high = min([start, *starts]), max([end, *ends])
        self._starts[first:last], self._ends[first:last] = [low], [high]
        return high - low - (sum(ends) - sum(starts))


def sealed(record: Record) -> Record:
    """Return the record with the digest of its fields, which its reader compares."""
    return replace(record, sum=_digest(to_json(replace(record, sum=None))))


def answer_of(record: Record) -> dict[str, object]:
    """Return the fields of a record's answer as JSON has them."""
    value = to_json(record)
    return {name: value[name] for name in ANSWER if name in value}


def with_answer(record: Record, answered: Record, reused: Reused | None) -> Record:
    """Return a record with the answer of another one to the same prompt, not sealed yet."""
    answer = {name: getattr(answered, name) for name in ANSWER}
    return replace(record, **answer, reused=reused, sum=None)


def _digest(value: Mapping[str, object]) -> str:
    return sha256_json({key: value[key] for key in value if key != SUM})


def pair_id(question: str, rank: int) -> str:
    """Return the id of a judgement by the passage's rank, or of an answer by its query's number."""
    return f"{question}#{rank}"


def written_records(
    files: RunPaths, config: RunConfig, task: str, arm: str, model: str
) -> Iterator[tuple[str, str, Record]]:
    """Yield all that was written for an arm and a model before its answers.

    Yields:
        Question, writer and record; several per question.
    """
    for writer, name in config.written_for(arm, model):
        is_pair = name.startswith(("filter.", "answers."))
        for record in last_records(files.written.records(writer, task, name)).values():
            question = record.question_id
            yield question.rpartition("#")[0] if is_pair else question, writer, record


class TextBefore(NamedTuple):
    """One text that a model wrote before an answer, or the verdict of a filter on a passage."""

    by: str
    name: str
    text: str


def texts_before(
    files: RunPaths, config: RunConfig, task: str, arm: str, model: str
) -> dict[str, list[TextBefore]]:
    """Return what was written for an arm and a model by question, in the order of the calls."""
    found: dict[str, list[TextBefore]] = {}
    for question, by, one in written_records(files, config, task, arm, model):
        if one.log_likelihoods is None:
            text = TextBefore(by, one.arm, one.reply or "(empty)")
            found.setdefault(question, []).append(text)
    for texts in found.values():
        texts.sort(key=lambda text: _round_of(text.name))
    like = config.imitated(arm).name
    own = files.filtered(task, like, model)
    for question, line in read_filtered(
        own if own.exists() else files.filtered(task, like)
    ).items():
        for passage, score in zip(line.passages, line.scores, strict=True):
            verdict = "kept" if score >= line.keep else "dropped"
            said = f"{passage} has the score {score:.3f} and is {verdict}"
            found.setdefault(question, []).append(TextBefore(line.by, "filter", said))
    return found


def _round_of(name: str) -> int:
    """Return the number of a round, whose answers follow its queries; 0 for other texts."""
    is_round = name.startswith(("rounds.", "answers."))
    return int(name.rpartition(".")[2]) if is_round else 0


def record_key(
    *, task: str, question: str, model: str, prompt: str, scoring: str, reply_limit: int, seed: int
) -> str:
    """Return the key of a record.

    Args:
        task: The registered task.
        question: Digest of the question.
        model: Digest of the model.
        prompt: Text of the rendered prompt.
        scoring: How the answer is taken.
        reply_limit: Maximum tokens of a reply; it counts where one is generated.
        seed: Seed of the run.
    """
    decoding = {"greedy": True, "reply_limit": reply_limit} if scoring == "generate" else None
    return sha256_json(
        {
            "task": task,
            "question": question,
            "model": model,
            "prompt": prompt,
            "scoring": scoring,
            "decoding": decoding,
            "seed": seed,
        }
    )


def imported_key(record: Record) -> str:
    """Return the key of an imported record: the digest of its other facts and its question."""
    facts = to_json(replace(record, question=None, sum=None))
    del facts["key"]
    return sha256_json([facts, record.question])


def check_records(files: RunPaths, run: RunFile) -> None:
    """Refuse records of another question, prompt, model or packing, by computing their keys again.

    So a record is found that was copied to another place with a sum that fits it there. A record
    that a run of format 4 or older began with has no digest of its question, and is not checked.

    Raises:
        DataError: A record is not of this run; the message names its line.
    """
    expected: dict[str, list[tuple[str, Record, TaskFacts, str]]] = {}
    for task in run.config.tasks:
        facts = run.identity.tasks[task.name]
        questions = {q.id: question_digest(q) for q in read_questions(files.questions(task.name))}
        for arm in facts.arms:
            held: dict[Path, dict[str, PackedLine]] = {}  # most arms have one file for all models
            for model in run.config.models:
                path = files.delivered(task.name, arm, model.name)
                if path not in held:
                    held[path] = read_packed(path) if path.exists() else {}
                packed = held[path]
                path = files.records(model.name, task.name, arm)
                for where, record in records_with_places(path):
                    if record.question is None:
                        continue
                    if record.question != questions.get(record.question_id):
                        raise _not_of_run(record, where, "answers another question")
                    line = packed.get(record.question_id)
                    if line is not None and record.passages != line.passages:
                        raise _not_of_run(record, where, "has other passages than its arm")
                    if not run.is_imported:
                        one = (where, replace(record, reply=None), facts, task.task)
                        expected.setdefault(record.prompt, []).append(one)
                    elif record.key != imported_key(record):
                        raise _not_of_run(record, where, "is not that of its key")
    for prompt in prompt_lines(files.prompts) if expected else ():
        for where, record, facts, task_name in expected.pop(prompt.digest, ()):
            key = record_key(
                task=task_name,
                question=record.question or "",
                model=run.identity.models[record.model].digest,
                prompt=prompt.text,
                scoring=facts.scoring,
                reply_limit=facts.reply_limit or 0,
                seed=run.config.seed,
            )
            if key != record.key:
                raise _not_of_run(record, where, "answers another prompt, or another model's")
    for records in expected.values():
        where, record, *_ = records[0]
        raise _not_of_run(record, where, "answers a prompt that the run does not have")


def _not_of_run(record: Record, where: str, what: str) -> DataError:
    return DataError(
        f"the record of question {record.question_id!r} {what}",
        where=where,
        fix="the run or the record was changed: restore it, or run the config again under another "
        "`name:`",
    )


def read_records(path: Path) -> Iterator[Record]:
    """Yield one cell's records in the order written; none if there is no file.

    Raises:
        DataError: A field of a record is missing or unreadable, the record has changed since it was
            written, it belongs to another cell, or it answers a question a second time.
    """
    for _, record in records_with_places(path):
        yield record


def records_with_places(path: Path) -> Iterator[tuple[str, Record]]:
    """Yield each record of ``read_records`` with its place ``FILE:LINE``."""
    if not path.exists():
        return
    answered: set[str] = set()
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        record = parse(Record, line, where, what="record", fix=ASK_AGAIN)
        if record.sum is not None and record.sum != _digest(line):
            what = f"the record of question {record.question_id!r} has changed since it was written"
            raise DataError(what, where=where, fix=ASK_AGAIN)
        if record.model and path.name.endswith(SUFFIX) and path.name != record.file_name():
            raise DataError(
                f"the record is of {record.model}, {record.task}, {record.arm}, not of this file's "
                "cell",
                where=where,
                fix="restore the file, or remove it; its questions are then asked again",
            )
        if record.sum is not None and record.question_id in answered:
            what = f"question {record.question_id!r} is answered a second time"
            raise DataError(what, where=where, fix="remove the line")
        if record.error is None:
            answered.add(record.question_id)
        yield where, record


def last_records(path: Path) -> dict[str, Record]:
    """Return the last record of each question: a later answer replaces an earlier error."""
    return {record.question_id: record for record in read_records(path)}


def place_of(path: Path, question_id: str) -> str:
    """Return the place ``FILE:LINE`` of the last record of a question."""
    places = {record.question_id: where for where, record in records_with_places(path)}
    return places.get(question_id, str(path))


def seal_records(path: Path) -> None:
    """Give every record of an older format its digest, so that the run can be continued."""
    records = list(read_records(path))
    if any(record.sum is None for record in records):
        write_jsonl(path, (to_json(r if r.sum else sealed(r)) for r in records))


def record_to_json(record: Record, *, imported: bool = False) -> dict[str, Any]:
    """Return the object of a record; an imported one has its error after its finish."""
    value = to_json(record)
    if imported:
        for key in ("error", "reply_before_filter", "question", SUM):
            if key in value:
                value[key] = value.pop(key)
    return value


def write_imported_records(path: Path, records: Iterable[Record]) -> None:
    """Write one cell of an imported run; other runs append line by line."""
    write_jsonl(path, (record_to_json(record, imported=True) for record in records))

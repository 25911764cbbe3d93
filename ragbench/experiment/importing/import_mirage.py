"""Published replies to MIRAGE's questions (Xiong et al. 2024), as a run.

Replies are JSON lines of ``{dataset, id, model, arm, replies}``, plain or gzip. The questions are
in MIRAGE's ``benchmark.json``, which ``ragbench.tasks.mirage_file`` reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ragbench.base.errors import DataError, UsageError, near
from ragbench.base.files import read_jsonl, sha256_file
from ragbench.base.progress import say
from ragbench.base.records import NO_REPLY, DataUse, Question
from ragbench.experiment.config.spec import CLOSED_BOOK
from ragbench.experiment.importing.import_fields import check_label, check_text
from ragbench.experiment.importing.imported import (
    NULL,
    Cell,
    ImportedAnswer,
    ImportedArm,
    ImportedRun,
    ImportedTask,
)
from ragbench.tasks.files.rows import json_object
from ragbench.tasks.mirage_file import TASKS, is_ambiguous, read_record, records

FIELDS = {"dataset": str, "id": str, "model": str, "arm": str, "replies": list}
AMBIGUOUS = "another option has the same text as the right one"
Replies = dict[tuple[str, str, str], dict[str, ImportedAnswer]]


def read_mirage_run(
    predictions: Path,
    benchmark: Path,
    *,
    name: str,
    mode: Literal["correct", "mirage"],
    missing: Literal["refuse", "error"] = "refuse",
    data_use: DataUse = "bring-your-own",
    bases: Mapping[str, str] | None = None,
) -> ImportedRun:
    """Return the run in a file of replies and a file of questions.

    Args:
        predictions: The replies.
        benchmark: The questions.
        name: The run's name.
        mode: ``mirage`` reads replies as MIRAGE's evaluation did; ``correct`` excludes questions
            whose right option has the same text as another.
        missing: ``error`` treats a question without a line as not answered, so that its cell is
            incomplete.
        data_use: Who may see the questions.
        bases: The general model that each biomedical one was made from, as the replies name them.

    Raises:
        DataError: A file is wrong, or a model has not answered every question of an arm.
    """
    questions = _questions(benchmark, mode)
    replies = _replies(predictions, questions)
    models = list(dict.fromkeys(model for model, _, _ in replies))
    arms = list(dict.fromkeys(arm for _, _, arm in replies))
    arms.sort(key=lambda arm: arm != CLOSED_BOOK)
    datasets = [d for d in questions if any(dataset == d for _, dataset, _ in replies)]
    tasks: list[ImportedTask] = []
    answers: dict[tuple[str, str, str], Cell] = {}
    for dataset in datasets:
        asked, excluded = questions[dataset]
        own = [arm for arm in arms if any((m, dataset, arm) in replies for m in models)]
        for model in models:
            for arm in own:
                cell = replies.get((model, dataset, arm), {})
                _check_whole(cell, asked, f"{model}, {dataset}, {arm}", predictions, missing)
                answers[model, TASKS[dataset], arm] = cell
        if excluded:
            say(f"note: {dataset}: {len(excluded):,} questions are excluded: {AMBIGUOUS}")
        tasks.append(
            ImportedTask(
                name=TASKS[dataset],
                questions=asked,
                reader="mirage" if mode == "mirage" else "option",
                licence="as MIRAGE states for its parts",
                excluded=tuple((identifier, AMBIGUOUS) for identifier in excluded),
                note="replies were imported; prompts and passages are not known",
            )
        )
    return ImportedRun(
        name=name,
        mode=mode,
        format="mirage",
        sources={path.name: sha256_file(path) for path in (predictions, benchmark)},
        tasks=tasks,
        arms=[ImportedArm(arm, _k(arm)) for arm in arms],
        models=models,
        answers=answers,
        description="Replies made elsewhere to MIRAGE's questions, scored again.",
        data_use=data_use,
        bases=_pairs(bases or {}, models),
        arms_of={
            TASKS[d]: [a for a in arms if (models[0], TASKS[d], a) in answers] for d in datasets
        },
    )


def _pairs(bases: Mapping[str, str], models: list[str]) -> dict[str, str]:
    for name in (*bases, *bases.values()):
        if name not in models:
            raise UsageError(f"there are no replies of the model {name!r}", fix=near(name, models))
    if both := sorted(bases.keys() & set(bases.values())):
        raise UsageError(f"{both[0]!r} is both a biomedical model and a base")
    return dict(bases)


def _k(arm: str) -> int | None:
    """Return the number that an arm's name ends with, as in ``medrag-32``."""
    found = re.search(r"-(\d{1,9})$", arm)
    return int(found[1]) if found else None


def _questions(path: Path, mode: str) -> dict[str, tuple[list[Question], list[str]]]:
    """Return the questions of each set in the order of their ids, and the excluded ids."""
    benchmark = json_object(path)
    found = {}
    for dataset in benchmark:
        if dataset not in TASKS:
            raise DataError(
                f"MIRAGE has no set {dataset!r}",
                where=str(path),
                fix=near(dataset, TASKS),
            )
        every = [
            read_record(row, where, "letter" if _is_letter(row) else "either")
            for where, row in records(path, benchmark, dataset)
        ]
        # Gold documents are dropped: the passages that were retrieved are not known.
        rows = [
            Question(q.id, q.text, q.options, q.answer, q.query, cluster=q.cluster) for q in every
        ]
        bad = [q.id for q in rows if mode == "correct" and is_ambiguous(q)]
        found[dataset] = ([q for q in rows if q.id not in bad], bad)
    return found


def _is_letter(row: Mapping[str, Any]) -> bool:
    """Say whether an answer is a letter of the options, as in MIRAGE's file, whatever they say."""
    options, answer = row.get("options"), row.get("answer")
    return isinstance(options, dict) and isinstance(answer, str) and answer.strip() in options


def _replies(path: Path, questions: Mapping[str, tuple[list[Question], list[str]]]) -> Replies:
    """Return the answers by (model, set, arm) and question."""
    known = {d: {q.id for q in asked} | set(bad) for d, (asked, bad) in questions.items()}
    left_out = {d: set(bad) for d, (_, bad) in questions.items()}
    found: Replies = {}
    places: dict[tuple[str, ...], str] = {}
    several = 0
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        _check_fields(line, where)
        dataset, identifier = line["dataset"], line["id"]
        if dataset not in known:
            raise DataError(
                f"the benchmark has no set {dataset!r}", where=where, fix=near(dataset, known)
            )
        if identifier not in known[dataset]:
            raise DataError(
                f"the set {dataset!r} has no question {identifier!r}",
                where=where,
                fix=near(identifier, known[dataset])[:200],
            )
        cell = (line["model"], dataset, line["arm"])
        if (*cell, identifier) in places:
            raise DataError(
                f"the question {identifier!r} of {dataset!r} is answered twice",
                where=f"{places[(*cell, identifier)]} and {where}",
            )
        places[(*cell, identifier)] = where
        held = found.setdefault(cell, {})
        if identifier not in left_out[dataset]:
            replies = line["replies"]
            several += len(replies) > 1
            held[identifier] = _answer(replies)
    if not found:
        raise DataError("the file has no replies", where=str(path))
    if several:
        say(f"note: {several:,} lines have several replies: the first is used, as in MIRAGE")
    return found


def _answer(replies: list[str | None]) -> ImportedAnswer:
    if not replies:
        return ImportedAnswer(reply="", finish=NO_REPLY)
    return NULL if replies[0] is None else ImportedAnswer(reply=replies[0])


def _check_fields(line: Mapping[str, Any], where: str) -> None:
    """Refuse a line with a missing or unknown field, or a value of the wrong type."""
    for field, kind in FIELDS.items():
        if not isinstance(line.get(field), kind):
            what = "a list" if kind is list else "text"
            raise DataError(f"the field {field!r} is missing or not {what}", where=where)
    if unknown := sorted(line.keys() - FIELDS.keys()):
        raise DataError(
            f"the line has an unknown field {unknown[0]!r}",
            where=where,
            fix=f"the fields are {', '.join(FIELDS)}",
        )
    if not all(isinstance(reply, str | None) for reply in line["replies"]):
        raise DataError(
            "the field 'replies' contains a value that is neither text nor null", where=where
        )
    check_label(line["model"], "a model", where)
    check_label(line["arm"], "an arm", where)
    for reply in line["replies"][:1]:
        check_text(reply or "", "the reply", where)


def _check_whole(
    cell: Cell, asked: list[Question], name: str, predictions: Path, missing: str
) -> None:
    unanswered = [question.id for question in asked if question.id not in cell]
    if unanswered and missing == "error":
        say(
            f"note: {name}: {len(unanswered):,} of {len(asked):,} questions have no line, so the "
            "cell is incomplete"
        )
    elif unanswered:
        raise DataError(
            f"{len(unanswered):,} of {len(asked):,} questions have no line in {name}, such as "
            f"{unanswered[0]!r}",
            where=str(predictions),
            fix="write a lost reply as a line with an empty list of replies, or add --missing "
            "error to treat questions without a line as not answered",
        )

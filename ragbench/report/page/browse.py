"""Every question as data for the browser of questions in the page.

The page holds up to four blocks of JSON: ``core`` has ids and numbers, ``texts`` the questions and
replies, ``passages`` and ``prompts`` what was delivered. A run with restricted data gets ``core``
only. A run that is too large for a page loses prompts first, then passages, then texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.base.errors import DataError
from ragbench.base.progress import stage
from ragbench.base.records import Passage, Question
from ragbench.runfolder.packed import check_packed, delivered_ids
from ragbench.runfolder.passages import read_passages, read_prompts
from ragbench.runfolder.records import Record, last_records, texts_before

LIMIT_BYTES = 20_000_000
PARTS = ("texts", "passages", "prompts")
# Valid in JSON strings, and they can neither open nor close an element; the rest is ASCII.
ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True)
class Browser:
    """The blocks of the question browser, escaped for ``<script>``.

    Attributes:
        blocks: JSON by name; empty where the run is too large even for numbers.
        withheld: Tasks and corpora whose data is restricted.
        left_out: Parts that exceed the limit.
    """

    blocks: dict[str, str]
    withheld: list[str]
    left_out: list[str]


_Packed = list[tuple[tuple[str, str], ...]]  # (corpus, id)s by question


@dataclass(frozen=True)
class _Cell:
    model: str
    arm: str
    scores: list[dict[str, Any]]  # in the order of the questions
    records: list[Record | None]
    before: list[str]  # what models wrote before each answer; empty where nothing was


@dataclass(frozen=True)
class _Task:
    name: str
    questions: Sequence[Question]
    packed: dict[str, _Packed]  # arm -> what all models get, or the first
    own: dict[str, list[_Packed]]  # arm -> what each model gets, if each gets its own passages
    cells: list[_Cell]


def embed(value: object) -> str:
    """Return JSON that cannot break out of a ``<script>`` element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(ESCAPES)


def browser(run: Run, *, limit: int = LIMIT_BYTES) -> Browser:
    """Return every question of a run, in blocks of at most ``limit`` bytes together."""
    with stage(f"page of {run.path.name}", len(run.scores)) as progress:
        tasks = []
        for name in run.members("tasks"):
            tasks.append(_task(run, name))
            progress.advance(len(run.scores[run.scores.task == name]))
        withheld = run.restricted_data()
        keys = list(dict.fromkeys(_delivered(tasks)))
        blocks = {"core": embed(_core(run, tasks, keys))}
        if len(blocks["core"]) > limit:
            return Browser({}, withheld, ["questions", *PARTS])
        left = limit - len(blocks["core"])
        for place, part in enumerate(() if withheld else PARTS):
            block = _part(run, part, tasks, keys, left)
            if block is None:
                return Browser(blocks, withheld, list(PARTS[place:]))
            blocks[part] = block
            left -= len(block)
    return Browser(blocks, withheld, [])


def _task(run: Run, name: str) -> _Task:
    questions = run.shared(name)
    ids = [question.id for question in questions]
    packed, own = {}, {}
    for arm in run.arms(name):
        readers = run.readers(arm)
        lists = [_delivery(run, name, arm, model, ids) for model in readers]
        packed[arm] = lists[0]
        if len(lists) > 1:
            own[arm] = lists
    cells = []
    for model in run.members("models"):
        for arm in run.arms(name):
            rows = run.cell(model, name, arm).to_dict(orient="records")
            scores = {str(row["question_id"]): row for row in rows}
            found = [{str(k): v for k, v in _score(run, scores, i).items()} for i in ids]
            records = last_records(run.files.records(model, name, arm))
            texts = texts_before(run.files, run.config, name, arm, model)
            before = [
                "\n\n".join(f"{x.by}, {x.name}: {x.text}" for x in texts.get(i, ())) for i in ids
            ]
            cells.append(_Cell(model, arm, found, [records.get(i) for i in ids], before))
    return _Task(name, questions, packed, own, cells)


def _delivery(run: Run, task: str, arm: str, model: str, ids: Sequence[str]) -> _Packed:
    path, corpus = run.files.packed(task, arm, model), run.corpus_of(task, arm)
    lines = delivered_ids(path)
    check_packed(path, lines, (question.id for question in run.questions(task)))
    return [tuple((corpus, passage) for passage in lines[i]) for i in ids]


def _score(run: Run, scores: dict[str, Any], question: str) -> Any:
    if question not in scores:
        raise DataError(
            f"the run has no score of question {question!r}",
            where=str(run.path),
            fix="an extension was interrupted: give the same `ragbench run` again",
        )
    return scores[question]


def _delivered(tasks: list[_Task]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        for lists in [*task.packed.values(), *(x for own in task.own.values() for x in own)]:
            for keys in lists:
                yield from keys


def _core(run: Run, tasks: list[_Task], keys: list[tuple[str, str]]) -> dict[str, Any]:
    """Return ids and numbers; no text of a question, passage or reply is among them."""
    numbers = {key: number for number, key in enumerate(keys)}
    return {
        "models": run.members("models"),
        "passages": [identifier for _, identifier in keys],
        "tasks": [
            {
                "name": task.name,
                "metric": run.metrics(task.name)[0],
                "graded": _graded(run, task.name),
                "scoring": run.facts(task.name).scoring,
                "unknown": _unknown(run, task.name),
                "ids": [question.id for question in task.questions],
                "strata": [question.stratum for question in task.questions],
                "answer": [question.answer for question in task.questions],
                "gold": [list(question.gold_doc_ids) for question in task.questions],
                "arms": run.arms(task.name),
                "packed": [
                    [[numbers[key] for key in keys] for keys in task.packed[arm]]
                    for arm in run.arms(task.name)
                ],
                "own": {
                    str(run.arms(task.name).index(arm)): [
                        [[numbers[key] for key in keys] for keys in lists] for lists in found
                    ]
                    for arm, found in task.own.items()
                },
                "cells": [_numbers(run, task, cell) for cell in task.cells],
            }
            for task in tasks
        ],
    }


def _unknown(run: Run, task: str) -> list[int]:
    """Return the indexes of the arms whose deliveries are not known."""
    model = run.members("models")[0]
    arms = run.arms(task)
    return [i for i, a in enumerate(arms) if run.cell(model, task, a).delivered_k.isna().all()]


def _graded(run: Run, task: str) -> bool:
    """Return whether the first metric takes other values than 0 and 1."""
    values = run.scores.loc[run.scores.task == task, run.metrics(task)[0]].dropna()
    return not bool(values.isin([0.0, 1.0]).all())


def _numbers(run: Run, task: _Task, cell: _Cell) -> dict[str, Any]:
    metric = run.metrics(task.name)[0]
    return {
        "model": run.members("models").index(cell.model),
        "arm": run.arms(task.name).index(cell.arm),
        "outcome": [str(row["outcome"]) for row in cell.scores],
        "pick": [_number(row["pick"]) for row in cell.scores],
        "right": [_number(row[metric]) for row in cell.scores],
        "tied": [int(bool(row["tied"])) for row in cell.scores],
        "likelihoods": [
            [_number(v) for v in record.log_likelihoods]
            if record is not None and record.log_likelihoods is not None
            else None
            for record in cell.records
        ],
    }


def _number(value: Any) -> int | float | None:
    if pd.isna(value) or not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 3)


def _part(
    run: Run, part: str, tasks: list[_Task], keys: list[tuple[str, str]], left: int
) -> str | None:
    """Return one block of texts, or None if there is no room for it."""
    sources = {"passages": run.files.passages, "prompts": run.files.prompts}
    source = sources.get(part, run.files.run)
    if source.is_file() and source.stat().st_size > 4 * left:
        return None  # too large to fit even without ids and digests, so not read
    if part == "texts":
        block = embed([_texts(task) for task in tasks])
    elif part == "passages":
        found = read_passages(run.files.passages)
        block = embed([_passage(found.get(key)) for key in keys])
    else:
        block = embed(_prompts(run, tasks))
    return block if len(block) <= left else None


def _texts(task: _Task) -> dict[str, Any]:
    names = ("reply", "reasoning", "error")
    return {
        "text": [question.text for question in task.questions],
        "queries": [q.query if q.query != q.text else "" for q in task.questions],
        "options": [list(question.options) for question in task.questions],
        "references": [question.reference for question in task.questions],
        "cells": [
            {name: _column(cell, name) for name in names}
            | {"before": cell.before if any(cell.before) else []}
            for cell in task.cells
        ],
    }


def _column(cell: _Cell, name: str) -> list[str | None]:
    """Return texts by question as the scores have them, else as the record has them."""
    texts: list[str | None] = []
    for row, record in zip(cell.scores, cell.records, strict=True):
        value = row.get(name)
        if value is None or pd.isna(value):
            value = {"reply": record.reply, "error": record.error}.get(name) if record else None
        texts.append(None if value is None else str(value))
    return texts if any(text is not None for text in texts) else []


def _passage(passage: Passage | None) -> list[str] | None:
    return None if passage is None else [passage.doc_id, passage.title, passage.text]


def _prompts(run: Run, tasks: list[_Task]) -> dict[str, Any]:
    found = read_prompts(run.files.prompts)
    numbers = {digest: number for number, digest in enumerate(found)}
    return {
        "texts": list(found.values()),
        "tasks": [
            [[numbers.get(r.prompt) if r else None for r in cell.records] for cell in task.cells]
            for task in tasks
        ],
    }

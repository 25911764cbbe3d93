"""Stage 3: raw records -> one row a question and cell; needs no model and may be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, read_jsonl
from ragbench.base.records import Answered, Question
from ragbench.experiment.folder import RunFolder, question_from_json
from ragbench.experiment.stages.prompts import continuations
from ragbench.metrics import metrics
from ragbench.metrics.choice import pick_option
from ragbench.metrics.likelihood import probabilities
from ragbench.tasks.replies import reply_readers

WHOLE = (
    *("k", "pick", "reply_tokens", "prompt_tokens"),
    *("delivered_k", "passage_tokens", "shortfall_tokens", "left_out"),
)
TEXT = ("cluster", "error", "rule", "reply", "reasoning", "finish")


def score_run(folder: RunFolder) -> int:
    """Score every question of every cell; one that has no answer is an error, not a wrong one.

    Args:
        folder: The run.

    Returns:
        How many rows have the outcome ``error``.
    """
    import pandas as pd

    run = folder.read()
    rows = [row for task in run["config"]["tasks"] for row in _task_rows(folder, run, task["name"])]
    table = pd.DataFrame(rows)
    for column in WHOLE:
        table[column] = table[column].astype("Int64")
    table["confidence"] = table["confidence"].astype("float64")
    for column in TEXT:
        table[column] = table[column].astype("string")
    with atomic_file(folder.scores(run["config"]["mode"])) as handle:
        table.to_parquet(handle, index=False)
    return int((table["outcome"] == "error").sum())


def _task_rows(folder: RunFolder, run: dict[str, Any], task: str) -> Iterator[dict[str, Any]]:
    config, about = run["config"], run["identity"]["tasks"][task]
    questions = [question_from_json(line) for _, line in read_jsonl(folder.questions(task))]
    sizes = {arm["name"]: arm["k"] for arm in config["arms"]}
    for arm in about["arms"]:
        packing = {line["question_id"]: line for _, line in read_jsonl(folder.packed(task, arm))}
        if lacking := next((q.id for q in questions if q.id not in packing), None):
            raise DataError(
                f"the run has not packed anything for question {lacking!r}",
                where=str(folder.packed(task, arm)),
                fix="an extension was interrupted: give the same `ragbench run` again",
            )
        for model in config["models"]:
            records = _records(folder, model["name"], task, arm)
            cell = {
                "model": model["name"],
                "task": task,
                "arm": arm,
                "mode": config["mode"],
                "scoring": about["scoring"],
                "seed": config["seed"],
                "k": sizes[arm],
            }
            found = [_answer(q, records.get(q.id), about) for q in questions]
            values = _metrics(questions, found, records, about["metrics"], config["metrics"])
            for question, answer, value in zip(questions, found, values, strict=True):
                row = _row(question, records.get(question.id), packing[question.id], answer)
                yield cell | row | value


def _records(folder: RunFolder, model: str, task: str, arm: str) -> dict[str, dict[str, Any]]:
    """Return the last record of each question; a later answer replaces an earlier error."""
    return {record["question_id"]: record for record in folder.read_records(model, task, arm)}


def _answer(
    question: Question, record: dict[str, Any] | None, about: dict[str, Any]
) -> dict[str, Any]:
    """Return outcome and pick, with how they were read."""
    scoring = about["scoring"]
    nothing = {"pick": None, "tied": False, "rule": None, "reply": None, "reasoning": None}
    nothing["confidence"] = None
    if record is None or record["error"] is not None:
        return nothing | {"outcome": "error"}
    if scoring == "generate":
        if not isinstance(record.get("reply"), str):
            raise DataError(
                f"the record of question {question.id!r} has no reply",
                where=f"{record.get('model')}, {record.get('task')}, {record.get('arm')}",
                fix="remove the line; the question is then asked again",
            )
        read = reply_readers.get(about["reader"], where=f"task {record.get('task')}")
        found = read(record["reply"], question, record["finish"])
        return nothing | {
            "outcome": found.outcome,
            "pick": found.pick,
            "rule": found.rule or None,
            "reply": found.text,
            "reasoning": found.reasoning or None,
        }
    pick, tied = pick_option(record["log_likelihoods"], continuations(question, scoring))
    sure = probabilities(record["log_likelihoods"])[pick]
    return nothing | {"outcome": "parsed", "pick": pick, "tied": tied, "confidence": sure}


def _metrics(
    questions: list[Question],
    found: list[dict[str, Any]],
    records: dict[str, dict[str, Any]],
    names: list[str],
    options: dict[str, dict[str, Any]],
) -> list[dict[str, float]]:
    """Return the metrics of each question; NaN where there is no answer."""
    answered = {
        i: Answered(
            question,
            answer["outcome"],
            answer["pick"],
            answer["reply"] or "",
            tuple(records[question.id].get("log_likelihoods") or ()),
        )
        for i, (question, answer) in enumerate(zip(questions, found, strict=True))
        if answer["outcome"] != "error"
    }
    values: list[dict[str, float]] = [dict.fromkeys(names, float("nan")) for _ in questions]
    for name in names:
        scored = metrics.get(name)(list(answered.values()), options.get(name, {}))
        for i, value in zip(answered, scored, strict=True):
            values[i][name] = float(value)
    return values


def _row(
    question: Question,
    record: dict[str, Any] | None,
    packing: dict[str, Any],
    answer: dict[str, Any],
) -> dict[str, Any]:
    failed = answer["outcome"] == "error"
    facts = record or {}
    return {
        "question_id": question.id,
        "stratum": question.stratum,
        "cluster": question.cluster,
        **answer,
        "error": facts.get("error", "not answered") if failed else None,
        "answer": question.answer,
        "has_gold": packing["gold_known"] > 0,
        "gold_delivered": packing["gold"],
        "answer_truncated": packing.get("answer_truncated", False),
        # What an imported run delivered is not known.
        "delivered_k": packing.get("delivered", len(packing["passages"])),
        "passage_tokens": packing["tokens"],
        "shortfall_tokens": packing["shortfall_tokens"],
        "left_out": packing["left_out"],
        "prompt_tokens": facts.get("prompt_tokens"),
        "reply_tokens": facts.get("reply_tokens"),
        "finish": facts.get("finish"),
        "elapsed_s": facts.get("elapsed_s"),
    }

"""Stage 3: raw records -> one row a question and cell; needs no model and may be repeated."""

from __future__ import annotations

from typing import Any

from ragbench.errors import DataError
from ragbench.experiment.folder import RunFolder, question_from_json
from ragbench.files import atomic_file, read_jsonl
from ragbench.metrics import metrics
from ragbench.metrics.choice import pick_option
from ragbench.records import Question


def score_run(folder: RunFolder) -> int:
    """Score every question of every cell; one that has no answer is an error, not a wrong one.

    Args:
        folder: The run.

    Returns:
        How many rows have the outcome ``error``.

    Raises:
        DataError: A record is not whole.
    """
    import pandas as pd

    run = folder.read()
    config = run["config"]
    rows: list[dict[str, Any]] = []
    for task in config["tasks"]:
        questions = [
            question_from_json(line) for _, line in read_jsonl(folder.questions(task["name"]))
        ]
        names = run["identity"]["tasks"][task["name"]]["metrics"]
        for arm in config["arms"]:
            packing = {
                line["question_id"]: line
                for _, line in read_jsonl(folder.packed(task["name"], arm["name"]))
            }
            for model in config["models"]:
                records = _records(folder, model["name"], task["name"], arm["name"])
                for question in questions:
                    cell = {
                        "model": model["name"],
                        "task": task["name"],
                        "arm": arm["name"],
                        "mode": config["mode"],
                        "scoring": config["scoring"],
                        "seed": config["seed"],
                        "k": arm["k"],
                    }
                    if question.id not in packing:
                        raise DataError(
                            f"the run has not packed anything for question {question.id!r}",
                            where=str(folder.packed(task["name"], arm["name"])),
                            fix="an extension was interrupted: give the same `ragbench run` again",
                        )
                    row = _row(question, records.get(question.id), packing[question.id], names)
                    rows.append(cell | row)
    table = pd.DataFrame(rows)
    table["k"] = table["k"].astype("Int64")
    table["pick"] = table["pick"].astype("Int64")
    with atomic_file(folder.scores(config["mode"])) as handle:
        table.to_parquet(handle, index=False)
    return int((table["outcome"] == "error").sum())


def _records(folder: RunFolder, model: str, task: str, arm: str) -> dict[str, dict[str, Any]]:
    """Return the last record of each question; a later answer replaces an earlier error."""
    return {record["question_id"]: record for record in folder.read_records(model, task, arm)}


def _row(
    question: Question,
    record: dict[str, Any] | None,
    packing: dict[str, Any],
    names: list[str],
) -> dict[str, Any]:
    answered = record is not None and record["error"] is None
    pick, tied = None, False
    if record is not None and answered:
        pick, tied = pick_option(record["log_likelihoods"], question.options)
    values = {
        name: metrics.get(name)(question, pick) if answered else float("nan") for name in names
    }
    return {
        "question_id": question.id,
        "stratum": question.stratum,
        "cluster": question.cluster,
        "outcome": "parsed" if answered else "error",
        "error": None if answered else (record or {}).get("error", "not answered"),
        "pick": pick,
        "answer": question.answer,
        "tied": tied,
        "delivered_k": len(packing["passages"]),
        "passage_tokens": packing["tokens"],
        "shortfall_tokens": packing["shortfall_tokens"],
        "prompt_tokens": (record or {}).get("prompt_tokens"),
        "elapsed_s": (record or {}).get("elapsed_s"),
        **values,
    }

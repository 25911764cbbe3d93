"""Makes a run by hand: answers as letters, so that every figure can be counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.runfolder.runfile import FORMAT, RunFile, parse_run_file, run_file_to_json

OUTCOMES = {"?": "unparsed", "!": "refused", ">": "truncated", "x": "error"}

RESAMPLES = 2000
FULL: dict[str, Any] = {
    **{"mode": "correct", "scoring": "generate", "seed": 3, "k": 0, "pick": None, "tied": False},
    **{"confidence": float("nan"), "has_gold": False, "gold_delivered": 0},
    **{"answer_truncated": False, "delivered_k": 0.0, "passage_tokens": 0.0},
    **{"shortfall_tokens": 0.0, "left_out": 0, "prompt_tokens": 100.0, "reply_tokens": 2.0},
    **{"elapsed_s": 0.5},
}


def about_of(
    config: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]], **identity: Any
) -> RunFile:
    """Return what a run.json says that has a config and tasks, and what every run has."""
    facts = {"n": 0, "arms": [], "metrics": ["accuracy"], "scoring": "generate"}
    every = {"seed": 3, "models": [], "arms": [], "tasks": [{"name": task} for task in tasks]}
    value: dict[str, Any] = {
        "format": FORMAT,
        "config": {**every, **config},
        "identity": {
            "tasks": {name: {**facts, **task} for name, task in tasks.items()},
            **identity,
        },
    }
    return parse_run_file(value, "run.json")


def edited(run: Run, place: str, value: object) -> Run:
    """Return a run whose run.json has another value in a place; ... takes it out.

    Args:
        run: The run.
        place: Keys and numbers with dots between them, such as ``config.arms.-1.order``.
        value: What is put there.
    """
    about: Any = json.loads(json.dumps(run_file_to_json(run.about)))
    inner = about
    *parents, last = place.split(".")
    for key in parents:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return replace(run, about=parse_run_file(about, "run.json"))


def make_run(
    path: Path,
    cells: Mapping[tuple[str, str, str], str],
    *,
    bases: Mapping[str, str] | None = None,
    clusters: Sequence[int] | None = None,
    options: int = 4,
    controls: Mapping[str, str] | None = None,
    full: bool = False,
) -> Run:
    """Return a run of generated answers.

    Args:
        path: Its folder; the questions are written there.
        cells: For each (model, task, arm) a letter a question: 1 right, 0 wrong, ? unparsed,
            ! refused, > truncated, x failed. Blanks are skipped.
        bases: The base of each biomedical model.
        clusters: The cluster of each question.
        options: How many options each question has.
        controls: The arm that each control of an arm's name imitates, as random passages.
        full: Whether the scores have every column, what is not known missing.
    """
    models, tasks, arms = (list(dict.fromkeys(k[i] for k in cells)) for i in range(3))
    rows = []
    for (model, task, arm), text in cells.items():
        for i, letter in enumerate(text.replace(" ", "")):
            rows.append(
                {
                    **{"model": model, "task": task, "arm": arm, "question_id": f"q{i}"},
                    "stratum": "",
                    "cluster": None if clusters is None else str(clusters[i]),
                    "outcome": OUTCOMES.get(letter, "parsed"),
                    "accuracy": float("nan") if letter == "x" else float(letter == "1"),
                    "answer": i % options,
                }
            )
            if full:
                rows[-1] = FULL | rows[-1]
    (path / "questions").mkdir(parents=True)
    for task in tasks:
        n = max(len(t.replace(" ", "")) for k, t in cells.items() if k[1] == task)
        lines = [
            {
                **{"id": f"q{i}", "text": f"Question {i}?", "query": f"Question {i}?"},
                **{"options": [f"option {j}" for j in range(options)], "answer": i % options},
                **{"gold_doc_ids": [], "stratum": "", "cluster": None, "reference": ""},
            }
            for i in range(n)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (path / "questions" / f"{task}.jsonl").write_text(text, encoding="utf-8")
    known = {**(controls or {})}
    about = about_of(
        {
            "models": [{"name": m, "base": (bases or {}).get(m)} for m in models],
            "tasks": [{"name": task, "task": task} for task in tasks],
            "arms": [
                {"name": a, "control": "random" if a in known else None, "like": known.get(a)}
                for a in arms
            ],
            "analysis": {"resamples": RESAMPLES},
        },
        {
            task: {
                "arms": [a for a in arms if any(k[1:] == (task, a) for k in cells)],
                "cluster_unit": None if clusters is None else "patient",
            }
            for task in tasks
        },
    )
    quality = pd.DataFrame(columns=["task", "retriever", "question_id", "measure", "value"])
    return Run(path, about, pd.DataFrame(rows), quality, {})

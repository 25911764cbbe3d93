"""Makes a run by hand, so that every figure can be counted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.runfolder.records import Record, write_imported_records
from ragbench.runfolder.retrieval import RetrievalNote
from ragbench.runfolder.runfile import FORMAT, RunFile, parse_run_file, run_file_to_json
from ragbench.runfolder.schema import to_json

Lines = Sequence[Mapping[str, Any]]
OUTCOMES = {"?": "unparsed", "!": "refused", ">": "truncated", "x": "error"}
RESAMPLES = 2000
FULL: dict[str, Any] = {
    **{"mode": "correct", "scoring": "generate", "seed": 3, "k": 0, "pick": None, "tied": False},
    **{"confidence": float("nan"), "gold_delivered": 0},
    **{"answer_truncated": False, "delivered_k": 0.0, "passage_tokens": 0.0},
    **{"shortfall_tokens": 0.0, "left_out": 0, "prompt_tokens": 100.0, "reply_tokens": 2.0},
    **{"elapsed_s": 0.5},
}


def question(identifier: str, text: str, **fields: Any) -> dict[str, Any]:
    """Return a line of ``questions/``: by default a question of yes, no and maybe."""
    base = {"options": ["yes", "no", "maybe"], "answer": 0, "gold_doc_ids": []}
    line = {"id": identifier, "text": text, "query": text, "stratum": "", "cluster": None}
    return line | {"reference": ""} | base | fields


def passage(identifier: str, text: str, title: str = "") -> dict[str, str]:
    """Return a line of ``passages.jsonl``; the part before ``#`` is the document."""
    doc_id = identifier.partition("#")[0]
    return {"corpus": "c", "id": identifier, "doc_id": doc_id, "title": title, "text": text}


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


def clustered(run: Run, task: str, cluster_of: Mapping[str, str]) -> Run:
    """Return a run whose questions of a task name the clusters that are given by their id."""
    lines = [
        {**to_json(asked), "cluster": cluster_of.get(asked.id)} for asked in run.questions(task)
    ]
    _write(run.files.questions(task), lines)
    return replace(run)


def make_run(
    path: Path,
    cells: Mapping[tuple[str, str, str], str] | None = None,
    *,
    bases: Mapping[str, str] | None = None,
    clusters: Sequence[int] | None = None,
    options: int = 4,
    controls: Mapping[str, str] | None = None,
    full: bool = False,
    questions: Mapping[str, Lines] | None = None,
    passages: Lines = (),
    packed: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    right: Mapping[str, Mapping[str, float]] | None = None,
) -> Run:
    """Return a run of generated answers whose questions and passages are in its folder.

    Args:
        path: The folder.
        cells: One letter per question for each (model, task, arm): 1 right, 0 wrong, ? unparsed,
            ! refused, > truncated, x failed; blanks are skipped. By default a model ``m`` is asked
            in every arm of ``packed``.
        bases: The base of each biomedical model.
        clusters: The cluster of each question.
        options: The number of options of questions that are not given.
        controls: The arm that each control of an arm's name imitates, as random passages.
        full: Whether the scores have every column, with missing values where nothing is known.
        questions: Lines by task.
        passages: The passages that were delivered.
        packed: Ids of passages by arm and question; a question left out got none.
        right: Accuracy by arm and question without ``cells``: 1 by default, NaN for an error.
    """
    given = packed or {}
    accuracies = right or {}
    scored = {key: list(text.replace(" ", "")) for key, text in (cells or {}).items()} or {
        ("m", task, arm): [_letter(accuracies.get(arm, {}).get(q["id"], 1.0)) for q in lines]
        for task, lines in (questions or {}).items()
        for arm in given or ("closed-book",)
    }
    models, tasks, arms = (list(dict.fromkeys(key[i] for key in scored)) for i in range(3))
    lines_of = questions or {
        task: [
            question(f"q{i}", f"Question {i}?", answer=i % options)
            | {"options": [f"option {j}" for j in range(options)]}
            for i in range(max(len(found) for key, found in scored.items() if key[1] == task))
        ]
        for task in tasks
    }
    if clusters is not None:
        lines_of = {
            task: [
                {**line, "cluster": str(code)} for line, code in zip(lines, clusters, strict=False)
            ]
            for task, lines in lines_of.items()
        }
    held = {str(line["doc_id"]) for line in passages}
    rows: list[dict[str, Any]] = []
    for (model, task, arm), found in scored.items():
        for asked, letter in zip(lines_of[task], found, strict=False):
            row = {
                **{"model": model, "task": task, "arm": arm, "question_id": asked["id"]},
                "stratum": asked["stratum"],
                "cluster": asked["cluster"],
                "outcome": OUTCOMES.get(letter, "parsed"),
                "has_gold": arm != "closed-book" and bool(held & set(asked["gold_doc_ids"])),
                "accuracy": _accuracy(letter),
                "answer": asked["answer"],
            }
            rows.append(FULL | row if full else row)
    _write(path / "passages.jsonl", passages)
    for task, lines in lines_of.items():
        _write(path / "questions" / f"{task}.jsonl", lines)
        for arm in arms:
            by_question = given.get(arm, {})
            packing = [
                {"question_id": q["id"], "passages": by_question.get(q["id"], [])} for q in lines
            ]
            _write(path / "packed" / f"{task}+{arm}.jsonl", packing)
    known = {**(controls or {})}
    about = about_of(
        {
            "models": [{"name": m, "base": (bases or {}).get(m)} for m in models],
            "tasks": [{"name": task, "task": task} for task in tasks],
            "arms": [
                {"name": a, "control": "random" if a in known else None, "like": known.get(a)}
                | {"retriever": "r" if given.get(a) else None}
                for a in arms
            ],
            "analysis": {"resamples": RESAMPLES},
        },
        {
            task: {
                "n": len(lines_of[task]),
                "arms": [a for a in arms if any(key[1:] == (task, a) for key in scored)],
            }
            for task in tasks
        },
    )
    notes = {(task, "r"): RetrievalNote(corpus="c") for task in tasks if given}
    quality = pd.DataFrame(columns=["task", "retriever", "question_id", "measure", "value"])
    return Run(path, about, pd.DataFrame(rows), quality, notes)


def with_arms(run: Run, **keys: Mapping[str, Any]) -> Run:
    """Return a run whose arms have other keys in the config; underscores in a name are hyphens."""
    for name, value in keys.items():
        arm = name.replace("_", "-")
        place = run.members("arms").index(arm)
        run = edited(run, f"config.arms.{place}", {"name": arm, **value})
    return run


def with_gold(run: Run, arm: str, delivered: str, task: str = "t") -> Run:
    """Return a run with so many gold passages delivered per question; ``-`` has no known gold."""
    scores = run.scores.copy()
    mine = (scores.task == task) & (scores.arm == arm)
    letters = list(delivered.replace(" ", "")) * scores.model.nunique()
    scores.loc[mine, "has_gold"] = [letter != "-" for letter in letters]
    scores.loc[mine, "gold_delivered"] = [int(letter.replace("-", "0")) for letter in letters]
    return replace(run, scores=scores)


def write_prompts(run: Run, arm: str, digests: Sequence[str], task: str = "t") -> None:
    """Write the records of an arm, with the digest of each question's prompt."""
    for model in run.members("models"):
        records = [
            Record(key="", question_id=q.id, prompt=digest, log_likelihoods=None, error=None)
            for q, digest in zip(run.questions(task), digests, strict=False)
        ]
        path = run.files.records(model, task, arm)
        path.parent.mkdir(exist_ok=True)
        write_imported_records(path, records)


def _letter(accuracy: float) -> str:
    return "x" if math.isnan(accuracy) else str(accuracy)


def _accuracy(letter: str) -> float:
    """Return the accuracy of a letter; a fraction is its own."""
    return float("nan") if letter == "x" else 0.0 if letter in OUTCOMES else float(letter)


def _write(path: Path, lines: Lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

"""A scored run folder made by hand, file by file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.runfolder.runfile import FORMAT

Lines = Sequence[Mapping[str, Any]]


def question(identifier: str, text: str, **fields: Any) -> dict[str, Any]:
    """Return a line of ``questions/``: a question of yes, no and maybe, if not told otherwise."""
    base = {"options": ["yes", "no", "maybe"], "answer": 0, "gold_doc_ids": []}
    line = {"id": identifier, "text": text, "query": text, "stratum": "", "cluster": None}
    return line | base | fields


def passage(identifier: str, text: str, title: str = "") -> dict[str, str]:
    """Return a line of ``passages.jsonl``; what stands before ``#`` is the document."""
    doc_id = identifier.partition("#")[0]
    return {"corpus": "c", "id": identifier, "doc_id": doc_id, "title": title, "text": text}


def make_run(
    folder: Path,
    questions: Mapping[str, Lines],
    passages: Lines = (),
    packed: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    right: Mapping[str, Mapping[str, float]] | None = None,
) -> Path:
    """Write a run of one model ``m``, asked in every arm.

    Args:
        folder: Where to.
        questions: The questions of each task.
        passages: What was delivered.
        packed: By arm, the passages' ids by question; what is left out got none.
        right: By arm, the accuracy by question; 1 where it is left out, NaN for an error.

    Returns:
        The folder.
    """
    packed = packed or {"closed-book": {}}
    held = {str(line["doc_id"]) for line in passages}
    arms = [{"name": arm, "retriever": None if arm == "closed-book" else "r"} for arm in packed]
    tasks = {
        task: {
            "n": len(lines),
            "arms": list(packed),
            "metrics": ["accuracy"],
            "scoring": "generate",
        }
        for task, lines in questions.items()
    }
    config = {
        "mode": "correct",
        "seed": 7,
        "models": [{"name": "m", "base": None}],
        "tasks": [{"name": task} for task in questions],
        "arms": [arm | {"control": None, "like": None} for arm in arms],
        "analysis": {"alpha": 0.05, "resamples": 2000},
    }
    identity = {"tasks": tasks, "models": {"m": {}}, "corpora": {}, "indexes": {}}
    _write(folder / "run.json", [{"format": FORMAT, "config": config, "identity": identity}])
    _write(folder / "passages.jsonl", passages)
    scores = []
    for task, lines in questions.items():
        _write(folder / "questions" / f"{task}.jsonl", lines)
        _write(folder / "retrieval" / f"{task}+r.json", [{"corpus": "c"}])
        _write(folder / "retrieval" / f"{task}+r.quality.jsonl", [])
        for arm, ids in packed.items():
            given = [{"question_id": q["id"], "passages": ids.get(q["id"], [])} for q in lines]
            _write(folder / "packed" / f"{task}+{arm}.jsonl", given)
            for q in lines:
                score = (right or {}).get(arm, {}).get(q["id"], 1.0)
                scores.append(
                    {
                        "model": "m",
                        "task": task,
                        "arm": arm,
                        "question_id": q["id"],
                        "cluster": q["cluster"],
                        "stratum": q["stratum"],
                        "outcome": "error" if score != score else "parsed",
                        "has_gold": arm != "closed-book" and bool(held & set(q["gold_doc_ids"])),
                        "accuracy": score,
                    }
                )
    (folder / "scores").mkdir()
    pd.DataFrame(scores).to_parquet(folder / "scores" / "correct.parquet")
    return folder


def _write(path: Path, lines: Lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

"""Gives a run folder that a test has changed the sums of a folder that was written so."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_json, sha256_text, write_jsonl
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest, read_questions
from ragbench.runfolder.records import record_key
from ragbench.runfolder.runfile import SEAL
from ragbench.runfolder.sums import GROWING, INPUTS, SCORES, measure, write_sums


def sealed_line(record: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a record with the sum of its present fields."""
    rest = {key: value for key, value in record.items() if key != "sum"}
    return rest | {"sum": sha256_json(rest)}


def _key(about: dict[str, Any], record: dict[str, Any], prompt: str) -> str:
    """Return the key of a changed record of a run that was not imported."""
    (task,) = (one["task"] for one in about["config"]["tasks"] if one["name"] == record["task"])
    return record_key(
        task=task,
        question=record["question"],
        model=about["identity"]["models"][record["model"]]["digest"],
        prompt=prompt,
        scoring=record["scoring"],
        reply_limit=about["identity"]["tasks"][record["task"]]["reply_limit"] or 0,
        seed=record["seed"],
    )


def reseal(run: Path, *, questions: bool = True) -> None:
    """Write the sums of a run's present files, as if ragbench had written them.

    Without ``questions``, records keep the digest of the question that they answered.
    """
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    about.pop(SEAL, None)
    text = json.dumps(about | {SEAL: sha256_json(about)})  # escapes half of a surrogate pair
    (run / "run.json").write_text(text, encoding="utf-8")
    folder = RunPaths(run)
    asked: dict[str, str] = {}
    digests: dict[str, str] = {}
    texts: dict[str, str] = {}
    for path in (run / "prompts").glob("*.jsonl"):
        prompts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        digests |= {prompt["digest"]: sha256_text(prompt["text"]) for prompt in prompts}
        changed = [prompt | {"digest": digests[prompt["digest"]]} for prompt in prompts]
        text = "".join(json.dumps(prompt) + "\n" for prompt in changed)
        path.write_text(text, encoding="utf-8")
        texts |= {prompt["digest"]: prompt["text"] for prompt in changed}
    for path in sorted((run / "records").glob("*.jsonl")):
        task = path.name.split("+")[1]
        with suppress(DataError):  # questions that a test has broken
            asked = {q.id: question_digest(q) for q in read_questions(folder.questions(task))}
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if questions and asked:
            records = [record for record in records if record["question_id"] in asked]
        for record in records:
            record["prompt"] = digests.get(record["prompt"], record["prompt"])
            if record["model"] not in path.name:
                record["model"] = path.name.partition("+")[0]
            if questions and record.get("question") is not None:
                record["question"] = asked.get(record["question_id"], record["question"])
            with suppress(KeyError, TypeError):  # a run.json that a test has broken
                record["key"] = _key(about, record, texts[record["prompt"]])
        write_jsonl(path, map(sealed_line, records))
    write_sums(folder, measure(folder, (*INPUTS, *GROWING, *SCORES)))

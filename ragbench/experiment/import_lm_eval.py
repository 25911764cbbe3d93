"""Per-sample logs of the lm-evaluation-harness (``--log_samples``), as a run.

A file ``samples_TASK_DATE.jsonl`` has a line a document: ``doc_id, doc, target, arguments, resps``.
Multiple choice keeps the log-likelihood of each continuation, which are the options; generation
keeps the reply, which is compared with the target as a text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragbench import home
from ragbench.errors import DataError, UsageError
from ragbench.experiment.imported import ImportedArm, ImportedRun, ImportedTask
from ragbench.experiment.spec import CLOSED_BOOK
from ragbench.files import read_jsonl, sha256_file, sha256_text
from ragbench.records import Question

NAME = re.compile(r"samples_(.+)_\d{4}-\d{2}-\d{2}T[\d.:-]+\.jsonl(?:\.gz)?$")
TEXT_METRICS = ("exact_match", "rougeL", "rouge1")
ASKED = ("question", "query", "input", "text", "Question")


@dataclass(frozen=True)
class _Sample:
    question: Question
    record: dict[str, Any]
    prompt: str
    doc: str
    where: str


def read_lm_eval_run(samples: Sequence[str], *, name: str, model: str) -> ImportedRun:
    """Read sample logs.

    Args:
        samples: Paths, or ``ARM=PATH`` for logs of another arm than closed-book.
        name: The run's name.
        model: What the model is called.

    Returns:
        The run.

    Raises:
        DataError: A file is no such log, or the logs of a task's arms are of other documents.
        UsageError: Two logs are of one task and arm.
    """
    home.check_name(model, what="a model")
    found: dict[tuple[str, str], dict[str, _Sample]] = {}
    sources: dict[str, str] = {}
    prompts: dict[str, str] = {}
    for given in samples:
        arm, equals, rest = given.partition("=")
        arm, path = (arm, Path(rest)) if equals else (CLOSED_BOOK, Path(given))
        home.check_name(arm, what="an arm")
        task = _task(path)
        if (task, arm) in found:
            raise UsageError(
                f"two logs are of the task {task!r} and the arm {arm!r}",
                where=str(path),
                fix="write ARM=PATH for each arm",
            )
        found[task, arm] = _read(path)
        sources[f"{arm}={path.name}"] = sha256_file(path)
        prompts |= {sha256_text(s.prompt): s.prompt for s in found[task, arm].values()}
    names = list(dict.fromkeys(task for task, _ in found))
    arms = sorted(dict.fromkeys(arm for _, arm in found), key=lambda arm: arm != CLOSED_BOOK)
    of = {task: [arm for arm in arms if (task, arm) in found] for task in names}
    for task in names:
        _check_alike([found[task, arm] for arm in of[task]])
    return ImportedRun(
        name=name,
        mode="correct",
        sources=sources,
        tasks=[_imported(task, list(found[task, of[task][0]].values())) for task in names],
        arms=[ImportedArm(arm) for arm in arms],
        models=[model],
        records={
            (model, task, arm): {i: s.record for i, s in found[task, arm].items()}
            for task, arm in found
        },
        description="Sample logs of the lm-evaluation-harness, scored again.",
        arms_of=of,
        prompts=prompts,
    )


def _task(path: Path) -> str:
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    found = NAME.search(path.name)
    if found is None:
        raise DataError(
            "the file's name is not that of a sample log",
            where=str(path),
            fix="it is samples_TASK_DATE.jsonl, as --log_samples writes it",
        )
    return home.check_name(found[1], what="a task")


def _imported(task: str, samples: Sequence[_Sample]) -> ImportedTask:
    is_text = not samples[0].question.options
    return ImportedTask(
        name=task,
        questions=[sample.question for sample in samples],
        scoring="generate" if is_text else "options",
        answers="text" if is_text else "option",
        reader="text" if is_text else "option",
        metrics=TEXT_METRICS if is_text else ("accuracy", "brier"),
        note="imported from a log of the lm-evaluation-harness; passages are not known",
    )


def _read(path: Path) -> dict[str, _Sample]:
    found: dict[str, _Sample] = {}
    filters: dict[str, Any] = {}
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        sample = _sample(line, where)
        identifier = sample.question.id
        if identifier in found:
            if filters[identifier] == line.get("filter"):
                raise DataError(f"the document {identifier} stands twice", where=where)
            continue  # the same answer through another filter
        filters[identifier] = line.get("filter")
        found[identifier] = sample
    if not found:
        raise DataError("the log holds no sample", where=str(path))
    if len({bool(sample.question.options) for sample in found.values()}) > 1:
        raise DataError("the log mixes multiple choice and generation", where=str(path))
    return found


def _sample(line: Mapping[str, Any], where: str) -> _Sample:
    for field in ("doc_id", "doc", "target", "arguments", "resps"):
        if field not in line:
            raise DataError(
                f"the line has no field {field!r}",
                where=where,
                fix="give a log that --log_samples of lm-eval 0.4 wrote",
            )
    arguments, resps = line["arguments"], line["resps"]
    if isinstance(arguments, dict):
        arguments = [list(part.values()) for part in arguments.values() if isinstance(part, dict)]
    try:
        prompt = str(arguments[0][0])
        second = [part[1] for part in arguments]
        first = resps[0][0]
    except (IndexError, KeyError, TypeError):
        raise DataError(
            "the fields 'arguments' and 'resps' are not those of a sample", where=where
        ) from None
    doc = json.dumps(line["doc"], sort_keys=True, ensure_ascii=False)
    asked = _asked(line["doc"], doc)
    base: dict[str, Any] = {"id": str(line["doc_id"]), "text": asked, "query": asked}
    digest = sha256_text(prompt)
    if isinstance(second[0], str) and isinstance(first, list):
        options = tuple(text.removeprefix(" ") for text in map(str, second))
        sums = [_likelihood(response, where) for response in resps]
        if len(sums) != len(options) or len(options) < 2:
            raise DataError(
                f"there are {len(options)} continuations and {len(sums)} answers",
                where=where,
                fix="only multiple choice of two options and more, and generation, are imported",
            )
        answer = _answer(line, options, sums, where)
        question = Question(**base, options=options, answer=answer)
        record = {"log_likelihoods": sums, "finish": "scored", "prompt": digest}
    elif isinstance(second[0], dict) and isinstance(first, str):
        question = Question(**base, options=(), answer=-1, reference=str(line["target"]))
        record = {"reply": first, "prompt": digest}
    else:
        raise DataError(
            "the sample is neither of multiple choice nor of generation",
            where=where,
            fix="rolling log-likelihoods (perplexity) cannot be imported",
        )
    return _Sample(question, record, prompt, doc, where)


def _asked(doc: Any, whole: str) -> str:
    if isinstance(doc, dict):
        for name in ASKED:
            if isinstance(doc.get(name), str) and doc[name].strip():
                return str(doc[name]).strip()
    return whole


def _likelihood(response: Any, where: str) -> float:
    try:
        value = float(response[0][0])
    except (TypeError, ValueError, IndexError):
        raise DataError("a log-likelihood in 'resps' is no number", where=where) from None
    if not math.isfinite(value):
        raise DataError("a log-likelihood in 'resps' is not finite", where=where)
    return value


def _answer(
    line: Mapping[str, Any], options: Sequence[str], sums: Sequence[float], where: str
) -> int:
    """Return the index of the target, which the log gives as a number or as a text."""
    target = str(line["target"]).strip()
    found = [i for i, option in enumerate(options) if option.strip() == target]
    if target.isdigit() and int(target) < len(options):
        found.append(int(target))
    if len(set(found)) > 1 and "acc" in line:  # what was recorded tells which was meant
        best = list(sums).index(max(sums))
        found = [i for i in found if float(i == best) == float(line["acc"])]
    if len(set(found)) != 1:
        raise DataError(
            f"the target {target!r} is not one of the {len(options)} options",
            where=where,
            fix="tasks with several right answers cannot be imported",
        )
    return found[0]


def _check_alike(arms: Sequence[Mapping[str, _Sample]]) -> None:
    """Refuse arms whose logs are of other documents."""
    for other in arms[1:]:
        for identifier, sample in arms[0].items():
            if identifier not in other:
                raise DataError(
                    f"the document {identifier} stands in one arm's log alone", where=sample.where
                )
            if other[identifier].doc != sample.doc:
                raise DataError(
                    f"the document {identifier} is another one in two arms",
                    where=f"{sample.where} and {other[identifier].where}",
                )
        if extra := next((i for i in other if i not in arms[0]), None):
            raise DataError(
                f"the document {extra} stands in one arm's log alone", where=other[extra].where
            )

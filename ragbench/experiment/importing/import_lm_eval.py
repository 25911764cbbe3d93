"""Per-sample logs of the lm-evaluation-harness (``--log_samples``), as a run.

A file ``samples_TASK_DATE.jsonl`` has one line per document: ``doc_id, doc, target, arguments,
resps``. A multiple-choice log has the log-likelihood of each continuation; the continuations are
the options. A generation log has replies; ragbench scores the filtered reply as a letter or text of
the document's options, or else as a text against the target.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError, near
from ragbench.base.files import read_jsonl, sha256_file, sha256_text
from ragbench.base.progress import say
from ragbench.base.records import Answered, DataUse
from ragbench.experiment.config.spec import CLOSED_BOOK
from ragbench.experiment.importing.imported import ImportedArm, ImportedRun, ImportedTask
from ragbench.experiment.importing.lm_eval_sample import LoggedSample, read_sample
from ragbench.metrics.choice import pick_option
from ragbench.metrics.text import exact_match
from ragbench.tasks.replies.correct import read_option

NAME = re.compile(r"samples_(.+)_\d{4}-\d{2}-\d{2}T[\d.:-]+\.jsonl(?:\.gz)?$")
TEXT_METRICS: tuple[str, ...] = ("exact_match", "rougeL", "rouge1")
THEIRS = {"scored": "acc_norm", "choice": "exact_match", "text": "exact_match"}
NOTES = {
    "scored": "imported from a log of the lm-evaluation-harness; accuracy is its acc_norm, "
    "accuracy_sum its acc",
    "choice": "imported from a log of the lm-evaluation-harness; the reply is what its filter left",
    "text": "imported from a log of the lm-evaluation-harness; the reply is what its filter left",
}


def read_lm_eval_run(
    samples: Sequence[str],
    *,
    name: str,
    model: str,
    filter_: str | None = None,
    data_use: DataUse = "bring-your-own",
) -> ImportedRun:
    """Return the run in some sample logs.

    Args:
        samples: Paths, or ``ARM=PATH`` for logs of an arm other than closed-book.
        name: The run's name.
        model: Name to give the model.
        filter_: Name of the filter to use, if a log has several.
        data_use: Who may see the questions.

    Raises:
        DataError: A file is not such a log, or the arms of a task have different documents.
        UsageError: Two logs have the same task and arm.
    """
    home.check_name(model, what="a model")
    found: dict[tuple[str, str], dict[str, LoggedSample]] = {}
    sources: dict[str, str] = {}
    prompts: dict[str, str] = {}
    for given in samples:
        arm, equals, rest = given.partition("=")
        arm, path = (arm, Path(rest)) if equals else (CLOSED_BOOK, Path(given))
        home.check_name(arm, what="an arm")
        task = _task(path)
        if (task, arm) in found:
            raise UsageError(
                f"two logs have the task {task!r} and the arm {arm!r}",
                where=str(path),
                fix="write ARM=PATH for each arm",
            )
        found[task, arm] = _one_kind(_read(path, task, filter_), path)
        _compare(f"{task}, {arm}", list(found[task, arm].values()))
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
        format="lm-eval",
        sources=sources,
        tasks=[_imported(task, list(found[task, of[task][0]].values())) for task in names],
        arms=[ImportedArm(arm) for arm in arms],
        models=[model],
        answers={
            (model, task, arm): {i: s.answer for i, s in found[task, arm].items()}
            for task, arm in found
        },
        description="Sample logs of the lm-evaluation-harness, scored again.",
        arms_of=of,
        prompts=prompts,
        data_use=data_use,
    )


def _task(path: Path) -> str:
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    found = NAME.search(path.name)
    if found is None:
        raise DataError(
            "the file does not have the name of a sample log",
            where=str(path),
            fix="--log_samples writes samples_TASK_DATE.jsonl",
        )
    return home.check_name(found[1], what="a task")


def _imported(task: str, samples: Sequence[LoggedSample]) -> ImportedTask:
    kind = samples[0].kind
    metrics = TEXT_METRICS
    if kind == "scored":
        has_norm = any("acc_norm" in sample.logged for sample in samples)
        metrics = ("accuracy", "accuracy_sum") if has_norm else ("accuracy_sum", "accuracy")
    elif kind == "choice":
        metrics = ("accuracy",)
    return ImportedTask(
        name=task,
        questions=[sample.question for sample in samples],
        scoring="options" if kind == "scored" else "generate",
        answers="text" if kind == "text" else "option",
        reader="text" if kind == "text" else "option",
        metrics=(*metrics, "brier") if kind == "scored" else metrics,
        note=NOTES[kind],
    )


def _read(path: Path, task: str, filter_: str | None) -> dict[str, LoggedSample]:
    """Return the samples of a log by document, all from one filter."""
    every = [read_sample(line, task, f"{path}:{number}") for number, line in read_jsonl(path)]
    names = list(dict.fromkeys(sample.filter_name for sample in every))
    if filter_ is not None and names and filter_ not in names:
        raise UsageError(
            f"the log has no filter {filter_!r}", where=str(path), fix=near(filter_, names)
        )
    if filter_ is None and len(names) > 1 and every[0].kind != "scored":
        raise UsageError(
            f"the log has replies of {len(names)} filters",
            where=str(path),
            fix=f"choose one with --filter: {', '.join(names)}",
        )
    wanted = filter_ if filter_ is not None else names[0] if names else ""
    found: dict[str, LoggedSample] = {}
    for sample in every:
        if sample.filter_name != wanted:
            continue
        if sample.question.id in found:
            raise DataError(f"the document {sample.question.id} appears twice", where=sample.where)
        found[sample.question.id] = sample
    if not found:
        raise DataError("the log has no samples", where=str(path))
    return found


def _one_kind(samples: Mapping[str, LoggedSample], path: Path) -> dict[str, LoggedSample]:
    """Return the samples, all of one kind; DataError if they are mixed."""
    kinds = {sample.kind for sample in samples.values()}
    if len(kinds) == 1:
        return dict(samples)
    raise DataError(
        f"the log mixes {' and '.join(sorted(kinds))} answers",
        where=str(path),
        fix="import a log of one kind: multiple choice, replies whose target is an option of the "
        "document, or texts",
    )


def _compare(task: str, samples: Sequence[LoggedSample]) -> None:
    """Report documents that score differently from lm-eval's own metric."""
    different = 0
    for sample in samples:
        theirs = sample.logged.get(THEIRS[sample.kind])
        different += theirs is not None and theirs != _ours(sample)
    if different:
        say(
            f"note: {task}: {different:,} of {len(samples):,} documents score differently from "
            f"lm-eval's {THEIRS[samples[0].kind]}"
        )


def _ours(sample: LoggedSample) -> float:
    question, reply = sample.question, sample.answer.reply or ""
    if sample.kind == "scored":
        pick, _ = pick_option(sample.answer.log_likelihoods or (), question.options)
        return float(pick == question.answer)
    if sample.kind == "choice":
        read = read_option(reply, question, "stop").pick
        return float(read == question.answer)
    answered = Answered(question, "parsed", None, reply.strip())
    return exact_match([answered], {})[0]


def _check_alike(arms: Sequence[Mapping[str, LoggedSample]]) -> None:
    """Refuse arms whose logs have different documents."""
    for other in arms[1:]:
        for only in sorted(other.keys() ^ arms[0].keys()):
            where = (other.get(only) or arms[0][only]).where
            raise DataError(f"the document {only} appears in the log of only one arm", where=where)
        for identifier, sample in arms[0].items():
            if other[identifier].doc != sample.doc:
                raise DataError(
                    f"the document {identifier} differs between two arms",
                    where=f"{sample.where} and {other[identifier].where}",
                )

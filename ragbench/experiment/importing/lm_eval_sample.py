"""One line of a sample log of the lm-evaluation-harness: the question and its answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_text
from ragbench.base.records import Question
from ragbench.experiment.importing.import_fields import check_text
from ragbench.experiment.importing.imported import NULL, ImportedAnswer
from ragbench.tasks.replies.answers import letters

NEEDED = ("doc_id", "doc", "target", "arguments", "resps")
ASKED = ("question", "query", "input", "text", "Question")
OPTIONS = ("choices", "options")
LIST = re.compile(r"^\[(?:'.*'|\".*\"|-?\d+(?:, -?\d+)+)\]$", re.DOTALL)


@dataclass(frozen=True)
class LoggedSample:
    """A document with its answer.

    Attributes:
        question: The question, without options if the answer is a text.
        prompt: The prompt that the model read.
        doc: The document as JSON, for comparison between logs.
        filter_name: Name of the filter that the answer went through.
        kind: ``scored`` options, a written ``choice`` or a written ``text``.
        logged: lm-eval's own metrics.
        where: File and line.
    """

    question: Question
    answer: ImportedAnswer
    prompt: str
    doc: str
    filter_name: str
    kind: str
    logged: dict[str, float]
    where: str


def read_sample(line: Mapping[str, Any], task: str, where: str) -> LoggedSample:
    """Return the sample on a line.

    Raises:
        DataError: It is not a sample, or its output type has neither options nor a reply.
    """
    for field in NEEDED:
        if field not in line:
            raise DataError(
                f"the line has no field {field!r}",
                where=where,
                fix="give a log that --log_samples of lm-eval 0.4 wrote",
            )
    arguments, resps = _requests(line, where)
    doc = json.dumps(line["doc"], sort_keys=True, ensure_ascii=False)
    asked = check_text(_asked(line["doc"], doc), "the document", where)
    base: dict[str, Any] = {"id": str(line["doc_id"]), "text": asked, "query": asked}
    prompt = check_text(str(arguments[0][0]), "the prompt", where)
    first, second = resps[0][0], arguments[0][1] if len(arguments[0]) > 1 else None
    if isinstance(second, str) and isinstance(first, list):
        question, answer = _scored(line, base, arguments, resps, task, where)
        kind = "scored"
    elif isinstance(second, dict) and isinstance(first, str | None):
        question, answer = _written(line, base, first, prompt, where)
        kind = "choice" if question.options else "text"
    else:
        found = "" if second is not None else ": loglikelihood_rolling (perplexity)"
        raise DataError(
            f"the sample is neither multiple choice nor generation{found}",
            where=f"{where}, task {task}",
            fix="only the output types multiple_choice and generate_until can be imported",
        )
    names = line.get("metrics")
    logged = {
        str(name): _logged(line[name], where)
        for name in (names if isinstance(names, list) else ("acc", "acc_norm", "exact_match"))
        if isinstance(line.get(str(name)), int | float)
    }
    answer = replace(answer, prompt=sha256_text(prompt))
    filter_name = str(line.get("filter", "none"))
    return LoggedSample(question, answer, prompt, doc, filter_name, kind, logged, where)


def _requests(line: Mapping[str, Any], where: str) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the arguments of each request and its responses."""
    arguments, resps = line["arguments"], line["resps"]
    if isinstance(arguments, dict):
        arguments = [list(part.values()) for part in arguments.values() if isinstance(part, dict)]
    whole = isinstance(arguments, list) and isinstance(resps, list) and arguments and resps
    if not whole or not all(isinstance(part, list) and part for part in [*arguments, *resps]):
        raise DataError("the fields 'arguments' and 'resps' are not those of a sample", where=where)
    return arguments, resps


def _asked(doc: Any, whole: str) -> str:
    if isinstance(doc, dict):
        for name in ASKED:
            if isinstance(doc.get(name), str) and doc[name].strip():
                return str(doc[name]).strip()
    return whole


def _scored(
    line: Mapping[str, Any],
    base: Mapping[str, Any],
    arguments: Sequence[Sequence[Any]],
    resps: Sequence[Any],
    task: str,
    where: str,
) -> tuple[Question, ImportedAnswer]:
    """Return question and answer of multiple choice; the continuations are the options."""
    if len(arguments) % 2 == 0 and all(part[0] == "" for part in arguments[len(arguments) // 2 :]):
        half = len(arguments) // 2  # the rest has no context, for mutual information
        arguments, resps = arguments[:half], resps[:half]
    if any(len(part) < 2 for part in arguments):
        raise DataError("a request in 'arguments' has no continuation", where=where)
    texts = [check_text(str(part[1]), "an option", where) for part in arguments]
    sums = [_likelihood(response, where) for response in resps]
    if len(sums) != len(texts) or len(texts) < 2:
        kind = "" if len(texts) > 1 else ", as of the output type loglikelihood"
        raise DataError(
            f"there are {len(texts)} continuations and {len(sums)} answers{kind}",
            where=f"{where}, task {task}",
            fix="only generation and multiple choice with two or more options can be imported",
        )
    if len({str(part[0]) for part in arguments}) > 1:
        raise DataError(
            "the options are in the prompts, not in the continuations",
            where=f"{where}, task {task} (multiple_choice with several inputs)",
            fix="such a task cannot be imported",
        )
    delimited = all(text.startswith(" ") for text in texts)
    options = tuple(text[1:] if delimited else text for text in texts)
    answer = _answer(line, options, sums, where)
    question = Question(**base, options=options, answer=answer)
    return question, ImportedAnswer(log_likelihoods=tuple(sums), finish="scored")


def _logged(value: float, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise DataError("a logged metric is beyond any number", where=where) from None


def _likelihood(response: Any, where: str) -> float:
    try:
        value = float(response[0][0])
    except (TypeError, ValueError, LookupError, OverflowError):
        raise DataError("a log-likelihood in 'resps' is not a number", where=where) from None
    if not math.isfinite(value):
        raise DataError("a log-likelihood in 'resps' is not finite", where=where)
    return value


def _answer(
    line: Mapping[str, Any], options: Sequence[str], sums: Sequence[float], where: str
) -> int:
    """Return the index of the target, which the log gives as a number or as a text."""
    target = str(line["target"]).strip()
    found = [i for i, option in enumerate(options) if option.strip() == target]
    if target.isascii() and target.isdigit() and len(target) < 10 and int(target) < len(options):
        found.append(int(target))
    if "acc" in line and found:  # the logged accuracy decides between readings
        best = list(sums).index(max(sums))
        agree = [i for i in found if float(i == best) == line["acc"]]
        if not agree:
            raise DataError(
                f"the log's acc {line['acc']} contradicts its target {target!r} and its "
                "log-likelihoods",
                where=where,
                fix="tasks with their own way of scoring cannot be imported",
            )
        found = agree
    if len(set(found)) > 1:
        shown = " or ".join(repr(options[i][:60]) for i in dict.fromkeys(found))
        raise DataError(
            f"the target {target!r} can be read as the text or the number of an option: {shown}",
            where=where,
            fix="tasks with several right answers cannot be imported",
        )
    if not found:
        raise DataError(
            f"the target {target!r} is not one of the {len(options)} options",
            where=where,
            fix="tasks with several right answers cannot be imported",
        )
    return found[0]


def _written(
    line: Mapping[str, Any], base: Mapping[str, Any], raw: str | None, prompt: str, where: str
) -> tuple[Question, ImportedAnswer]:
    """Return question and answer of a reply, as lm-eval's filter left it."""
    target = check_text(str(line["target"]), "the target", where).strip()
    if LIST.match(target):
        raise DataError(
            f"the target {target[:60]!r} is a list",
            where=where,
            fix="tasks with several right answers cannot be imported",
        )
    if not target:
        raise DataError("the target is empty", where=where)
    answer = NULL if raw is None else _reply(line, raw, where)
    options = _listed(line["doc"])
    place = _place(target, options, prompt)
    if place is None:
        return Question(**base, options=(), answer=-1, reference=target), answer
    for option in options:
        check_text(option, "an option", where)
    return Question(**base, options=options, answer=place), answer


def _reply(line: Mapping[str, Any], raw: str, where: str) -> ImportedAnswer:
    reply = _filtered(line, raw, where)
    return ImportedAnswer(
        reply=check_text(reply, "the reply", where),
        reply_before_filter=None if reply == raw else check_text(raw, "the reply", where),
    )


def _filtered(line: Mapping[str, Any], raw: str, where: str) -> str:
    found = line.get("filtered_resps", [raw])
    while isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, str):
        raise DataError("the field 'filtered_resps' contains no text", where=where)
    return found


def _listed(doc: Any) -> tuple[str, ...]:
    """Return the options that a document lists, or none."""
    if not isinstance(doc, dict):
        return ()
    for name in OPTIONS:
        value = doc.get(name)
        if isinstance(value, dict):
            value = value["text"] if isinstance(value.get("text"), list) else list(value.values())
        if isinstance(value, list) and 2 <= len(value) <= 26:
            texts = [text.strip() for text in value if isinstance(text, str)]
            if len(texts) == len(value) == len(set(texts)) and all(texts):
                return tuple(texts)
    return ()


def _place(target: str, options: Sequence[str], prompt: str) -> int | None:
    """Return the option that a target names by its letter, or by its text if options are listed."""
    letter = target.strip("().: ")
    if letter in letters(len(options)):
        return letters(len(options)).index(letter)
    listed = all(option in prompt for option in options)
    return options.index(target) if listed and target in options else None

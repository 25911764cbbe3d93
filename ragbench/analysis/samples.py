"""What was asked, delivered and answered, question by question; every line is checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragbench.analysis.load import Run
from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.base.records import Passage, Question

NUMBER = (int, float)
OPEN = ("open", "bring-your-own")


@dataclass(frozen=True, slots=True)
class Answer:
    """The last record of one question in one cell.

    Attributes:
        prompt: Digest of the rendered prompt.
        log_likelihoods: One an option; None where the answer was generated, or there is none.
        reply: The reply as the model wrote it; None where options were scored.
        error: What the backend said; None if it answered.
    """

    prompt: str
    log_likelihoods: tuple[float, ...] | None
    reply: str | None
    error: str | None


def restricted_data(run: Run) -> list[str]:
    """Return the tasks and corpora whose text must not be shown; unknown data use counts.

    Args:
        run: The run.

    Returns:
        Each as ``task NAME`` or ``corpus NAME``.
    """
    identity = run.about["identity"]
    corpora = identity.get("corpora", {})
    held = [*corpora, *(index["corpus"]["name"] for index in identity["indexes"].values())]
    names = {*held, *(str(note["corpus"]) for note in run.retrievals)}
    closed = {n for n in names if corpora.get(n, {}).get("data_use") not in OPEN}
    tasks = [n for n in run.members("tasks") if identity["tasks"][n].get("data_use") not in OPEN]
    return [*(f"task {name}" for name in tasks), *(f"corpus {name}" for name in sorted(closed))]


def read_questions(run: Run, task: str) -> list[Question]:
    """Return the questions of a task in the order asked.

    Args:
        run: The run.
        task: The task's name.

    Returns:
        The questions.

    Raises:
        DataError: A line is not a question, or two have one id.
    """
    path = _file(run, "questions", task, suffix=".jsonl")
    found: dict[str, Question] = {}
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        question = Question(
            id=_text(line, "id", where),
            text=_text(line, "text", where),
            options=_texts(line, "options", where),
            answer=_value(line, "answer", int, where),
            query=_text(line, "query", where),
            gold_doc_ids=_texts(line, "gold_doc_ids", where),
            stratum=_text(line, "stratum", where),
            cluster=_optional(line, "cluster", where),
            reference=_optional(line, "reference", where) or "",
            documents=_texts(line, "documents", where) if "documents" in line else (),
        )
        beyond = not 0 <= question.answer < len(question.options)
        if question.id in found or (beyond and not question.reference):
            what = "repeats an id" if question.id in found else "has an answer beyond its options"
            raise DataError(f"the question {question.id!r} {what}", where=where, fix=AGAIN)
        found[question.id] = question
    return list(found.values())


def read_packed(run: Run, task: str, arm: str) -> dict[str, tuple[str, ...]]:
    """Return the ids of the passages that each question got in an arm, in prompt order.

    Args:
        run: The run.
        task: The task's name.
        arm: The arm's name.

    Returns:
        Passage ids by question id.
    """
    path = _file(run, "packed", task, arm, suffix=".jsonl")
    return {
        _text(line, "question_id", f"{path}:{number}"): _texts(line, "passages", f"{path}:{number}")
        for number, line in read_jsonl(path)
    }


def read_answers(run: Run, model: str, task: str, arm: str) -> dict[str, Answer]:
    """Return the last record of each question of a cell; none if the cell has no file.

    Args:
        run: The run.
        model: The model's name.
        task: The task's name.
        arm: The arm's name.

    Returns:
        Answers by question id.
    """
    path = _file(run, "records", model, task, arm, suffix=".0.jsonl")
    found: dict[str, Answer] = {}
    for number, line in read_jsonl(path) if path.exists() else ():
        where = f"{path}:{number}"
        values = line.get("log_likelihoods")
        if values is not None:
            values = _list(line, "log_likelihoods", NUMBER, where)
        found[_text(line, "question_id", where)] = Answer(
            prompt=_text(line, "prompt", where),
            log_likelihoods=None if values is None else tuple(float(v) for v in values),
            reply=_optional(line, "reply", where),
            error=_optional(line, "error", where),
        )
    return found


def read_passages(run: Run) -> dict[tuple[str, str], Passage]:
    """Return every delivered passage by its corpus and its id."""
    path = run.path / "passages.jsonl"
    found: dict[tuple[str, str], Passage] = {}
    for number, line in read_jsonl(path):
        where = f"{path}:{number}"
        key = (_text(line, "corpus", where), _text(line, "id", where))
        doc_id, title, text = (_text(line, name, where) for name in ("doc_id", "title", "text"))
        found[key] = Passage(key[1], doc_id, title, text)
    return found


def read_prompts(run: Run) -> dict[str, str]:
    """Return every rendered prompt by its digest."""
    path = run.path / "prompts" / "0.jsonl"
    return {
        _text(line, "digest", f"{path}:{number}"): _text(line, "text", f"{path}:{number}")
        for number, line in (read_jsonl(path) if path.exists() else ())
    }


def corpus_of(run: Run, task: str, arm: str) -> str:
    """Return the corpus that an arm's passages come from; empty for an arm without any.

    Args:
        run: The run.
        task: The task's name.
        arm: The arm's name.

    Returns:
        The corpus's name.
    """
    specs = {spec["name"]: spec for spec in run.config["arms"]}
    spec = specs[arm]
    for _ in specs:  # a shuffled arm may imitate one that imitates another
        spec = specs.get(spec.get("like") or "", spec)
    sources = spec.get("fuse") or [spec.get("retriever")]  # what is fused shares one corpus
    key = spec["name"] if spec.get("run_file") else sources[0]
    if key and spec.get("within") == "documents":
        key += "~documents"  # as its retrieval's files are named
    notes = {(note["task"], note["retriever"]): note["corpus"] for note in run.retrievals}
    return str(notes.get((task, key), ""))


AGAIN = "the file was changed by hand: restore it, or run the config again under another `name:`"


def _file(run: Run, folder: str, *names: str, suffix: str) -> Path:
    """Return a file of the run; names come from run.json, which may have been tampered with."""
    for name in names:
        if "/" in name or "\0" in name:
            raise DataError(f"{name!r} cannot be a name", where=str(run.path / "run.json"))
    return run.path / folder / f"{'+'.join(names)}{suffix}"


def _value(line: dict[str, Any], name: str, kind: type, where: str) -> Any:
    value = line.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = "lacks" if name not in line else "has an unreadable"
        raise DataError(f"the line {shown} {name!r}", where=where, fix=AGAIN)
    return value


def _text(line: dict[str, Any], name: str, where: str) -> str:
    return str(_value(line, name, str, where))


def _optional(line: dict[str, Any], name: str, where: str) -> str | None:
    return None if line.get(name) is None else _text(line, name, where)


def _list(line: dict[str, Any], name: str, kind: Any, where: str) -> list[Any]:
    values = _value(line, name, list, where)
    if not all(isinstance(value, kind) and not isinstance(value, bool) for value in values):
        raise DataError(f"the line has an unreadable {name!r}", where=where, fix=AGAIN)
    return list(values)


def _texts(line: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    return tuple(_list(line, name, str, where))

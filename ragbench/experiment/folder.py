"""The run folder: where its files lie, and the identity that a resumed run must share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import JsonlAppender, read_json, read_jsonl, write_json
from ragbench.base.provenance import git_state, machine, now, versions
from ragbench.base.records import Question

FORMAT = 3
RECORD_FIELDS = {"key", "question_id", "prompt", "log_likelihoods", "error"}
RUN = "run.json"
# What may change between sessions without changing a record.
FREE = ("config.description", "config.analysis", "config.trusted_endpoints")
# Where and how a server is asked; what it serves is in the model's digest.
SERVING = (".url", ".concurrency", ".timeout_s", ".retries", ".api_key_env")


class RunFolder:
    """The files of one run, ``runs/NAME``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    def questions(self, task: str) -> Path:
        """Return the file of a task's questions."""
        return self.path / "questions" / f"{task}.jsonl"

    def retrieval(self, task: str, index: str, suffix: str) -> Path:
        """Return a file of one retrieval; the suffix is trec, json or quality.jsonl."""
        return self.path / "retrieval" / f"{task}+{index}.{suffix}"

    def packed(self, task: str, arm: str) -> Path:
        """Return the file of what an arm delivered."""
        return self.path / "packed" / f"{task}+{arm}.jsonl"

    @property
    def passages(self) -> Path:
        """The texts of all passages delivered, each once."""
        return self.path / "passages.jsonl"

    @property
    def prompts(self) -> Path:
        """The rendered prompts, each once."""
        return self.path / "prompts" / "0.jsonl"

    def records(self, model: str, task: str, arm: str) -> Path:
        """Return the file of one cell's records."""
        return self.path / "records" / f"{model}+{task}+{arm}.0.jsonl"

    def read_records(self, model: str, task: str, arm: str) -> Iterator[dict[str, Any]]:
        """Yield one cell's records in the order written; none if it has no file.

        Args:
            model: The model's name.
            task: The task's name.
            arm: The arm's name.

        Yields:
            Each record.

        Raises:
            DataError: A record lacks a field.
        """
        path = self.records(model, task, arm)
        for number, line in read_jsonl(path) if path.exists() else ():
            if missing := RECORD_FIELDS - line.keys():
                raise DataError(
                    f"the record is not whole: it has no {', '.join(sorted(missing))}",
                    where=f"{path}:{number}",
                    fix="remove the line; the question is then asked again",
                )
            yield line

    def scores(self, mode: str) -> Path:
        """Return the table of scores in a mode."""
        return self.path / "scores" / f"{mode}.parquet"

    def read(self) -> dict[str, Any]:
        """Return what ``run.json`` says.

        Returns:
            Its object.

        Raises:
            DataError: It is missing or of another format.
        """
        raw = read_json(self.path / RUN, what="the file run.json of the run")
        if raw.get("format") != FORMAT:
            raise DataError(
                f"the run has format {raw.get('format')!r}, not {FORMAT}", where=str(self.path)
            )
        return raw

    def check(
        self, config: Mapping[str, Any], identity: Mapping[str, Any], *, extend: bool
    ) -> None:
        """Check that a run that exists is the same experiment, as far as is known yet.

        Args:
            config: The resolved config.
            identity: Digests; only the sections that are given are compared.
            extend: Whether models, tasks, arms or questions may be added.

        Raises:
            UsageError: The folder holds another experiment; the differing keys are named.
        """
        if not (self.path / RUN).exists() or not self._has_records():
            return
        old = self.read()
        known = {key: old["identity"].get(key) for key in identity}
        changed = _changes(_flat(old["config"], known), _flat(config, identity), extend=extend)
        if changed:
            shown = "; ".join(changed[:6]) + (" ..." if len(changed) > 6 else "")
            raise UsageError(
                f"the run {self.name!r} was started from another config or other data",
                where=f"{self.path / RUN}: {shown}",
                fix="give the config another `name:`, remove the folder, or, if you only "
                "add models, tasks, arms or questions, run with --extend",
            )

    def _has_records(self) -> bool:
        return any(path.stat().st_size for path in (self.path / "records").glob("*.jsonl"))

    def start(
        self, config: Mapping[str, Any], identity: Mapping[str, Any], *, extend: bool
    ) -> None:
        """Write ``run.json`` once ``check`` has passed, and log the session.

        Args:
            config: The resolved config.
            identity: Digests of questions, corpora, indexes and models.
            extend: Whether models, tasks, arms or questions may be added.
        """
        self.check(config, identity, extend=extend)
        session = {
            "at": now(),
            "versions": versions(),
            "machine": machine(),
            "git": git_state(),
        }
        fresh = {"format": FORMAT, "name": self.name, "config": config, "identity": identity}
        old = self.read() if self._has_records() else {"started": session}
        write_json(self.path / RUN, old | fresh)
        with JsonlAppender(self.path / "sessions.jsonl") as log:
            log.append(session)


def _flat(config: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return config and identity as dotted keys; named list members go by their names."""
    return dict(_walk({"config": config, **identity}, ""))


def _walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and all(
        isinstance(member, Mapping) and "name" in member for member in value
    ):
        for member in value:
            yield from _walk(member, f"{key}.{member['name']}")
    else:
        yield key, value


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], *, extend: bool) -> list[str]:
    changed: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or key.startswith(FREE):
            continue
        if key.startswith("config.models.") and key.endswith(SERVING):
            continue
        if key.startswith("models.") and not key.endswith(".digest"):
            continue  # facts that the digest covers
        if key.startswith("tasks.") and ".sources_of_questions" in key:
            continue  # the questions' own digest counts
        if extend and (_is_added(key, old) or _is_longer(key, old.get(key), new.get(key))):
            continue
        changed.append(f"{key}: {_short(old, key)} -> {_short(new, key)}")
    return changed


def _is_added(key: str, old: Mapping[str, Any]) -> bool:
    """Say whether a key belongs to a new member, and is no new option of an old task."""
    parts = key.split(".")
    task = ".".join(parts[:3]) + "."
    if parts[:2] == ["config", "tasks"] and any(known.startswith(task) for known in old):
        return False
    return key not in old


def _short(values: Mapping[str, Any], key: str) -> str:
    text = repr(values[key]) if key in values else "(absent)"
    return text if len(text) <= 24 else text[:20] + "..."


def _is_longer(key: str, old: object, new: object) -> bool:
    """Say whether a change only adds questions to a task; its records' keys prove the rest."""
    if key.startswith("config.tasks.") and key.endswith(".limit"):
        return old is not None and (new is None or int(str(new)) > int(str(old)))
    if key.startswith("tasks.") and key.endswith((".arms", ".sources")):
        return isinstance(old, list) and isinstance(new, list) and set(old) <= set(new)
    if key.startswith("tasks.") and key.endswith(".n"):
        return isinstance(old, int) and isinstance(new, int) and new >= old
    return key.startswith("tasks.") and key.endswith(".digest")


def find_run(reference: str) -> RunFolder:
    """Find a run by its path, or by its name under ``runs/`` of the home folder.

    Args:
        reference: A folder or a name.

    Returns:
        The run folder.

    Raises:
        DataError: There is no such run.
    """
    for path in (home.expand(reference), home.home() / "runs" / reference):
        if (path / RUN).is_file():
            return RunFolder(path.resolve())
    known = sorted(p.parent.name for p in (home.home() / "runs").glob(f"*/{RUN}"))
    raise DataError(
        f"there is no run {reference!r}",
        where=f"looked for {Path(reference) / RUN} and in {home.home() / 'runs'}",
        fix=f"runs here: {', '.join(known) or '(none)'}",
    )


def question_to_json(question: Question) -> dict[str, Any]:
    """Return a question as a JSON object."""
    return asdict(question)


def question_from_json(value: Mapping[str, Any]) -> Question:
    """Return a question from its JSON object."""
    return Question(
        **{
            **value,
            "options": tuple(value["options"]),
            "gold_doc_ids": tuple(value["gold_doc_ids"]),
            "documents": tuple(value["documents"]),
            "gold_spans": tuple((d, a, b) for d, a, b in value["gold_spans"]),
        }
    )

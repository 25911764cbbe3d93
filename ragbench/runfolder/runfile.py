"""``run.json``: config and identity of a run; ``sessions.jsonl``: when it ran."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.endpoint import RESTRICTED
from ragbench.base.errors import DataError
from ragbench.base.files import read_json, sha256_json, write_json
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.provenance import git_state, machine, now, versions
from ragbench.base.records import AnsweredBy
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import CorpusFacts, IndexFacts, TaskFacts
from ragbench.runfolder.schema import AGAIN, SPARSE, parse, to_json

FORMAT = 5  # of the run folders that this version writes
SEALED = 5  # from this format on, run.json has a seal, records have sums and the run has sums.json
READABLE = (3, 4, FORMAT)  # in format 3 an entry of `config.models` had the keys of all backends
SEAL = "seal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Time and environment of one session.

    Attributes:
        at: Time in UTC.
        versions: Version by name of each package that can change a result.
        machine: ``platform`` and ``processor``.
        git: ``commit`` and ``state`` of the checkout; None if there is none.
        answered_on: Calls that workers of a cluster answered, by the address of their node, in the
            line that is written once they have; None in any other.
    """

    at: str
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, str] | None = None
    answered_on: Mapping[str, int] | None = field(default=None, metadata=SPARSE)

    @classmethod
    def begin(cls) -> Session:
        """Return a session that starts now."""
        return cls(at=now(), versions=versions(), machine=machine(), git=git_state())


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that can change a result, by name.

    Attributes:
        imported_from: Digest by name of the files of an imported run; None for any other.
        imported_format: ``mirage`` or ``lm-eval``: the format of these files; None if not recorded.
        packing: Model whose tokenizer counted passages, under ``tokenizer``.
        run_files: Digest of the run file of each arm that has one.
        runnables: Digest of the code and the keys of each runnable; None without any.
        prompts: Number of the prompt template, under ``template``, and of the prompts of texts that
            models write before the answers, under ``written``.
        filters: Digest of the cross-encoder of each arm that filters by one.
    """

    imported_from: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    imported_format: str | None = field(default=None, metadata=SPARSE)
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    packing: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    run_files: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    runnables: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    indexes: Mapping[str, IndexFacts] | None = field(default=None, metadata=SPARSE)
    corpora: Mapping[str, CorpusFacts] | None = field(default=None, metadata=SPARSE)
    prompts: Mapping[str, int] | None = field(default=None, metadata=SPARSE)
    filters: Mapping[str, str] | None = field(default=None, metadata=SPARSE)

    @property
    def is_restricted(self) -> bool:
        """Whether a task or a corpus is restricted."""
        tasks = (task.data_use for task in self.tasks.values())
        corpora = (corpus.data_use for corpus in (self.corpora or {}).values())
        return RESTRICTED in (*tasks, *corpora)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerers:
    """What a server said of its model in its answers, each with the number of answers."""

    models: Mapping[str, int] = field(default_factory=dict)
    fingerprints: Mapping[str, int] = field(default_factory=dict)

    def with_answer(self, said: AnsweredBy) -> Answerers:
        """Return these and one more answer."""
        return Answerers(
            models=_one_more(self.models, said.model),
            fingerprints=_one_more(self.fingerprints, said.fingerprint),
        )

    def news(self, said: AnsweredBy) -> str:
        """Return what an answer says that none of these does, in words; empty if nothing."""
        return ", and ".join(
            f"the {what} {name!r}, and before that only {', '.join(map(repr, known))}"
            for what, name, known in (
                ("model", said.model, self.models),
                ("fingerprint", said.fingerprint, self.fingerprints),
            )
            if name and known and name not in known
        )

    def sentence(self, model: str) -> str:
        """Return that the answers are not all of one model, and how many are; else nothing."""
        counts = [
            f"{what} {', '.join(_counted(name, n) for name, n in known.items())}"
            for what, known in (("models", self.models), ("fingerprints", self.fingerprints))
            if len(known) > 1
        ]
        if not counts:
            return ""
        return (
            f"The answers of {model} are not all of one model: they name the "
            f"{' and the '.join(counts)}. Differences between arms or tasks may come from that."
        )


def _counted(name: str, answers: int) -> str:
    return f"{name!r} ({answers:,} answer{'s' * (answers != 1)})"


def _one_more(known: Mapping[str, int], name: str) -> Mapping[str, int]:
    return {**known, name: known.get(name, 0) + 1} if name else known


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """Contents of run.json.

    Attributes:
        started: The first session; None in a run made by hand.
        format: Number of the folder's format.
        identity: Everything that can change a result.
        answered_by: What the server of each model said of it in its answers; None until all were
            asked.
    """

    started: Session | None = field(default=None, metadata=SPARSE)
    format: int = FORMAT
    name: str = ""
    config: RunConfig
    identity: Identity
    answered_by: Mapping[str, Answerers] | None = field(default=None, metadata=SPARSE)

    @property
    def is_imported(self) -> bool:
        """Whether the answers were made elsewhere."""
        return self.identity.imported_from is not None


def run_file_to_json(run: RunFile) -> dict[str, object]:
    """Return the object for run.json; an imported run has its run files last."""
    value = to_json(run)
    if run.is_imported and "run_files" in value["identity"]:
        value["identity"]["run_files"] = value["identity"].pop("run_files")
    return value


def parse_run_file(value: Mapping[str, object], where: str) -> RunFile:
    """Return the contents of a run.json; ``where`` is the run folder, for messages.

    Raises:
        DataError: It has another format, or a field is missing or unreadable.
    """
    if value.get("format") not in READABLE:
        *others, last = map(str, READABLE)
        known = f"{', '.join(others)} or {last}"
        raise DataError(f"the run has format {value.get('format')!r}, not {known}", where=where)
    return parse(RunFile, value, where, what="file run.json of the run")


def read_run_file(path: Path) -> RunFile:
    """Return the contents of a run.json.

    Raises:
        DataError: It is missing, has another format, has changed since it was written, or names
            something that it does not describe.
    """
    value = read_json(path, what="the file run.json of the run")
    where = str(path.parent)
    run = parse_run_file(value, where)
    seal = value.pop(SEAL, None)
    if seal != sha256_json(value) and (run.format >= SEALED or seal is not None):
        what = "the file run.json of the run has changed since it was written"
        raise DataError(what, where=str(path), fix=AGAIN)
    _check_names(run, str(path))
    return run


def _check_names(run: RunFile, where: str) -> None:
    """Refuse a run.json that names what it does not describe, or describes nothing."""
    config, identity = run.config, run.identity
    arms = {arm.name: arm for arm in config.arms}
    for kind, named in (
        ("models", [model.name for model in config.models]),
        ("tasks", [task.name for task in config.tasks]),
        ("arms", [arm.name for arm in config.arms]),
    ):
        _refuse(not named, f"no {kind}", where)
        _refuse(len(set(named)) < len(named), f"two {kind} of one name", where)
    for model in config.models:
        _refuse(model.name not in identity.models, f"no facts of the model {model.name!r}", where)
        _refuse(
            model.base is not None and model.base not in identity.models,
            f"no base {model.base!r} of the model {model.name!r}",
            where,
        )
    for task in config.tasks:
        facts = identity.tasks.get(task.name)
        if facts is None:
            raise _wrong(f"no facts of the task {task.name!r}", where)
        _refuse(not facts.arms, f"no arms of the task {task.name!r}", where)
        _refuse(not facts.metrics, f"no metrics of the task {task.name!r}", where)
        unknown = next((arm for arm in facts.arms if arm not in arms), None)
        _refuse(unknown is not None, f"no arm {unknown!r} of the task {task.name!r}", where)
    for arm in config.arms:
        unknown = arm.like if arm.like not in arms else None
        _refuse(unknown is not None, f"no arm {unknown!r}, which {arm.name!r} imitates", where)
    settings = config.analysis
    _refuse(not 0 < settings.alpha < 1, f"the alpha {settings.alpha}", where)
    _refuse(settings.resamples < 1, f"{settings.resamples} resamples", where)
    margin = settings.equivalence_margin
    _refuse(not 0 <= margin <= 1, f"the equivalence margin {margin}", where)


def _refuse(wrong: bool, what: str, where: str) -> None:
    if wrong:
        raise _wrong(what, where)


def _wrong(what: str, where: str) -> DataError:
    return DataError(f"the file run.json of the run has {what}", where=where, fix=AGAIN)


def write_run_file(path: Path, run: RunFile) -> None:
    """Write a run.json; from format 5 on with the digest of its content."""
    value = json.loads(json.dumps(run_file_to_json(run)))
    write_json(path, value | {SEAL: sha256_json(value)} if run.format >= SEALED else value)

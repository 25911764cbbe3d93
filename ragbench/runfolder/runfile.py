"""``run.json``: config and identity of a run; ``sessions.jsonl``: when it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.endpoint import RESTRICTED
from ragbench.base.errors import DataError
from ragbench.base.files import read_json, write_json
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.provenance import git_state, machine, now, versions
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.facts import CorpusFacts, IndexFacts, TaskFacts
from ragbench.runfolder.schema import SPARSE, parse, to_json

FORMAT = 4  # of the run folders that this version writes
READABLE = (3, FORMAT)  # in format 3 an entry of `config.models` had the keys of all backends


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Time and environment of one session.

    Attributes:
        at: Time in UTC.
        versions: Version by name of each package that can change a result.
        machine: ``platform`` and ``processor``.
        git: ``commit`` and ``state`` of the checkout; None if there is none.
    """

    at: str
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, str] | None = None

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
        prompts: Number of the prompt template, under ``template``.
    """

    imported_from: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    imported_format: str | None = field(default=None, metadata=SPARSE)
    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    packing: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    run_files: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
    indexes: Mapping[str, IndexFacts] | None = field(default=None, metadata=SPARSE)
    corpora: Mapping[str, CorpusFacts] | None = field(default=None, metadata=SPARSE)
    prompts: Mapping[str, int] | None = field(default=None, metadata=SPARSE)

    @property
    def is_restricted(self) -> bool:
        """Whether a task or a corpus is restricted."""
        tasks = (task.data_use for task in self.tasks.values())
        corpora = (corpus.data_use for corpus in (self.corpora or {}).values())
        return RESTRICTED in (*tasks, *corpora)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """Contents of run.json.

    Attributes:
        started: The first session; None in a run made by hand.
        format: Number of the folder's format.
        identity: Everything that can change a result.
    """

    started: Session | None = field(default=None, metadata=SPARSE)
    format: int = FORMAT
    name: str = ""
    config: RunConfig
    identity: Identity

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
        known = " or ".join(map(str, READABLE))
        raise DataError(f"the run has format {value.get('format')!r}, not {known}", where=where)
    return parse(RunFile, value, where, what="file run.json of the run")


def read_run_file(path: Path) -> RunFile:
    """Return the contents of a run.json; DataError if it is missing or has another format."""
    value = read_json(path, what="the file run.json of the run")
    return parse_run_file(value, str(path.parent))


def write_run_file(path: Path, run: RunFile) -> None:
    """Write a run.json."""
    write_json(path, run_file_to_json(run))

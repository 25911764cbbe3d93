"""Paths of a run's files, and how a run is found by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import DataError

RUN = "run.json"
LONGEST = 255  # bytes of a file's name on common file systems
OUT = "a run folder holds only its own files: put a copy there, or remove the entry"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run, ``runs/NAME``.

    Paths are made of names in run.json, which may come from elsewhere: a name that would lead out
    of the folder is refused with a DataError.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def run(self) -> Path:
        """Resolved config, and the identity of everything that can change a result."""
        return self.path / RUN

    @property
    def sessions(self) -> Path:
        """Time, versions and machine of each session."""
        return self.path / "sessions.jsonl"

    @property
    def sums(self) -> Path:
        """Size and digest of every file that a figure depends on."""
        return self.path / "sums.json"

    @property
    def stopped(self) -> Path:
        """Looks at a run that may stop early, and what they decided."""
        return self.path / "stopped.json"

    @property
    def passages(self) -> Path:
        """Texts of all delivered passages, each once."""
        return self.path / "passages.jsonl"

    @property
    def prompts(self) -> Path:
        """Rendered prompts, each once."""
        return self.path / "prompts" / "0.jsonl"

    def questions(self, task: str) -> Path:
        """Return the file of a task's questions."""
        return self._file("questions", task, suffix=".jsonl")

    def retrieval(self, task: str, source: str, suffix: str) -> Path:
        """Return a file of one retrieval; the suffix is trec, json or *.jsonl."""
        return self._file("retrieval", task, source, suffix=f".{suffix}")

    def packed(self, task: str, arm: str, model: str = "") -> Path:
        """Return the file of an arm's deliveries: those of one model if it has its own."""
        names = (task, arm, model) if model else (task, arm)
        return self._file("packed", *names, suffix=".jsonl")

    def delivered(self, task: str, arm: str, model: str) -> Path:
        """Return the file of what a model gets in an arm: its own, or that of all models."""
        own = self.packed(task, arm, model)
        return own if own.exists() else self.packed(task, arm)

    def filtered(self, task: str, arm: str, model: str = "") -> Path:
        """Return the file of what a filter has judged; named as the deliveries are."""
        names = (task, arm, model) if model else (task, arm)
        return self._file("filtered", *names, suffix=".jsonl")

    def rounds(self, task: str, arm: str, model: str = "") -> Path:
        """Return the file of what was asked in rounds; named as the deliveries are."""
        names = (task, arm, model) if model else (task, arm)
        return self._file("rounds", *names, suffix=".jsonl")

    @property
    def written(self) -> RunPaths:
        """The folder of what models wrote before the answers, with records and prompts."""
        return RunPaths(self.path / "written")

    def records(self, model: str, task: str, arm: str) -> Path:
        """Return the file of one cell's records."""
        return self._file("records", model, task, arm, suffix=".0.jsonl")

    def all_records(self) -> list[Path]:
        """Return the existing files of records, sorted by name."""
        return sorted((self.path / "records").glob("*.jsonl"))

    def shard(self, name: str) -> RunPaths:
        """Return the folder of a shard, which has records and prompts as a run has them."""
        return RunPaths(self.path / "shards" / name)

    def shards(self) -> list[RunPaths]:
        """Return the existing folders of shards, sorted by name."""
        found = sorted((self.path / "shards").glob("[!.]*"))
        return [RunPaths(path) for path in found if path.is_dir()]

    def scores(self, mode: str) -> Path:
        """Return the table of scores of a mode."""
        return self._file("scores", mode, suffix=".parquet")

    def check_inside(self) -> None:
        """Refuse a run folder that leads out of itself, before anything in it is read or written.

        Raises:
            DataError: A link in it leads outside, or something in it is neither file nor folder.
        """
        root = self.path.resolve()
        for path in sorted(root.rglob("*")):
            what = ""
            if path.is_symlink():
                what = "" if _leads_into(path, root) else "a link that leads out of it"
            elif not path.is_dir() and not path.is_file():
                what = "a pipe or a device in it"
            if what:
                raise DataError(f"the run has {what}", where=str(path), fix=OUT)

    def _file(self, folder: str, *names: str, suffix: str) -> Path:
        for name in names:
            if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
                raise DataError(f"{name!r} cannot be a name", where=str(self.run))
        file = f"{'+'.join(names)}{suffix}"
        if len(file.encode("utf-8", "replace")) > LONGEST or not _is_text(file):
            raise DataError(f"{file!r} cannot be the name of a file", where=str(self.run))
        return self.path / folder / file


def _leads_into(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links that lead to each other
        return False


def _is_text(name: str) -> bool:
    """Say whether a name has no half of a surrogate pair, which no file system can store."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def find_run(reference: str) -> RunPaths:
    """Return the run at a path, or with a name under ``runs/`` of the home folder.

    Raises:
        DataError: There is no such run, or something in it leads outside.
    """
    for path in (home.expand(reference), home.home() / "runs" / reference):
        if (path / RUN).is_file():
            found = RunPaths(path.resolve())
            found.check_inside()
            return found
    known = sorted(p.parent.name for p in (home.home() / "runs").glob(f"*/{RUN}"))
    raise DataError(
        f"there is no run {reference!r}",
        where=f"looked for {Path(reference) / RUN} and in {home.home() / 'runs'}",
        fix=f"runs here: {', '.join(known) or '(none)'}",
    )

"""``sums.json``: size and digest of every file that a figure depends on, as builds have them.

The file is removed when a session starts, written when the passages are chosen, and written again
with the scores. Prompts and records grow between the two: each record has its own digest, and each
prompt is named by its digest. JSON lines also have a short sum per line, so that a message can name
the line that has changed.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import read_json, sha256_file, sha256_json, write_json
from ragbench.runfolder.passages import read_prompts
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records
from ragbench.runfolder.runfile import SEALED
from ragbench.runfolder.schema import AGAIN, SPARSE, parse, to_json

INPUTS = (
    *("run.json", "config.yaml", "sessions.jsonl", "passages.jsonl", "questions/*.jsonl"),
    *("retrieval/*.trec", "retrieval/*.json", "retrieval/*.jsonl", "packed/*.jsonl"),
    *("filtered/*.jsonl", "rounds/*.jsonl", "written/records/*.jsonl", "written/prompts/*.jsonl"),
)
GROWING = ("prompts/*.jsonl", "records/*.jsonl", "stopped.json")
SCORES = ("scores/*.parquet",)
WIDTH = 4  # hexadecimal digits of a line's sum


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSum:
    """Size and SHA-256 of a file; JSON lines also have the short sums of all lines as one text."""

    size: int
    sha256: str
    lines: str | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumsFile:
    """Contents of sums.json; ``seal`` is the digest of ``files``."""

    files: Mapping[str, FileSum]
    seal: str


Sums = Mapping[str, FileSum]


def measure(folder: RunPaths, patterns: Collection[str]) -> dict[str, FileSum]:
    """Return the sums of all files of a run that match the patterns, by their path in the run."""
    return {name: _measured(folder.path / name) for name in _names(folder, patterns)}


def _names(folder: RunPaths, patterns: Collection[str]) -> list[str]:
    found = {
        path.relative_to(folder.path).as_posix()
        for pattern in patterns
        for path in folder.path.glob(pattern)
        if path.is_file()
    }
    return sorted(found)


def _measured(path: Path) -> FileSum:
    lines = "".join(_line_sums(path)) if path.suffix == ".jsonl" else None
    return FileSum(size=path.stat().st_size, sha256=sha256_file(path), lines=lines)


def _line_sums(path: Path) -> Iterator[str]:
    with path.open("rb") as handle:
        for line in handle:
            yield f"{zlib.crc32(line) & 0xFFFF:0{WIDTH}x}"


def write_sums(folder: RunPaths, sums: Sums) -> None:
    """Write the sums of a run."""
    files = {name: to_json(facts) for name, facts in sums.items()}
    write_json(folder.sums, {"files": files, "seal": sha256_json(files)})


def read_sums(folder: RunPaths) -> dict[str, FileSum] | None:
    """Return the sums of a run; None if it has none.

    Raises:
        DataError: The file is unreadable, or is not as it was written.
    """
    if not folder.sums.is_file():
        return None
    value = read_json(folder.sums, what="the file sums.json of the run")
    found = parse(SumsFile, value, str(folder.sums), what="file sums.json of the run")
    if found.seal != sha256_json(value["files"]):
        what = "the file sums.json of the run has changed since it was written"
        raise DataError(what, where=str(folder.sums), fix=AGAIN)
    return dict(found.files)


def verify(folder: RunPaths, run_format: int) -> None:
    """Refuse a scored run of which any file has changed since it was scored.

    A run of format 4 or older has no sums until it is scored again; nothing is checked then.

    Raises:
        DataError: A file has changed, is missing, or does not belong to the run.
    """
    sums = _known(folder, run_format)
    if sums is None:
        return
    for name, facts in sums.items():
        _check(folder, name, facts)
    for name in _names(folder, (*INPUTS, *GROWING, *SCORES)):
        if name in sums:
            continue
        if not _matches(name, (*GROWING, *SCORES)):
            raise _foreign(folder, name)
        raise DataError(
            "the scores are older than the run's last session",
            where=str(folder.path / name),
            fix=f"ragbench score {folder.name}",
        )


def check_inputs(folder: RunPaths, run_format: int) -> dict[str, FileSum]:
    """Return the sums of everything that scores depend on, after comparing them with sums.json.

    Prompts and records may have been added or removed since: a missing answer is an error in the
    scores, and every line is compared when it is read. Lines of format 4 or older have no sums, so
    their files must be as they were.

    Raises:
        DataError: A file has changed, is missing, or does not belong to the run.
    """
    sums = _known(folder, run_format) or {}
    found = measure(folder, (*INPUTS, *GROWING))
    for name, facts in sums.items():
        if _matches(name, SCORES) or (run_format >= SEALED and _matches(name, GROWING)):
            continue
        if name not in found or found[name].sha256 != facts.sha256:
            _check(folder, name, facts)
    for name in found.keys() - sums.keys() if sums else ():
        if not _matches(name, GROWING):
            raise _foreign(folder, name)
    return found


def _matches(name: str, patterns: Collection[str]) -> bool:
    path = Path(name)  # a pattern matches from the right: ``written/records`` is not ``records``
    return any(
        path.match(pattern) and len(path.parts) == pattern.count("/") + 1 for pattern in patterns
    )


def _foreign(folder: RunPaths, name: str) -> DataError:
    return DataError(
        f"the file {name} is not part of the run",
        where=str(folder.path / name),
        fix="move it out of the run folder",
    )


def _known(folder: RunPaths, run_format: int) -> dict[str, FileSum] | None:
    sums = read_sums(folder)
    if sums is None and run_format >= SEALED:
        raise DataError(
            "the run has no file sums.json: it is being written, or was interrupted",
            where=str(folder.path),
            fix="wait for it to finish, or give the same `ragbench run` again",
        )
    return sums


def _check(folder: RunPaths, name: str, facts: FileSum) -> None:
    """Refuse a file that is missing or has changed, and name the line where that is known."""
    path = folder.path / name
    again = f"ragbench score {folder.name}"
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"{name!r} is outside the run", where=str(folder.sums), fix=AGAIN)
    is_growing = _matches(name, GROWING)
    if not path.is_file():
        fix = again if is_growing else AGAIN
        raise DataError(f"the file {name} of the run is missing", where=str(path), fix=fix)
    if path.stat().st_size == facts.size and sha256_file(path) == facts.sha256:
        return
    if name.startswith("records/"):
        list(read_records(path))  # names the line that has changed
    if name.startswith("prompts/"):
        read_prompts(path)
    line = _first_changed(path, facts)
    raise DataError(
        f"the file {name} has changed since "
        + ("the run was scored" if is_growing else "it was written"),
        where=f"{path}:{line}" if line else str(path),
        fix=again if is_growing or _matches(name, SCORES) else AGAIN,
    )


def _first_changed(path: Path, facts: FileSum) -> int | None:
    """Return the number of the first line that is not as it was; None if lines are unknown."""
    if facts.lines is None:
        return None
    was = [facts.lines[i : i + WIDTH] for i in range(0, len(facts.lines), WIDTH)]
    now = list(_line_sums(path))
    pairs = zip(was, now, strict=False)
    return next((i for i, (a, b) in enumerate(pairs, 1) if a != b), min(len(was), len(now)) + 1)

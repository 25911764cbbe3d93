"""Atomic files and folders, JSON lines that survive a kill, digests and locks."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from ragbench.base.errors import DataError, space_for

CHUNK_BYTES = 1 << 20
HALF = re.compile(r"\..+\.(\d+)\.tmp")
MAX_LINE_BYTES = 1 << 28  # a longer JSON line is damage or an attack, and would fill memory


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: it has either its old or its new content."""
    with atomic_file(path) as handle:
        handle.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write indented JSON atomically, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """Write JSON lines atomically."""
    with atomic_file(path) as handle:
        for line in lines:
            handle.write(_json_line(line))


def _json_line(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")


@contextmanager
def private(is_private: bool, *folders: Path) -> Iterator[None]:
    """Make files of the block 0600 and folders 0700, and close the given folders to others.

    Nothing changes if ``is_private`` is false. The mask is the process's own, so that files of
    libraries and of other threads have these modes too.
    """
    if not is_private:
        yield
        return
    before = os.umask(0o077)
    try:
        for folder in folders:
            for path in (folder, *folder.rglob("*")):
                if path.exists() and not path.is_symlink():
                    path.chmod(path.stat().st_mode & 0o700)
        yield
    finally:
        os.umask(before)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary handle whose content appears at ``path`` only if the block succeeds.

    The parent folder is created if needed. A pipe or a device, such as ``/dev/stdout``, is written
    to directly. A link to a file stays a link.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as handle:
            yield handle
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path  # also of a loop
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with _Raw(temporary, "w") as raw, space_for(path, lambda: raw.wanted):
            handle = io.BufferedWriter(raw)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class _Raw(io.FileIO):
    """A file that knows how many bytes its last write wanted."""

    wanted = 0

    def write(self, data: Any) -> int:
        self.wanted = len(data)
        return super().write(data)


@contextmanager
def atomic_folder(path: Path, *, staging: Path | None = None) -> Iterator[Path]:
    """Yield a staging folder that replaces ``path`` only if the block succeeds.

    The caller must hold the lock of ``path``, because leftovers of killed processes next to it are
    removed.

    Args:
        path: The final folder; an existing one is replaced.
        staging: A fixed staging folder, kept if the block fails, so that a long build can resume.
            Half-written files in it are removed. By default a private folder, removed on failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = staging is not None
    work = staging or path.parent / f".{path.name}.{os.getpid()}.tmp"
    remove_stale(path, r"\d+\.(?:tmp|old)")
    work.mkdir(parents=True, exist_ok=True)
    for half, _ in _halves(work):
        half.unlink()
    try:
        yield work
        old = path.parent / f".{path.name}.{os.getpid()}.old"
        if path.exists():
            path.replace(old)
        work.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def remove_halves(folder: Path) -> None:
    """Remove the half-written files of ``atomic_file`` whose process is gone."""
    for half, process in _halves(folder):
        if not Path("/proc", str(process)).exists():
            half.unlink(missing_ok=True)


def _halves(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in list(folder.rglob(".*.tmp")):
        if (found := HALF.fullmatch(path.name)) and path.is_file():
            yield path, int(found[1])


def check_replaceable(folder: Path, marker: str, *, what: str) -> None:
    """Refuse to build over a folder or file that is not the result of a build.

    Args:
        folder: The final folder of the build.
        marker: A file that every finished build has.
        what: ``corpus`` or ``index``, for the message.

    Raises:
        DataError: The folder exists, is not empty and has no marker.
    """
    if not folder.exists() or (folder / marker).is_file():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    raise DataError(
        f"the path of the {what} {folder.name!r} exists and is not a built {what}",
        where=str(folder),
        fix=f"move it elsewhere, or give the {what} another name",
    )


def remove_stale(path: Path, suffix: str) -> None:
    """Remove hidden folders ``.NAME.SUFFIX`` next to ``path``; ``suffix`` is a regex."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{suffix}")
    for sibling in path.parent.iterdir():
        if pattern.fullmatch(sibling.name) and sibling.is_dir():
            shutil.rmtree(sibling, ignore_errors=True)


@contextmanager
def locked(path: Path, *, what: str) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` in the block; a killed process releases it.

    Raises:
        DataError: Another process holds the lock.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f".{path.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"{what} is being written by another process",
            where=str(path),
            fix="wait for it to finish, or stop it, then run the same command again",
        ) from None
    try:
        yield
    finally:
        lock.release()


def plain_file(path: Path) -> Path:
    """Return the path; raises OSError if it is an endless pipe or device, unless of /dev/fd."""
    is_other = path.exists() and not path.is_file() and not path.is_dir()
    if is_other and path.parts[1:2] not in (("dev",), ("proc",)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def sha256_text(text: str) -> str:
    """Return the SHA-256 of text in UTF-8 as hex; undecodable bytes of file names count."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair that stands for no byte, as in "\\ud800"
        data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON (sorted keys, no blanks)."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with plain_file(path).open("rb") as handle:
        while block := handle.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class RepeatedKey(ValueError):
    """A JSON object has a repeated key; most decoders silently drop its first value."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise RepeatedKey(f"the key {twice!r} is repeated in one object")
    return found


strict_json = json.JSONDecoder(object_pairs_hook=_once)


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        DataError: The file is missing, is not JSON or is not an object.
    """
    try:
        value = json.loads(plain_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{what} is missing", where=str(path)) from None
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{what} cannot be read: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise DataError(f"{what} is not a JSON object", where=str(path))
    return value


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a UTF-8 JSON-lines file, skipping blank lines.

    Raises:
        DataError: The file cannot be read, or a line is too long or is not a JSON object.
    """
    number = 0
    try:
        is_packed = plain_file(path).suffix.lower() == ".gz"
        if is_packed and not path.stat().st_size:  # gzip itself accepts an empty file
            raise EOFError("it is empty")
        with gzip.open(path, "rb") if is_packed else path.open("rb") as handle:
            for number, line in enumerate(_lines(handle.readline), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise _too_long(f"{path}:{number}")
                if not line.strip():
                    continue
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    value = strict_json.decode(text)
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"this line is not UTF-8: {error.reason} at byte {error.start + 1}",
                        where=f"{path}:{number}",
                        fix="write the file again as UTF-8",
                    ) from None
                except (ValueError, RecursionError) as error:
                    raise _no_json(line, error, f"{path}:{number}") from None
                if not isinstance(value, dict):
                    raise DataError(
                        f"this line is a JSON {type(value).__name__}, not an object",
                        where=f"{path}:{number}",
                        fix='write one object per line, such as {"id": "1", "text": "..."}',
                    )
                yield number, value
    except FileNotFoundError:
        raise DataError("the file does not exist", where=str(path)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file cannot be read after line {number}: {error}",
            where=str(path),
            fix="check that it is complete (gzip, if it ends in .gz) and that you may read it",
        ) from None


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Return the lines of a file, truncating lines that are too long."""
    return iter(partial(readline, MAX_LINE_BYTES + 1), b"")


def _too_long(where: str) -> DataError:
    return DataError(
        f"this line has more than {MAX_LINE_BYTES >> 20:,} MiB",
        where=where,
        fix="write one object per line; split a document of this length first",
    )


def _no_json(line: bytes, error: Exception, where: str) -> DataError:
    detail = getattr(error, "msg", None) or type(error).__name__
    if isinstance(error, RepeatedKey):
        return DataError(str(error), where=where, fix="keep one of the two values")
    if b"\0" in line:
        return DataError(
            "this line has NUL bytes, which JSON does not allow",
            where=where,
            fix="copy the file again (broken copies often have NUL bytes), "
            "or convert it to UTF-8 if it is UTF-16",
        )
    return DataError(
        f"this line is not JSON: {detail}", where=where, fix="write one JSON object per line"
    )


class JsonlAppender:
    """Appends JSON lines to a file, flushes each line, and locks out other writers.

    Opening the file removes an incomplete last line of a killed process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = locked(path, what=f"the file {path.name}")
        self._lock.__enter__()
        drop_torn_line(path)
        self._handle = path.open("ab", buffering=0)

    def append(self, value: Mapping[str, object]) -> None:
        """Write one object as one line, which is then with the system.

        Raises:
            DataError: There is no space left; the incomplete line is removed at the next opening.
        """
        rest = memoryview(_json_line(value))
        with space_for(self.path, lambda: len(rest)):
            while rest:
                rest = rest[self._handle.write(rest) :]

    def close(self) -> None:
        """Sync to disk, close and unlock."""
        os.fsync(self._handle.fileno())
        self._handle.close()
        self._lock.__exit__(None, None, None)

    def __enter__(self) -> JsonlAppender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def drop_torn_line(path: Path) -> None:
    """Truncate a JSON-lines file after its last complete line; create the file if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - CHUNK_BYTES)
            handle.seek(start)
            newline = handle.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            handle.truncate(position)

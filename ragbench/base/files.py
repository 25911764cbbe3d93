"""Atomic files and folders, JSON lines that survive a kill, digests and locks."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from ragbench.base.errors import DataError

CHUNK_BYTES = 1 << 20
HALF = re.compile(r"\..+\.\d+\.tmp")
MAX_LINE_BYTES = 1 << 28  # of JSON lines: a longer one is damage or a bomb, and would fill memory


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it holds either its old or its new content, never half of it."""
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
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary handle whose content appears under ``path`` only if the block succeeds.

    Args:
        path: The final place; its folder is made if needed. A pipe or a device, such as
            ``/dev/stdout``, is written to as it is, and a link to a file stays one.

    Yields:
        A writable handle beside the final place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as handle:
            yield handle
        return
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, staging: Path | None = None) -> Iterator[Path]:
    """Yield a staging folder that replaces ``path`` only if the block succeeds.

    The caller holds the lock of ``path``, so what killed processes left beside it is removed.

    Args:
        path: The final folder; an existing one is replaced.
        staging: A fixed staging folder that is kept when the block fails, so that a long
            build can resume from it; of files that were being written, nothing is kept. By
            default a private one, removed on failure.

    Yields:
        The folder to fill.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keep = staging is not None
    work = staging or path.parent / f".{path.name}.{os.getpid()}.tmp"
    remove_stale(path, r"\d+\.(?:tmp|old)")
    work.mkdir(parents=True, exist_ok=True)
    for half in work.rglob(".*.tmp"):  # atomic_file's, which would become part of the folder
        if HALF.fullmatch(half.name) and half.is_file():
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


def check_replaceable(folder: Path, marker: str, *, what: str) -> None:
    """Refuse to build over a folder or file that no build has made.

    Args:
        folder: Where the build will put its result.
        marker: A file that every finished build holds.
        what: What is being built, for the message.

    Raises:
        DataError: Something else lies there.
    """
    if not folder.exists() or (folder / marker).is_file():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    raise DataError(
        f"what lies in the place of the {what} {folder.name!r} is not a built {what}",
        where=str(folder),
        fix=f"move it elsewhere, or give the {what} another name",
    )


def remove_stale(path: Path, suffix: str) -> None:
    """Remove the hidden folders beside ``path`` named ``.NAME.SUFFIX``, a regular expression."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{suffix}")
    for sibling in path.parent.iterdir():
        if pattern.fullmatch(sibling.name) and sibling.is_dir():
            shutil.rmtree(sibling, ignore_errors=True)


@contextmanager
def locked(path: Path, *, what: str) -> Iterator[None]:
    """Hold an exclusive lock beside ``path``; it is freed even if the process is killed.

    Args:
        path: What is guarded; the lock file is ``path`` + ``.lock``.
        what: Named in the message when another process holds it.

    Yields:
        Nothing; the lock is held inside the block.

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
            fix="wait for it to end, or stop it, and run the same command again",
        ) from None
    try:
        yield
    finally:
        lock.release()


def sha256_text(text: str) -> str:
    """Return the SHA-256 of text in UTF-8, undecodable bytes of file names kept, as hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON (sorted keys, no blanks)."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class RepeatedKey(ValueError):
    """An object of JSON has a key twice, whose first value most decoders would drop."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKey(f"the key {twice!r} stands twice in one object")
    return found


strict_json = json.JSONDecoder(object_pairs_hook=_once)


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        what: What the file is, for the message.

    Returns:
        The object.

    Raises:
        DataError: The file is missing, is not JSON or is not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{what} is not there", where=str(path)) from None
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{what} cannot be read: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise DataError(f"{what} is not a JSON object", where=str(path))
    return value


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON-lines file; blank lines are passed over.

    Args:
        path: A ``.jsonl`` or ``.jsonl.gz`` file in UTF-8.

    Yields:
        Each line's number and object.

    Raises:
        DataError: The file cannot be read, or a line is too long or is not a JSON object.
    """
    number = 0
    try:
        is_packed = path.suffix.lower() == ".gz"
        if is_packed and not path.stat().st_size:  # which gzip itself takes for one of no text
            raise EOFError("it has no bytes")
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
                        fix='write one object a line, such as {"id": "1", "text": "..."}',
                    )
                yield number, value
    except FileNotFoundError:
        raise DataError("the file is not there", where=str(path)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file cannot be read after line {number}: {error}",
            where=str(path),
            fix="check that it is whole (gzip, if it ends in .gz) and that you may read it",
        ) from None


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Return the lines of a file; of one that is too long, only its beginning."""
    return iter(partial(readline, MAX_LINE_BYTES + 1), b"")


def _too_long(where: str) -> DataError:
    return DataError(
        f"this line has more than {MAX_LINE_BYTES >> 20:,} MiB",
        where=where,
        fix="write one object a line; a document this long should be parted first",
    )


def _no_json(line: bytes, error: Exception, where: str) -> DataError:
    detail = getattr(error, "msg", None) or type(error).__name__
    if isinstance(error, RepeatedKey):
        return DataError(str(error), where=where, fix="keep one of the two values")
    if b"\0" in line:
        return DataError(
            "this line holds NUL bytes, which no JSON has",
            where=where,
            fix="copy the file again, as a broken copy is often filled with them; "
            "or write it as UTF-8, if it is UTF-16",
        )
    return DataError(
        f"this line is not JSON: {detail}", where=where, fix="write one JSON object a line"
    )


class JsonlAppender:
    """Appends JSON lines to one file, each flushed at once, with a lock against a second writer.

    A torn last line, left by a kill, is cut off when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = locked(path, what=f"the file {path.name}")
        self._lock.__enter__()
        drop_torn_line(path)
        self._handle = path.open("ab")

    def append(self, value: Mapping[str, object]) -> None:
        """Write one object as one line and hand it to the operating system."""
        self._handle.write(_json_line(value))
        self._handle.flush()

    def close(self) -> None:
        """Sync to disk, close and unlock."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        self._lock.__exit__(None, None, None)

    def __enter__(self) -> JsonlAppender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def drop_torn_line(path: Path) -> None:
    """Cut a JSON-lines file after its last whole line; make the file if it is not there."""
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

"""Members of tar and zip archives, read as a stream: nothing is unpacked to disk.

A member's name is only ever shown. Those that are links or devices, or whose name would lead out
of the archive's folder, are skipped and listed; sizes are bounded, in all and by member; an
archive that ends before its end is an error.
"""

from __future__ import annotations

import gzip
import stat
import tarfile as tarfile_
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Self

from ragbench.base.errors import DataError, first_line
from ragbench.base.files import plain_file
from ragbench.corpora.reader import Skipped

ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip")
MAX_MEMBER_BYTES = 1 << 27
MAX_RATIO = 200  # XML packs to a fifth or a twentieth
SLACK = 1 << 26
OUTSIDE = "a name that leads out of the archive"
NO_FILE = "a link or device in an archive"
OTHER = "a file of another kind in an archive"
TOO_LARGE = "too large a file"
ENCRYPTED = "encryption"
NESTED = "an archive in an archive"
CUT = (EOFError, zlib.error, OSError)
DAMAGES = (
    *(*CUT, tarfile_.TarError, zipfile.BadZipFile),
    *(ValueError, LookupError, NotImplementedError, RuntimeError),  # odd headers
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path there.
        read: Returns its bytes, before the next member is asked for; raises DataError where they
            are damaged.
    """

    name: str
    read: Callable[[], bytes]


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive by its name."""
    return path.name.lower().endswith(ENDINGS)


def members(path: Path, fits: Callable[[str], bool]) -> Iterator[Member | Skipped]:
    """Yield every file in an archive, in the archive's order.

    Args:
        path: The archive.
        fits: Returns whether a file is wanted, by its path; the others are skipped.

    Yields:
        The wanted files, and what was skipped.

    Raises:
        DataError: The archive is damaged, not whole, or unpacks to far more than it should.
    """
    found = _of_zip(path, fits) if path.name.lower().endswith(".zip") else _of_tar(path, fits)
    with _damage_told(DAMAGES, str(path), "the archive cannot be read to its end"):
        yield from found


@contextmanager
def _damage_told(kinds: tuple[type[Exception], ...], where: str, what: str) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise DataError(
            f"{what}: {first_line(error) or type(error).__name__}",
            where=where,
            fix="get it again, and compare its size and checksum with those of its source",
        ) from None


def _bomb(path: Path) -> DataError:
    return DataError(
        f"the file unpacks to more than {MAX_RATIO} times its size: an archive bomb?",
        where=str(path),
        fix="if you trust it, unpack it yourself and give what was in it",
    )


def _fault(path: Path, name: str, size: int, *, fits: Callable[[str], bool]) -> Skipped | None:
    """Return why a regular member is skipped, if it is."""
    where = f"{path}: {name}"
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or name[1:2] == ":" or "\0" in name:
        return Skipped(OUTSIDE, where, listed=True)
    if not fits(name):
        nested = name.lower().endswith((*ENDINGS, ".gz"))
        return Skipped(NESTED if nested else OTHER, where, listed=nested)
    if size > MAX_MEMBER_BYTES:
        detail = f"it has {size:,} bytes, at most {MAX_MEMBER_BYTES:,} go"
        return Skipped(TOO_LARGE, where, detail=detail, listed=True)
    return None


def _of_zip(path: Path, fits: Callable[[str], bool]) -> Iterator[Member | Skipped]:
    with zipfile.ZipFile(plain_file(path)) as archive:
        every = archive.infolist()
        # zipfile unpacks no more of a member than its header states, so that the sum is a bound.
        if sum(info.file_size for info in every) > MAX_RATIO * path.stat().st_size + SLACK:
            raise _bomb(path)
        for info in every:
            where = f"{path}: {info.filename}"
            if info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            fault = _fault(path, info.filename, info.file_size, fits=fits)
            if kind not in (0, stat.S_IFREG):
                yield Skipped(NO_FILE, where, listed=True)
            elif fault is not None:
                yield fault
            elif info.flag_bits & 1:
                yield Skipped(ENCRYPTED, where, listed=True)
            else:
                yield Member(info.filename, _reading(where, partial(archive.read, info)))


def _reading(where: str, read: Callable[[], bytes]) -> Callable[[], bytes]:
    def told() -> bytes:
        with _damage_told(DAMAGES, where, "the file in the archive is damaged"):
            return read()

    return told


class _Strict(tarfile_.TarInfo):
    """Headers of a tar; tarfile itself takes a broken one after the first for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile_.TarFile) -> Self:
        """Return the next header; an error unless the archive goes on or ends as it should."""
        try:
            return super().fromtarfile(tarfile)
        except tarfile_.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the blocks that end an archive
                raise
            raise tarfile_.ReadError(f"a header is broken or missing ({error})") from None


class Bounded:
    """A stream that gives no more than a packed file should hold."""

    def __init__(self, handle: Any, path: Path) -> None:
        self._handle = handle
        self._path = path
        self._left = MAX_RATIO * path.stat().st_size + SLACK

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        block: bytes = self._handle.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise _bomb(self._path)
        return block


@contextmanager
def unpacked(path: Path) -> Iterator[Bounded]:
    """Open a file, plain or gzip by its name, as a stream of bounded length.

    Args:
        path: The file.

    Yields:
        The stream.

    Raises:
        DataError: The file is not whole gzip, or unpacks to far more than it should.
    """
    with plain_file(path).open("rb") as raw:
        is_packed = path.name.lower().endswith("gz")
        handle = gzip.GzipFile(fileobj=raw) if is_packed else raw
        with _damage_told(CUT, str(path), "the file cannot be unpacked to its end"), handle:
            yield Bounded(handle, path)


def _of_tar(path: Path, fits: Callable[[str], bool]) -> Iterator[Member | Skipped]:
    with (
        unpacked(path) as handle,
        tarfile_.open(fileobj=handle, mode="r|", tarinfo=_Strict) as archive,  # type: ignore[call-overload]
    ):
        while (info := archive.next()) is not None:
            archive.members.clear()  # else it keeps every header
            fault = _fault(path, info.name, info.size, fits=fits)
            if info.isdir():
                continue
            where = f"{path}: {info.name}"
            if not info.isreg():
                yield Skipped(NO_FILE, where, listed=True)
            elif fault is not None:
                yield fault
            else:
                yield Member(info.name, _reading(where, partial(_bytes, archive, info)))
        rest: Any = archive.fileobj  # to the end, where gzip has its checksum
        while block := rest.read(1 << 20):
            if block.strip(b"\0"):
                raise tarfile_.ReadError("it goes on after its end: are these several archives?")


def _bytes(archive: tarfile_.TarFile, info: tarfile_.TarInfo) -> bytes:
    handle = archive.extractfile(info)
    return b"" if handle is None else handle.read()

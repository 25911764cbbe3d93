"""The protocol of corpus readers: they stream passages from a source, each with its place."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar, cast, runtime_checkable

from pydantic import ConfigDict

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.base.yamlfile import Fields


class ReaderOptions(Fields):
    """Base of every reader's options; a key that is not declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyOptions = TypeVar("AnyOptions", bound=ReaderOptions)


@dataclass(frozen=True, slots=True)
class Located:
    """A passage and its place, such as ``notes.jsonl:17``.

    Attributes:
        passage: The passage.
        where: Its place in the source.
        noted: A note that the manifest counts; empty for most.
        changes: Counts of what was left out of the text or replaced in it, by kind; the manifest
            has their sums. Of a document's passages, the first has them all.
    """

    passage: Passage
    where: str
    noted: str = ""
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source entry that gives no passage, with the reason that the manifest counts.

    Attributes:
        reason: The same few words for all entries of this kind.
        where: Its place in the source.
        id: The id of the passage that it would have been, if known.
        detail: Facts of this entry alone, such as the passage that it repeats.
        listed: Whether the build reports it at once, such as a whole file without passages.
    """

    reason: str
    where: str
    id: str = ""
    detail: str = ""
    listed: bool = False


class Reader(Protocol):
    """Streams one source; made with a path (None for readers of a package) and its options.

    A reader whose files can be read one by one should also be a ``PerFile``, and one whose source
    is no file of this machine a ``Remote``.
    """

    Options: ClassVar[type[ReaderOptions]]

    def __init__(self, path: Path | None, options: ReaderOptions) -> None: ...

    def sources(self) -> list[Path]:
        """Return the files that are read, in order; raises DataError if there are none."""

    def read(self) -> Iterator[Located | Skipped]:
        """Yield every entry in source order; the same source gives the same stream."""


@runtime_checkable
class PerFile(Reader, Protocol):
    """A reader whose ``read`` is the chain of ``read_file`` over ``sources``, in their order."""

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield the entries of one of the sources; the same sources give the same entries."""


class FileReader(ABC, Generic[AnyOptions]):
    """Base of readers whose card must have a path, and whose files are read one by one."""

    Options: ClassVar[type[ReaderOptions]]
    path_holds: ClassVar[str] = ""  # for the message of a card without a path

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        if path is None:
            name = type(self).__name__.removesuffix("Reader").lower()
            what = self.path_holds and f": {self.path_holds}"
            raise PrerequisiteError(
                f"the {name} reader needs a path", fix=f"add `path:` to the card{what}"
            )
        self.path = path
        self.options = cast(AnyOptions, self.Options.model_validate(options.model_dump()))

    @abstractmethod
    def sources(self) -> list[Path]:
        """Return the files that are read, in order; DataError if there are none."""

    def read(self) -> Iterator[Located | Skipped]:
        """Yield every entry of the sources, in their order."""
        for path in self.sources():
            yield from self.read_file(path)

    @abstractmethod
    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield the entries of one of the sources."""


@runtime_checkable
class Remote(Reader, Protocol):
    """A reader of what is no file here; its origin takes the place of the files' digests."""

    def origin(self) -> dict[str, str]:
        """Return what names the source for good, such as a commit; asked for after reading."""


def origin_of(reader: Reader) -> dict[str, str]:
    """Return the origin of a remote reader, for the manifest; empty for one that reads files."""
    return reader.origin() if isinstance(reader, Remote) else {}


def known_encoding(value: str) -> str:
    """Return an encoding of text that Python knows; ValueError of any other."""
    try:
        "".encode(value)
    except LookupError:
        raise ValueError("encoding is not one that Python knows, such as cp1252") from None
    return value


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key that orders numbers in names by their value.

    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(p), p) if i % 2 else (0, p) for i, p in enumerate(parts))


def files_at(path: Path, fits: Callable[[Path], bool], *, what: str) -> list[Path]:
    """Return the file of a card's path, or the fitting files of its folder by name.

    Args:
        path: A file or a folder.
        fits: Says which files of a folder are read; hidden ones never are.
        what: The endings, for messages.

    Returns:
        At least one file.

    Raises:
        DataError: There is no such file, the folder holds none that fits, or one that fits
            cannot be read.
    """
    if not path.exists():
        raise DataError(
            "the corpus file is not there", where=str(path), fix="correct the card's path"
        )
    if not path.is_dir():
        return _plain([path])
    found = sorted(p for p in path.iterdir() if not p.is_dir() and p.name[0] != "." and fits(p))
    if not found:
        raise DataError(
            f"the folder holds no {what} file",
            where=str(path),
            fix="give the file itself, or a folder of such files",
        )
    return _plain(found)


def files_below(path: Path, endings: tuple[str, ...], *, what: str, fix: str) -> list[Path]:
    """Return the file of a card's path, or those of its folder and the folders in it.

    Args:
        path: A file or a folder.
        endings: What the names of the files that are read end with, in any case.
        what: What the card's path should hold, for messages.
        fix: Where to get them, for messages.

    Returns:
        At least one file, in the natural order of the paths; hidden ones, and those in hidden
        folders, are left out; linked folders are read, each folder once.

    Raises:
        DataError: There is no such file, the folder holds none, or a part of it cannot be read.
    """
    if not path.exists():
        raise DataError(f"{what} are not there", where=str(path), fix=fix)
    if not path.is_dir():
        return _plain([path])
    found = [file for file in _walk(path) if file.name.lower().endswith(endings)]
    if not found:
        raise DataError(
            f"the folder holds no file with one of the endings {', '.join(endings)}",
            where=str(path),
            fix=fix,
        )
    return _plain(sorted(found, key=lambda file: natural(str(file.relative_to(path)))))


def _walk(path: Path) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders that are not hidden."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(path, onerror=_unreachable, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link leads here a second time
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (Path(folder, name) for name in names if name[0] != ".")


def _unreachable(error: OSError) -> None:
    raise DataError(
        "a part of the folder cannot be reached",
        where=str(error.filename),
        fix="see that you may read it",
    )


def _plain(files: Sequence[Path]) -> list[Path]:
    """Return files; an error where one is none, as opening a pipe would wait without end."""
    for file in files:
        if not file.is_file():
            raise DataError(
                "it is a link that leads nowhere, a pipe or a device, and no file",
                where=str(file),
                fix="remove it, or put the file itself there",
            )
    return list(files)

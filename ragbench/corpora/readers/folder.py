"""A folder of one's own documents: text, Markdown, HTML, PDF and DOCX.

Each file is read in a process apart. A passage's id is the file's path within
the folder, with ``:p3`` for the third page of a PDF; characters that no id may have are written as
``%20`` is for a blank, so that ids stay unique. The title is that of the document (of its HTML,
Markdown heading, PDF or DOCX properties), else the file's name. Nothing outside the folder is
read: a link that leads out is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.formats.documents import ENDINGS
from ragbench.corpora.formats.parsed import ParsedFile
from ragbench.corpora.formats.worker import Worker
from ragbench.corpora.reader import (
    FileReader,
    Located,
    ReaderOptions,
    Skipped,
    known_encoding,
    natural,
)

INSTALL = "pip install 'ragbench[documents]'"
NEEDS = {
    "text": ("langchain_community",),
    "markdown": ("langchain_community",),
    "html": ("bs4",),
    "pdf": ("langchain_community", "pypdf"),
}
FIXES = {
    "damage": "replace the file",
    "encryption": "save the file without its password",
    "too large a file": "split the file",
    "time limit": "check the file, or raise the reader's option seconds",
    "no text in its encoding": "save it as UTF-8, or give the reader's option encoding, such as "
    "cp1252",
}


class FolderOptions(ReaderOptions):
    """Which files are read, and how.

    Attributes:
        glob: Patterns of paths within the folder, such as ``guidelines/*.pdf``, where ``*`` is
            anything, ``/`` too; all files with a known ending if there are none.
        recursive: Whether subfolders are read.
        unit: Whether each page of a PDF is a passage, or the whole file.
        on_error: Whether a file that cannot be read stops the build, or is listed and counted.
        encoding: Encoding of text and Markdown files, and of HTML that declares none.
        seconds: Time limit of reading a file.
    """

    glob: tuple[str, ...] = ()
    recursive: bool = True
    unit: Literal["page", "file"] = "page"
    on_error: Literal["stop", "skip"] = "stop"
    encoding: str = "utf-8"
    seconds: float = Field(120, gt=0, allow_inf_nan=False)

    _known = field_validator("encoding")(known_encoding)


class FolderReader(FileReader[FolderOptions]):
    """Reads the files in the natural order of their paths."""

    Options: ClassVar[type[ReaderOptions]] = FolderOptions
    path_holds: ClassVar[str] = "the folder"

    def __init__(self, path: Path | None, options: ReaderOptions) -> None:
        super().__init__(path, options)
        self._worker = Worker(self.options.seconds)

    def sources(self) -> list[Path]:
        """Return the file itself, or those of the folder that are read.

        Raises DataError if there is no such folder, or nothing in it to read. Raises
        PrerequisiteError: A package is not installed that one of the files needs.
        """
        if not self.path.exists():
            raise DataError(
                "the folder is not there", where=str(self.path), fix="correct the card's path"
            )
        files, _ = self._found
        if not files:
            endings = ", ".join(ENDINGS)
            of = f" that fits {', '.join(self.options.glob)}" if self.options.glob else ""
            raise DataError(
                f"the folder holds no file{of} with one of the endings {endings}",
                where=str(self.path),
                fix="give the folder of the documents; check the reader's options glob, recursive",
            )
        for kind in sorted({_kind(path) for path in files}):
            for package in NEEDS.get(kind, ()):
                if find_spec(package) is None:
                    raise PrerequisiteError(
                        f"the package {package} is not installed, which {kind} files need",
                        where=str(next(path for path in files if _kind(path) == kind)),
                        fix=INSTALL,
                    )
        return files

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield the passages of one file; before the first file, what of the folder is not read."""
        files, skipped = self._found
        if files and path == files[0]:
            yield from skipped
        kind = _kind(path)
        document = self._worker.read(path, kind, self.options.encoding)
        if document.fault:
            if self.options.on_error == "skip":
                yield Skipped(document.fault, f"{path}: {document.detail}", listed=True)
                return
            raise DataError(
                f"the {kind} file cannot be read: {document.detail}",
                where=str(path),
                fix=f"{FIXES[document.fault]}; or set the reader's option on_error: skip",
            )
        yield from self._passages(path, kind, document)

    def _passages(self, path: Path, kind: str, document: ParsedFile) -> Iterator[Located | Skipped]:
        if not any(page.strip() for page in document.pages):
            reason = "no text: a scanned PDF?" if kind == "pdf" else "no text"
            yield Skipped(reason, str(path), listed=True)
            return
        name = path.relative_to(self._root)
        identifier, title = safe_id(name), document.title or _readable(path.stem)
        if kind != "pdf" or self.options.unit == "file":
            text = "\n\n".join(page.strip() for page in document.pages if page.strip())
            passage = Passage(identifier, identifier, title, text, dict(document.meta))
            yield Located(passage, str(path), changes=document.changes)
            return
        for number, page in enumerate(document.pages, 1):
            where = f"{path}: page {number}"
            if not page.strip():
                yield Skipped("no text on a page", where)
                continue
            passage = Passage(
                f"{identifier}:p{number}", identifier, title, page.strip(), {"page": str(number)}
            )
            yield Located(passage, where)

    @property
    def _root(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def _found(self) -> tuple[list[Path], list[Skipped]]:
        """Return the files to read, and what of the folder is not read; looked for once."""
        if not self.path.is_dir():
            fits = self.path.is_file() and _kind(self.path) != ""
            return ([self.path] if fits else []), []
        files: list[Path] = []
        skipped: list[Skipped] = []
        within = self.path.resolve()
        lost: list[str] = []
        for path in self._walk(lambda error: lost.append(str(error.filename))):
            if reason := _reason(path, within):
                # Links that lead out are named, as someone may have meant them to be read.
                skipped.append(Skipped(reason, str(path), listed=reason.startswith("a link")))
            elif os.access(path, os.F_OK):
                files.append(path)
            else:
                lost.append(str(path))
        if lost and self.options.on_error == "stop":
            raise DataError(
                "a part of the folder cannot be reached",
                where=lost[0],
                fix="see that you may read it; or set the reader's option on_error: skip",
            )
        skipped += [Skipped("a path that cannot be reached", path, listed=True) for path in lost]
        return files, skipped

    def _walk(self, onerror: Callable[[OSError], None]) -> Iterator[Path]:
        """Yield what is in the folder, in natural order; folders only where they are links."""
        found: list[Path] = []
        for folder, folders, names in os.walk(self.path, onerror=onerror):
            base = Path(folder)
            found += [base / name for name in names if self._is_wanted(base / name)]
            found += [base / n for n in folders if n[0] != "." and _is_link(base / n)]
            folders[:] = [n for n in folders if n[0] != "." and self.options.recursive]
        yield from sorted(found, key=lambda p: natural(str(p.relative_to(self.path))))

    def _is_wanted(self, path: Path) -> bool:
        if path.name.startswith((".", "~$")):  # hidden, or the lock of an open document
            return False
        name, patterns = path.relative_to(self.path).as_posix(), self.options.glob
        return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def safe_id(name: PurePath) -> str:
    """Return a relative path as an id: unique, and without blanks or what ids use themselves.

    Args:
        name: The path.

    Returns:
        The path with the characters that no id may have as percent signs and hex digits.

    >>> safe_id(PurePath("ward 3/100%.txt"))
    'ward%203/100%25.txt'
    """
    return "".join(
        c
        if c.isprintable() and not c.isspace() and c not in "%#:"
        else "".join(f"%{byte:02X}" for byte in os.fsencode(c))
        for c in name.as_posix()
    )


def _kind(path: Path) -> str:
    return ENDINGS.get(path.suffix.lower(), "")


def _readable(name: str) -> str:
    """Return a file's name as a title; bytes that are no letters show as U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _is_link(path: Path) -> bool:
    """Return whether a path is a link; False if that is unknown."""
    try:
        return path.is_symlink()
    except OSError:
        return False


def _reason(path: Path, within: Path) -> str:
    """Return why an entry of the folder is not read; nothing if it is."""
    if not os.access(path, os.F_OK) and not _is_link(path):
        return ""  # unknown
    if _is_link(path):
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "a link that leads nowhere"
        if not target.is_relative_to(within):
            return "a link that leads out of the folder"
        if target.is_dir():
            return "a link to a folder"
    if not path.is_file():
        return "no plain file"
    if not _kind(path):
        return f"the ending {path.suffix.lower() or '(none)'}, which is not read"
    return ""

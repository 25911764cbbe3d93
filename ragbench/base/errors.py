"""Errors that state what is wrong, where, and what to do next."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SHORT = re.compile(r"\d+ requested and \d+ written|write error in .*: \d+ != \d+")
ONE_MIB = 1 << 20
_NEED: ContextVar[float] = ContextVar("need", default=0)  # bytes of the work that is being done
# A path that was made from an address has one slash after the scheme; a hub has @ in its names.
USER = re.compile(r"\b((?!hf:)[a-z][a-z0-9+.-]+:/{1,2})[^\s\"'<>]*@", re.IGNORECASE)
QUERY = re.compile(
    r"([?&;][\w.-]*(?:key|token|secret|passw|pwd|sig|auth)[\w.-]*=)[^&;\s\"'#]+", re.IGNORECASE
)
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
SECRET = re.compile(r"url|uri|endpoint|servers?$|key|token$|secret|passw|headers?$", re.IGNORECASE)


def masked(text: str) -> str:
    """Return text with ``***`` for the users, passwords and keys in its addresses."""
    return QUERY.sub(r"\1***", USER.sub(r"\1***@", text))


def printable(text: str) -> str:
    r"""Return text whose control characters are visible, such as ``\x1b``; lines and tabs stay.

    A terminal obeys some of them: a reply or a title could overwrite what stands above it.
    """
    return CONTROL.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def may_be_secret(key: str) -> bool:
    """Say whether the value of a config key may hold a password, so that no message repeats it."""
    return SECRET.search(key) is not None


class RagbenchError(Exception):
    """An expected failure; the command line prints it without a traceback.

    Users, passwords and keys in addresses are never repeated.

    Args:
        what: What is wrong, with the actual value.
        where: File and line, config key or question id; empty if there is none.
        fix: What the user should type or change next; empty if there is nothing.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = masked(what), masked(where), masked(fix)
        super().__init__(self.what)

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        if self.where:
            lines.append(f"where: {self.where}")
        if self.fix:
            lines.append(f"fix:   {self.fix}")
        return "\n".join(lines)


class UsageError(RagbenchError):
    """The command or the config is wrong (exit code 2)."""

    exit_code = 2


class DataError(RagbenchError):
    """A corpus, index, question file or run folder is missing or broken (exit code 3)."""

    exit_code = 3


class AbsentError(DataError):
    """A file that the user must provide is missing (exit code 3)."""


class PrerequisiteError(RagbenchError):
    """A package, model or device that the command needs is missing (exit code 4)."""

    exit_code = 4


class BackendError(RagbenchError):
    """A model backend failed to answer (exit code 5)."""

    exit_code = 5


class UnavailableError(RagbenchError):
    """A server answers no further question: it is away, or a quota is spent (exit code 5).

    It ends a run at once, unlike a ``BackendError``, which is the error of one question.
    """

    exit_code = 5


class SpentError(RagbenchError):
    """A run stopped at its ``max_cost`` (exit code 6)."""

    exit_code = 6


class FilteredError(BackendError):
    """A content filter stopped a prompt, or the reply whose beginning was to be scored."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint with the closest known names, followed by all known names."""
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    return f"{hint}known: {', '.join(names) if names else '(none)'}"


@contextmanager
def needing(size: float) -> Iterator[None]:
    """Let a message of a full disk say how many bytes the work in the block needs in all."""
    token = _NEED.set(size)
    try:
        yield
    finally:
        _NEED.reset(token)


@contextmanager
def space_for(path: Path, wanted: Callable[[], int] = int) -> Iterator[None]:
    """Name the folder and the need if the disk, a quota or a limit ends a write in the block.

    ``wanted`` returns the bytes that the last write did not get; 0 if that is unknown.

    Raises:
        DataError: There is no space left.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # NumPy's has no number, and FAISS's is of its own
        if getattr(error, "errno", None) not in FULL and not SHORT.search(str(error)):
            raise
        from shutil import disk_usage

        folder = next(folder for folder in path.parents if folder.is_dir())
        free, more = disk_usage(folder).free, wanted()
        limit = " (a quota or `ulimit -f` may allow less)" if free > ONE_MIB else ""
        need = f"; this write needs {more:,} more" if more else ""
        need += f"; in all about {_NEED.get():,.0f} are needed" if _NEED.get() else ""
        raise DataError(
            f"there is no space left to write {path.name}: {first_line(error)}",
            where=str(path),
            fix=f"free space on the disk of {folder}, where {free:,} bytes are free{limit}{need}; "
            "then run the same command again",
        ) from None

"""The process of a pipeline as ragbench sees it: started, asked with a deadline, ended.

Only JSON comes back, and each of its fields is checked: no object of the pipeline is unpickled
here. Its standard output and errors are read apart, and their end is quoted if it fails.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragbench.base.errors import BackendError, DataError, UsageError
from ragbench.models.runnable.call import CallSpec, Reads
from ragbench.runfolder.retrieval import GivenPassage
from ragbench.runfolder.schema import parse

MODULE = "ragbench.models.runnable.child"
START_SECONDS = 600.0  # the code may load models before its first answer
MOST_BYTES = 1 << 26  # of one answer
READ_BYTES = 1 << 16
TICK_SECONDS = 0.2
KEPT_BYTES = 4096  # of what the process prints
QUOTED = 200  # characters of its last line
RESUME = (
    "mend it and give the same `ragbench run` again: answers that are saved are not asked for again"
    " unless the module or the keys of the runnable changed"
)

EXPECTED: Mapping[Reads, tuple[str, str]] = {
    "passages": ("no passages", "return a list of Documents, or a mapping with one"),
    "text": ("no answer", "return a text, a message, or a mapping with one"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a pipeline returned for one question, or what went wrong there.

    Attributes:
        passages: Passages, best first, if these are read.
        text: Its answer, if that is read.
        model_calls: Calls of language models that LangChain announced.
        reported_calls: Those of them that reported their tokens.
        sent_tokens: Tokens of their prompts.
        written_tokens: Tokens of their replies.
        fault: ``unusable``, ``raised`` or ``useless``; empty if there is none.
        detail: The fault in words.
        fix: What to do about it.
    """

    passages: tuple[GivenPassage, ...] = ()
    text: str = ""
    model_calls: int = 0
    reported_calls: int = 0
    sent_tokens: int = 0
    written_tokens: int = 0
    fault: str = ""
    detail: str = ""
    fix: str = ""


@dataclass
class _Printed:
    """The end of what a process prints, read as it comes so that it never waits for a reader."""

    pipe: int
    end: bytes = b""
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with os.fdopen(self.pipe, "rb", buffering=0) as pipe:
            while block := pipe.read(READ_BYTES):
                self.end = (self.end + block)[-KEPT_BYTES:]

    def last_line(self) -> str:
        """Return the last line, shortened; empty if there is none."""
        self.thread.join(1.0)
        lines = self.end.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:QUOTED] if lines else ""


class RunnableProcess:
    """A pipeline in a process of its own; a context manager that ends it.

    Args:
        spec: The pipeline, and what is read of what it returns.
        who: The pipeline as messages name it: ``the runnable of the arm 'mine'``.
        where: Its place in the config.
        start_seconds: Seconds after which a start is given up.
    """

    def __init__(
        self, spec: CallSpec, who: str, where: str, *, start_seconds: float = START_SECONDS
    ) -> None:
        self._spec = spec
        self._who = who
        self._where = where
        self._socket, theirs = socket.socketpair()
        self._left = b""  # read beyond the end of the last answer
        self._is_closed = False
        reading, writing = os.pipe()
        number = theirs.fileno()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=subprocess.STDOUT,
                pass_fds=[number],
                env=_environment(),
                start_new_session=True,  # so that all that it starts can be ended with it
            )
        except BaseException:
            self._socket.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        self._printed = _Printed(reading)
        try:
            self._exchange(spec.model_dump(mode="json"), start_seconds, "it was loaded")
        except BaseException:
            self.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Whether the process has ended, as it does after every error."""
        return self._is_closed

    def ask(self, question: str | Sequence[Mapping[str, str]], name: str) -> Answer:
        """Return what the pipeline returns for a question; the process is of no use after an error.

        Args:
            question: The question, or the turns of a chat.
            name: The question as messages name it.

        Raises:
            BackendError: It raised something, took too long or ended its process.
            DataError: It returned something else than what is read.
        """
        return self._exchange({"question": question}, self._spec.timeout_s, f"it answered {name}")

    def close(self) -> None:
        """End the process and every process that it has started."""
        if self._is_closed:
            return
        self._is_closed = True
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> RunnableProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, request: Mapping[str, Any], seconds: float, what: str) -> Answer:
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(json.dumps(request).encode("ascii") + b"\n")
            line = self._line(deadline)
        except TimeoutError:
            raise self._failed(f"took more than {seconds:g} s while {what}") from None
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise self._failed(f"ended its process while {what} ({self._ended()})") from None
        return self._checked(line, what)

    def _line(self, deadline: float) -> bytes:
        """Return the next line; TimeoutError or EOFError if there is none."""
        got = bytearray(self._left)
        is_whole = b"\n" in got
        while not is_whole:
            if len(got) > MOST_BYTES:
                raise self._useless(f"it returned more than {MOST_BYTES >> 20} MiB")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            # A process that the pipeline forked may hold the socket open when the pipeline is gone.
            self._socket.settimeout(min(left, TICK_SECONDS))
            try:
                block = self._socket.recv(READ_BYTES)
            except TimeoutError:
                if self._process.poll() is not None:
                    raise EOFError from None
                continue
            if not block:
                raise EOFError
            got += block
            is_whole = b"\n" in block
        line, _, self._left = bytes(got).partition(b"\n")
        return line

    def _checked(self, line: bytes, what: str) -> Answer:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise self._useless(
                f"its process wrote something else than JSON while {what}"
            ) from None
        what_read = "answer of the runnable's process"
        answer = parse(Answer, value, self._where, what=what_read, fix=RESUME)
        if not answer.fault:
            return answer
        if answer.fault == "unusable":
            raise UsageError(answer.detail, where=self._where, fix=answer.fix)
        if answer.fault == "raised":
            raise self._failed(f"raised an error while {what}: {answer.detail}")
        raise self._useless(f"{answer.detail} ({what.removeprefix('it ')})")

    def _ended(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "without closing"
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _failed(self, what: str) -> BackendError:
        """Return the error of a process that failed, which is ended first."""
        self.close()
        said = self._printed.last_line()
        quoted = f"; the last line that it printed is {said!r}" if said else ""
        return BackendError(f"{self._who} {what}{quoted}", where=self._where, fix=RESUME)

    def _useless(self, what: str) -> DataError:
        self.close()
        missing, fix = EXPECTED[self._spec.reads]
        return DataError(
            f"{self._who} returned {missing}: {what}", where=self._where, fix=f"{fix}; {RESUME}"
        )


def _environment() -> dict[str, str]:
    """Return this process's environment, in which Python finds this package."""
    roots = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(root for root in roots if root)
    return os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}

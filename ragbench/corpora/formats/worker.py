"""A process of its own that reads documents, with a time limit for each.

It is started again if it was killed. It ends with its object, and when this process ends.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from ragbench.corpora.formats.parsed import ParsedFile

MODULE = "ragbench.corpora.formats.documents"
READ_BYTES = 1 << 20


class Worker:
    """Reads one document after another in one process.

    Args:
        seconds: The limit for one document.
        module: What is run there.
    """

    def __init__(self, seconds: float, module: str = MODULE) -> None:
        self.seconds = seconds
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Worker] | None = None

    def read(self, path: Path, kind: str, encoding: str) -> ParsedFile:
        """Return what a file holds, or why it cannot be read.

        Args:
            path: The file.
            kind: What it is, as ``documents.ENDINGS`` says.
            encoding: Of text.

        Returns:
            The document, or a fault; a file that takes too long or ends the process is a fault.
        """
        request = {"path": str(path.absolute()), "kind": kind, "encoding": encoding}
        process = self._running()
        try:
            line = _ask(process, json.dumps(request).encode() + b"\n", self.seconds)
        except TimeoutError:
            self.close()
            return ParsedFile(fault="time limit", detail=f"it took more than {self.seconds:g} s")
        except BaseException:
            self.close()  # an answer to come would be taken for that to the next request
            raise
        if not line.endswith(b"\n"):
            code = process.wait(timeout=self.seconds)
            self.close()
            return ParsedFile(fault="damage", detail=f"it ended the process that read it ({code})")
        answer: dict[str, Any] = json.loads(line)
        return ParsedFile(**answer | {"pages": tuple(answer.get("pages", ()))})

    def close(self) -> None:
        """End the process; the next document starts another."""
        if self._end is not None:
            self._end()
        self._process = self._end = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start(self._module)
            self._end = weakref.finalize(self, _stop, self._process)
        return self._process


def _start(module: str) -> subprocess.Popen[bytes]:
    """Start the process with the path of this package and without the current folder's modules."""
    roots = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(root for root in roots if root)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libraries warn about damaged files
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was to be sent is of no use any more


def _ask(process: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes:
    """Return the line that answers; without its end if the process ended before."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    answer = bytearray()
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            block = os.read(process.stdout.fileno(), READ_BYTES)
            if not block:
                break
            answer += block
    return bytes(answer)

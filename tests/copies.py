"""Commands in copies of a process that has imported the libraries, and has done nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

# Imports start no thread, so that a copy of the process is sound.
IMPORTED = """
faiss numba pandas pyarrow.parquet ragbench.api ragbench.cli.analyze ragbench.cli.corpus
ragbench.cli.importer ragbench.cli.index ragbench.cli.main ragbench.cli.plan ragbench.cli.run
ragbench.report.write scipy.stats sentence_transformers torch transformers
""".split()
NOWHERE = Path(os.devnull)
SECONDS = 3600  # a busy machine is slow


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def copied(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, and return what it printed and its exit code.

    Raises:
        TimeoutError: It takes more than an hour.
    """
    with tempfile.TemporaryDirectory() as place:
        out, errors = Path(place, "out"), Path(place, "errors")
        process = started(arguments, environment, folder, out, errors)
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"ragbench {' '.join(arguments)}")
        printed = [path.read_text(encoding="utf-8") for path in (out, errors)]
        return subprocess.CompletedProcess(list(arguments), process.exitcode, *printed)


def started(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    out: Path = NOWHERE,
    errors: Path = NOWHERE,
) -> BaseProcess:
    """Return a process that runs the command line in a folder."""
    given = tuple(arguments), dict(environment), folder, out, errors
    process = _server().Process(target=_command, args=given)
    process.start()
    return process


def _command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    out: Path,
    errors: Path,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, path in ((sys.stdout, out), (sys.stderr, errors)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["ragbench", *arguments]
    from ragbench.cli.main import main

    main()

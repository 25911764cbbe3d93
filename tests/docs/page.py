"""Follows a page of the documentation to the letter: writes its files and runs its commands.

A fenced block that comes after a line ending in ```NAME`:`` is a file; a ``sh`` block is run
(``sh exit=3``: it must end so; ``sh skip="REASON"``: it cannot run in a test); a ``text`` block
must be in the output of the commands before it. The commands are the real ones, in an empty
folder; what ``pip`` installs goes to a folder beside it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"`([^`\s]+)`:$")
FENCE = re.compile(r"^```(.*)$")
SKIP = re.compile(r'skip="([^"]{10,})"')


@dataclass(frozen=True)
class Block:
    """A fenced block: its info string, the file that it is (or none), its text and its line."""

    info: str
    file: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    before, opened, info = "", 0, ""
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if opened and fence:
            name = FILE.search(before)
            text = "\n".join(lines) + "\n"
            found.append(Block(info, name[1] if name else None, text, opened))
            opened, before = 0, ""
        elif opened:
            lines.append(line)
        elif fence:
            opened, info, lines = number, fence[1].strip(), []
        elif line.strip():
            before = line.rstrip()
    assert not opened, f"{page}:{opened}: the block is not closed"
    return found


def follow(page: Path, folder: Path, *, commands_alone: bool = False) -> str:
    """Follow a page in a folder.

    Args:
        page: The Markdown file.
        folder: An empty folder; the page's own working folder is made in it.
        commands_alone: Whether only the commands count, because other blocks are parts of files.

    Returns:
        All that the commands printed.
    """
    work = folder / "work"
    work.mkdir()
    environment = _environment(folder)
    whole = output = ""
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if SKIP.search(block.info) or (commands_alone and not block.info.startswith("sh")):
            continue
        if block.file is not None:
            path = work / block.file
            assert path.resolve().is_relative_to(work.resolve()), place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.info.startswith("sh"):
            output = _run(block, place, work, environment)
            whole += output
        elif block.info == "text":
            for line in block.text.splitlines():
                assert line in output, f"{place}: {line!r} is not in the output:\n{output}"
        else:
            raise AssertionError(f"{place}: neither a file nor a command nor its output")
    return whole


def _run(block: Block, place: str, work: Path, environment: dict[str, str]) -> str:
    expected = int(block.info.partition("exit=")[2] or 0)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == expected, f"{place}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    """Return one in which the tested package is ``ragbench``, whatever else is installed."""
    commands, site = folder / "bin", folder / "site"
    commands.mkdir()
    for name, module in (("ragbench", "ragbench"), ("pip", "pip"), ("python", "")):
        script = commands / name
        part = f"-m {module} " if module else ""
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {part}"$@"\n', encoding="utf-8")
        script.chmod(0o755)
    root = str(DOCS.parent)
    environment = {key: value for key, value in os.environ.items() if key != "RAGBENCH_HOME"}
    return environment | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(site), root]),
        "PIP_TARGET": str(site),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's own way to say: use the build backend installed
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }

"""The process apart: kept from file to file, ended when it takes too long or dies."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest

from ragbench.corpora.formats.parsed import ParsedFile
from ragbench.corpora.formats.worker import Worker

SCRIPT = """
import json, os, sys, time
for line in sys.stdin:
    path = json.loads(line)["path"]
    name = os.path.basename(path)
    if name == "slow":
        time.sleep(60)
    if name == "dies":
        os._exit(9)
    if name == "torn":
        print('{"title": "half', end="", flush=True)
        os._exit(9)
    print(json.dumps({"title": str(os.getpid()), "pages": [name]}), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose process does as the file's name says."""
    (tmp_path / "strange.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Worker(20, "strange")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_process_reads_all_files(worker: Worker) -> None:
    first, second = (worker.read(Path(name), "text", "utf-8") for name in ("a", "b"))
    assert (first.pages, second.pages) == (("a",), ("b",))
    assert first.title == second.title != str(os.getpid())
    worker.close()
    assert not is_alive(int(first.title))
    assert worker.read(Path("c"), "text", "utf-8").title != first.title
    worker.close()


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(worker: Worker) -> None:
    before = worker.read(Path("a"), "text", "utf-8")
    worker.seconds = 0.5
    started = time.monotonic()
    assert worker.read(Path("slow"), "text", "utf-8") == ParsedFile(
        fault="time limit", detail="it took more than 0.5 s"
    )
    assert time.monotonic() - started < 5
    assert not is_alive(int(before.title))
    worker.seconds = 20
    assert worker.read(Path("b"), "text", "utf-8").pages == ("b",)
    worker.close()


@pytest.mark.parametrize("name", ["dies", "torn"])
def test_a_file_that_ends_the_process_is_a_fault_and_the_next_is_read(
    worker: Worker, name: str
) -> None:
    found = worker.read(Path(name), "text", "utf-8")
    assert found == ParsedFile(fault="damage", detail="it ended the process that read it (9)")
    assert worker.read(Path("b"), "text", "utf-8").pages == ("b",)
    worker.close()


def test_the_process_ends_with_the_worker(worker: Worker, request: pytest.FixtureRequest) -> None:
    other = Worker(20, "strange")
    process = int(other.read(Path("a"), "text", "utf-8").title)
    assert is_alive(process)
    del other
    gc.collect()
    assert not is_alive(process)


def test_the_real_process_reads_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"gout \xff.txt")
    path.write_text("Gout.", encoding="utf-8")
    real = Worker(60)
    assert real.read(path, "text", "utf-8") == ParsedFile(pages=("Gout.",))
    real.close()


def test_modules_of_the_current_folder_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "langchain_community.py").write_text("raise SystemExit(7)", encoding="utf-8")
    (tmp_path / "a.txt").write_text("Gout.", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    real = Worker(60)
    assert real.read(Path("a.txt"), "text", "utf-8") == ParsedFile(pages=("Gout.",))
    real.close()

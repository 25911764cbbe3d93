"""Every file of a run folder is read by its type and written again, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbench import runfolder
from ragbench.base.files import write_jsonl
from ragbench.runfolder.packed import read_packed, write_packed
from ragbench.runfolder.passages import (
    read_passages,
    read_prompts,
    write_passages,
    write_prompts,
)
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import read_questions, write_questions
from ragbench.runfolder.records import read_records, record_to_json
from ragbench.runfolder.retrieval import read_note, read_quality, write_note, write_quality
from ragbench.runfolder.runfile import Session, read_run_file, write_run_file
from ragbench.runfolder.schema import parse_lines, to_json
from tests.runfolder.golden import FOLDER, OWN, RUNS

Copy = Callable[[Path, Path, bool], None]


def packed(source: Path, target: Path, imported: bool) -> None:
    write_packed(target, read_packed(source).values(), imported=imported)


def records(source: Path, target: Path, imported: bool) -> None:
    write_jsonl(target, (record_to_json(r, imported=imported) for r in read_records(source)))


def sessions(source: Path, target: Path, _: bool) -> None:
    write_jsonl(target, (to_json(session) for _, session in parse_lines(Session, source)))


def untouched(source: Path, target: Path, _: bool) -> None:
    target.write_bytes(source.read_bytes())  # TREC runs have no type of their own, nor do scores


COPIES: dict[str, Copy] = {
    "run.json": lambda source, target, _: write_run_file(target, read_run_file(source)),
    "sessions.jsonl": sessions,
    "passages.jsonl": lambda source, target, _: write_passages(target, read_passages(source)),
    "prompts/*.jsonl": lambda source, target, _: write_prompts(target, read_prompts(source)),
    "questions/*.jsonl": lambda source, target, _: write_questions(target, read_questions(source)),
    "packed/*.jsonl": packed,
    "records/*.jsonl": records,
    "retrieval/*.quality.jsonl": lambda source, target, _: write_quality(
        target, read_quality(source)
    ),
    "retrieval/*.json": lambda source, target, _: write_note(target, read_note(source)),
    "retrieval/*.trec": untouched,
    "scores/*.jsonl": untouched,
}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_every_file_is_written_as_it_was(run: RunPaths, tmp_path: Path) -> None:
    imported = read_run_file(run.run).is_imported
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        (copy,) = (c for pattern, c in COPIES.items() if path.relative_to(run.path).match(pattern))
        again = tmp_path / path.relative_to(run.path)
        again.parent.mkdir(parents=True, exist_ok=True)
        copy(path, again, imported)
        assert again.read_bytes() == path.read_bytes(), path


def test_the_golden_folders_hold_every_kind_of_file() -> None:
    for pattern in COPIES:
        assert list(FOLDER.glob(f"*/{pattern}")), pattern
    text = "".join(path.read_text() for path in FOLDER.glob("lm-eval/records/*"))
    assert "reply_before_filter" in text
    kinds = {read_note(path).kind for path in OWN.path.glob("retrieval/*.json")}
    assert kinds == {"index", "fusion", "run file"}


def test_importing_the_types_loads_nothing_heavy() -> None:
    names = sorted(path.stem for path in Path(runfolder.__file__).parent.glob("[a-z]*.py"))
    code = "import sys\n" + "".join(f"import ragbench.runfolder.{name}\n" for name in names)
    code += "print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow", "numpy", "pydantic", "yaml", "torch"} & set(
        done.stdout.split()
    )

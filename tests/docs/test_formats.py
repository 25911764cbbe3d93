"""docs/formats.md against the files that a run, a corpus and an index really leave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.effects import OF_CONTROL
from ragbench.indexes import retrievers
from tests.docs.page import DOCS

TEXT = " ".join((DOCS / "formats.md").read_text(encoding="utf-8").split())


def names(after: str) -> list[str]:
    """Return the names in backticks after some words, up to the end of the sentence."""
    start = TEXT.index(after) + len(after)
    sentence = re.split(r"\.[ |]|;|: | \|", TEXT[start:], maxsplit=1)[0]
    found = re.findall(r"`([^`]+)`", sentence)
    return [name.strip() for group in found for name in group.split(",")]


def line(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    return found


@pytest.fixture
def run(mixed_home: Path) -> Path:
    return mixed_home / "runs" / "mixed"


def test_records(run: Path) -> None:
    found = line(run / "records" / "scripted+facts+closed-book.0.jsonl")
    assert set(found) == set(names("A **record** holds"))


def test_scores(run: Path) -> None:
    table = pd.read_parquet(run / "scores" / "correct.parquet")
    assert set(table.columns) - {"accuracy"} == set(names("**Scores** have the columns"))


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("results.csv", "**results.csv** has"),
        ("effects.csv", "one row per model, task, arm and stratum (empty for all):"),
        ("evidence.csv", "has the [use of evidence](statistics.md#use-of-evidence):"),
        ("misled.csv", "with [planted errors](controls.md#planted-errors):"),
    ],
)
def test_tables(run: Path, name: str, after: str) -> None:
    assert list(pd.read_csv(run / name).columns) == names(after)


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("questions/facts.jsonl", "| `questions/TASK.jsonl` |"),
        ("packed/facts+hybrid.jsonl", "| `packed/TASK+ARM.jsonl` |"),
        ("passages.jsonl", "| `passages.jsonl` |"),
        ("prompts/0.jsonl", "| `prompts/0.jsonl` |"),
        ("retrieval/facts+bm25.quality.jsonl", "| `retrieval/TASK+SOURCE.quality.jsonl` |"),
    ],
)
def test_lines_of_the_run_folder(run: Path, file: str, row: str) -> None:
    assert list(line(run / file)) == names(row)


def test_every_file_of_a_run_is_described(run: Path) -> None:
    described = re.findall(r"`([^`\s]+)`", (DOCS / "formats.md").read_text(encoding="utf-8"))
    patterns = [
        re.sub("TASK|SOURCE|ARM|MODEL|MODE", "*", name).replace("**", "*") for name in described
    ]
    for path in run.rglob("*"):
        relative = path.relative_to(run)
        if path.is_file() and not path.name.startswith("."):
            assert any(relative.match(pattern) for pattern in patterns), relative


def test_manifest_of_an_index(mixed_home: Path) -> None:
    manifest = json.loads((mixed_home / "indexes" / "bm25-facts" / "manifest.json").read_text())
    assert list(manifest) == names("Its `manifest.json` holds")[: len(manifest)]


def test_kinds_and_effects_are_named() -> None:
    assert all(f"`{kind}`" in TEXT for kind in retrievers.names())
    assert all(f"`{effect}`" in TEXT for told in OF_CONTROL.values() for effect in told)

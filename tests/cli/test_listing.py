"""``ragbench list``: every kind, with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.cli.listing import FILES, REGISTRIES
from tests.conftest import ragbench


@pytest.mark.parametrize("kind", [*FILES, *REGISTRIES])
def test_every_kind_is_listed_with_its_place(home: Path, kind: str) -> None:
    done = ragbench(home, "list", kind, "--where", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows
    for row in rows:
        file, _, line = row["where"].partition(":")
        assert Path(file).is_file()
        if kind in REGISTRIES:
            assert int(line) > 0


def test_tasks_tell_of_themselves(home: Path) -> None:
    rows = {
        row["name"]: row for row in json.loads(ragbench(home, "list", "tasks", "--json").stdout)
    }
    nejm = rows["nejm"]
    assert "where" not in nejm
    assert nejm["data_use"] == "bring-your-own"
    assert nejm["file"].startswith("data/cases/nejm.jsonl (JSON lines: id, source")
    assert (nejm["modes"], nejm["metrics"]) == (["correct"], ["accuracy"])
    assert rows["medmcqa"]["modes"] == ["correct", "mirage"]
    assert rows["generation"]["scoring"] == "generate"
    assert rows["longhealth1"]["cluster_unit"] == "patient"
    told = {"licence", "data_use", "scoring", "metrics", "cluster_unit", "modes", "shots", "query"}
    for row in rows.values():
        assert told | {"name", "summary", "file", "access"} == set(row)


def test_the_table_of_tasks_is_of_a_readable_width(home: Path) -> None:
    header, *lines = ragbench(home, "list", "tasks").stdout.splitlines()
    assert header.split("  ")[0] == "name"
    assert max(map(len, lines)) <= 130
    (line,) = [line for line in lines if line.startswith("pubmedqa ")]
    assert line.split() == [
        "pubmedqa",
        "open",
        "letters",
        "correct",
        "mirage",
        "data/pubmedqa.jsonl",
    ]
    where = ragbench(home, "list", "tasks", "--where").stdout
    assert "ragbench/tasks/pubmedqa.py:" in where


def test_built_things_are_told_apart(finished_home: Path) -> None:
    done = ragbench(finished_home, "list", "corpora", "--json")
    assert {"name": "icd10cm", "state": "built", "summary": ""} in json.loads(done.stdout)
    indexes = json.loads(ragbench(finished_home, "list", "indexes", "--json").stdout)
    assert {row["name"] for row in indexes if row["state"] == "built"} == {
        "bm25-icd10cm",
        "minilm-flat-icd10cm",
    }

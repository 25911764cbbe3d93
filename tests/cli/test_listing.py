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


def test_built_things_are_told_apart(finished_home: Path) -> None:
    done = ragbench(finished_home, "list", "corpora", "--json")
    assert {"name": "icd10cm", "state": "built", "summary": ""} in json.loads(done.stdout)
    indexes = json.loads(ragbench(finished_home, "list", "indexes", "--json").stdout)
    assert {row["name"] for row in indexes if row["state"] == "built"} == {
        "bm25-icd10cm",
        "minilm-flat-icd10cm",
    }

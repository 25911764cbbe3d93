"""``ragbench doctor``: what is here, what lacks, and what to type."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import ragbench, without
from tests.corpora.files import hidden


def test_doctor_tells_what_is_here(home: Path) -> None:
    done = ragbench(home, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["home"] == str(home)
    assert facts["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["free_disk_bytes"] > 0
    assert facts["devices"][0].startswith("cpu: ")
    assert "CPU" in facts["faiss"] or "GPU" in facts["faiss"]


def test_doctor_gives_the_line_that_installs(home: Path) -> None:
    done = ragbench(home, "doctor", **without(home, "faiss", "torch"))
    assert done.returncode == 0, done.stderr
    assert "missing for dense search: faiss  ->  pip install faiss-cpu" in done.stdout
    assert "missing for core: torch  ->  pip install torch" in done.stdout


@pytest.mark.slow
def test_doctor_knows_the_extras(home: Path) -> None:
    modules = ("langchain_community", "datasets", "langchain_qdrant")
    lines = ragbench(home, "doctor", **hidden(home, *modules)).stdout
    for line in (
        "folders of documents: langchain_community  ->  pip install 'ragbench[documents]'",
        "data sets of the hub: datasets  ->  pip install 'ragbench[hub]'",
        "vector stores: langchain_qdrant  ->  pip install langchain-qdrant",
    ):
        assert f"missing for {line}" in lines
    # What reads a document or searches a store can change a result, so it is recorded.
    found = json.loads(ragbench(home, "doctor", "--json").stdout)["versions"]
    assert {"langchain-community", "pypdf", "datasets", "qdrant-client"} <= set(found)

"""``ragbench doctor``: what is here, what lacks, and what to type."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import ragbench, without
from tests.corpora.files import hidden
from tests.indexes.dense.test_library import NO_CUDA, write_package


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


def test_doctor_survives_a_faiss_without_its_libraries(home: Path) -> None:
    write_package(home, f"raise RuntimeError({NO_CUDA!r})", "faiss-cpu", "faiss-gpu")
    environment = hidden(home, "torch")  # whose import takes seconds
    done = ragbench(home, "doctor", **environment)
    assert done.returncode == 0, done.stderr
    assert "cannot be imported" in done.stdout
    assert "problem: FAISS cannot be imported: faiss-gpu installed but nvidia-cuda" in done.stdout
    assert "are installed over each other, in one folder  ->  pip uninstall -y" in done.stdout
    facts = json.loads(ragbench(home, "doctor", "--json", **environment).stdout)
    assert [sorted(one) for one in facts["problems"]] == [["fix", "what"]] * 2


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
